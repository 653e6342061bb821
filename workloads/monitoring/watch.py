"""Watch: check the newest window of the collected events, and write its report."""

from datetime import datetime

import pyarrow as pa
import pyarrow.dataset as pds

from events import dataset, schema
from monitoring.report import Report
from monitoring.watch import checked
from monitoring.windows import COLUMNS, Windows
from segue.files import read_json, write_json
from segue.settings import Home
from stores import parts

NAME = "%Y%m%dT%H%M%S"  # of a report: the end of its window, UTC


def step(home: Home, at: datetime) -> Report:
    """Return the report of the newest window, and write it to the home unless it is there.

    Windows do not overlap: until a whole day has passed since the last window, its report is returned again. So it may
    be called at any time, as often as one likes.

    Args:
        home: The home, whose journal is collected.
        at: The instant of the check, UTC. Later events are not read.

    Raises:
        InputError: No data set is imported, or its log is too short (`monitoring.windows.Windows.before`).
    """
    tables = dataset.load(home.data)
    windows = Windows.before(at, datetime.fromisoformat(tables.manifest["span"]["first"]))
    before = newest(home)
    if before and before.current[1] > windows.current[0]:
        return before
    events = read(tables.events_files, windows.start, at)
    report = checked(events, tables.items, windows, at)
    path = home.check_reports / f"{windows.end:{NAME}}.json"
    parts.change(home, parts.REPORTS, lambda: write_json(path, report.to_dict()))
    return report


def newest(home: Home) -> Report | None:
    """Return the report of the newest window that was checked, if there is one."""
    paths = sorted(home.check_reports.glob("[!.]*.json"))
    return Report.from_dict(read_json(paths[-1])) if paths else None


def read(files: list[str], start: datetime, end: datetime) -> pa.Table:
    """Return the events of a time in the files of days, with the columns that the checks read."""
    days = pds.dataset(files, format="parquet")
    names = [name for name in days.schema.names if name in COLUMNS]
    ts = pds.field("ts")
    inside = (ts >= pa.scalar(start, schema.TIMESTAMP)) & (ts < pa.scalar(end, schema.TIMESTAMP))
    return days.to_table(names, filter=inside)
