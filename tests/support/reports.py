"""Reports of daily windows, made by hand."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from events import dataset
from monitoring.report import Check, Report
from segue.files import read_json, write_json
from segue.settings import Home
from segue.verdict import Verdict

DAY = timedelta(days=1)
START = datetime(2026, 3, 1, tzinfo=UTC)
CHECKS = {  # name: (kind, response, effect where it fails)
    "skip_rate": ("cause", "retrain", 0.12),
    "genre_plays": ("cause", "retrain", 0.4),
    "embedding": ("drift", "retrain", 0.5),
    "auc": ("quality", "retrain", 0.04),
    "volume": ("cause", "alert", 0.9),
}


def day(number: float) -> datetime:
    """An instant in the days of the reports: 1 is the end of the first window."""
    return START + number * DAY


def report(number: int, *failed: str, cause: str | None = None) -> Report:
    """The report of a day, in which the named checks failed."""
    checks = tuple(
        Check(
            name,
            kind,
            response,
            Verdict(name not in failed, f"{name} changed." if name in failed else f"{name} is as usual."),
            effect if name in failed else effect / 10,
            effect / 2,
        )
        for name, (kind, response, effect) in CHECKS.items()
    )
    reason = f"{' and '.join(failed)} changed." if failed else "All is as usual."
    return Report((day(number) - 15 * DAY, day(number) - DAY), (day(number) - DAY, day(number)), checks, cause, reason)


def leave_report(home: Home, report: Report) -> None:
    """Write a report to where a home keeps it, as that of the home's log unless it names another."""
    manifest = home.data / dataset.MANIFEST
    if report.log is None and manifest.is_file():
        report = replace(report, log=dataset.identity(read_json(manifest)))
    write_json(home.check_reports / f"{report.current[1]:%Y%m%dT%H%M%S}.json", report.to_dict())
