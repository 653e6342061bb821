"""The arms of a request: what the running experiments set on the surface that answers it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from experiments.assignment.assign import Assignment, Running, arms_to_log, assign
from experiments.definition import Definition
from experiments.registry import Registry
from surfaces.request import Request
from surfaces.versions import MODELS, RANKING, RETRIEVAL, SEQUENCE, Choice

OF_LISTENERS = ("country", "plan", "age_band")  # features
ATTRIBUTES = (*OF_LISTENERS, "market", "surface")  # that a definition's `eligible` may name
OF_MODELS = "models."  # parameters that choose model versions, on all surfaces that ask the model
ASKED = {"home": MODELS, "new_releases": (RETRIEVAL, RANKING), "now_playing": (RETRIEVAL, SEQUENCE)}


@dataclass(frozen=True)
class Arms:
    """The arms of one request.

    Args:
        surface: who answers: `home`, `now_playing` or `new_releases`.
        assignments: the listener's arm in each running experiment.
        fixed: parameters that the request itself sets, by their full name; no arm changes them.
    """

    surface: str = ""
    assignments: tuple[Assignment, ...] = ()
    fixed: frozenset[str] = frozenset()

    def reads(self, name: str) -> bool:
        """Whether the decision depends on a parameter, by its full name."""
        if name.startswith(OF_MODELS):
            return name.removeprefix(OF_MODELS) in ASKED.get(self.surface, ())
        return name.startswith(f"{self.surface}.") and name not in self.fixed

    @cached_property
    def parameters(self) -> dict[str, Any]:
        """What the arms set on the surface, without its name: `rows` for `home.rows`."""
        return {
            name.removeprefix(f"{self.surface}."): value
            for one in self.assignments
            for name, value in one.parameters.items()
            if self.reads(name)
        }

    @cached_property
    def versions(self) -> dict[str, Choice]:
        """The model versions that the arms choose: model -> label or number."""
        return {
            name.removeprefix(OF_MODELS): value for name, value in self.parameters.items() if name.startswith(OF_MODELS)
        }

    @property
    def off(self) -> frozenset[str]:
        """Stages, sources and filters that the arms switch off."""
        return frozenset(self.parameters.get("off", ()))

    @property
    def logged(self) -> dict[str, str]:
        """The arms that the exposures name, by experiment.

        A page that a fallback answered names them too. Otherwise an arm that breaks pages would lose the listeners whom
        it harms, and its numbers would look better than they are.
        """
        return arms_to_log(self.assignments, {n for one in self.assignments for n in one.changed if self.reads(n)})


@dataclass(frozen=True)
class Experiments:
    """The experiments that run.

    Args:
        running: as the assignment reads them.
    """

    running: Sequence[Running] = ()

    @classmethod
    def running_in(cls, folder: Path) -> "Experiments":
        """Those that run by the records of a folder.

        Raises:
            InputError: a record is damaged.
        """
        return cls(Registry(folder).running())

    @property
    def choices(self) -> frozenset[tuple[str, Choice]]:
        """The model versions that arms may choose: model, and label or number."""
        return frozenset(pair for one in self.running for pair in choices(one.definition))

    def arms(self, surface: str, request: Request, features: Mapping[str, Any]) -> Arms:
        """The arms of a request.

        Args:
            surface: who answers.
            request: the request.
            features: of the listener; an attribute that is not among them is not known.
        """
        if not self.running:
            return NO_ARMS
        attributes = {name: features.get(name) for name in OF_LISTENERS}
        attributes |= {"market": request.market or features.get("country"), "surface": surface}
        return Arms(surface, tuple(assign(self.running, request.user_id, attributes, request.at)), request.fixed)


NO_ARMS = Arms()


def choices(definition: Definition) -> list[tuple[str, Choice]]:
    """The model versions that the arms of an experiment choose: model, and label or number."""
    return [
        (name.removeprefix(OF_MODELS), value)
        for arm in definition.arms
        for name, value in arm.parameters.items()
        if name.startswith(OF_MODELS)
    ]


def experiments_stamp(folder: Path) -> tuple[int, ...]:
    """When a record of each experiment was last written, in nanoseconds: it changes with every record."""
    return tuple(path.stat().st_mtime_ns for path in sorted(folder.glob("*")))
