"""Other sites beside a simulation: homes that simulated the same days of the same world with another loop.

A rival in the loop's own home is asked with the features that the loop's pages have made. A site has its own pages,
listeners' histories and models, so it is what would have happened without the loop, or with another one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segue.errors import InputError
from segue.files import read_json
from segue.settings import Home
from workloads.simulation.chart import POLICIES, marks
from workloads.simulation.plan import STATE


@dataclass(frozen=True)
class Site:
    """A site.

    Args:
        name: The name of its home's folder.
        rewards: What its loop was worth, by day of the world.
        idle: Whether no models were pushed there, so that it is what a site is without any training.
    """

    name: str
    rewards: dict[int, float]
    idle: bool

    @classmethod
    def of(cls, home: Home, folder: Path, count: int) -> "Site":
        """The site of a home that is to be compared with the simulation of another one, in a number of days.

        Raises:
            InputError: It has no simulation, or one of another world, with another drift or of fewer days, or its name
                is taken.
        """
        file = Home(folder).simulation / STATE
        if not file.is_file():
            raise InputError(f"A site beside a simulation has simulated days. There are none in {folder}.", FIX)
        state, own = read_json(file), read_json(home.simulation / STATE)
        for key, what in (("log", "imported log"), ("drift", "change")):
            if state.get(key) != own[key]:
                raise InputError(
                    f"A site beside a simulation has the same {what}. "
                    f"{folder} has {state.get(key) or 'none'}, and this home has {own[key] or 'none'}.",
                    FIX,
                )
        name = folder.resolve().name
        if name in POLICIES:
            raise InputError(f"The name of a site's folder is its name. {name} is one already.", "Rename the folder.")
        days = state["days"]
        if len(days) < count:
            raise InputError(
                f"A site beside a simulation has simulated its days. {folder} has {len(days)} of {count}.",
                "Go on with `segue simulate` there.",
            )
        return cls(
            name,
            {day["day"]: day["policies"]["loop"] for day in days},
            not any("pushed" in marks(day) for day in days),
        )


FIX = "Copy the home before its first simulated day, and give both simulations the same days and the same drift."


def with_sites(days: Sequence[Mapping[str, Any]], sites: Sequence[Site]) -> list[dict[str, Any]]:
    """Return the days of a simulation with what other sites were worth on them, among `policies`."""
    return [
        {**day, "policies": {**day["policies"], **{site.name: site.rewards[day["day"]] for site in sites}}}
        for day in days
    ]
