"""The loop in the metrics of a gateway: how old and how large the last findings are, and what was decided on them."""

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from monitoring.report import Check
from monitoring.retraining import Decision
from monitoring.state_file import read
from segue.errors import SegueError
from segue.settings import Home
from serving.store.split import read_split
from surfaces.engine.metrics import Reading
from workloads.monitoring.decide import REPORT_NAME, report_files, report_of

Numbers = float | Mapping[str, float]  # by the value of a label; none where there is nothing to read yet


def loop_metrics(home: Home, clock: Callable[[], datetime]) -> list[Reading]:
    """Return the metrics of the loop of a home.

    Args:
        home: the home.
        clock: the current time, UTC.
    """

    def checks() -> tuple[Check, ...]:
        files = report_files(home)
        return report_of(files[-1]).checks if files else ()

    def history() -> tuple[Decision, ...]:
        return read(home.retraining).history

    def report_age() -> Numbers:
        files = report_files(home)
        return (clock() - end_of(files[-1])).total_seconds() if files else {}

    def sizes() -> dict[str, float]:
        return {each.name: abs(each.effect / each.limit) for each in checks() if each.effect is not None and each.limit}

    def failed() -> dict[str, float]:
        return {each.name: int(not each.verdict.passed) for each in checks()}

    def decided() -> dict[str, float]:
        return {each.action: 1 for each in history()[-1:]}

    def decisions() -> Mapping[str, float]:
        return Counter(each.action for each in history())

    def retrain_age() -> Numbers:
        times = [each.at for each in history() if each.action == "retrain"]
        return (clock() - times[-1]).total_seconds() if times else {}

    def share() -> Numbers:
        split = read_split(home.models)
        return split.share if split else {}

    def phase() -> dict[str, float]:
        split = read_split(home.models)
        return {split.phase: 1} if split else {}

    gauges: list[tuple[str, str, Callable[[], Numbers], str]] = [
        ("segue_loop_report_age_seconds", "Seconds since the end of the newest checked window.", report_age, ""),
        ("segue_loop_check_size", "Size of each check's change, in limits.", sizes, "check"),
        ("segue_loop_check_failed", "1 for each check that failed in the newest window.", failed, "check"),
        ("segue_loop_decision", "1 for the last decision on retraining.", decided, "action"),
        ("segue_loop_retrain_age_seconds", "Seconds since the last decision to retrain.", retrain_age, ""),
        ("segue_rollout_share", "The candidate's share of the listeners, 0 to 0.5.", share, ""),
        ("segue_rollout_phase", "1 for the phase of the newest roll-out.", phase, "phase"),
    ]
    return [
        *(Reading(name, "gauge", help, undamaged(read), label) for name, help, read, label in gauges),
        Reading("segue_loop_decisions_total", "counter", "Decisions on retraining.", undamaged(decisions), "action"),
    ]


def undamaged(read: Callable[[], Numbers]) -> Callable[[], Numbers]:
    """Return a function that reads no number from a damaged file: the other metrics are shown all the same."""

    def numbers() -> Numbers:
        try:
            return read()
        except SegueError:
            return {}

    return numbers


def end_of(path: Path) -> datetime:
    """Return the end of the window of a report's file, UTC."""
    return datetime.strptime(path.stem, REPORT_NAME).replace(tzinfo=UTC)
