"""The errors of adding items name the rule, the value that broke it, and a fix."""

import pytest

from events.importers.own.dialects import Dialect
from events.importers.tabular import read_items
from models.saved.card import CARD
from segue.errors import InputError
from segue.files import write_json
from serving.store import model_store
from workloads.add_items import copy_with_items, profiles
from workloads.training_set import MODELS

HEADER = "item_id,title,genres,release_date\n"
MODEL_CARD = {"genres": ["pop", "rock"], "content_types": ["music"]}


@pytest.fixture
def write_items(tmp_path):
    """A function that writes lines to `items.csv` and returns its path."""

    def write(text: str):
        path = tmp_path / "items.csv"
        path.write_text(text)
        return path

    return write


@pytest.mark.parametrize(
    ("text", "headline", "fix"),
    [
        pytest.param(
            HEADER + "1,One,pop,\n2,,pop,\n",
            "items.csv, row 3: title is null",
            "Correct the row or leave it out: either all items are added, or none.",
            id="null",
        ),
        pytest.param(
            HEADER + "1,One,pop,\n1,Two,pop,\n",
            "items.csv, row 3: item_id '1' is a duplicate",
            "Remove the repeated rows",
            id="duplicate",
        ),
        pytest.param(
            HEADER + "1,One,pop,soon\n", "items.csv, row 2: release_date is 'soon'", "Correct the value", id="date"
        ),
        pytest.param("item_id\n1\n", "items.csv: the column 'title' is missing", "Add the column", id="column"),
    ],
)
def test_a_row_that_breaks_a_rule_refuses_the_file(write_items, text, headline, fix):
    with pytest.raises(InputError) as error:
        read_items([write_items(text)], {}, Dialect())
    assert headline in error.value.headline
    assert fix in error.value.fix


def test_a_file_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(InputError) as error:
        read_items([tmp_path / "absent.csv"], {}, Dialect())
    assert str(tmp_path / "absent.csv") in error.value.headline
    assert error.value.fix


def test_items_need_a_served_model(home, tmp_path, write_items):
    with pytest.raises(InputError) as error:
        copy_with_items(home, {}, [write_items(HEADER + "1,One,pop,\n")], None, {}, Dialect(), tmp_path)
    assert error.value.headline == "No version of the model 'retrieval' is served yet."
    assert error.value.fix == "Run `segue run training` first."


def test_the_models_card_must_name_its_genres(write_items):
    items, _ = read_items([write_items(HEADER + "1,One,pop,\n")], {}, Dialect())
    with pytest.raises(InputError) as error:
        profiles(items, {"content_types": ["music"]})
    assert "need the genres of the served models" in error.value.headline
    assert "The models' card names none" in error.value.headline
    assert "segue run training" in error.value.fix


def test_a_file_with_an_error_is_copied_nowhere(home, tmp_path, write_items):
    write_json(tmp_path / "exported" / CARD, MODEL_CARD)
    (tmp_path / "exported" / "saved_model.pb").write_bytes(b"graph")
    model_store.push(home.models, dict.fromkeys(MODELS, tmp_path / "exported"))

    file = write_items(HEADER + "1,One,pop,\n2,,pop,\n")
    with pytest.raises(InputError, match="title is null"):
        copy_with_items(home, {}, [file], None, {}, Dialect(), tmp_path / "copies")

    assert not (tmp_path / "copies").exists()


def test_profiles_have_shares_of_the_models_genres_and_keep_titles(write_items):
    items, _ = read_items([write_items(HEADER + "1,One,rock,\n2,Two,jazz,\n")], {}, Dialect())
    rows = profiles(items, MODEL_CARD).select(["item_id", "title", "genre_weights"]).to_pylist()
    assert rows == [
        {"item_id": "1", "title": "One", "genre_weights": [0.0, 1.0]},
        {"item_id": "2", "title": "Two", "genre_weights": [0.0, 0.0]},  # the models do not know jazz
    ]
