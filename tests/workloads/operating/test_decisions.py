"""Each move of a label has one record, whenever its process was killed."""

from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from segue.errors import InputError
from segue.files import TEMPORARY, write_json
from segue.settings import Home
from serving.store import model_store
from tests.support.killed import killed_at_each_step
from tests.support.loops import push
from workloads.operating.decisions import BEGUN, decide, decisions, moved_label, name_of, record_cut_off

AT = datetime(2026, 3, 2, tzinfo=UTC)


@pytest.fixture
def home(tmp_path) -> Home:
    """A home in which 1 is stable and 2 the candidate."""
    home = Home(tmp_path / "home")
    for label in ("stable", "canary"):
        push(home, ("ranking",), label)
    return home


def promote(home: Home) -> dict:
    """Make the candidate stable."""
    return decide(home, "promote", lambda: ("stable", model_store.promote(home.models)), "good", "ann", AT)


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ({"stable": 1, "canary": 2}, None),
        ({"stable": 2, "canary": 2}, ("stable", {"ranking": 2})),
        ({"stable": 1, "canary": 1}, ("canary", {"ranking": 1})),
        ({"stable": 2, "canary": 3}, ("stable", {"ranking": 2})),
        ({"stable": 1}, ("canary", {"ranking": None})),
        ({"stable": 1, "canary": 2, "mine": 1}, ("mine", {"ranking": 1})),
    ],
)
def test_the_label_that_has_moved(now, expected):
    assert moved_label({"ranking": {"stable": 1, "canary": 2}}, {"ranking": now}, None) == expected


@pytest.mark.parametrize(
    ("goal", "reached"),
    [
        (("stable", {"ranking": 2}), False),  # while it waited for a server, another command moved the canary
        (("stable", {"ranking": 1}), False),  # it was there before
        (("canary", {"ranking": 1}), True),
        (("mine", {"ranking": None}), True),
    ],
)
def test_what_another_command_has_moved_is_not_the_move_that_was_cut_off(goal, reached):
    before, now = {"stable": 1, "canary": 2, "mine": 1}, {"stable": 1, "canary": 1}
    assert (moved_label({"ranking": before}, {"ranking": now}, goal) == goal) is reached


def test_a_move_that_is_refused_has_no_record(home):
    with pytest.raises(InputError):
        decide(home, "promote", lambda: ("stable", model_store.promote(home.models, 9)), "", "ann", AT)
    assert list(home.decisions.iterdir()) == []


def test_a_signal_after_the_move_loses_no_record(home):
    def moved():
        model_store.promote(home.models)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        decide(home, "promote", moved, "good", "ann", AT)
    record_cut_off(home.models)
    assert [(each["label"], each["versions"], each["why"]) for each in decisions(home)] == [
        ("stable", {"ranking": 2}, "good")
    ]


def test_a_move_that_is_at_work_is_left_to_its_process(home):
    def moved():
        record_cut_off(home.models)  # by another command
        model_store.promote(home.models)
        record_cut_off(home.models)
        assert decisions(home) == []
        return "stable", {"ranking": 2}

    assert decide(home, "promote", moved, "good", "ann", AT) == decisions(home)[0]


@pytest.mark.slow
def test_killed_at_any_step_a_move_has_one_record_and_what_has_not_moved_has_none(home):
    labels = model_store.labels(home.models)
    moves = 0
    for killed in killed_at_each_step(partial(promote, home)):
        record_cut_off(home.models)
        moved = model_store.labels(home.models) != labels
        moves += moved
        assert [each["versions"] for each in decisions(home)] == [{"ranking": 2}] * moved, killed
        left = [path.name for path in home.decisions.glob(".*")]
        assert not [name for name in left if name.startswith((BEGUN, TEMPORARY))], killed
        if moved:
            assert (decisions(home)[0]["why"], decisions(home)[0]["at"]) == ("good", AT.isoformat())
            next(home.decisions.glob("[!.]*.json")).unlink()
            model_store.rollback(home.models)
            model_store.promote(home.models, 2, "canary")
    assert 0 < moves < killed


def test_a_next_decision_first_records_the_one_that_was_cut_off(home):
    said = {"at": AT.isoformat(), "by": "ann", "action": "promote", "why": "", "goal": None}
    said["labels"] = model_store.labels(home.models)
    write_json(home.decisions / f"{BEGUN}{name_of(AT, 'promote')}", said)
    model_store.promote(home.models)
    decide(home, "rollback", partial(model_store.rollback, home.models), "bad", "bob", AT + timedelta(hours=1))
    assert [(each["by"], each["versions"]) for each in decisions(home)] == [
        ("bob", {"ranking": 1}),
        ("ann", {"ranking": 2}),
    ]
