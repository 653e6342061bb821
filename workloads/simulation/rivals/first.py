"""The home of the first models of a simulation, which are never trained again.

It has models and a layout policy of its own. The first models get the items of each release, so they lose nothing by
their age but what training would have taught them.
"""

import shutil

from segue.settings import Home
from serving.store import model_store


def first_home(home: Home) -> Home:
    """Return the folder of the models and the layout policy that a simulation began with."""
    return Home(home.simulation / "first")


def keep_first(home: Home) -> None:
    """Keep what serves now as the first models of a simulation, unless it is kept already."""
    first = first_home(home)
    if model_store.stable(first.models):
        return
    if home.layout_policy.is_file():
        first.surfaces.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(home.layout_policy, first.layout_policy)
    model_store.push(first.models, model_store.stable(home.models))
