"""The source `retrieval`: the items nearest to the listener, by the two-tower model."""

from segue.candidates import RETRIEVAL_CANDIDATES
from surfaces.sources.source import ModelSource
from surfaces.versions import RETRIEVAL

two_tower = ModelSource("retrieval", RETRIEVAL, lambda context: {"k": RETRIEVAL_CANDIDATES})
