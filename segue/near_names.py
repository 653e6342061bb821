"""The error for a name that is none of the known names."""

from collections.abc import Iterable
from difflib import get_close_matches

from segue.errors import InputError


def check_known(what: str, name: str, known: Iterable[str]) -> None:
    """Check that a name is known; upper and lower case count only for the names that are suggested.

    Args:
        what: what the name is of, e.g. `surface`.
        name: the name that came.
        known: the names that are allowed.

    Raises:
        InputError: the name is not known; the fix has the nearest names, and all that are known.
    """
    names = sorted(known)
    if name in names:
        return
    near = get_close_matches(name.casefold(), [each.casefold() for each in names], 3)
    suggested = " or ".join(each for each in names if each.casefold() in near)
    listed = f"Known are: {', '.join(names)}." if names else f"No {what} is known."
    raise InputError(f"There is no {what} {name!r}.", f"Did you mean {suggested}? {listed}" if suggested else listed)
