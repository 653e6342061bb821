"""Roll-outs on a cluster: homes of their own over one Redis and one object store, and both are killed."""

import asyncio
import json

import pytest
from click.testing import CliRunner

from events.importers.own.dialects import Dialect
from rollout import added_items, controller, moves
from rollout.controller import step
from rollout.decision import Decision
from rollout.moves import start
from rollout.plan import Plan
from rollout.rollout import DRAIN
from rollout.state_file import read
from segue.errors import UnavailableError
from segue.settings import Home
from serving.rollouts.kept_counts import counts_keeping
from serving.rollouts.kept_state import NAME
from serving.store import model_store
from serving.store.split import read_split
from stores import parts, trees
from surfaces.cohorts.counts import CohortCounts
from tests.rollout.conftest import AT, DAY
from workloads.operating.decisions import decisions

pytestmark = pytest.mark.slow

PLAN = Plan(shadow=0.0, least_requests=5, stages=(0.1, 0.5))
TRIED = {"stable": 1, "canary": 2}
BACK = {"stable": 1, "canary": 1, "draining": 2}


@pytest.fixture
def homes(tmp_path, cluster, source) -> list[Home]:
    """Two homes with the models of an object store; version 1 of `ranking` is stable and 2 the canary."""
    homes = [Home(tmp_path / name) for name in ("one", "two")]
    homes[0].models.mkdir(parents=True)

    def push() -> None:
        for label in ("stable", "canary"):
            model_store.push(homes[0].models, {"ranking": source}, label=label)

    parts.change(homes[0], parts.MODELS, push)
    parts.bring(homes[1], parts.MODELS)
    return homes


def published(home: Home) -> dict[str, int]:
    """The labels in the object store, as another home finds them."""
    other = Home(home.root.parent / "looker")
    parts.bring(other, parts.MODELS)
    return model_store.labels(other.models)["ranking"]


def abort(home: Home, at=AT):
    return moves.act(home.models, Decision("take back", "x"), "ann", at)


def gateway_counts(home: Home, requests: int, errors: int) -> None:
    """The counts of one more gateway, written as it does."""
    counts = CohortCounts()
    for number in range(requests):
        counts.by_number[1]["control"].add(False, 0.01, AT)
        counts.by_number[1]["candidate"].add(number < errors, 0.01, AT)
    asyncio.run(counts.write(counts_keeping(home.rollout_counts)))


def test_one_home_starts_and_another_one_sees_the_counts_of_all_gateways(homes):
    one, two = homes
    assert start(one.models, None, PLAN, "ann", AT).rollout.phase == "running"
    assert read(two.models).rollout.share == 0.1
    assert not (one.models / NAME).exists()  # one state, and no copy that could disagree with it
    for pod in ("a", "b"):
        gateway_counts(Home(one.root.parent / pod), 70, errors=15)
    state = step(two, AT + DAY / 2)
    assert state.last.reason.startswith("Errors are 21.43% of 140 requests, 0.00% of the control's 140.")
    assert (read_split(one.models).share, published(one)) == (0.0, BACK)
    assert step(one, AT + DAY / 2 + DRAIN).rollout.phase == "taken back"
    assert published(two) == {"stable": 1, "canary": 1}


def test_labels_are_published_before_a_share_goes_up(homes, monkeypatch):
    seen = []
    change = moves.change

    def noted(root, edit):
        state = change(root, edit)
        seen.append((state.rollout.phase, published(homes[0])))
        return state

    monkeypatch.setattr(moves, "change", noted)
    parts.change(homes[0], parts.MODELS, lambda: model_store.rollback(homes[0].models))  # the canary is stable
    start(homes[0].models, 2, PLAN, "ann", AT)
    moves.act(homes[0].models, Decision("promote", "x"), "ann", AT)
    assert [entry for number, entry in enumerate(seen) if entry != (seen[number - 1] if number else None)] == [
        ("starting", {"stable": 1, "canary": 1}),
        ("running", TRIED),
        ("promoting", TRIED),
        ("promoted", {"stable": 2, "canary": 2}),
    ]


def add_item(home: Home, source, monkeypatch):
    """Add an item to both sides; the copies with it are those of a model that the test has."""

    def copied(*_):
        return {label: {"ranking": source} for label in TRIED}, {"added": ["i"], "updated": [], "free": 1, "notes": []}

    monkeypatch.setattr(added_items, "copy_with_items", copied)
    return added_items.add_items(home, [], AT, {}, Dialect(), "ann", lambda: AT)


def test_versions_with_items_are_published_before_gateways_turn_to_them(homes, source, monkeypatch):
    one, two = homes
    start(one.models, None, PLAN, "ann", AT)
    seen = []
    change = moves.change

    def noted(root, edit):
        state = change(root, edit)
        seen.append((read_split(two.models).candidate["ranking"], published(two)))
        return state

    monkeypatch.setattr(moves, "change", noted)
    assert add_item(one, source, monkeypatch)["candidate"] == 4
    assert [entry for number, entry in enumerate(seen) if entry != (seen[number - 1] if number else None)] == [
        (2, TRIED),
        (4, {"stable": 3, "canary": 4, "replaced": 2}),
    ]


