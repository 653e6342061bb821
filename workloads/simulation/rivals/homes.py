"""The rivals of a simulation's loop: the first models, which are never trained again, and models trained every day.

Their folders hold models and a layout policy of their own. All get the items of each release, so a rival loses nothing
by its age but what training would have taught it.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from segue.files import atomic_path
from segue.settings import Home
from serving.store import model_store
from serving.store.split import read_split


def first_home(home: Home) -> Home:
    """Return the folder of the models and the layout policy that a simulation began with."""
    return Home(home.simulation / "first")


def daily_home(home: Home) -> Home:
    """Return the home of the rival that is trained after each day."""
    return Home(home.simulation / "daily")


def rivals(home: Home) -> dict[str, Home]:
    """Return the homes whose models are compared, by name: the loop's and its rivals', `daily` only if there is one."""
    daily = daily_home(home)
    return {"loop": home, "frozen": first_home(home), **({"daily": daily} if daily.root.is_dir() else {})}


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


def begin_daily(home: Home) -> None:
    """Copy a home for the rival that is trained after each day, unless it is there already."""
    if daily_home(home).root.is_dir():
        return
    with atomic_path(daily_home(home).root) as temporary:
        own = home.simulation.name, home.runs.name, home.journal.parent.name
        shutil.copytree(home.root, temporary, ignore=lambda folder, _: own if folder == str(home.root) else ())


def give_log(home: Home) -> None:
    """Give the daily rival the loop's log, which is all that it learns from."""
    with atomic_path(daily_home(home).data) as temporary:
        shutil.copytree(home.data, temporary)
