"""Any log ends in a right import or in one clear error: no other exception, and no row without a count."""

from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cli import cli
from events import dataset
from events.importers import tabular
from events.importers.own.dialects import Dialect
from segue.errors import InputError
from tests.support.any_table import Log, logs
from tests.support.written_values import IMPORT, LATEST, REFUSE

STEADY = settings(deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))


def write(log: Log, folder: Path, whole: bool) -> list[Path]:
    """Write the files of a log into a folder; return the paths to import: the folder, or each file."""
    for name, content in log.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return [folder] if whole else [folder / name for name in log.files]


def clear(error: InputError) -> bool:
    """Return whether an error is one line and its fix."""
    lines = (error.headline + error.fix).splitlines()
    return len(lines) == 1 and error.headline.endswith(".") and bool(error.fix)


@pytest.mark.slow
@settings(STEADY, max_examples=150)
@given(log=logs(), whole=st.booleans())
def test_any_log_is_imported_right_or_refused(log, whole):
    with TemporaryDirectory() as name:
        paths, data = write(log, Path(name) / "log", whole), Path(name) / "data"
        refusal = None
        try:
            imported = tabular.read(paths, mapping=log.mapping, dialect=Dialect(encoding=log.encoding))
            manifest = dataset.write(data, imported, LATEST)
        except InputError as error:
            refusal = error
        events = None if refusal else dataset.load(data).events()
    assert log.fate != (IMPORT if refusal else REFUSE), refusal
    if refusal:
        assert clear(refusal)
        return
    counts = manifest["counts"]
    assert sorted(manifest["files"]["events"].values()) == sorted(log.rows.values())
    assert counts["events"] + counts["quarantined"] == sum(log.rows.values())
    assert counts["quarantined"] == log.quarantined
    made = next(iter(log.kept))[0] is None
    ids = [None] * len(events) if made else events["event_id"].to_pylist()
    columns = [events[key].to_pylist() for key in ("user_id", "item_id")]
    columns += [events["ts"].cast(pa.int64()).to_pylist(), events["action"].to_pylist(), events["query"].to_pylist()]
    assert Counter(zip(ids, *columns, strict=True)) == log.kept


@pytest.mark.slow
@pytest.mark.parametrize("command", ["check", "import"])
@settings(STEADY, max_examples=25)
@given(log=logs(), whole=st.booleans(), as_json=st.booleans())
def test_the_commands_end_with_0_or_2(command, log, whole, as_json):
    with TemporaryDirectory() as name:
        paths = [str(path) for path in write(log, Path(name) / "log", whole)]
        given = paths if command == "check" else ["parquet", *(word for path in paths for word in ("--events", path))]
        options = [word for ours, theirs in log.mapping.items() for word in ("--map", f"{ours}={theirs}")]
        options += ["--encoding", log.encoding] if log.encoding else []
        options += ["--json"] if as_json else []
        arguments = ["data", command, *given, *options]
        done = CliRunner().invoke(cli, arguments, env={"SEGUE_HOME": str(Path(name) / "home")})
    error = done.exception
    assert error is None or isinstance(error, InputError), done.exc_info
    assert error is None or clear(error)
    assert log.fate != (IMPORT if error else REFUSE) or command == "check"
    assert "\x1b" not in done.output
