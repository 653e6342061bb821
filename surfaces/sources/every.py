"""All sources. The most general source of a model comes first: its least score fills the gaps of the others."""

from surfaces.sources.because_you_listened import because_you_listened
from surfaces.sources.cross_content import cross_content
from surfaces.sources.jump_back_in import jump_back_in
from surfaces.sources.new_releases import new_releases
from surfaces.sources.popular import popular
from surfaces.sources.sequence import sequence
from surfaces.sources.source import Source
from surfaces.sources.two_tower import two_tower

SOURCES: tuple[Source, ...] = (
    two_tower,
    new_releases,
    cross_content,
    sequence,
    because_you_listened,
    jump_back_in,
    popular,
)
# The sources whose lists the ranking model is trained on: those of `segue recommend`.
RANKED_LIST: tuple[Source, ...] = (two_tower, new_releases, sequence)
