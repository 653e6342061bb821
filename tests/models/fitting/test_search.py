"""Random search: the plan of trials, the objective, and the choice of the best trial."""

from dataclasses import asdict
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest

from models.fitting.search import best_configuration, choose, configured, plan, summary, typed
from models.training_config import TrainingConfig
from segue.errors import InputError
from tests.models.conftest import NOON
from workloads.search.objective import objective

BOTH = {"learning_rate": [1e-4, 1e-2], "dim": [32, 64, 128]}


def searching(space: dict | None = None, **search) -> TrainingConfig:
    return TrainingConfig.from_dict({"search": {"space": space or {}, **search}})


def test_the_first_trial_is_the_runs_own_configuration():
    config = TrainingConfig.from_dict({"retrieval": {"dim": 48}, "search": {"space": BOTH}})
    assert plan(config, seed=0)[0] == {"learning_rate": config.retrieval.learning_rate, "dim": 48}


def test_trials_are_distinct_and_follow_from_the_seed():
    config = searching(BOTH, trials=20)
    trials = plan(config, seed=3)
    assert len({str(trial) for trial in trials}) == 20
    assert plan(config, seed=3) == trials
    assert plan(config, seed=4)[1:] != trials[1:]


def test_more_trials_begin_with_the_fewer():
    assert plan(searching(BOTH, trials=9), seed=1)[:4] == plan(searching(BOTH, trials=4), seed=1)


def test_a_range_is_drawn_log_uniformly():
    # Half of the draws between 1e-4 and 1e-2 lie below 1e-3; of uniform draws it would be one in eleven.
    rates = [trial["learning_rate"] for trial in plan(searching({"learning_rate": [1e-4, 1e-2]}, trials=401), 0)[1:]]
    assert min(rates) >= 1e-4
    assert max(rates) <= 1e-2
    assert np.mean(np.array(rates) < 1e-3) == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize(
    ("space", "trials"),
    [
        ({"dim": [64, 128]}, [64, 128]),  # the run's own 64 is among the choices
        ({"dim": [32, 128]}, [64, 32, 128]),  # the run's own 64 is added to the choices
        ({"dim": [64.0, 128.0]}, [64, 128]),  # two floats are no range for an integer setting
        ({"dim": [64, 128, 128]}, [64, 128]),
    ],
    ids=["own among the choices", "own added", "floats of a pipeline parameter", "a choice named twice"],
)
def test_a_space_of_choices_ends(space, trials):
    planned = [trial["dim"] for trial in plan(searching(space, trials=50), seed=0)]
    assert planned[0] == 64
    assert sorted(planned) == sorted(trials)
    assert all(isinstance(dim, int) for dim in planned)


def test_three_floats_are_choices():
    rates = {trial["learning_rate"] for trial in plan(searching({"learning_rate": [0.1, 0.2, 0.3]}, trials=9), 0)}
    assert rates == {TrainingConfig().retrieval.learning_rate, 0.1, 0.2, 0.3}


@pytest.mark.parametrize("model", ["retrieval", "ranking"])
def test_without_a_space_the_learning_rate_and_the_width_are_searched(model):
    assert all(set(trial) == {"learning_rate", "dim"} for trial in plan(searching(model=model), seed=0))


@pytest.mark.parametrize(
    ("search", "says"),
    [
        ({"space": {"width": [1, 2]}}, "no setting 'search.space.width'"),
        ({"space": {"dim": [64, 0]}}, "search.space.dim must be greater than or equal to 1. Received 0"),
        ({"space": {"reward": [{"play": 1}]}}, "no setting 'reward' of retrieval"),
        ({"space": {"dim": 3}}, "search.space.dim must be a valid list. Received 3"),
        ({"space": {"dim": ["wide"]}}, "search.space.dim must be a valid integer. Received 'wide'"),
        ({"space": {"learning_rate": [0.1, 0.01]}}, "needs 1e-09 <= low < high"),
        ({"space": {"learning_rate": [1e-12, 0.01]}}, "needs 1e-09 <= low < high"),
        ({"space": {"minutes": [0, 5]}}, "needs 1e-09 <= low < high"),
        ({"space": {"minutes": [1.0, 1.0]}, "model": "ranking"}, "needs 1e-09 <= low < high"),
        ({"space": {"learning_rate": [0.001, 0.0010000000000000002]}}, "needs 1e-09 <= low < high"),  # two numbers
        ({"space": {"learning_rate": [0, 0.01]}}, "search.space.learning_rate must be greater than 0. Received 0"),
        ({"model": "sequence"}, "search.model must be 'retrieval' or 'ranking'. Received 'sequence'"),
        ({"trials": 0}, "search.trials must be greater than or equal to 1. Received 0"),
    ],
)
def test_a_wrong_search_names_its_setting_and_the_rule(search, says):
    with pytest.raises(InputError) as error:
        plan(TrainingConfig.from_dict({"search": search}), seed=0)
    assert says in error.value.headline
    assert error.value.fix


