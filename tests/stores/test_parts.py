"""Parts of a home and the records of runs: what one process publishes, another finds in an empty home of its own."""

from concurrent.futures import Future, ThreadPoolExecutor, wait

import pytest

from segue.errors import UnavailableError
from segue.files import read_json, write_json
from segue.settings import Home
from stores import parts, records, trees

pytestmark = pytest.mark.slow


@pytest.fixture
def homes(tmp_path, cluster) -> list[Home]:
    """Two empty homes over one object store."""
    return [Home(tmp_path / name) for name in ("one", "two")]


@pytest.mark.parametrize(
    "part", [parts.DATA, parts.MODELS, parts.BASELINES, parts.REPORTS, parts.SURFACES, parts.EXPERIMENTS]
)
def test_what_one_home_changes_another_finds(homes, part):
    """If this fails, a step on another node does not see the data, or the models, of the step before."""
    one, two = homes
    folder = parts.folder(one, part)
    written = parts.change(one, part, lambda: write_json(folder / "deep" / "a.json", {"n": 1}) or "written")
    assert written == "written"
    parts.bring(two, part)
    assert read_json(parts.folder(two, part) / "deep" / "a.json") == {"n": 1}


def test_two_changes_at_once_are_both_kept(homes):
    """If this fails, one push takes back another."""
    one, two = homes
    interrupted = []

    def edit() -> None:
        write_json(one.models / "one.json", {})
        if not interrupted:  # another home publishes between this home's read and its write
            interrupted.append(True)
            parts.change(two, parts.MODELS, lambda: write_json(two.models / "two.json", {}))

    parts.change(one, parts.MODELS, edit)
    parts.bring(two, parts.MODELS)
    assert sorted(path.name for path in two.models.iterdir()) == ["one.json", "two.json"]


def test_a_reader_in_the_same_home_takes_no_change_back(homes):
    """If this fails, `segue models list` during a push makes the push end well and publish nothing."""
    one, two = homes
    file = one.models / "a.json"
    parts.change(one, parts.MODELS, lambda: write_json(file, {"n": 1}))
    with ThreadPoolExecutor(1) as reader:

        def edit() -> Future:
            write_json(file, {"n": 2})
            read = reader.submit(parts.bring, one, parts.MODELS)
            wait([read], timeout=1)
            return read

        parts.change(one, parts.MODELS, edit).result()
    parts.bring(two, parts.MODELS)
    assert read_json(file) == read_json(two.models / "a.json") == {"n": 2}


def test_a_reader_does_not_wait_for_a_change_for_ever(homes, monkeypatch):
    monkeypatch.setattr(parts, "READ_SECONDS", 0.1)
    with pytest.raises(UnavailableError, match="change of models"):
        parts.change(homes[0], parts.MODELS, lambda: parts.bring(homes[0], parts.MODELS))
    parts.bring(homes[0], parts.DATA)  # another part is not held


def test_what_was_published_since_is_brought_and_nothing_else(homes, monkeypatch):
    """If this fails, a running gateway serves the layout policy of its start, or copies the log each minute."""
    one, two = homes
    seen: dict[str, int] = {}
    pulled: list[str] = []
    pull = parts.pull

    def counted(now, part, target) -> int:
        pulled.append(part)
        return pull(now, part, target)

    def brought() -> list[str]:
        pulled.clear()
        parts.bring_newer(two, seen, parts.DATA, parts.SURFACES)
        return list(pulled)

    def write(part: str, number: int) -> None:
        parts.change(one, part, lambda: write_json(parts.folder(one, part) / "a.json", {"n": number}))

    monkeypatch.setattr(parts, "pull", counted)
    write(parts.SURFACES, 1)
    write(parts.DATA, 1)
    assert brought() == [parts.DATA, parts.SURFACES]
    assert brought() == []
    write(parts.SURFACES, 2)
    assert brought() == [parts.SURFACES]
    assert read_json(two.surfaces / "a.json") == {"n": 2}


def test_a_change_that_fails_publishes_nothing(homes):
    """If this fails, half a push is seen by others."""
    one, two = homes

    def edit() -> None:
        write_json(one.models / "half.json", {})
        raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        parts.change(one, parts.MODELS, edit)
    parts.bring(two, parts.MODELS)
    assert not two.models.exists()


def test_the_embedded_profile_moves_nothing(tmp_path, monkeypatch):
    """If this fails, a laptop asks for a server."""
    monkeypatch.delenv("SEGUE_PROFILE", raising=False)
    home = Home(tmp_path / "home")
    parts.bring(home, parts.DATA, parts.MODELS)
    assert parts.change(home, parts.MODELS, lambda: 3) == 3
    assert not home.root.exists()


def test_a_step_keeps_only_the_records_that_it_wrote(homes):
    """If this fails, a step overwrites the newer record of a step that runs beside it."""
    one, two = (home.run("r1") for home in homes)
    write_json(one.steps / "retrieval.json", {"status": "failed"})
    records.keep(one, {})
    before = records.bring(two)
    assert set(before) == {"steps/retrieval.json"}
    write_json(one.steps / "retrieval.json", {"status": "done"})  # its retry ends while the other step runs
    records.keep(one, before)
    write_json(two.steps / "sequence.json", {"status": "done"})
    (two.checkpoints / "retrieval").mkdir(parents=True)
    (two.checkpoints / "retrieval" / "weights").write_text("large")
    records.keep(two, before)
    third = Home(homes[0].root.with_name("three")).run("r1")
    records.bring(third)
    assert {path.name: read_json(path)["status"] for path in third.steps.iterdir()} == {
        "retrieval.json": "done",
        "sequence.json": "done",
    }
    assert not third.checkpoints.exists()


def test_unsent_records_travel_until_they_are_sent(homes):
    """If this fails, a run that MLflow did not take is never sent, or is sent twice."""
    one, two = homes
    write_json(one.run("r1").unsent, {"version": None})
    write_json(one.run("r1").evaluation, {})
    records.keep(one.run("r1"), {})
    records.bring_unsent(two)
    assert two.run("r1").unsent.is_file()
    assert two.run("r1").evaluation.is_file()
    two.run("r1").unsent.unlink()
    records.drop_sent(two)
    third = Home(one.root.with_name("three"))
    records.bring_unsent(third)
    assert not third.runs.exists()


def test_old_states_are_removed_now_and_then(homes, monkeypatch):
    """If this fails, the object store grows with every push."""
    one, _ = homes
    monkeypatch.setattr(parts, "COLLECTED", 4)
    collected = []
    monkeypatch.setattr(trees, "collect", lambda bucket, name, now: collected.append((name, now.tzinfo is not None)))
    for number in range(9):
        parts.change(one, parts.REPORTS, lambda at=number: write_json(one.reports / "a.json", {"n": at}))
    assert collected == [(parts.REPORTS, True)] * 2