def test_labels_that_were_moved_but_not_published_are_published_by_the_next_look(homes, source, monkeypatch):
    one, two = homes
    start(one.models, None, PLAN, "ann", AT)
    publish, tried = trees.publish, []

    def dying(*arguments):
        tried.append(arguments)
        if len(tried) == 2:  # after the versions
            raise UnavailableError("The object store does not answer.", "")
        return publish(*arguments)

    monkeypatch.setattr(trees, "publish", dying)
    with pytest.raises(UnavailableError):
        add_item(one, source, monkeypatch)
    assert (read_split(two.models).candidate, published(two)) == ({"ranking": 2}, TRIED)
    step(one, AT)
    assert published(two) == {"stable": 3, "canary": 4, "replaced": 2}
    assert read_split(two.models).candidate == {"ranking": 4}


def test_the_records_of_moves_are_published_with_the_labels(homes):
    one, two = homes
    start(one.models, None, PLAN, "ann", AT)
    abort(one)
    parts.bring(two, parts.MODELS)
    assert sorted((each["action"], each["versions"]["ranking"]) for each in decisions(two)) == [
        ("start", 2),
        ("take back", 1),
    ]


def test_a_share_of_0_waits_for_no_object_store_and_the_next_look_moves_the_labels(homes, objects):
    start(homes[0].models, None, PLAN, "ann", AT)
    objects.kill()
    try:
        with pytest.raises(UnavailableError):
            abort(Home(homes[0].root.parent / "empty"))
        assert read_split(homes[1].models).share == 0.0
    finally:
        objects.start()
    assert published(homes[0]) == TRIED
    assert step(homes[1], AT).rollout.phase == "draining"
    assert published(homes[0]) == BACK


def test_harm_takes_the_candidate_back_while_the_object_store_is_dead(homes, objects):
    start(homes[0].models, None, PLAN, "ann", AT)
    parts.bring(homes[1], parts.MODELS)
    gateway_counts(homes[0], 100, errors=30)
    objects.kill()
    try:
        with pytest.raises(UnavailableError):
            step(homes[1], AT)
        assert (read(homes[1].models).rollout.phase, read_split(homes[0].models).share) == ("taking back", 0.0)
    finally:
        objects.start()


def test_a_decision_that_is_killed_before_its_labels_are_published_is_finished_by_another_home(homes, monkeypatch):
    class Killed(BaseException):
        """The process ends here."""

    def killed(*_):
        raise Killed

    start(homes[0].models, None, PLAN, "ann", AT)
    with monkeypatch.context() as patched:
        patched.setattr("stores.trees.publish", killed)
        with pytest.raises(Killed):
            abort(homes[0])
    assert (read_split(homes[0].models).share, published(homes[0])) == (0.0, TRIED)
    assert step(homes[1], AT).rollout.phase == "draining"
    assert published(homes[0]) == BACK


def test_of_two_who_decide_at_once_the_first_one_stands(homes, monkeypatch):
    start(homes[0].models, None, PLAN, "ann", AT)
    gateway_counts(homes[0], 100, errors=0)
    look = controller.look

    def aborted_meanwhile(*arguments):
        seen = look(*arguments)
        abort(homes[0], AT + 2 * DAY)
        return seen

    monkeypatch.setattr(controller, "look", aborted_meanwhile)
    state = step(homes[1], AT + 2 * DAY)
    assert (state.rollout.phase, state.history[-2].action) == ("draining", "take back")


def test_without_redis_nothing_is_decided(homes, valkey):
    start(homes[0].models, None, PLAN, "ann", AT)
    before = read(homes[0].models)
    valkey.kill()
    try:
        for decide in (lambda: step(homes[0], AT), lambda: abort(homes[0])):
            with pytest.raises(UnavailableError, match=r"The online store .* does not answer"):
                decide()
    finally:
        valkey.start()
    assert read(homes[1].models) == before
    assert published(homes[0]) == TRIED


def test_a_look_that_changes_nothing_makes_no_revision(homes):
    start(homes[0].models, None, PLAN, "ann", AT)
    brought: dict[str, int] = {}
    parts.bring_newer(homes[1], brought, parts.MODELS)
    before = dict(brought)
    for number in range(2):
        assert step(homes[0], AT + number * DAY / 8).last.action == "wait"
    parts.bring_newer(homes[1], brought, parts.MODELS)
    assert brought == before


def test_the_commands(homes, monkeypatch):
    from cli import cli

    def segue(home: Home, *arguments: str) -> str:
        monkeypatch.setenv("SEGUE_HOME", str(home.root))
        return CliRunner().invoke(cli, arguments, catch_exceptions=False).output

    assert "running." in segue(homes[0], "rollout", "start")
    gateway_counts(homes[0], 3, errors=0)
    assert json.loads(segue(homes[1], "rollout", "status", "--json"))["answers"]["control"]["requests"] == 3
    pod = Home(homes[0].root.parent / "pod")  # a controller that starts in an empty home
    assert "In the shadow" in segue(pod, "rollout", "look")
    assert "promoted." in segue(pod, "rollout", "promote", "--reason", "x")
    assert published(homes[0]) == {"stable": 2, "canary": 2}
    assert [line.split()[3] for line in segue(homes[1], "rollout", "history").splitlines()] == [
        "start,", "running,", "promote,", "promoted,",
    ]  # fmt: skip
    segue(homes[1], "models", "rollback", "--reason", "x")
    assert published(pod)["stable"] == 1


def test_a_rollback_of_the_models_ends_a_roll_out_once(homes, monkeypatch):
    from cli import cli

    start(homes[0].models, None, PLAN, "ann", AT)
    monkeypatch.setenv("SEGUE_HOME", str(homes[1].root))
    CliRunner().invoke(cli, ["models", "rollback", "--reason", "x"], catch_exceptions=False)
    assert read(homes[0].models).rollout.phase == "draining"
    assert published(homes[0]) == BACK
