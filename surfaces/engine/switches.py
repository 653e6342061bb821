"""The names of what can be switched off: stages, sources and filters."""

from collections.abc import Iterable

from segue.near_names import check_known
from surfaces.filters.every import FILTERS
from surfaces.sources.every import SOURCES
from surfaces.versions import MODELS

SWITCHES = ("features", "compose", "journal", *MODELS, *(one.name for one in (*SOURCES, *FILTERS)))


def check_switches(names: Iterable[str]) -> None:
    """Check names of what is to be switched off.

    Raises:
        InputError: a name is not known.
    """
    for name in names:
        check_known("stage, source or filter", name, set(SWITCHES))
