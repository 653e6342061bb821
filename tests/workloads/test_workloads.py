"""What a workload adds to the steps that it calls."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.saved.card import CARD, FORMAT
from models.training_config import TrainingConfig
from segue.errors import InputError
from segue.files import write_json
from workloads.infra_validate import sample_requests
from workloads.training.champion import served_champion, warm_champion
from workloads.training.train_retrieval import played_negatives, train_retrieval
from workloads.training_set import encoder_of, lineage, read_part, repeat_share, write_vocabularies

MODELS = ("retrieval", "ranking", "sequence")
MANIFEST = {"dataset": "d", "sha256": "abc", "genres": ["pop"], "content_types": ["music"]}


@pytest.mark.parametrize(
    ("rows", "share"),
    [
        pytest.param([{"item_id": "a", "history_items": ["b", "a", "a"]}], 1.0, id="heard before"),
        pytest.param([{"item_id": "a", "history_items": ["b"]}], 0.0, id="not heard before"),
        pytest.param([{"item_id": "a", "history_items": []}], 0.0, id="nothing heard before"),
        pytest.param(
            [{"item_id": "a", "history_items": ["a"]}, {"item_id": "b", "history_items": ["a"]}], 0.5, id="one of two"
        ),
        pytest.param([{"item_id": "a", "history_items": ["a"], "positive": False}], 0.0, id="no positive"),
    ],
)
def test_the_share_of_repeats_is_of_the_positives(make_table, rows, share):
    assert repeat_share(make_table(*({"positive": True} | row for row in rows))) == share


def card(folder, name: str, dataset: str, form: int = FORMAT, **more):
    """A folder that only has a model's card."""
    write_json(folder / name / CARD, {"dataset": dataset, "format": form, **more})
    return folder / name


@pytest.mark.parametrize(
    ("served", "compares"),
    [
        pytest.param({"retrieval": "ours", "ranking": "ours", "sequence": "ours"}, True, id="of the same data set"),
        pytest.param({"retrieval": "ours", "ranking": "other", "sequence": "ours"}, False, id="one is of another"),
        pytest.param({"retrieval": "other", "ranking": "other", "sequence": "other"}, False, id="all are of another"),
        pytest.param({"retrieval": "ours"}, False, id="only one is served"),
        pytest.param({}, False, id="nothing is served"),
    ],
)
def test_only_models_of_the_same_data_set_compare(tmp_path, served, compares):
    paths = {name: card(tmp_path / "served", name, dataset) for name, dataset in served.items()}
    champion = served_champion(paths, card(tmp_path, "candidate", "ours"))
    assert champion == (paths if compares else None)


def test_a_model_that_knows_other_genres_does_not_compare(tmp_path):
    # It would read pop's shares as rock's, or vectors of a width that it does not take.
    known = {"genres": ["pop", "rock"], "content_types": ["music"]}
    paths = {name: card(tmp_path / "served", name, "ours", **known) for name in MODELS}
    assert served_champion(paths, card(tmp_path, "same", "ours", **known)) == paths
    for genres in (["jazz", "rock"], ["jazz", "pop", "rock"]):
        assert served_champion(paths, card(tmp_path, "other", "ours", **{**known, "genres": genres})) is None


def test_a_model_of_an_older_format_does_not_compare(tmp_path):
    paths = {name: card(tmp_path / "served", name, "ours", FORMAT - 1) for name in MODELS}
    assert served_champion(paths, card(tmp_path, "candidate", "ours")) is None


@pytest.mark.parametrize(
    ("dataset", "form", "starts"),
    [
        pytest.param("ours", FORMAT, True, id="of the same data set"),
        pytest.param("other", FORMAT, False, id="of another"),
        pytest.param("ours", FORMAT - 1, False, id="of an older format"),
    ],
)
def test_only_a_model_of_the_same_data_set_is_started_from(tmp_path, dataset, form, starts):
    write_json(tmp_path / "manifest.json", {"dataset": "ours"})
    path = card(tmp_path / "served", "retrieval", dataset, form)
    assert warm_champion({"retrieval": path}, "retrieval", tmp_path) == (path if starts else None)
    assert warm_champion({}, "retrieval", tmp_path) is None


