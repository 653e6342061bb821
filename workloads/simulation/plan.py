"""What a simulation is to be, and its state: which world, which planted change, and the days that are done."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from events import dataset
from events.world.config import WorldConfig
from events.world.live.world import World
from segue.errors import InputError
from segue.files import read_json

STATE = "state.json"  # in the folder of a simulation


@dataclass(frozen=True)
class Plan:
    """What a simulation is to be.

    Args:
        days: How many days there are in the end; those of an earlier call count.
        drift: What changes, one of `events.world.config.DRIFTS`; None for nothing, or for what an earlier call planted.
        drift_day: The day of the simulation from which it changes, from 1; None for the first day of the second half.
    """

    days: int
    drift: str | None = None
    drift_day: int | None = None

    def planted(self, config: WorldConfig) -> dict[str, Any]:
        """Return the drift that the plan adds to a world: none, or `drift` and the `drift_day` of the world.

        Raises:
            InputError: The drift is unknown, its day is missing a drift or outside the simulation, or the world has a
                drift from its import.
        """
        if self.drift is None and self.drift_day is None:
            return {}
        if config.drift:
            raise InputError(
                f"A simulation plants a drift in a world without one. The imported world has the drift {config.drift}.",
                "Import the world without `--drift`.",
            )
        day = self.days // 2 + 1 if self.drift_day is None else self.drift_day
        if not 1 <= day <= self.days:
            raise InputError(
                f"The drift day of a simulation lies in 1 .. {self.days}. Received {day}.", "Change `--drift-day`."
            )
        drift: dict[str, Any] = {"drift": self.drift, "drift_day": config.days + day - 1}
        replace(config, **drift)  # refuses an unknown drift
        return drift


def begun(folder: Path, manifest: dict[str, Any], plan: Plan) -> tuple[dict[str, Any], World]:
    """Return the state of a simulation, which begins with this plan or goes on, and its world. Nothing is written.

    The drift is planted in the days after the log, so the log stays as it was imported.

    Args:
        folder: The folder of the simulation, which keeps the state.
        manifest: The manifest of the imported data set.
        plan: The plan.

    Raises:
        InputError: The data set is no world that goes on as long, the plan does not fit the world, or a simulation is
            there of another data set or with another drift.
    """
    world = world_of(manifest)
    future = world.config.future_days
    if plan.days > future:
        raise InputError(
            f"This world goes on for {future} days after its log. Received {plan.days}.",
            f"Give `--days` in 1 .. {future}, or import a world with `--future {plan.days}`.",
        )
    planted, file = plan.planted(world.config), folder / STATE
    if file.is_file():
        state = read_json(file)
        require_same(state, manifest)
        if plan.drift and plan.drift_day is None:  # the day was chosen by the first call
            planted |= {"drift_day": state["drift"].get("drift_day")}
        if planted and planted != state["drift"]:
            raise InputError(
                f"A simulation keeps the drift that it began with. It has {words(state['drift'])}.",
                "Leave the drift out, or simulate in another home: set SEGUE_HOME.",
            )
    else:
        state = {"log": dataset.identity(manifest), "drift": planted, "days": []}
    return state, World.build(replace(world.config, **state["drift"]), world.seed)


def words(drift: dict[str, Any]) -> str:
    """Return a planted drift in words."""
    return f"the drift {drift['drift']} from day {drift['drift_day']} of the world on" if drift else "no drift"


def world_of(manifest: dict[str, Any]) -> World:
    """Return the world of an imported data set.

    Raises:
        InputError: The data set is no world of version 2.
    """
    told = dict(manifest.get("world") or {})
    if not told:
        raise InputError(
            f"A simulation goes on with an imported world of version 2. The imported log is {manifest['dataset']}.",
            "Run `segue data import synthetic --world 2` and `segue run training` in a home of their own.",
        )
    seed = told.pop("seed")
    return World.build(WorldConfig(**told), seed)


def require_same(state: dict[str, Any], manifest: dict[str, Any]) -> None:
    """Refuse to go on with a simulation of another data set, of one that was imported again, or of an older version.

    Raises:
        InputError: It is one.
    """
    if "drift" not in state:
        raise InputError("This simulation was begun by an older version.", "Simulate in another home: set SEGUE_HOME.")
    if state["log"] != dataset.identity(manifest) or (state["days"] and not manifest.get("collected")):
        raise InputError(
            "A home holds the simulation of one data set. The imported data set is another one, or was imported again.",
            "Simulate in another home: set SEGUE_HOME.",
        )
