"""`segue data` from the command line: exit codes, texts, and data that an error leaves unchanged."""

import json
import re
import shlex
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import cli
from segue.files import tree_sha256
from tests.support.public_data_sets import SAMPLES

ROWS = [
    {"event_id": "a", "user_id": "u0", "item_id": "i0", "ts": "2026-01-05T12:00:00", "action": "play"},
    {"event_id": "b", "user_id": "u1", "item_id": "i0", "ts": "2026-01-05T13:00:00", "action": "skip"},
    {"event_id": "c", "user_id": "u1", "item_id": "i0", "ts": "2026-01-05T14:00:00", "action": "hum"},
]


@pytest.fixture
def segue(tmp_path, monkeypatch, capsys):
    """A function that calls the command and returns its exit code, stdout and stderr."""
    monkeypatch.setenv("SEGUE_HOME", str(tmp_path / "home"))

    def call(*arguments) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["segue", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        output = capsys.readouterr()
        return int(stop.value.code or 0), output.out, output.err

    return call


@pytest.fixture
def log(tmp_path):
    """A function that writes rows as a Parquet file and returns its path."""

    def write(rows, name="log.parquet"):
        path = tmp_path / name
        pq.write_table(pa.Table.from_pylist(rows), path)
        return path

    return write


def test_synthetic_then_describe(segue):
    code, out, _ = segue("data", "import", "synthetic", "--size", "nano", "--seed", "0", "--json")
    assert code == 0
    manifest = json.loads(out)
    assert manifest["dataset"] == "synthetic-nano"
    code, out, _ = segue("data", "describe", "--json")
    assert code == 0
    described = json.loads(out)
    assert described["counts"] == manifest["counts"]
    assert 0 < described["density"] < 1
    code, out, _ = segue("data", "describe")
    assert code == 0
    assert "synthetic-nano" in out
    assert "now_playing" in out


def test_a_log_of_one_s_own_and_its_quarantine_are_reported(segue, log):
    code, out, err = segue("data", "import", "parquet", "--events", log(ROWS))
    assert (code, err) == (0, "")
    assert "Span: 2026-01-05T12:00:00+00:00 .. 2026-01-05T13:00:00+00:00" in out
    assert "Quarantined: 1 x action is not one of impression, play, skip, like, add" in out
    assert "Mapped: items are the item ids of the events" in out


def test_columns_are_mapped(segue, log):
    rows = [{("time" if k == "ts" else k): v for k, v in row.items()} for row in ROWS]
    code, out, _ = segue("data", "import", "parquet", "--events", log(rows), "--map", "ts=time", "--json")
    assert code == 0
    assert "events: time -> ts" in json.loads(out)["mapping"]


@pytest.mark.parametrize("pairs", [["ts"], ["=a"], ["ts="], ["ts=a", "ts=b"]], ids=str)
def test_a_malformed_mapping_is_refused(segue, log, pairs):
    options = [part for pair in pairs for part in ("--map", pair)]
    code, _, err = segue("data", "import", "parquet", "--events", log(ROWS), *options)
    assert code == 2
    assert "--map" in err


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        pytest.param([{**r, "ts": "soon"} for r in ROWS], "log.parquet, row 1: ts is 'soon'", id="time"),
        pytest.param([{**r, "ts": "1066-10-14"} for r in ROWS], "outside the declared range 1990-01-01", id="old"),
        pytest.param([{**r, "ts": "2999-01-01"} for r in ROWS], "outside the declared range 1990-01-01", id="far"),
        pytest.param([*ROWS, ROWS[0]], "log.parquet, row 4: event_id 'a' is a duplicate", id="duplicate"),
        pytest.param([{"user_id": "u0"}], "the column 'item_id' is missing", id="column"),
        pytest.param([{**ROWS[0], "item_id": None}, ROWS[1]], "log.parquet, row 1: item_id is null", id="null"),
        pytest.param(ROWS[:1], "needs at least two users with events; got 1", id="one user"),
        pytest.param([], "log.parquet has no rows", id="empty"),
    ],
)
def test_a_broken_log_ends_in_one_line_and_a_fix_and_leaves_the_data_as_they_were(segue, log, tmp_path, rows, message):
    assert segue("data", "import", "parquet", "--events", log(ROWS))[0] == 0
    before = tree_sha256(tmp_path / "home")
    code, out, err = segue("data", "import", "parquet", "--events", log(rows))
    assert code == 2
    assert out == ""
    headline, fix = err.strip().split("\n")
    assert headline.startswith("error: ")
    assert message in headline
    assert fix.startswith("  fix: ")
    assert tree_sha256(tmp_path / "home") == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("movielens", "."), "holds no MovieLens data set: looked for u.data"),
        (("lastfm", "."), "holds no Last.fm 2K data set: looked for artists.dat"),
        (("parquet", "--events", "none.csv"), "There is no file none.csv"),
        (("synthetic", "--size", "huge"), "Size is one of nano, demo, small, large. Received 'huge'"),
        (("synthetic", "--drift", "genre"), "The drift day lies in 1 .. 27. Received None"),
        (("synthetic", "--drift", "weather", "--drift-day", "3"), "Drift is one of genre, catalogue"),
    ],
)
def test_a_wrong_call_says_what_was_looked_for(segue, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    code, _, err = segue("data", "import", *arguments)
    assert code == 2
    assert message in err
    assert "fix:" in err
    assert not (tmp_path / "home" / "data").exists()


def test_describe_without_data_says_what_to_run(segue):
    code, _, err = segue("data", "describe")
    assert code == 2
    assert "fix: Run `segue data import" in err


def test_describe_lists_the_counts_as_the_import_did_with_the_most_frequent_first(segue, log):
    actions = ["skip", "add", "skip", "play", "skip", "add", "heart", "no", "no"]
    rows = [{**ROWS[n % 2], "event_id": str(n), "action": action} for n, action in enumerate(actions)]
    code, imported, err = segue("data", "import", "parquet", "--events", log(rows))
    assert (code, err) == (0, "")
    _, described, _ = segue("data", "describe")
    assert described.startswith(imported.partition("Quarantined")[0])
    counts = " ".join(re.findall(r"│ +(\w+ +│ \d+)", imported))
    assert re.sub(r"[ │]+", " ", counts) == "events 6 items 1 users 2 quarantined 3 skip 3 add 2 play 1"


def test_figures_of_thousands_have_a_separator(segue, log):
    rows = [{**ROWS[0], "event_id": str(n), "user_id": str(n)} for n in range(1234)]
    segue("data", "import", "parquet", "--events", log(rows))
    _, out, _ = segue("data", "describe")
    assert "│ unknown │ 1,234  │" in out
    assert "Active: 1,234 users and 1 items have interactions, in 100.00% of all pairs." in out


def test_help_loads_nothing_heavy():
    script = (
        "import sys, cli.data; "
        "heavy = {'pyarrow', 'numpy', 'pandas', 'duckdb', 'ibis', 'events'} & set(sys.modules); "
        "sys.exit(f'loaded: {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_list_of_public_data_sets_has_each_with_its_files_and_licence(segue):
    from events.importers.registry import DATA_SETS

    code, out, _ = segue("data", "import", "--list")
    assert code == 0
    for name, data_set in DATA_SETS.items():
        assert f"{name} FOLDER\n" in out
        for text in (data_set.title, data_set.licence, *data_set.files):
            assert text in out


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_each_public_data_set_is_imported_by_its_name(segue, tmp_path, name):
    sample = SAMPLES[name]
    code, out, err = segue("data", "import", sample.name, sample.write(tmp_path / "original"))
    assert (code, err) == (0, "")
    assert "Licence: " in out


def test_an_unknown_data_set_is_a_wrong_call(segue):
    code, _, err = segue("data", "import", "netflix", ".")
    assert code == 2
    assert "netflix" in err


MESSY = "userId;Track_ID;timestamp;Action;Session_ID;mood\n"
MESSY += (
    "u0;i0;2026-01-05 10:00:00;PLAY;s1;calm\nu1;i0;2026-01-05 11:00:00;Skip;s2;\nu1;i1;2026-01-05 12:00:00;hum;s2;\n"
)


@pytest.fixture
def messy(tmp_path):
    """A log under other names, separated by semicolons."""
    path = tmp_path / "my log.csv"
    path.write_text(MESSY)
    return path


def test_a_check_shows_what_an_import_would_do_and_stores_nothing(segue, messy, tmp_path):
    code, out, err = segue("data", "check", messy, "--json")
    assert (code, err) == (0, "")
    report = json.loads(out)
    form = "CSV in utf-8, separated by semicolons"
    assert report["files"] == [{"file": "my log.csv", "table": "events", "form": form, "rows": 3}]
    ours = {
        "user_id": "userId",
        "item_id": "Track_ID",
        "ts": "timestamp",
        "action": "Action",
        "session_id": "Session_ID",
    }
    assert report["mapping"] == {f"events.{name}": theirs for name, theirs in ours.items()}
    assert report["unmatched"] == {"events": ["mood"]}
    assert list(report["quarantine_reasons"].values()) == [1]
    (samples,) = report["samples"].values()
    assert (samples[0]["file"], samples[0]["row"]) == ("my log.csv", 4)
    assert not (tmp_path / "home" / "data").exists()


def test_the_command_line_of_a_check_imports_what_the_check_announced(segue, messy):
    code, out, _ = segue("data", "check", messy)
    assert code == 0
    announced = next(line for line in out.splitlines() if line.startswith("Would import"))
    command = next(line for line in out.splitlines() if line.startswith("To import: ")).removeprefix(
        "To import: segue "
    )
    code, out, _ = segue(*shlex.split(command), "--json")
    assert code == 0
    counts = json.loads(out)["counts"]
    assert announced == f"Would import: {counts['events']} events, {counts['items']} items, {counts['users']} users."
    assert counts["quarantined"] == 1


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("12:00:00", "noon", "my log.csv, row 4: ts is"),
        ("2026-01-05", "some day", "An import would stop: my log.csv: the column 'ts' is missing"),
        ("u1", "u0", "needs at least two users"),
        ("userId;Track_ID", "a;b", "my log.csv looks like none of events"),
    ],
)
def test_a_check_of_a_log_that_cannot_be_imported_ends_as_the_import_would(segue, messy, old, new, message):
    messy.write_text(MESSY.replace(old, new))
    code, _, err = segue("data", "check", messy)
    assert code == 2
    assert message in err
    assert "fix: " in err


