"""`segue models add-items`: a file of items becomes a new version, or an error that changes nothing."""

import json
import shutil
from getpass import getuser
from pathlib import Path

import pytest
from click.testing import CliRunner

from models.saved.card import CARD
from segue.errors import InputError, UnavailableError
from segue.files import read_json, write_json
from serving.store import model_store

MODELS = ("retrieval", "ranking", "sequence")


def segue(*arguments):
    """Run a command in this process."""
    from cli import cli

    return CliRunner().invoke(cli, arguments, catch_exceptions=False)


ITEMS = "item_id,title,genres,release_date\n007,Bond,pop|rock,2026-03-01\n08,Eight,jazz,\n"


@pytest.fixture
def home(home, tmp_path):
    """A home with version 1 of all models, which know the genres pop and rock."""
    (tmp_path / "exported").mkdir()
    (tmp_path / "exported" / "saved_model.pb").write_bytes(b"graph")
    write_json(tmp_path / "exported" / CARD, {"genres": ["pop", "rock"], "content_types": ["music"]})
    model_store.push(home.models, dict.fromkeys(MODELS, tmp_path / "exported"))
    write_json(home.features / "online.json", {"last_event": "2026-03-01T12:00:00+00:00"})
    return home


@pytest.fixture
def arguments():
    """The arguments of the last call of `models.saved.added_items.add_items`; `versions` has those of all calls."""
    return {"versions": []}


@pytest.fixture
def run(home, arguments, tmp_path, monkeypatch):
    """A function that adds the items of a CSV file; a stand-in writes the models' new versions."""
    from cli import cli
    from models.saved import added_items

    def add_items(saved_models, items, at, out):
        arguments.update(saved=saved_models, items=items.to_pylist(), at=at)
        arguments["versions"].append({model: int(path.name) for model, path in saved_models.items()})
        for path in out.values():
            path.mkdir()
            write_json(path / CARD, read_json(saved_models["ranking"] / CARD))
            (path / "saved_model.pb").write_bytes(b"graph with items")
        return {"added": ["007"], "updated": ["08"], "free": 10 - len(arguments["versions"])}

    monkeypatch.setenv("SEGUE_HOME", str(home.root))
    monkeypatch.setattr(added_items, "add_items", add_items)
    file = tmp_path / "items.csv"

    def invoke(text: str, *more: str):
        file.write_text(text)
        return CliRunner().invoke(cli, ("models", "add-items", "--items", str(file), *more), catch_exceptions=False)

    return invoke


def test_items_become_a_stable_version(run, home, arguments):
    answer = json.loads(run(ITEMS, "--json").stdout)

    assert answer == {"version": 2, "candidate": None, "added": ["007"], "updated": ["08"], "free": 9, "notes": []}
    assert model_store.labels(home.models) == {model: {"stable": 2} for model in MODELS}
    assert arguments["saved"] == {model: Path(home.models) / model / "1" for model in MODELS}
    assert arguments["at"].isoformat() == "2026-03-01T12:00:00+00:00"
    bond, eight = arguments["items"]
    assert (bond["item_id"], bond["title"], bond["genre_weights"]) == ("007", "Bond", [0.5, 0.5])
    assert (bond["release_ts"], eight["release_ts"]) == (1_772_323_200, 0)  # 2026-03-01 00:00 UTC
    assert (eight["genre_weights"], eight["markets"]) == ([0.0, 0.0], None)


def test_the_text_output(run, arguments):
    output = run(ITEMS, "--at", "2026-04-01").output

    assert "stable is version 2: 1 items added, 1 replaced" in output
    assert "room for 9 more" in output
    assert arguments["at"].isoformat() == "2026-04-01T00:00:00+00:00"


@pytest.mark.parametrize(
    ("text", "options", "notes"),
    [
        pytest.param(ITEMS.replace(",", ";"), (), [], id="separator"),
        pytest.param(ITEMS.replace(",", "^"), ("--separator", "^"), [], id="separator given"),
        pytest.param(
            ITEMS.replace("title", "name"), ("--map", "title=name"), ["items: name -> title"], id="another name"
        ),
        pytest.param(
            ITEMS.replace("item_id", "id"), ("--map", "items.item_id=id"), ["items: id -> item_id"], id="of the table"
        ),
        pytest.param(
            ITEMS.replace("pop|rock", "pop;rock"),
            (),
            ["genres: lists are separated by `;`: 1 of 2 values have one, none has a `|`"],
            id="lists",
        ),
    ],
)
def test_the_file_is_read_as_by_an_import(run, arguments, text, options, notes):
    output = run(text, *options).output
    assert [line for line in output.splitlines() if line.startswith("Mapped: ")] == [
        f"Mapped: {note}" for note in notes
    ]
    bond, _ = arguments["items"]
    assert (bond["item_id"], bond["title"], bond["genre_weights"]) == ("007", "Bond", [0.5, 0.5])


