"""Decide whether to retrain, from the reports, the decisions and the trainings of a home."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from events import dataset
from monitoring.report import Report
from monitoring.retraining import Decision, Training, decide, unfinished_retraining
from monitoring.rules import Rules
from monitoring.state_file import State, change, read
from segue.errors import InputError
from segue.files import read_json
from segue.settings import Home
from stores import parts, records

if TYPE_CHECKING:
    from stores.s3 import Bucket
    from workloads.operating.overview import StateOf

TRAININGS = 50  # the newest, of which the rules see the states
RUN_NAME = re.compile(r"training-(\d{8}T\d{6})(-\d+)?")  # a copy that a person made has another one
REPORT_NAME = "%Y%m%dT%H%M%S"  # of the end of a window, UTC


def step(
    home: Home, rules: Rules, at: datetime, state_of: "StateOf", busy: str = "", first: datetime | None = None
) -> Decision:
    """Decide, record the decision, and return it.

    Args:
        home: the home.
        rules: the rules.
        at: the time now, UTC.
        state_of: says how a run is doing.
        busy: what a training would disturb besides another training.
        first: of a simulated clock, when the models count as trained with which it began: the schedule goes on from
            there, because their run has a later time.

    Raises:
        InputError: a report or the decisions so far are damaged, and nothing is decided.
    """

    def decided(state: State) -> State:
        reports = list(islice(reports_until(home, at), max(rules.windows.values(), default=1)))[::-1]
        # A replay or a simulation has a clock of its own, and what happened later by it has not happened yet.
        history = [each for each in state.history if each.at <= at]
        begun = [each for each in trainings(home, state_of) if each.started <= at]
        if first is not None:
            begun.insert(0, Training(first, "pushed"))
        return state.decided(decide(reports, history, begun, rules, at, busy))

    return parts.change(home, parts.REPORTS, lambda: change(home.retraining, decided)).history[-1]


def standing(home: Home, state_of: "StateOf") -> Decision:
    """Return the last decision; one to retrain that was carried out is a decision to wait.

    Raises:
        InputError: nothing was decided yet.
    """
    history = read(home.retraining).history
    if not history:
        raise InputError("--if-needed acts on a decision; there is none yet.", "Run `segue monitor` first.")
    last = history[-1]
    if last.action == "retrain" and not unfinished_retraining(history, trainings(home, state_of)):
        return Decision(last.at, "wait", f"A training has followed the decision of {last.at:%Y-%m-%d %H:%M} UTC.")
    return last


def report_files(home: Home) -> list[Path]:
    """Return the files of all reports, oldest first. A file of another name, as one that was put aside, is none."""
    return sorted(home.check_reports.glob(f"{'[0-9]' * 8}T{'[0-9]' * 6}.json"))


def report_of(path: Path) -> Report:
    """Return the report in a file.

    Raises:
        InputError: the file is damaged, or of another version.
    """
    saved = read_json(path)
    try:
        return Report.from_dict(saved)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"A saved report has reference, current, cause, reason and checks. {path} has a fault: {error}.",
            "Move the file away. `segue monitor` writes the report of the newest day again.",
        ) from None


def reports_until(home: Home, at: datetime) -> Iterator[Report]:
    """Yield the reports of windows that ended by an instant, the newest first: those of the log that the home has now.

    A window that overlaps a later one, as after a replay of an hour between two checks, is left out.

    Raises:
        InputError: as `report_of`.
    """
    manifest = home.data / dataset.MANIFEST
    log = dataset.identity(read_json(manifest)) if manifest.is_file() else None
    until = at
    for path in reversed(report_files(home)):
        if path.stem > f"{until:{REPORT_NAME}}":
            continue
        report = report_of(path)
        if report.log == log:
            yield report
            until = report.current[0]


def trainings(home: Home, state_of: "StateOf") -> list[Training]:
    """Return the newest runs of the training pipeline, oldest first.

    On a cluster these are the runs that have validated data and reported how they ended; one that is at work, or failed
    before, is not seen.
    """
    if bucket := records.shared():
        return reported_trainings(bucket)
    runs = [(run, name[1]) for run in home.run_folders() if (name := RUN_NAME.fullmatch(run.path.name))]
    return [
        Training(datetime.strptime(started, "%Y%m%dT%H%M%S").replace(tzinfo=UTC), state_of(run)["status"])
        for run, started in runs[-TRAININGS:]
    ]


def reported_trainings(bucket: "Bucket") -> list[Training]:
    """Return the runs in an object store that validated data, as trainings alone do, and wrote their report."""
    keys = {stored.key for stored in bucket.list("runs/")}
    runs = {key.split("/")[1] for key in keys if key.endswith("/steps/validate-data.json")}
    reports = [json.loads(bucket.get(f"runs/{run}/report.json")) for run in runs if f"runs/{run}/report.json" in keys]
    trainings = [
        Training(
            datetime.fromtimestamp(min(step["started"] for step in report["steps"].values()), UTC), report["status"]
        )
        for report in reports
    ]
    return sorted(trainings, key=lambda training: training.started)[-TRAININGS:]