def test_files_of_a_table_may_be_repeated_and_are_counted(segue, log):
    files = [log(ROWS[:1], "jan.parquet"), log(ROWS[1:], "feb.parquet")]
    code, out, _ = segue("data", "import", "parquet", "--events", files[0], "--events", files[1], "--json")
    assert code == 0
    assert json.loads(out)["files"] == {"events": {"jan.parquet": 1, "feb.parquet": 2}}


def test_a_long_list_of_files_is_cut(segue, tmp_path, log):
    for number in range(20):
        log([{**ROWS[0], "event_id": f"e{number}", "user_id": f"u{number}"}], f"part-{number:02}.parquet")
    code, out, _ = segue("data", "import", "parquet", "--events", tmp_path)
    assert code == 0
    assert "Read: events: 1 rows of part-11.parquet\nRead: events: 8 rows of 8 further files\n" in out


def test_a_check_of_a_folder_by_day_says_that_the_day_is_not_kept(segue, tmp_path):
    for number, row in enumerate(ROWS):
        (tmp_path / "log" / f"day=2026-01-0{number + 1}").mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist([row]), tmp_path / "log" / f"day=2026-01-0{number + 1}" / "a.parquet")
    code, out, _ = segue("data", "check", tmp_path / "log", "--json")
    assert code == 0
    report = json.loads(out)
    assert report["unmatched"] == {"events": []}
    assert any("column day is not kept" in note for note in report["notes"])
