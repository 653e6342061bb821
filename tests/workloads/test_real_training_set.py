"""From a log through Feast to blessed models: the hand-made tables here are the real ones' likes."""

import warnings

import numpy as np
import pyarrow.parquet as pq
import pytest

from events.dataset import write
from events.importers.synthetic import WorldConfig, generate
from events.ingest import ingest
from models.sequence.codes import Codebook
from models.sequence.export import CODES
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
    sequence=SequenceConfig(dim=16, blocks=1, length=50, epochs=4),
    limits=Limits(recall_gain=-0.1),  # a hundred of three hundred items is too easy to tell models apart
)


@pytest.fixture(scope="module")
def training_set(tmp_path_factory):
    """A synthetic world's training set, as a run makes it."""
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
    """All models, trained as a run does."""
    out = tmp_path_factory.mktemp("models")
    train_retrieval(training_set, "run-1", CONFIG, out / "retrieval")
    train_sequence(training_set, "run-1", CONFIG, out / "sequence")
    sources = {name: out / name for name in ("retrieval", "sequence")}
    ranked = train_ranking(training_set, sources, "run-1", CONFIG, out / "ranking")
    return {**sources, "ranking": out / "ranking"}, ranked


def test_hand_made_tables_have_the_real_ones_columns(training_set, make_table, make_catalogue):
    for name, made in (("train", make_table({})), ("items_now", make_catalogue({}))):
        real = pq.read_schema(training_set / f"{name}.parquet")
        types = {field.name: field.type for field in real}
        assert types == {field.name: field.type for field in made.schema}, name


def test_a_candidate_learns_something_and_is_judged(models, training_set, tmp_path):
    models, _ = models
    found = evaluate(training_set, models, models, CONFIG, tmp_path / "analysis", tmp_path / "window.parquet")
    recall = found["retrieval"]["models"]
    assert recall["candidate"]["ndcg_at_10"] > recall["popularity"]["ndcg_at_10"]
    assert found["ranking"]["candidate"]["play"]["auc_low"] > 0.55
    assert found["ranking"]["candidate"] == found["ranking"]["champion"]
    # The analysis of the slices sees the same predictions: its AUC is an approximation by 10,000 thresholds.
    assert found["analysis"]["slices"]["overall"]["auc"] == pytest.approx(
        found["ranking"]["candidate"]["play"]["auc"], abs=0.005
    )
    assert len(found["verdict"]["figures"]["checks"]) == 5
    assert found["verdict"]["passed"], found["verdict"]["reason"]


def test_what_each_use_of_the_sequence_model_is_worth_is_told(models, training_set, tmp_path):
    saved, ranked = models
    feature = ranked["choice"]["sequence_ndcg_at_10"]
    assert feature["low"] <= feature["mean"] <= feature["high"]
    found = evaluate(training_set, saved, None, CONFIG, tmp_path / "analysis", tmp_path / "window.parquet")["retrieval"]
    assert set(found["models"]) == {"popularity", "candidate", "sequence"}
    assert found["models"]["sequence"]["recall_at_100"] > 0.4  # a random list of 100 holds a third of the 300 items
    for gain in found["sequence_as_a_source"].values():
        assert gain["low"] <= gain["mean"] <= gain["high"]


def test_retrained_from_a_champion_items_keep_their_codes(models, training_set, tmp_path):
    saved, _ = models
    train_sequence(training_set, "run-2", CONFIG, tmp_path / "sequence", champion=saved["sequence"])
    before, after = (Codebook.read(path / CODES) for path in (saved["sequence"], tmp_path / "sequence"))
    assert after.ids == before.ids
    np.testing.assert_array_equal(after.codes, before.codes)
