"""The error for a name that is none of the known names."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from segue.errors import InputError


def check_known(what: str, name: str, known: Iterable[str]) -> None:
    """Check that a name is known.

    Args:
        what: what the name is of, e.g. `surface`.
        name: the name that came.
        known: the names that are allowed.

    Raises:
        InputError: the name is not known.
    """
    names = sorted(known)
    if name not in names:
        raise unknown_name(what, name, names)


def unknown_name(what: str, name: str, names: Sequence[str], prefix: str = "") -> InputError:
    """Return the error for a name that is not known, with the nearest names and all that are known.

    Args:
        what: what the name is of, e.g. `surface`.
        name: the name that came; upper and lower case do not matter for the names that are suggested.
        names: the names that are allowed, in the order to list them.
        prefix: stands before the name and before those suggested, e.g. the section of a setting.
    """
    near = get_close_matches(name.casefold(), [each.casefold() for each in names], 3)
    suggested = " or ".join(f"{prefix}{each}" for each in names if each.casefold() in near)
    listed = f"Known are: {', '.join(names)}." if names else f"No {what} is known."
    fix = f"Did you mean {suggested}? {listed}" if suggested else listed
    return InputError(f"There is no {what} {prefix + name!r}.", fix)
