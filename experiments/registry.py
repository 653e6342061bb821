"""The records of experiments: one file a record, written whole and never changed, in a folder for each experiment.

    experiments/<name>/0001-start.json  0002-look.json  0003-stage.json  0004-stop.json

The state of an experiment is what its records say, read in their order. A process that is killed leaves a record or
none. One process at a time writes; readers need no lock.
"""

import re
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from experiments.assignment.assign import Running
from experiments.assignment.layers import Range, allot, overlapping
from experiments.definition import Definition, parse
from segue.errors import InputError, UnavailableError
from segue.files import read_json, write_json
from segue.lock import latched
from segue.near_names import unknown_name

START, CHANGE, LOOK, STOP = "start", "change", "look", "stop"
RECORD = re.compile(r"(\d{4,})-([a-z]+)\.json")
MAY_CHANGE = ("share", "overrides")  # while an experiment runs
DECISIONS = ("ship", "stop", "invalid")


@dataclass(frozen=True)
class Recorded:
    """An experiment as its records say.

    Args:
        definition: What was started, with the changes since.
        ranges: Its buckets of the layer.
        stage: The stage of the ramp, from 1.
        started: When it was started, UTC.
        looks: The scorecards of its looks, in their order, as JSON types.
        stop: The record of its end: `at`, `by`, `why`, `decision`; None while it runs.
        records: The number of its records.
    """

    definition: Definition
    ranges: tuple[Range, ...]
    stage: int
    started: datetime
    looks: tuple[dict[str, Any], ...] = ()
    stop: dict[str, Any] | None = None
    records: int = 1

    @property
    def running(self) -> Running:
        """The experiment as the assignment reads it."""
        return Running(self.definition, self.ranges, self.stage)


