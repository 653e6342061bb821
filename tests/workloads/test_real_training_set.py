"""From a log through Feast to blessed models; hand-made tables have the columns of real training sets."""

import warnings
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest

from events.dataset import write
from events.importers.synthetic import WorldConfig, generate
from events.ingest import ingest
from models.ranking.model import CHOICE
from models.sequence.codes import CODES, Codebook
from models.training_config import Limits, RankingConfig, RetrievalConfig, SequenceConfig, TrainingConfig
from workloads.evaluate import evaluate
from workloads.make_training_set import make
from workloads.training.train_ranking import train_ranking
from workloads.training.train_retrieval import train_retrieval
from workloads.training.train_sequence import train_sequence

pytestmark = pytest.mark.slow

CONFIG = TrainingConfig(
    retrieval=RetrievalConfig(dim=16, batch_size=256, learning_rate=0.01, epochs=6),
    ranking=RankingConfig(dim=16, batch_size=256, learning_rate=0.005, epochs=4),
    sequence=SequenceConfig(dim=16, blocks=1, length=50, epochs=2),
    limits=Limits(recall_gain=-0.1),  # 100 of 300 items is too easy a list to tell models apart
)


@pytest.fixture(scope="module")
def training_set(tmp_path_factory):
    """The training set of a synthetic world, made by the steps of a run."""
    from feature_repo.build import build
    from segue.settings import Home

    root = tmp_path_factory.mktemp("run")
    home = Home(root / "home")
    write(home.data, generate(WorldConfig("tiny", users=250, items=300, days=35, sessions=0.18), seed=0))
    ingest(home.data, root / "ingested", CONFIG.split)
    build(root / "ingested", root / "tables")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        make(root / "ingested", root / "tables", root / "training")
    return root / "training"


@pytest.fixture(scope="module")
def models(training_set, tmp_path_factory):
    """The SavedModels of all models, trained by the steps of a run, and the result of training ranking."""
    out = tmp_path_factory.mktemp("models")
    train_retrieval(training_set, "run-1", CONFIG, out / "retrieval")
    train_sequence(training_set, "run-1", CONFIG, out / "sequence")
    sources = {name: out / name for name in ("retrieval", "sequence")}
    ranking_result = train_ranking(training_set, sources, "run-1", CONFIG, out / "ranking")
    return {**sources, "ranking": out / "ranking"}, ranking_result


def test_hand_made_tables_have_the_real_ones_columns(training_set, make_table, make_catalogue):
    for name, table in (("train", make_table({})), ("items_now", make_catalogue({}))):
        schema = pq.read_schema(training_set / f"{name}.parquet")
        types = {field.name: field.type for field in schema}
        assert types == {field.name: field.type for field in table.schema}, name


@pytest.fixture(scope="module")
def evaluation(models, training_set, tmp_path_factory):
    """The evaluation of all models, with themselves as the champion."""
    saved, _ = models
    out = tmp_path_factory.mktemp("evaluation")
    return evaluate(training_set, saved, saved, CONFIG, out / "tfma", out / "window.parquet")


def test_a_candidate_learns_something_and_is_judged(evaluation):
    recall = evaluation["retrieval"]["models"]
    assert recall["candidate"]["ndcg_at_10"] > recall["popularity"]["ndcg_at_10"]
    ranking = evaluation["ranking"]
    assert ranking["candidate"]["play"]["auc_low"] > 0.55
    assert ranking["candidate"] == ranking["champion"]
    # The slice analysis reads the same predictions, and approximates the AUC by 10,000 thresholds.
    overall = evaluation["analysis"]["slices"]["overall"]
    assert overall["auc"] == pytest.approx(ranking["candidate"]["play"]["auc"], abs=0.005)
    assert len(evaluation["verdict"]["figures"]["checks"]) == 5
    assert evaluation["verdict"]["passed"], evaluation["verdict"]["reason"]


def test_the_evaluation_has_the_gain_of_each_use_of_the_sequence_model(models, evaluation):
    _, ranking_result = models
    feature = ranking_result["choice"]["sequence_ndcg_at_10"]
    assert feature["low"] <= feature["mean"] <= feature["high"]
    retrieval = evaluation["retrieval"]
    assert set(retrieval["models"]) == {"popularity", "candidate", "champion", "sequence", "champion_sequence"}
    assert retrieval["models"]["sequence"]["recall_at_100"] > 0.4  # a random list of 100 holds a third of the 300 items
    for gain in retrieval["sequence_as_a_source"].values():
        assert gain["low"] <= gain["mean"] <= gain["high"]


def test_a_choice_head_without_a_weight_is_not_fitted(models, training_set, tmp_path):
    saved, _ = models
    without = replace(CONFIG.ranking, epochs=1, reward={**CONFIG.ranking.reward, CHOICE: 0.0})
    sources = {name: saved[name] for name in ("retrieval", "sequence")}
    result = train_ranking(training_set, sources, "run-3", replace(CONFIG, ranking=without), tmp_path / "ranking")
    assert result["choice"] == {}
    assert result["reward"][CHOICE] == 0


def test_retrained_from_a_champion_items_keep_their_codes(models, training_set, tmp_path):
    saved, _ = models
    short = replace(CONFIG, sequence=replace(CONFIG.sequence, epochs=1))  # codes do not depend on the epochs
    train_sequence(training_set, "run-2", short, tmp_path / "sequence", champion=saved["sequence"])
    before, after = (Codebook.read(path / CODES) for path in (saved["sequence"], tmp_path / "sequence"))
    assert after.ids == before.ids
    np.testing.assert_array_equal(after.codes, before.codes)
