"""The rivals of a simulation's loop in its own home: the first models, which are never trained again, and a candidate.

Their folders hold models and a layout policy of their own. The first models get the items of each release, so they
lose nothing by their age but what training would have taught them.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from segue.settings import Home
from serving.store import model_store
from serving.store.split import read_split


def first_home(home: Home) -> Home:
    """Return the folder of the models and the layout policy that a simulation began with."""
    return Home(home.simulation / "first")


def rivals(home: Home) -> dict[str, Home]:
    """Return the homes whose models are compared, by name: the loop's and that of the first models."""
    return {"loop": home, "frozen": first_home(home)}


def keep_first(home: Home) -> None:
    """Keep what serves now as the first models of a simulation, unless it is kept already."""
    if not model_store.stable(first_home(home).models):
        copy_served(home, model_store.stable(home.models), first_home(home))


@contextmanager
def tried(home: Home) -> Iterator[tuple[float, Home] | None]:
    """Yield the share of the listeners who see the candidate of a roll-out, and a home that serves it; None without."""
    split = read_split(home.models)
    if split is None or not split.share:
        yield None
        return
    candidate = {model: home.models / model / str(version) for model, version in split.candidate.items()}
    with TemporaryDirectory(prefix="segue-candidate-") as folder:
        copy_served(home, {**model_store.stable(home.models), **candidate}, Home(Path(folder)))
        yield split.share, Home(Path(folder))


def copy_served(home: Home, models: dict[str, Path], other: Home) -> None:
    """Let another home serve some models, with the layout policy of this one."""
    if home.layout_policy.is_file():
        other.surfaces.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(home.layout_policy, other.layout_policy)
    model_store.push(other.models, models)