def test_a_setting_of_another_model_lists_the_searched_models_settings():
    with pytest.raises(InputError) as error:
        plan(searching({"reward": [{"play": 1}]}), seed=0)
    assert "dim, batch_size, learning_rate, epochs" in error.value.fix
    assert "reward" not in error.value.fix


def test_a_trial_changes_only_the_searched_model():
    config = searching(BOTH)
    trial = configured(config, {"dim": 8.0})
    assert trial.retrieval.dim == 8
    assert {**asdict(trial), "retrieval": None} == {**asdict(config), "retrieval": None}
    assert typed(config, {"dim": 8.0, "learning_rate": 1.0}) == {"dim": 8, "learning_rate": 1.0}


@pytest.mark.parametrize(
    ("objectives", "best"),
    [([0.1, 0.3, 0.2], 1), ([0.2, 0.3, 0.3], 1), ([0.3, 0.3, 0.3], 0)],
    ids=["highest", "earlier of two equals", "all equal"],
)
@pytest.mark.parametrize("order", [1, -1], ids=["in order", "reversed"])
def test_the_best_trial_is_the_earliest_of_the_highest(objectives, best, order):
    results = [{"trial": n, "objective": figure} for n, figure in enumerate(objectives)]
    assert choose(results[::order])["trial"] == best


def test_a_summary_has_the_trials_in_order_and_the_settings_in_their_types():
    results = [
        {"trial": 1.0, "values": {"dim": 32.0}, "metric": "recall_at_100", "objective": 0.5},
        {"trial": 0.0, "values": {"dim": 64.0}, "metric": "recall_at_100", "objective": 0.25},
    ]
    report = summary(searching({"dim": [32, 64]}), results)
    assert report["trials"] == [
        {"trial": 0, "values": {"dim": 64}, "objective": 0.25},
        {"trial": 1, "values": {"dim": 32}, "objective": 0.5},
    ]
    assert report["best"] == report["trials"][1]
    assert (report["model"], report["metric"], report["seed"]) == ("retrieval", "recall_at_100", 0)


def test_the_best_configuration_trains_with_the_best_settings():
    config = TrainingConfig.from_dict({"seed": 7, "search": {"space": BOTH, "trials": 3}})
    best = best_configuration(config, {"dim": 32})
    assert "search" not in best
    read = TrainingConfig.from_dict(best)
    assert (read.seed, read.retrieval.dim, read.ranking) == (7, 32, config.ranking)


def test_retrieval_is_judged_by_recall_of_the_positives(saved_retrieval, world):
    # A list of 100 holds all 20 items but i0 to i9, which are not released yet.
    future = int((NOON + timedelta(days=999)).timestamp())
    late = [item in {f"i{n}" for n in range(10)} for item in world.items["item_id"].to_pylist()]
    release = pa.array([future if x else 0 for x in late])
    items = world.items.set_column(world.items.schema.get_field_index("release_ts"), "release_ts", release)
    positives = world.validation.filter(world.validation["positive"])["item_id"].to_pylist()
    expected = np.mean([int(item[1:]) >= 10 for item in positives])
    assert 0 < expected < 1
    assert objective("retrieval", saved_retrieval, world.validation, items, 0) == (
        "recall_at_100",
        pytest.approx(expected),
    )


def test_ranking_is_judged_by_the_auc_of_play(saved_ranking, world):
    from models.evaluation.held_out import predict_ranking

    scores = predict_ranking(saved_ranking, world.validation)["play"]
    labels = np.array(world.validation["label_play"].to_pylist())
    difference = scores[labels == 1][:, None] - scores[labels == 0][None, :]  # [played, not played]
    expected = ((difference > 0) + (difference == 0) / 2).mean()
    name, figure = objective("ranking", saved_ranking, world.validation, world.items, 0)
    assert name == "auc_play"
    assert figure == pytest.approx(expected)


def test_labels_of_one_kind_cannot_judge_ranking(saved_ranking, world):
    played = world.validation.filter(np.array(world.validation["label_play"].to_pylist()) == 1)
    with pytest.raises(InputError, match="1 for some events and 0 for others"):
        objective("ranking", saved_ranking, played, world.items, 0)
