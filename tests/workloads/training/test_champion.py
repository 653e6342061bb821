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


def split(train_end: int, validation_end: int) -> dict[str, str]:
    """A split of a log of January, by days."""
    days = {"start": 1, "train_end": train_end, "validation_end": validation_end, "end": 31}
    return {name: f"2026-01-{day:02d}T00:00:00+00:00" for name, day in days.items()}


@pytest.mark.parametrize(
    ("card", "why_not"),
    [
        pytest.param({}, None, id="of the same data set and split"),
        pytest.param({"split": split(20, 25)}, None, id="of an earlier split"),
        pytest.param({"log": "other"}, "version 3 is of another log", id="of another data set"),
        pytest.param({"format": FORMAT - 1}, "version 3 has another format", id="of an older format"),
        pytest.param(
            {"split": split(25, 28)}, "version 3 was trained or chosen on later days", id="trained on later days"
        ),
        pytest.param(
            {"split": split(24, 29)}, "version 3 was trained or chosen on later days", id="fitted on later days"
        ),
    ],
)
def test_only_a_model_that_saw_nothing_of_the_held_out_spans_is_started_from(tmp_path, card, why_not):
    """If this fails, weights that have learned the validation or the test span are judged there."""
    ours = {"dataset": "plays", "log": "ours", "split": split(24, 28)}
    write_json(tmp_path / "manifest.json", ours)
    version = tmp_path / "retrieval" / "3"
    write_json(version / CARD, {**ours, "format": FORMAT, **card})
    expected = (None, f"none: {why_not}") if why_not else (version, "version 3")
    assert warm_champion({"retrieval": version}, "retrieval", tmp_path) == expected


def test_without_a_served_model_none_is_started_from(tmp_path):
    assert warm_champion({}, "retrieval", tmp_path) == (None, "none: nothing is served")
