"""The loop in the metrics of a gateway: how old and how large the last findings are, and what was decided on them."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from monitoring.report import Report
from monitoring.state_file import read
from segue.errors import SegueError
from segue.settings import Home
from serving.store.split import read_split
from workloads.monitoring.decide import REPORT_NAME, report_files, report_of


@dataclass(frozen=True)
class Gauge:
    """Numbers of a home's files, read when the metrics are. A damaged file has no numbers.

    Args:
        name: Prometheus' name.
        help: the help text, a sentence with the unit.
        label: the name of the label that tells the numbers apart; empty where there is only one.
        read: returns the numbers by the label's value.
    """

    name: str
    help: str
    label: str
    read: Callable[[], Mapping[str, float]]
    type_name: str = "gauge"

    def lines(self) -> Iterator[str]:
        """The numbers as lines of text."""
        try:
            numbers = self.read()
        except SegueError:
            return
        for value, number in numbers.items():
            labels = f'{{{self.label}="{value}"}}' if self.label else ""
            yield f"{self.name}{labels} {number}"


def loop_metrics(home: Home, clock: Callable[[], datetime]) -> list[Gauge]:
    """Return the metrics of the loop of a home.

    Args:
        home: the home.
        clock: the current time, UTC.
    """

    def report() -> Report | None:
        files = report_files(home)
        return report_of(files[-1]) if files else None

    def report_age() -> dict[str, float]:
        files = report_files(home)
        return {"": (clock() - end_of(files[-1])).total_seconds()} if files else {}

    def sizes() -> dict[str, float]:
        checks = newest.checks if (newest := report()) else ()
        return {
            check.name: abs(check.effect / check.limit) for check in checks if check.effect is not None and check.limit
        }

    def failed() -> dict[str, float]:
        checks = newest.checks if (newest := report()) else ()
        return {check.name: int(not check.verdict.passed) for check in checks}

    def decided() -> dict[str, float]:
        return {each.action: 1 for each in read(home.retraining).history[-1:]}

    def decisions() -> dict[str, float]:
        return dict(Counter(each.action for each in read(home.retraining).history))

    def retrain_age() -> dict[str, float]:
        times = [each.at for each in read(home.retraining).history if each.action == "retrain"]
        return {"": (clock() - times[-1]).total_seconds()} if times else {}

    def share() -> dict[str, float]:
        split = read_split(home.models)
        return {"": split.share} if split else {}

    def phase() -> dict[str, float]:
        split = read_split(home.models)
        return {split.phase: 1} if split else {}

    return [
        Gauge("segue_loop_report_age_seconds", "Seconds since the end of the newest checked window.", "", report_age),
        Gauge("segue_loop_check_size", "Size of each check's change, in limits.", "check", sizes),
        Gauge("segue_loop_check_failed", "1 for each check that failed in the newest window.", "check", failed),
        Gauge("segue_loop_decision", "1 for the last decision on retraining.", "action", decided),
        Gauge("segue_loop_decisions_total", "Decisions on retraining.", "action", decisions, "counter"),
        Gauge("segue_loop_retrain_age_seconds", "Seconds since the last decision to retrain.", "", retrain_age),
        Gauge("segue_rollout_share", "The candidate's share of the listeners, 0 to 0.5.", "", share),
        Gauge("segue_rollout_phase", "1 for the phase of the newest roll-out.", "phase", phase),
    ]


def end_of(path: Path) -> datetime:
    """Return the end of the window of a report's file, UTC."""
    return datetime.strptime(path.stem, REPORT_NAME).replace(tzinfo=UTC)