class Registry:
    """The experiments of a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def names(self) -> list[str]:
        """The names of all experiments, also of those that ended."""
        return sorted(path.parent.name for path in self.folder.glob(f"*/0001-{START}.json"))

    def all(self) -> list[Recorded]:
        """All experiments, by name."""
        return [self.get(name) for name in self.names()]

    def running(self) -> list[Running]:
        """The experiments that run, for `experiments.assignment.assign.assign`."""
        return [each.running for each in self.all() if each.stop is None]

    def get(self, name: str) -> Recorded:
        """Return an experiment.

        Raises:
            InputError: There is none of that name, or a record is damaged.
        """
        paths = sorted(p for p in (self.folder / name).glob("*.json") if RECORD.fullmatch(p.name)) if name else []
        if not paths or Path(name).name != name:
            raise unknown_name("experiment", name, self.names())
        state: Recorded | None = None
        for path in paths:
            state = folded(state, read_json(path))
        assert state is not None
        return replace(state, records=len(paths))

    def history(self, name: str) -> list[dict[str, Any]]:
        """Return all records of an experiment, in their order."""
        count = self.get(name).records
        return [read_json(path) for path in sorted((self.folder / name).glob("*.json"))[:count]]

    def start(self, definition: Definition, at: datetime, by: str, stage: int = 1) -> Recorded:
        """Start an experiment, or move a running one to a later stage of its ramp.

        Args:
            definition: The experiment. Of a running one, only `share` and `overrides` may differ from what was started.
            at: The time now, UTC.
            by: Who starts it.
            stage: The stage of the ramp, from 1.

        Raises:
            InputError: It has ended; it runs with another definition; its layer is full or has another salt or
                holdback; an experiment of another layer sets the same parameter; there is no such stage.
        """
        with self.writing():
            if not 1 <= stage <= len(definition.share):
                raise InputError(
                    f"A ramp's stages are numbered 1 to {len(definition.share)}. Received {stage}.",
                    "Name one of the stages, or add a share to the definition.",
                )
            if definition.name in self.names():
                return self.changed(self.get(definition.name), definition, at, by, stage)
            others = [each for each in self.all() if each.stop is None]
            check_layers(definition, others, [each.definition for each in self.all()])
            layer = definition.layer
            taken = [span for each in others if each.definition.layer.name == layer.name for span in each.ranges]
            ranges = allot(definition.share[-1], layer.holdback, taken, layer.name)
            record = {"definition": definition.to_dict(), "ranges": ranges, "stage": stage}
            self.append(definition.name, 1, START, {**record, "at": at.isoformat(), "by": by})
            return self.get(definition.name)

    def changed(self, state: Recorded, definition: Definition, at: datetime, by: str, stage: int) -> Recorded:
        """Record the change of a running experiment, if there is one and it may be made."""
        self.check_runs(state)
        before, after = state.definition.to_dict(), definition.to_dict()
        check_unchanged(state.definition, definition)
        if definition.share[-1] != state.definition.share[-1]:
            raise InputError(
                f"The last share of a running experiment stays. {definition.name} has reserved "
                f"{state.definition.share[-1]:.2%} of its layer; the definition now says {definition.share[-1]:.2%}.",
                "Write the share that was started, or start a new experiment.",
            )
        if definition.share[stage - 1] < state.running.definition.share[state.stage - 1]:
            raise InputError(
                f"A ramp only rises, so that nobody changes the arm. {definition.name} has "
                f"{state.definition.share[state.stage - 1]:.2%} of its layer; stage {stage} is "
                f"{definition.share[stage - 1]:.2%}.",
                "Name a later stage, or stop the experiment.",
            )
        if stage != state.stage or any(before[name] != after[name] for name in MAY_CHANGE):
            record = {name: after[name] for name in MAY_CHANGE}
            record |= {"stage": stage, "at": at.isoformat(), "by": by}
            self.append(definition.name, state.records + 1, CHANGE, record)
        return self.get(definition.name)

    def look(self, name: str, scorecard: dict[str, Any], at: datetime) -> None:
        """Record a look: its scorecard stays, and its alpha is spent.

        Raises:
            InputError: The experiment has ended.
            UnavailableError: Another process recorded a look since the scorecard was begun.
        """
        with self.writing():
            state = self.get(name)
            self.check_runs(state)
            if scorecard["look"] != len(state.looks) + 1:
                raise UnavailableError(
                    f"Looks follow each other. Look {len(state.looks)} of {name} was recorded while this one was read.",
                    "Run the report again.",
                )
            self.append(name, state.records + 1, LOOK, {"scorecard": scorecard, "at": at.isoformat()})

    def stop(self, name: str, decision: str, why: str, by: str, at: datetime) -> Recorded:
        """Stop an experiment, and record who decided and why. Its buckets are free again; its records stay.

        Raises:
            InputError: It has ended before, there is no such decision, or the reason is empty.
        """
        if decision not in DECISIONS:
            raise unknown_name("decision", decision, DECISIONS)
        if not why.strip() or not by.strip():
            raise InputError("A decision says who made it and why. One of them is empty.", "Give both.")
        with self.writing():
            state = self.get(name)
            self.check_runs(state)
            record = {"decision": decision, "why": why, "by": by, "at": at.isoformat()}
            self.append(name, state.records + 1, STOP, record)
            return self.get(name)

    def check_runs(self, state: Recorded) -> None:
        """Raise InputError if an experiment has ended."""
        if state.stop is not None:
            raise InputError(
                f"An experiment that ended stays ended, with its records. {state.definition.name} was stopped at "
                f"{state.stop['at']} by {state.stop['by']}: {state.stop['decision']}.",
                "Start a new experiment under a new name; its name is its salt, so listeners are assigned afresh.",
            )

    def writing(self) -> AbstractContextManager[None]:
        """The lock of those who write."""
        return latched(self.folder)

    def append(self, name: str, number: int, kind: str, values: dict[str, Any]) -> None:
        """Write a record; the lock is held, so the number is new."""
        write_json(self.folder / name / f"{number:04}-{kind}.json", {"kind": kind, **values})


def folded(state: Recorded | None, record: dict[str, Any]) -> Recorded:
    """Return an experiment's state after a further record."""
    kind = record["kind"]
    if kind == START or state is None:
        return Recorded(
            parse(record["definition"]),
            tuple((start, end) for start, end in record["ranges"]),
            record["stage"],
            datetime.fromisoformat(record["at"]),
        )
    if kind == CHANGE:
        values = {**state.definition.to_dict(), **{name: record[name] for name in MAY_CHANGE}}
        return replace(state, definition=parse(values), stage=record["stage"])
    if kind == LOOK:
        return replace(state, looks=(*state.looks, record["scorecard"]))
    return replace(state, stop=record)


