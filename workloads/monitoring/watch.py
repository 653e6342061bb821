"""Watch: check the newest window of the collected events, and write its report."""

from dataclasses import replace
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pds

from events import dataset, schema
from models.sequence.codes import CODES, Codebook
from monitoring.checks.measures import CELLS
from monitoring.drift import DriftLimits, compare
from monitoring.report import Check, Report
from monitoring.watch import checked, compared
from monitoring.windows import COLUMNS, EXPOSURE, Windows, rows
from segue.files import write_json
from segue.settings import Home
from serving.store import model_store
from stores import parts
from workloads.monitoring.decide import REPORT_NAME, reports_until


def step(home: Home, at: datetime) -> Report:
    """Return the report of the newest window, and write it to the home unless it is there.

    Windows of a log do not overlap: until a whole day has passed since the last one, its report is returned again. So
    it may be called at any time, as often as one likes. Evidently's report of the same days (`Home.window_page`) is
    there to look at: its distances decide nothing.

    Args:
        home: The home, whose journal is collected.
        at: The instant of the check, UTC. Later events are not read.

    Raises:
        InputError: No data set is imported.
    """
    tables = dataset.load(home.data)
    windows = Windows.before(at, datetime.fromisoformat(tables.manifest["span"]["first"]))
    last = next(reports_until(home, windows.end), None)
    if last and last.current[1] > windows.current[0]:
        return last
    read_events = read(tables.events_files, windows.start, at)
    events = served(read_events)
    if events.num_rows < read_events.num_rows:
        windows = Windows.before(at, max(windows.start, pc.min(events["ts"]).as_py()))
    frame = rows(events, tables.items, windows, cells(home, tables.items))
    report = checked(frame, events, tables.items, windows, at, skews(home, tables, windows, at))
    report = replace(report, log=dataset.identity(tables.manifest))

    def write() -> None:
        base, today = compared(frame, windows)
        if len(base) and len(today):
            compare(base, today, DriftLimits(), home.window_page, home.drift_snapshots)
        write_json(home.check_reports / f"{windows.end:{REPORT_NAME}}.json", report.to_dict())

    parts.change(home, parts.REPORTS, write)
    return report


def skews(home: Home, tables: dataset.Tables, windows: Windows, at: datetime) -> list[Check]:
    """Return the check of the features that the current window was served with; none if the journal kept none."""
    if not tables.served().num_rows:
        return []
    from monitoring.checks.skew import skew
    from workloads.monitoring.served import served_and_joined

    served, joined = served_and_joined(home, *windows.current, at)
    return [skew(served, joined)] if served else []


def cells(home: Home, items: pa.Table) -> np.ndarray | None:
    """Return the cell of each item in the embedding space of the stable sequence model, -1 for items new to it.

    All days are compared in the space of one model, so a promotion between them moves no item. The cells come from the
    file of the items' codes: reading it takes milliseconds, and loading the model would import TensorFlow.

    Args:
        home: The home.
        items: The catalogue (`events.schema.ITEMS`).

    Returns:
        Int `[items]`; None if no sequence model is stable, or it has no codes.
    """
    model = model_store.stable(home.models).get("sequence")
    if model is None or not (model / CODES).is_file():
        return None
    book = Codebook.read(model / CODES)
    place = pc.index_in(items["item_id"], pa.array(book.ids, pa.string())).fill_null(-1).to_numpy()
    return np.append(book.cells(CELLS), -1)[place]


def served(events: pa.Table) -> pa.Table:
    """Return the events that the journal collected, or all if it collected none.

    A log that was imported comes from pages that another system decided; that they differ is no change of listeners.
    """
    if EXPOSURE not in events.column_names or events[EXPOSURE].null_count == events.num_rows:
        return events
    return events.filter(pc.or_(events[EXPOSURE].is_valid(), events[schema.RECEIVED.name].is_valid()))


def read(files: list[str], start: datetime, end: datetime) -> pa.Table:
    """Return the events of a time in the files of days, with the columns that the checks read."""
    days = pds.dataset(files, format="parquet")
    names = [name for name in days.schema.names if name in COLUMNS]
    ts = pds.field("ts")
    inside = (ts >= pa.scalar(start, schema.TIMESTAMP)) & (ts < pa.scalar(end, schema.TIMESTAMP))
    return days.to_table(names, filter=inside)
