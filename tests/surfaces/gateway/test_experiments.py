"""Experiments in the gateway: an arm decides the page, and the exposures name it."""

import pytest

from experiments.definition import parse
from experiments.registry import Registry
from surfaces.arms.assigned import Experiments
from surfaces.sources.popular import popular
from surfaces.versions import MODELS
from tests.support.experiments import definition
from tests.surfaces.conftest import NOW
from tests.surfaces.gateway.conftest import NEW_RELEASES


def experiment(tmp_path, world, control, treatment, **parts):
    """Start an experiment of two arms."""
    arms = [{"name": "control", "share": 0.5, "parameters": control}]
    arms.append({"name": "treatment", "share": 0.5, "parameters": treatment})
    Registry(tmp_path / "experiments").start(parse(definition(arms=arms, **parts)), NOW, "me")
    world.experiments = Experiments.running_in(tmp_path / "experiments")


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


def test_next_items_of_an_arm_without_a_model_are_no_fallback(world, tmp_path, answers):
    experiment(tmp_path, world, {}, {"now_playing.off": ["sequence"]})
    pages = answers("/v1/sessions/{user}/next")
    assert {arms_of(logged) for _, logged in pages} == {"control", "treatment"}
    for page, logged in pages:
        assert (page["level"], page["degraded"]) == (0, [])
        assert {one.policy for one in logged} == {"now-playing"}
        assert any(one.propensity < 1 for one in logged)


def test_a_surface_that_does_not_read_what_differs_names_no_arm(world, tmp_path, answers):
    experiment(tmp_path, world, {}, {"home.rows": 4})
    assert {arms_of(logged) for _, logged in answers("/v1/sessions/{user}/next", k=3)} == {None}
    assert {arms_of(logged) for _, logged in answers("/v1/home", k_rows=2)} == {None}  # the request says how many


def test_now_playing_reads_its_own_parameters(world, tmp_path, answers):
    experiment(tmp_path, world, {}, {"now_playing.calibrated": False})
    assert {arms_of(logged) for _, logged in answers("/v1/sessions/{user}/next", k=3)} == {"control", "treatment"}
    assert {arms_of(logged) for _, logged in answers("/v1/home")} == {None}


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("/v1/home", "ranking"),
        ("/v1/home", "sequence"),
        (NEW_RELEASES, "ranking"),
        ("/v1/sessions/{user}/next", "retrieval"),
    ],
)
def test_an_arm_chooses_a_model_version_on_each_surface_that_asks_the_model(world, tmp_path, answers, path, model):
    world.server.others = {(model, "canary"): 2}
    experiment(tmp_path, world, {}, {f"models.{model}": "canary"})
    pages = answers(path)
    assert {(arms_of(logged), logged[0].model_versions[model]) for _, logged in pages} == {
        ("control", 1),
        ("treatment", 2),
    }
    for page, logged in pages:
        assert (page["level"], page["degraded"]) == (0, [])
        assert (
            page["versions"] == logged[0].model_versions == {**dict.fromkeys(MODELS, 1), model: page["versions"][model]}
        )
    assert {version for asked, version in world.server.asked_versions if asked == model} == {1, 2}
    assert {version for asked, version in world.server.asked_versions if asked != model} == {1}


def test_a_version_that_is_not_there_is_said_and_the_page_stays_with_its_arm(world, tmp_path, answers):
    # Without the arm in the log, listeners whose version is missing would leave the treatment alone.
    experiment(tmp_path, world, {}, {"models.ranking": "canary"})
    for page, logged in answers("/v1/home"):
        treated = arms_of(logged) == "treatment"
        assert (page["level"], page["degraded"]) == (0, ["versions"] if treated else [])
        assert logged[0].degraded == (("versions",) if treated else ())
        assert page["versions"] == dict.fromkeys(MODELS, 1)
    assert {arms_of(logged) for _, logged in answers("/v1/home")} == {"control", "treatment"}


@pytest.mark.parametrize("path", ["/v1/home", "/v1/sessions/{user}/next"])
def test_a_version_that_goes_while_a_page_is_made_is_replaced_on_that_page(world, tmp_path, answers, path):
    world.server.others = {("retrieval", "canary"): 2}
    experiment(tmp_path, world, {}, {"models.retrieval": "canary"})
    predict = world.server.predict

    async def unloaded(model, inputs, signature, version, timeout):
        world.server.others.clear()
        return await predict(model, inputs, signature=signature, version=version, timeout=timeout)

    world.server.predict = unloaded
    pages = answers(path)
    assert {(arms_of(logged), page["level"], *page["degraded"]) for page, logged in pages} == {
        ("control", 0),
        ("treatment", 0, "versions"),
    }
    assert {logged[0].model_versions["retrieval"] for _, logged in pages} == {1}


def test_a_surface_that_does_not_ask_the_model_names_no_arm(world, tmp_path, answers):
    world.server.others = {("ranking", "canary"): 2}
    experiment(tmp_path, world, {}, {"models.ranking": "canary"})
    assert {arms_of(logged) for _, logged in answers("/v1/sessions/{user}/next", k=3)} == {None}


def test_a_page_of_a_fallback_names_its_arm(world, tmp_path, answers):
    # If only whole pages did, an arm that breaks pages would lose the listeners whom it harms.
    experiment(tmp_path, world, {}, {"home.off": ["ranking"]})
    world.server.failing = {"server"}
    pages = answers("/v1/home")
    assert {page["level"] for page, _ in pages} == {3}
    assert {arms_of(logged) for _, logged in pages} == {"control", "treatment"}
