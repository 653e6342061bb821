"""What is killed: commands of five areas, the homes that they begin in, and the command that follows the kill."""

import asyncio
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from cli import cli
from cli.pipelines.run import roll_out
from events import dataset
from events.importers.synthetic import generate, sized
from rollout import added_items, controller
from rollout import rollout as rollouts
from rollout.looks import Look
from rollout.state_file import change
from segue.clock import utc_now
from segue.files import read_json, write_text
from segue.settings import Home
from serving.rollouts.kept_counts import FileCounts
from serving.store import model_store
from serving.store.versions import CANARY, STABLE
from surfaces.cohorts.counts import SHADOW, STABLE_SHADOW, CohortCounts
from tests.faults import quick_training
from tests.rollout.conftest import seen
from tests.support.reports import report
from workloads.add_items import Copies
from workloads.monitoring import watch
from workloads.operating import agree

RUNS = ("training-20260301T120000", "training-20260302T120000")
PLAN = "shadow_requests: 10\nstages: [0.1, 0.5]\nleast_requests: 5\n"
REQUESTS = 30  # of the shadow
LOOK = ("rollout", "look")
BEGUN = "runs/training/steps/ingest.json"  # a training is at work from then on
OF_RUNS = ("runs", "features", "reports/references")  # what the next run tidies up


@dataclass(frozen=True)
class Action:
    """What is killed.

    Attributes:
        area: `run`, `push`, `labels`, `decision` or `rollout`.
        name: its name in the table.
        home: the home that it begins in, a key of `HOMES`.
        act: the call.
        follow: the command after the kill.
        last: the last moment of it; empty for all.
        untidied: folders in which the command after the kill leaves unfinished files to others.
    """

    area: str
    name: str
    home: str
    act: Callable[[Home], object]
    follow: tuple[str, ...] = LOOK
    last: str = ""
    untidied: tuple[str, ...] = ()


def command(*arguments: str) -> Callable[[Home], None]:
    """Return the call of a command."""
    return lambda home: segue(home, *arguments)


def segue(home: Home, *arguments: str) -> None:
    """Run a command in this process."""
    os.environ["SEGUE_HOME"] = str(home.root)
    for name in ("training.yaml", "plan.yaml"):
        arguments = tuple(str(home.root / name) if each == name else each for each in arguments)
    result = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    print(result.output, flush=True)
    assert result.exit_code == 0, result.output


def push_and_try(home: Home) -> None:
    """The end of a training: push, register, and the start of a roll-out."""
    os.environ["SEGUE_HOME"] = str(home.root)
    run = quick_training.end_of_run(home, RUNS[1])
    roll_out(read_json(run.folder.steps / "push.json")["result"])


TRAIN = ("run", "training", "--json", "--config", "training.yaml")
MONITOR, ACT = ("monitor",), ("monitor", "--act", "--config", "training.yaml")
ADD_ITEMS = ("models", "add-items", "--items", "plan.yaml")
RETRAIN = ("retrain", "--if-needed", "--config", "training.yaml")
WHY = ("--reason", "x")
ACTIONS = [
    Action("run", "run training", "served", command(*TRAIN), TRAIN),
    Action("push", "end of a run", "served", push_and_try, untidied=OF_RUNS),
    Action("labels", "models promote", "pushed", command("models", "promote", *WHY)),
    Action("labels", "models rollback of a candidate", "pushed", command("models", "rollback", *WHY)),
    Action("labels", "models rollback of stable", "promoted", command("models", "rollback", *WHY)),
    Action("labels", "models drop", "labelled", command("models", "drop", "mine", *WHY)),
    Action("labels", "models promote in a roll-out", "tried", command("models", "promote", *WHY)),
    Action("labels", "models rollback in a roll-out", "tried", command("models", "rollback", *WHY)),
    Action("decision", "monitor", "served", command(*MONITOR), MONITOR),
    Action("decision", "monitor --act", "old", command(*ACT), ACT, BEGUN),
    Action("decision", "retrain --if-needed", "decided", command(*RETRAIN), RETRAIN, BEGUN),
    Action("rollout", "rollout start", "pushed", command("rollout", "start")),
    Action("rollout", "rollout promote", "tried", command("rollout", "promote", *WHY)),
    Action("rollout", "rollout abort", "tried", command("rollout", "abort", *WHY)),
    Action("rollout", "look: a candidate waits", "pushed", command(*LOOK)),
    Action("rollout", "look: ramp", "shadowed", command(*LOOK)),
    Action("rollout", "look: promote", "last stage", command(*LOOK)),
    Action("rollout", "look: take back", "harmed", command(*LOOK)),
    Action("rollout", "models add-items in a roll-out", "tried", command(*ADD_ITEMS)),
    Action("labels", "models add-items", "served", command(*ADD_ITEMS)),
]