def test_a_missing_column_is_named_with_an_option_that_the_command_has(run):
    with pytest.raises(InputError, match="the column 'title' is missing") as refused:
        run(ITEMS.replace("title", "name"))
    assert "--map items.title=name" in refused.value.fix


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (ITEMS + "09,,,\n", "items.csv, row 4: title is null"),
        (ITEMS + "007,Again,,\n", "row 4: item_id '007' is a duplicate"),
        ("item_id\n1\n", "the column 'title' is missing"),
        (ITEMS + "09,Nine,,soon\n", "row 4: release_date is 'soon'"),
    ],
)
def test_a_row_that_breaks_a_rule_refuses_the_file(run, home, text, rule):
    with pytest.raises(InputError, match=rule):
        run(text)

    assert model_store.labels(home.models)["retrieval"] == {"stable": 1}


def test_models_that_do_not_name_their_genres_take_no_items(run, home):
    write_json(Path(home.models) / "retrieval" / "1" / CARD, {})
    with pytest.raises(InputError, match="card names none"):
        run(ITEMS)


def test_a_candidate_gets_the_items_too(run, home, arguments):
    model_store.push(home.models, {"ranking": home.models / "ranking" / "1"}, label="canary")
    answer = json.loads(run(ITEMS, "--json").stdout)

    assert (answer["version"], answer["candidate"], answer["free"]) == (3, 4, 8)
    assert arguments["versions"] == [dict.fromkeys(MODELS, 1), {**dict.fromkeys(MODELS, 1), "ranking": 2}]
    assert model_store.labels(home.models) == {
        "retrieval": {"stable": 3},
        "sequence": {"stable": 3},
        "ranking": {"stable": 3, "canary": 4},
    }


def test_a_roll_out_goes_on_with_the_items(run, home):
    from rollout.state_file import read

    model_store.push(home.models, {model: home.models / model / "1" for model in MODELS}, label="canary")
    assert segue("rollout", "start").exit_code == 0
    assert "stable is version 3, the candidate version 4: 1 items added" in run(ITEMS).output

    rollout = read(home.models).rollout
    assert (rollout.number, rollout.phase) == (1, "running")
    assert rollout.candidate == dict.fromkeys(MODELS, 4)
    assert model_store.labels(home.models)["ranking"] == {"stable": 3, "canary": 4, "replaced": 2}
    history = segue("rollout", "history").output
    assert f"add items, share 0%, by {getuser()}: 1 items added, 1 replaced: ranking 4, retrieval 4" in history
    assert segue("rollout", "look").exit_code == 0
    assert model_store.labels(home.models)["ranking"] == {"stable": 3, "canary": 4, "replaced": 2}


def test_while_labels_go_back_only_what_is_stable_gets_items(run, home):
    model_store.push(home.models, {model: home.models / model / "1" for model in MODELS}, label="canary")
    segue("rollout", "start")
    segue("models", "rollback")
    assert json.loads(run(ITEMS, "--json").stdout)["candidate"] is None
    assert model_store.labels(home.models)["ranking"] == {"stable": 3, "canary": 3, "draining": 2}


def test_a_version_that_became_stable_meanwhile_is_kept(run, home, tmp_path, monkeypatch):
    from models.saved import added_items

    def push_another_version(saved_models, items, at, out):
        model_store.push(home.models, dict.fromkeys(MODELS, tmp_path / "exported"))
        for path in out.values():
            shutil.copytree(tmp_path / "exported", path)
        return {"added": [], "updated": [], "free": 0}

    monkeypatch.setattr(added_items, "add_items", push_another_version)

    with pytest.raises(UnavailableError, match="Other versions became so"):
        run(ITEMS)

    assert model_store.labels(home.models)["ranking"] == {"stable": 2}


def test_without_served_models_nothing_is_read(home, tmp_path, monkeypatch):
    from cli import cli

    monkeypatch.setenv("SEGUE_HOME", str(tmp_path / "empty"))

    with pytest.raises(InputError, match="No version of the model 'retrieval'"):
        CliRunner().invoke(cli, ("models", "add-items", "--items", "absent.csv"), catch_exceptions=False)
