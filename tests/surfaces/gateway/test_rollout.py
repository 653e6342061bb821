"""The roll-out in the gateway: one version set for a cohort, exposures that say the cohort, errors of the candidate."""

import pytest

from experiments.assignment.cohorts import cohort
from segue.errors import InputError, UnavailableError
from serving.store.split import Split
from surfaces.arms.assigned import Experiments
from surfaces.versions import MODELS
from tests.surfaces.gateway.conftest import NEW_RELEASES, USERS
from tests.surfaces.gateway.test_experiments import experiment

SPLIT = Split(3, "running", 0.4, {"ranking": 2, "retrieval": 2})
SIDES = {user: cohort(SPLIT.salt, user, SPLIT.share) for user in USERS}
STABLE = dict.fromkeys(MODELS, 1)
CANDIDATE = STABLE | SPLIT.candidate


@pytest.fixture(autouse=True)
def rolled_out(world):
    """Version 2 of two models beside version 1, for 40 % of the listeners."""
    world.server.others = {("ranking", 2): 2, ("retrieval", 2): 2}
    world.experiments = Experiments(split=SPLIT)


def failing(world, model, error):
    """Let version 2 of a model fail."""
    predict = world.server.predict

    async def fail(name, inputs, signature, version, timeout):
        if (name, version) == (model, 2):
            raise error
        return await predict(name, inputs, signature=signature, version=version, timeout=timeout)

    world.server.predict = fail


def test_the_listeners_of_the_tests_are_in_all_cohorts():
    assert set(SIDES.values()) == {"candidate", "control", None}


@pytest.mark.parametrize("path", ["/v1/home", NEW_RELEASES, "/v1/sessions/{user}/next"])
def test_the_candidate_answers_its_cohort_alone_and_exposures_say_the_cohort(world, answers, path):
    for user, (page, logged) in zip(USERS, answers(path), strict=True):
        side = SIDES[user]
        assert page["versions"] == logged[0].model_versions == (CANDIDATE if side == "candidate" else STABLE)
        assert {tuple(one.arms.items()) for one in logged} == {(("rollout/3", side),) if side else ()}
        assert (page["level"], page["degraded"]) == (0, [])


def test_every_call_of_a_request_is_of_its_set(world, talk):
    async def conversation(client):
        for user in USERS:
            world.server.asked_versions.clear()
            await client.post("/v1/home", json={"user_id": user})
            wanted = CANDIDATE if SIDES[user] == "candidate" else STABLE
            assert {(model, version) for model, version in world.server.asked_versions} <= set(wanted.items())

    talk(conversation)


def test_without_a_share_nobody_is_in_a_cohort(world, answers):
    world.experiments = Experiments(split=Split(3, "taking back", 0.0, SPLIT.candidate))
    for page, logged in answers("/v1/home"):
        assert (page["versions"], logged[0].arms) == (STABLE, {})


def test_a_surface_that_does_not_ask_the_models_is_outside(world, answers):
    world.experiments = Experiments(split=Split(3, "running", 0.4, {"ranking": 2}))
    assert all(not logged[0].arms for _, logged in answers("/v1/sessions/{user}/next", k=3))


@pytest.mark.parametrize("path", ["/v1/home", "/v1/sessions/{user}/next"])
@pytest.mark.parametrize("error", [UnavailableError("it is down", ""), InputError("Servable not found", "")])
def test_a_candidate_that_fails_is_answered_for_by_stable_and_counts_as_its_error(world, talk, path, error):
    failing(world, "retrieval", error)

    async def conversation(client):
        for user in USERS:
            page = (await client.post(path.format(user=user), json={"user_id": user})).json()
            assert (page["level"], page["versions"]) == (0, STABLE)
            assert page["degraded"] == (["candidate"] if SIDES[user] == "candidate" else [])
        return client.gateway.metrics.cohorts.by_number[3]

    counts = talk(conversation)
    treated = sum(side == "candidate" for side in SIDES.values())
    assert (counts["candidate"].requests, counts["candidate"].errors) == (treated, treated)
    assert (counts["control"].requests, counts["control"].errors) == (list(SIDES.values()).count("control"), 0)


def test_next_items_of_stable_in_place_of_a_candidate_have_their_features(world, answers):
    failing(world, "retrieval", UnavailableError("it is down", ""))
    for user, (page, logged) in zip(USERS, answers("/v1/sessions/{user}/next"), strict=True):
        assert page["degraded"] == (["candidate"] if SIDES[user] == "candidate" else [])
        assert logged[0].served


def test_a_candidate_that_is_not_loaded_is_an_error_too(world, answers):
    world.server.others.clear()
    for user, (page, logged) in zip(USERS, answers("/v1/home"), strict=True):
        side = SIDES[user]
        assert (page["level"], page["versions"]) == (0, STABLE)
        assert logged[0].degraded == (("versions",) if side == "candidate" else ())
        assert logged[0].arms == ({"rollout/3": side} if side else {})


def test_an_arm_that_names_versions_goes_before_the_roll_out(world, tmp_path, answers):
    world.server.others[("sequence", "other")] = 5
    experiment(tmp_path, world, {}, {"models.sequence": "other"})
    world.experiments = Experiments(world.experiments.running, SPLIT)
    for user, (page, logged) in zip(USERS, answers("/v1/home"), strict=True):
        arms = logged[0].arms
        if arms["more-new"] == "treatment":
            assert page["versions"] == STABLE | {"sequence": 5}
            assert "rollout/3" not in arms
        else:
            assert page["versions"] == (CANDIDATE if SIDES[user] == "candidate" else STABLE)
            assert arms.get("rollout/3") == SIDES[user]


def test_the_metrics_tell_the_cohorts_apart(world, talk):
    async def conversation(client):
        for user in USERS:
            await client.post("/v1/home", json={"user_id": user})
        return (await client.get("/metrics")).text

    text = talk(conversation)
    treated = list(SIDES.values()).count("candidate")
    assert f'segue_gateway_cohort_answers_total{{rollout="3",cohort="candidate",kind="requests"}} {treated}' in text