def served(home: Home) -> None:
    """A log, and stable models of a training."""
    dataset.write(home.data, generate(sized("nano"), 0))
    write_text(home.root / "training.yaml", "push: canary\n")
    write_text(home.root / "plan.yaml", PLAN)
    quick_training.end_of_run(home, RUNS[0])


def count_shadow(home: Home, errors: int = 0) -> None:
    """Requests of the shadow, as a gateway counts them."""
    counts = CohortCounts()
    for cohort, failed in ((STABLE_SHADOW, 0), (SHADOW, errors)):
        for number in range(REQUESTS):
            counts.by_number[1][cohort].add(number < failed, 0.01, utc_now())
    asyncio.run(counts.write(FileCounts(home.rollout_counts)))


def to_last_stage(home: Home) -> None:
    """The roll-out is at its last stage, and listeners have seen both versions for long."""
    since = utc_now() - timedelta(days=2)
    change(home.models, lambda now: replace(now, rollout=replace(now.rollout, stage=2, since=since)))


# name -> the home before it, and what is done there
HOMES: dict[str, tuple[str | None, Callable[[Home], object]]] = {
    "served": (None, served),
    "pushed": ("served", lambda home: quick_training.end_of_run(home, RUNS[1])),
    "labelled": ("pushed", command("models", "promote", "1", "--label", "mine")),
    "tried": ("pushed", command("rollout", "start", "--plan", "plan.yaml")),
    "promoted": ("tried", command("rollout", "promote", *WHY)),
    "shadowed": ("tried", count_shadow),
    "harmed": ("tried", partial(count_shadow, errors=REQUESTS)),
    "last stage": ("tried", to_last_stage),
    "old": ("served", lambda home: None),
    "decided": ("old", command(*MONITOR)),
}


def make_home(name: str, folder: Path) -> Home:
    """Make the home of a name, whose earlier homes are in the folder."""
    home, (before, make) = Home(folder / name), HOMES[name]
    if before is not None:
        shutil.copytree(folder / before, home.root)
    make(home)
    return home


def copied(home: Home, candidate: Mapping[str, int], *_: object) -> tuple[Copies, dict[str, Any]]:
    """Return the stable models and the candidate's as their own copies with one item."""
    sides = added_items.labelled(model_store.labels(home.models))[STABLE], candidate
    stable, tried = ({model: home.models / model / str(number) for model, number in side.items()} for side in sides)
    return {STABLE: stable, CANARY: tried}, {"added": ["i1"], "updated": [], "free": 1, "notes": []}


def quicken(home: str) -> None:
    """Let this process, which begins in a home of this name, spend no time on what is not killed.

    A drain ends at once; an evaluation has one figure; a training trains nothing; items are added to plain copies of
    the models. The checks of a window find an outage in the home `served`, and nothing in others, whose schedule asks
    for a training. At the last stage the cohorts are equal.
    """
    rollouts.DRAIN = rollouts.KEPT = timedelta(0)
    agree.flat_metrics = lambda _: {"auc": 0.5}
    quick_training.stand_in()
    added_items.copy_with_items = copied
    failed = {"served": ("volume",)}.get(home, ())

    def checked(frame, events, items, windows, at, skews):
        made = report(1, *failed, cause="outage" if failed else None)
        return replace(made, reference=(windows.start, windows.current[0]), current=windows.current)

    watch.rows, watch.compared, watch.checked = lambda *_: None, lambda *_: ([], []), checked
    if home == "last stage":
        cohort = seen(newest=utc_now())
        controller.look = lambda *_: Look(cohort, cohort)
