"""The records of experiments: what a running one refuses, and that nothing is lost."""

from datetime import UTC, datetime, timedelta

import pytest

from experiments.definition import parse
from experiments.registry import Registry
from segue.errors import InputError, UnavailableError
from tests.support.experiments import definition

AT = datetime(2026, 3, 2, tzinfo=UTC)
LOOK = {"look": 1, "information": 0.1, "rows": []}


@pytest.fixture
def registry(tmp_path) -> Registry:
    return Registry(tmp_path / "experiments")


def start(registry, stage=1, **parts):
    return registry.start(parse(definition(**parts)), AT, "me", stage)


def contents(registry) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in registry.folder.glob("*/*.json")}


def other_arms(*names):
    return [{"name": name, "share": 1 / len(names)} for name in names]


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"salt": "another"}, "keeps its salt.*'more-new'.*'another'"),
        ({"arms": other_arms("control", "new")}, "names and shares of its arms.*treatment.*new"),
        ({"arms": other_arms("control", "treatment", "third")}, "names and shares of its arms"),
        ({"metrics": {"success": {"likes": 0.1}}}, "another metrics"),
        ({"layer": {"name": "elsewhere"}}, "another layer"),
        ({"share": [0.5, 0.7]}, "last share of a running experiment stays"),
    ],
)
def test_a_running_experiment_refuses_to_change(registry, changed, text):
    start(registry)
    before = contents(registry)
    with pytest.raises(InputError, match=text):
        start(registry, **changed)
    assert contents(registry) == before


def test_an_ended_experiment_stays_ended(registry):
    start(registry)
    registry.look("more-new", LOOK, AT)
    registry.stop("more-new", "ship", "It plays more.", "me", AT)
    before = contents(registry)
    for again in (
        lambda: start(registry),
        lambda: registry.look("more-new", LOOK, AT),
        lambda: registry.stop("more-new", "stop", "No.", "you", AT),
    ):
        with pytest.raises(InputError, match=r"stays ended.*by me: ship"):
            again()
    assert contents(registry) == before
    state = registry.get("more-new")
    assert state.looks == (LOOK,)
    assert (state.stop["why"], state.stop["by"]) == ("It plays more.", "me")
    assert registry.running() == []


def test_a_ramp_rises_and_an_override_may_come(registry):
    start(registry, share=[0.1, 0.2, 0.5])
    assert start(registry, 2, share=[0.1, 0.2, 0.5]).stage == 2
    with pytest.raises(InputError, match=r"only rises.*20.00%.*stage 1 is 10.00%"):
        start(registry, 1, share=[0.1, 0.2, 0.5])
    state = start(registry, 3, share=[0.1, 0.2, 0.5], overrides={"u1": "treatment"})
    assert (state.stage, state.definition.overrides) == (3, {"u1": "treatment"})
    assert [record["kind"] for record in registry.history("more-new")] == ["start", "change", "change"]


def test_starting_again_without_a_change_records_nothing(registry):
    start(registry)
    before = contents(registry)
    start(registry)
    assert contents(registry) == before


def test_a_stage_that_the_ramp_has_not_is_refused(registry):
    with pytest.raises(InputError, match=r"numbered 1 to 1. Received 2"):
        start(registry, 2)
    assert registry.names() == []


def test_a_layer_has_room_for_100_percent_and_stopping_frees_it(registry):
    start(registry, share=[0.7])
    with pytest.raises(InputError, match=r"30.00% left"):
        start(registry, name="second", share=[0.4])
    registry.stop("more-new", "stop", "No effect.", "me", AT)
    assert start(registry, name="second", share=[0.4]).ranges == ((0, 4000),)


def test_overlapping_layers_are_refused(registry):
    start(registry)
    with pytest.raises(InputError, match=r"belongs to one layer.*home.weights.popular is set by more-new"):
        start(registry, name="second", layer={"name": "search"})
    with pytest.raises(InputError, match="salt of its own"):
        start(registry, name="second", layer={"name": "search", "salt": "layer-home"})
    with pytest.raises(InputError, match="keeps its holdback"):
        start(registry, name="second", layer={"name": "home", "holdback": 0.1}, share=[0.1])
    assert registry.names() == ["more-new"]


def test_a_salt_is_used_once(registry):
    start(registry, share=[0.1])
    with pytest.raises(InputError, match=r"A salt is used once"):
        start(registry, name="second", salt="more-new", share=[0.1])
    with pytest.raises(InputError, match="is the salt of the layer"):
        start(registry, name="third", salt="layer-home", share=[0.1])


def test_two_looks_at_once_are_one(registry):
    start(registry)
    registry.look("more-new", LOOK, AT)
    with pytest.raises(UnavailableError, match="Looks follow each other"):
        registry.look("more-new", LOOK, AT)
    assert registry.get("more-new").looks == (LOOK,)


def test_an_unknown_experiment_or_decision_is_refused(registry):
    start(registry)
    for name in ("more-nw", "", "../more-new"):
        with pytest.raises(InputError, match="There is no experiment"):
            registry.get(name)
    with pytest.raises(InputError, match="There is no decision 'perhaps'"):
        registry.stop("more-new", "perhaps", "why", "me", AT)
    with pytest.raises(InputError, match="who made it and why"):
        registry.stop("more-new", "ship", " ", "me", AT)


def test_a_writer_that_was_killed_leaves_the_records_that_were_there(registry):
    start(registry)
    folder = registry.folder / "more-new"
    (folder / ".tmp-0002-look.json-01234567").write_text('{"kind": "lo', encoding="utf-8")
    assert registry.get("more-new").looks == ()
    registry.look("more-new", LOOK, AT + timedelta(days=1))
    assert sorted(path.name for path in folder.iterdir()) == ["0001-start.json", "0002-look.json"]
