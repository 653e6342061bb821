"""Experiments in the gateway: an arm decides the page, and the exposures name it."""

import pytest

from experiments.definition import parse
from experiments.registry import Registry
from surfaces.arms.assigned import Experiments
from surfaces.sources.popular import popular
from tests.support.experiments import definition
from tests.surfaces.conftest import NOW

USERS = [f"u{number}" for number in range(1, 10)]


def experiment(tmp_path, world, control, treatment, **parts):
    """Start an experiment of two arms."""
    arms = [{"name": "control", "share": 0.5, "parameters": control}]
    arms.append({"name": "treatment", "share": 0.5, "parameters": treatment})
    Registry(tmp_path / "experiments").start(parse(definition(arms=arms, **parts)), NOW, "me")
    world.experiments = Experiments.running_in(tmp_path / "experiments")


@pytest.fixture
def answers(talk):
    """A page for each listener of some endpoint, with its exposures: `answers("/v1/home", **body)`."""

    def ask(path, **body):
        async def conversation(client):
            found = []
            for user in USERS:
                # A page is drawn by its request's id: named ids give the same pages in every run.
                request = {"request_id": f"{path.rpartition('/')[2]}-{user}", "user_id": user, **body}
                page = (await client.post(path.format(user=user), json=request)).json()
                client.gateway.journal.append([]).result(5)  # what was handed over before is durable
                found.append((page, client.gateway.journal.exposures(page["request_id"])))
            return found

        return talk(conversation)

    return ask


def arms_of(logged):
    """The arm that all exposures of a page name."""
    (arms,) = {tuple(one.arms.items()) for one in logged}
    return dict(arms).get("more-new")


def test_each_arm_has_its_page_and_its_exposures_name_it(world, tmp_path, answers):
    experiment(tmp_path, world, {"home.rows": 1}, {"home.rows": 4, "home.fewest_rows": 4})
    pages = answers("/v1/home")
    shelves = {(arms_of(logged), len(page["shelves"])) for page, logged in pages}
    assert {arm for arm, _ in shelves} == {"control", "treatment"}
    # A drawn shelf is left out when too few of its items are not on a shelf above it.
    assert all(rows == 1 if arm == "control" else 1 < rows <= 4 for arm, rows in shelves)


def test_weights_decide_the_layout_and_its_chance_stays_exact(world, tmp_path, answers):
    experiment(tmp_path, world, {"home.weights.popular": -50.0}, {"home.weights.popular": 50.0})
    for page, logged in answers("/v1/home"):
        shelves = [shelf["id"] for shelf in page["shelves"]]
        if arms_of(logged) == "treatment":
            assert shelves[0] == "popular"
            assert logged[0].scores["layout/chance/000"] == pytest.approx(1.0)
        else:
            assert "popular" not in shelves


def test_a_source_that_an_arm_switches_off_proposes_nothing(world, tmp_path, answers):
    experiment(tmp_path, world, {}, {"home.off": ["popular"]})
    for page, logged in answers("/v1/home"):
        found = {source for one in logged for source in one.sources}
        assert (popular.name in found) == (arms_of(logged) == "control")
        assert (page["level"], page["degraded"]) == (0, [])  # an arm without a source is whole


def test_a_surface_that_does_not_read_what_differs_names_no_arm(world, tmp_path, answers):
    experiment(tmp_path, world, {}, {"home.rows": 4})
    assert {arms_of(logged) for _, logged in answers("/v1/sessions/{user}/next", k=3)} == {None}
    assert {arms_of(logged) for _, logged in answers("/v1/home", k_rows=2)} == {None}  # the request says how many


def test_now_playing_reads_its_own_parameters(world, tmp_path, answers):
    experiment(tmp_path, world, {}, {"now_playing.calibrated": False})
    assert {arms_of(logged) for _, logged in answers("/v1/sessions/{user}/next", k=3)} == {"control", "treatment"}
    assert {arms_of(logged) for _, logged in answers("/v1/home")} == {None}


def test_a_page_of_a_fallback_names_its_arm(world, tmp_path, answers):
    # If only whole pages did, an arm that breaks pages would lose the listeners whom it harms.
    experiment(tmp_path, world, {}, {"home.off": ["ranking"]})
    world.server.failing = {"server"}
    pages = answers("/v1/home")
    assert {page["level"] for page, _ in pages} == {3}
    assert {arms_of(logged) for _, logged in pages} == {"control", "treatment"}
