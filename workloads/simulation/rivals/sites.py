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
from workloads.simulation.chart import COLUMNS, POLICIES, marks
from workloads.simulation.plan import STATE, words
from workloads.simulation.rivals.values import ORACLE

TRAINED = {"pushed", "refused", "worse model"}  # what a site without trainings never did
FIX = "Copy the home before its first simulated day, and give both simulations the same days and the same drift."


@dataclass(frozen=True)
class Site:
    """A site.

    Args:
        name: The name of its home's folder.
        shares: What its loop was worth, as a share of the oracle's reward there, by day of the world.
        idle: Whether nothing was trained there, so that it is what a site is without a loop.
    """

    name: str
    shares: dict[int, float]
    idle: bool


def sites_of(state: Mapping[str, Any], folders: Sequence[Path], count: int) -> list[Site]:
    """Return the sites of other homes that are to be compared with a simulation.

    Args:
        state: The state of the simulation.
        folders: The homes.
        count: The number of days.

    Raises:
        InputError: A home has no simulation, or one of another world, with another drift or of fewer days, or its name
            is taken.
    """
    sites: list[Site] = []
    for folder in folders:
        file, name = Home(folder).simulation / STATE, folder.resolve().name
        if not file.is_file():
            raise InputError(f"A site beside a simulation has simulated days. There are none in {folder}.", FIX)
        other = read_json(file)
        if other["log"] != state["log"]:
            raise InputError(f"A site beside a simulation began with the same log. That of {folder} is another.", FIX)
        if other["drift"] != state["drift"]:
            both = f"{folder} has {words(other['drift'])}, and this home has {words(state['drift'])}"
            raise InputError(f"A site beside a simulation has the same drift. {both}.", FIX)
        days = other["days"][:count]
        if len(days) < count:
            raise InputError(
                f"A site beside a simulation has simulated its days. {folder} has {len(days)} of {count}.",
                "Go on with `segue simulate` there.",
            )
        if name in {*POLICIES, *COLUMNS, *(site.name for site in sites)}:
            raise InputError(
                f"A site has the name of its folder, which no other column has. {name} is one.", "Rename the folder."
            )
        shares = {day["day"]: day["policies"]["loop"] / day["policies"][ORACLE] for day in days}
        sites.append(Site(name, shares, not any(TRAINED & set(marks(day)) for day in days)))
    return sites


def with_sites(days: Sequence[Mapping[str, Any]], sites: Sequence[Site]) -> list[dict[str, Any]]:
    """Return the days of a simulation with what other sites were worth on them, among `policies`.

    A site's share of its oracle's reward becomes a reward by the oracle of the simulation: that of each home fills the
    rows of its own pages.
    """
    return [
        {
            **day,
            "policies": {
                **day["policies"],
                **{site.name: site.shares[day["day"]] * day["policies"][ORACLE] for site in sites},
            },
        }
        for day in days
    ]