@pytest.fixture
def training_set(tmp_path, make_table, make_catalogue):
    """A training set of two rows a part: `a` and `b` are known, `c` was never played."""
    parts = make_table({"item_id": "a", "positive": True}, {"item_id": "a", "history_items": ["b"]})
    items = make_catalogue(*({"item_id": item} for item in "abc"))
    tables = dict.fromkeys(("train", "validation", "test"), parts) | dict.fromkeys(
        ("items_at_validation", "items_at_test", "items_now"), items
    )
    content = ["creator_id", "content_type", "language", "duration_s", "genre_weights", "text", "markets"]
    tables["negatives"] = pa.concat_tables([items, items]).drop_columns(content)
    for name, table in tables.items():
        pq.write_table(table, tmp_path / f"{name}.parquet")
    write_json(tmp_path / "manifest.json", MANIFEST | {"split": {}})
    write_vocabularies(tmp_path)
    return tmp_path


def test_what_nobody_played_yet_is_no_negative(training_set):
    found = played_negatives(training_set, encoder_of(training_set))
    assert found["item_id"].to_pylist() == ["a", "b", "a", "b"]


def test_the_encoder_is_of_the_training_span_and_the_newest_catalogue(training_set):
    encoder = encoder_of(training_set)
    assert encoder.axes.tokens["item_id"] == ["a", "b"]
    assert encoder.catalogue.ids.to_pylist() == ["a", "b", "c"]


def test_parts_are_read_in_part_if_so_asked(training_set):
    assert read_part(training_set, "train", ["item_id"]).to_pydict() == {"item_id": ["a", "a"]}
    assert read_part(training_set, "train", ["positive"], rows=1).to_pydict() == {"positive": [True]}


@pytest.mark.parametrize("part", ["train", "validation"])
def test_a_part_without_a_positive_is_an_error(training_set, tmp_path, make_table, part):
    pq.write_table(make_table({"item_id": "a", "positive": False}), training_set / f"{part}.parquet")
    with pytest.raises(InputError, match=f"at least one positive in every part; the {part} part has none"):
        train_retrieval(training_set, "run-1", TrainingConfig(), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_lineage_is_json_and_says_where_a_model_came_from(tmp_path):
    manifest = MANIFEST | {"split": {"start": "2026-01-05"}, "rows": {"train": 1}}
    write_json(tmp_path / "manifest.json", manifest)
    found = json.loads(json.dumps(lineage(tmp_path, "run-1", TrainingConfig(seed=5))))
    assert (found["dataset"], found["sha256"], found["run_id"]) == ("d", "abc", "run-1")
    assert found["split"] == {"start": "2026-01-05"}
    assert (found["genres"], found["content_types"]) == (["pop"], ["music"])
    assert TrainingConfig.from_dict(found["config"]).seed == 5


def test_requests_fit_the_signatures(world, saved_retrieval, saved_ranking, saved_sequence, tmp_path):
    import tensorflow as tf

    from models.saved.saved_model import call

    pq.write_table(world.test, tmp_path / "test.parquet")
    pq.write_table(world.items, tmp_path / "items_now.parquet")
    paths = dict(zip(MODELS, (saved_retrieval, saved_ranking, saved_sequence), strict=True))
    requests = sample_requests(tmp_path, paths, count=3, seed=0)
    assert {name: len(r) for name, r in requests.items()} == dict.fromkeys(MODELS, 3)
    shapes = {"retrieval": ("scores", 200), "ranking": ("reward", 20), "sequence": ("scores", 200)}
    for name, (output, width) in shapes.items():
        loaded = tf.saved_model.load(str(paths[name]))  # its signatures do not keep it
        assert call(loaded.signatures["serving_default"], requests[name][0])[output].shape == (1, width)
    known = set(world.items["item_id"].to_pylist())
    assert set(requests["ranking"][0]["candidate_ids"][0]) <= known
