"""The arms of a request: what the running experiments and the roll-out set on the surface that answers it.

An arm that names versions goes before the roll-out: the request keeps the arm's versions, beside stable ones, and is in
no cohort. Arms and cohorts are drawn independently, so both cohorts lose as many requests to an experiment.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from experiments.assignment.assign import Assignment, Running, arms_to_log, assign
from experiments.assignment.cohorts import Cohort, cohort
from experiments.definition import Definition
from experiments.registry import Registry
from serving.store.split import Split
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
        split: that of the roll-out; None if none runs.
        side: the listener's cohort in it.
    """

    surface: str = ""
    assignments: tuple[Assignment, ...] = ()
    fixed: frozenset[str] = frozenset()
    split: Split | None = None
    side: Cohort | None = None

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
    def chosen(self) -> dict[str, Choice]:
        """The model versions that the arms of experiments choose: model -> label or number."""
        return {
            name.removeprefix(OF_MODELS): value for name, value in self.parameters.items() if name.startswith(OF_MODELS)
        }

    @cached_property
    def cohort(self) -> Cohort | None:
        """The cohort of the request; None if the roll-out's models decide nothing here, or an arm chooses versions."""
        if self.split is None or self.chosen or not self.split.candidate.keys() & set(ASKED.get(self.surface, ())):
            return None
        return self.side

    @cached_property
    def versions(self) -> Mapping[str, Choice]:
        """The versions that answer in place of the stable ones: model -> label or number."""
        if self.split is not None and self.cohort == "candidate":
            return {model: version for model, version in self.split.candidate.items() if model in MODELS}
        return self.chosen

    @property
    def off(self) -> frozenset[str]:
        """Stages, sources and filters that the arms switch off."""
        return frozenset(self.parameters.get("off", ()))

    @property
    def logged(self) -> dict[str, str]:
        """The arms that the exposures name, by experiment, and the cohort by the salt of the roll-out.

        A page that a fallback answered names them too. Otherwise an arm that breaks pages would lose the listeners whom
        it harms, and its numbers would look better than they are.
        """
        arms = arms_to_log(self.assignments, {n for one in self.assignments for n in one.changed if self.reads(n)})
        return arms | ({self.split.salt: self.cohort} if self.split is not None and self.cohort else {})


@dataclass(frozen=True)
class Experiments:
    """The experiments and the roll-out that run.

    Args:
        running: the experiments as the assignment reads them.
        split: of the roll-out; None before the first.
    """

    running: Sequence[Running] = ()
    split: Split | None = None

    @classmethod
    def running_in(cls, folder: Path) -> "Experiments":
        """Those that run by the records of a folder.

        Raises:
            InputError: a record is damaged.
        """
        return cls(Registry(folder).running())

    @property
    def choices(self) -> frozenset[tuple[str, Choice]]:
        """The model versions that may answer beside the stable ones: model, and label or number."""
        chosen = frozenset(pair for one in self.running for pair in choices(one.definition))
        if self.split is None or not self.split.open:
            return chosen
        return chosen | {pair for pair in self.split.candidate.items() if pair[0] in MODELS}

    def arms(self, surface: str, request: Request, features: Mapping[str, Any]) -> Arms:
        """The arms of a request.

        Args:
            surface: who answers.
            request: the request.
            features: of the listener; an attribute that is not among them is not known.
        """
        split = self.split if self.split is not None and self.split.share else None
        if not self.running and split is None:
            return NO_ARMS
        attributes = {name: features.get(name) for name in OF_LISTENERS}
        attributes |= {"market": request.market or features.get("country"), "surface": surface}
        assignments = tuple(assign(self.running, request.user_id, attributes, request.at))
        side = cohort(split.salt, request.user_id, split.share) if split else None
        return Arms(surface, assignments, request.fixed, split, side)


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