def check_unchanged(started: Definition, now: Definition) -> None:
    """Refuse a definition that would move listeners between arms or change what decides.

    Raises:
        InputError: The salt, the arms, or another setting but `share` and `overrides` differs.
    """
    if now.salted != started.salted:
        raise InputError(
            f"A running experiment keeps its salt, or listeners would change arms. {now.name} was started with salt "
            f"{started.salted!r}; the definition now says {now.salted!r}.",
            f"Write `salt: {started.salted}`, or stop the experiment and start a new one.",
        )
    arms = [[(arm.name, arm.share) for arm in definition.arms] for definition in (started, now)]
    if arms[0] != arms[1]:
        raise InputError(
            f"A running experiment keeps the names and shares of its arms. {now.name} was started with "
            f"{shares(arms[0])}; the definition now says {shares(arms[1])}.",
            "Write the arms as they were started, or stop the experiment and start a new one.",
        )
    before, after = started.to_dict(), now.to_dict()
    for name in before:
        if name not in MAY_CHANGE and before[name] != after[name]:
            raise InputError(
                f"A running experiment changes only in {' and '.join(MAY_CHANGE)}. {now.name} now has another {name}.",
                f"Write {name} as it was started: `segue experiment status {now.name} --json` prints it.",
            )


def shares(arms: Iterable[tuple[str, float]]) -> str:
    """Say names and shares of arms: `control 50%, treatment 50%`."""
    return ", ".join(f"{name} {share:.4g}" for name, share in arms)


def check_layers(definition: Definition, running: list[Recorded], ever: list[Definition]) -> None:
    """Refuse a layer that overlaps others.

    Raises:
        InputError: The layer had another salt or holdback; its salt is another layer's or this experiment's; or a
            running experiment of another layer sets the same parameter.
    """
    layer = definition.layer
    if definition.salted in (layer.salted, *(other.salted for other in ever)):
        raise InputError(
            f"A salt is used once, or assignments depend on each other. {definition.salted!r} is the salt of "
            f"{'the layer' if definition.salted == layer.salted else 'an earlier experiment'}.",
            "Write another `salt`.",
        )
    for other in ever:
        same_name, same_salt = other.layer.name == layer.name, other.layer.salted == layer.salted
        if same_name != same_salt:
            raise InputError(
                f"Each layer has a salt of its own for ever. Layer {layer.name} is to have {layer.salted!r}; "
                f"layer {other.layer.name} of {other.name} has {other.layer.salted!r}.",
                "Write the salt that the layer had, or another one for a new layer.",
            )
        if same_name and other.layer.holdback != layer.holdback:
            raise InputError(
                f"A layer keeps its holdback. Layer {layer.name} has {other.layer.holdback:.2%} since {other.name}; "
                f"the definition says {layer.holdback:.2%}.",
                f"Write `holdback: {other.layer.holdback}`, or use another layer.",
            )
    for one in running:
        shared = overlapping(definition.parameters, one.definition.parameters)
        if one.definition.layer.name != layer.name and shared:
            raise InputError(
                f"A parameter belongs to one layer, or experiments overlap. {shared} is set by "
                f"{one.definition.name} in layer {one.definition.layer.name}, and now in layer {layer.name}.",
                f"Use layer {one.definition.layer.name}, or wait until {one.definition.name} has ended.",
            )


def summary(state: Recorded) -> dict[str, Any]:
    """Return an experiment in a line, as JSON types: what `segue experiment status` and pages list.

    `verdict` and `reason` are those of the last look, and `decision` that of the end; they are empty before.
    """
    last = state.looks[-1] if state.looks else {}
    return {
        "name": state.definition.name,
        "layer": state.definition.layer.name,
        "share": state.definition.share[state.stage - 1],
        "started": state.started.isoformat(),
        "looks": len(state.looks),
        "verdict": last.get("verdict", ""),
        "reason": last.get("reason", ""),
        "decision": state.stop["decision"] if state.stop else "",
    }
