"""Parts that every benchmark's result has: targets, the machine and peak memory."""

import os
import platform
import resource
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any

from segue.errors import InputError

Say = Callable[[str], Any]  # prints one line of progress


def target(value: float, at_least: float | None = None, at_most: float | None = None) -> dict[str, Any]:
    """A figure beside its limit: `value`, `at_least` or `at_most`, and whether it `holds`.

    Args:
        value: the measured figure.
        at_least: the lower limit; a figure equal to it holds.
        at_most: the upper limit, read only if there is no lower one.
    """
    if at_least is not None:
        return {"value": value, "at_least": at_least, "holds": value >= at_least}
    assert at_most is not None
    return {"value": value, "at_most": at_most, "holds": value <= at_most}


def machine(*packages: str) -> dict[str, Any]:
    """The number of cores and the versions of Python and of some packages: figures depend on them."""
    return {
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        **{name: version(name) for name in packages},
    }


def peak_memory_mb() -> float:
    """Largest resident memory that this process has had so far, in MiB."""
    unit = 1 if sys.platform == "darwin" else 1024  # `ru_maxrss` is in bytes on macOS and in KiB on Linux
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def check_names(noun: str, names: Sequence[str], choices: Sequence[str]) -> None:
    """Check that every requested name is one of the choices.

    Raises:
        InputError: a name is not; the fix lists the choices.
    """
    for name in names:
        if name not in choices:
            raise InputError(f"There is no {noun} {name!r}.", f"Choose among {', '.join(choices)}.")
