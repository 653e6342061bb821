"""The choice of the served models that a candidate starts from or is compared with."""

import pytest

from models.saved.card import CARD, FORMAT
from segue.files import write_json
from workloads.training.champion import served_champion, warm_champion
from workloads.training_set import MODELS


def model_with_card(folder, name: str, dataset: str, form: int = FORMAT, **more):
    """Make a model's folder that holds only its card."""
    write_json(folder / name / CARD, {"dataset": "plays", "log": dataset, "format": form, **more})
    return folder / name


@pytest.mark.parametrize(
    ("served", "compares"),
    [
        pytest.param({"retrieval": "ours", "ranking": "ours", "sequence": "ours"}, True, id="of the same data set"),
        pytest.param(
            {"retrieval": "ours", "ranking": "other", "sequence": "ours"}, False, id="one model is of another"
        ),
        pytest.param({"retrieval": "other", "ranking": "other", "sequence": "other"}, False, id="all are of another"),
        pytest.param({"retrieval": "ours"}, False, id="only one is served"),
        pytest.param({}, False, id="nothing is served"),
    ],
)
def test_only_models_of_the_same_data_set_compare(tmp_path, served, compares):
    paths = {name: model_with_card(tmp_path / "served", name, dataset) for name, dataset in served.items()}
    champion = served_champion(paths, model_with_card(tmp_path, "candidate", "ours"))
    assert champion == (paths if compares else None)


def test_a_model_that_knows_other_genres_does_not_compare(tmp_path):
    # Such a model would read the share of pop as that of rock, or would get vectors of the wrong width.
    vocabulary = {"genres": ["pop", "rock"], "content_types": ["music"]}
    paths = {name: model_with_card(tmp_path / "served", name, "ours", **vocabulary) for name in MODELS}
    assert served_champion(paths, model_with_card(tmp_path, "same", "ours", **vocabulary)) == paths
    for genres in (["jazz", "rock"], ["jazz", "pop", "rock"]):
        other = model_with_card(tmp_path, "other", "ours", **{**vocabulary, "genres": genres})
        assert served_champion(paths, other) is None


def test_a_model_of_an_older_format_does_not_compare(tmp_path):
    paths = {name: model_with_card(tmp_path / "served", name, "ours", FORMAT - 1) for name in MODELS}
    assert served_champion(paths, model_with_card(tmp_path, "candidate", "ours")) is None


@pytest.mark.parametrize(
    ("dataset", "form", "starts"),
    [
        pytest.param("ours", FORMAT, True, id="of the same data set"),
        pytest.param("other", FORMAT, False, id="of another"),
        pytest.param("ours", FORMAT - 1, False, id="of an older format"),
    ],
)
def test_only_a_model_of_the_same_data_set_is_started_from(tmp_path, dataset, form, starts):
    write_json(tmp_path / "manifest.json", {"dataset": "plays", "log": "ours"})
    path = model_with_card(tmp_path / "served", "retrieval", dataset, form)
    assert warm_champion({"retrieval": path}, "retrieval", tmp_path) == (path if starts else None)
    assert warm_champion({}, "retrieval", tmp_path) is None
