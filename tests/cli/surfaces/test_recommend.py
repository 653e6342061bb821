"""`segue recommend`: its options reach the models, and lists are printed as JSON or as a table."""

import json
import re
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from cli.surfaces.recommend import instant, recommend
from segue.errors import InputError
from segue.files import write_json
from serving.store import model_store

MODELS = ("retrieval", "ranking", "sequence")
STRINGS, NUMBERS = {"dtype": "string", "shape": [None, None]}, {"dtype": "float32", "shape": [None, None]}
QUERY_INPUTS = {"history_items": STRINGS, "request_ts": {"dtype": "int64", "shape": [None]}}
SOURCE_INPUTS = QUERY_INPUTS | {"content_types": STRINGS, "market": {"dtype": "string", "shape": [None]}}
RANKING_INPUTS = QUERY_INPUTS | {"candidate_ids": STRINGS, "retrieval_scores": NUMBERS, "sequence_scores": NUMBERS}


class FakeClient:
    """A client of a server that returns the items `a`, `b` and `c`, best first; nobody has played `c` yet."""

    received: ClassVar[dict] = {}  # the inputs of the last call, by model

    def __init__(self, address):
        self.received.clear()

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        pass

    async def status(self, model, label, timeout):
        return {1: {"state": "AVAILABLE", "error": ""}}

    async def metadata(self, model, version, timeout):
        inputs = RANKING_INPUTS if model == "ranking" else SOURCE_INPUTS
        return {"signatures": {"serving_default": {"inputs": inputs}}}

    async def predict(self, model, inputs, **how):
        self.received[model] = {name: values.tolist() for name, values in inputs.items()}
        if model == "sequence":
            return {"item_ids": np.array([[b"b", b""]], object), "scores": np.array([[0.5, -3.4e38]])}
        if model == "retrieval":
            return {"item_ids": np.array([[b"a", b"b", b"c"]], object), "scores": np.array([[3.0, 2.0, 1.0]])}
        scores = {"reward": [0.3, 0.2, 0.1], "play": [0.9, 0.8, 0.7], "uncertainty": [0.0, 0.0, 1.0]}
        return {name: np.array([values]) for name, values in scores.items()}


@pytest.fixture
def home(home, tmp_path):
    """A home with all models; `c` was added to retrieval after the import of `a` and `b`."""
    for model in MODELS:
        (tmp_path / model / "assets.extra").mkdir(parents=True)
        (tmp_path / model / "saved_model.pb").write_bytes(b"graph")
    write_json(tmp_path / "retrieval" / "assets.extra" / "segue.json", {"added": [{"at": "", "items": {"c": "Sea"}}]})
    write_json(tmp_path / "ranking" / "assets.extra" / "segue.json", {"reward": {"play": 1.0, "like": 0.0}})
    model_store.push(home.models, {model: tmp_path / model for model in MODELS})
    home.data.mkdir()
    items = {
        "item_id": ["a", "b"],
        "title": ["Air", "Bee"],
        "creator": ["Alma", None],
        "content_type": ["music", None],
        "genres": [["rock", "folk"], None],
    }
    pq.write_table(pa.table(items), home.data / "items.parquet")
    return home


def listener(newest: datetime) -> SimpleNamespace:
    """A listener as `feature_repo.online.listener` reads them, with a newest interaction at `newest`."""
    features = {"history_items": ["b"], "history_actions": ["like"], "history_times": [1_772_366_000]}
    return SimpleNamespace(newest=newest, features_at=lambda at: features)


@pytest.fixture
def run(home, monkeypatch):
    """Call `segue recommend` with the fake server and a fake online store; the log ends at noon."""
    from cli import cli

    monkeypatch.setenv("SEGUE_HOME", str(home.root))
    monkeypatch.setattr("serving.client.async_client.AsyncClient", FakeClient)
    monkeypatch.setattr("feature_repo.feast_store.open_store", lambda home: None)
    monkeypatch.setattr("feature_repo.online.state", lambda home: {"last_event": "2026-03-01T12:00:00+00:00"})
    monkeypatch.setattr("feature_repo.online.listener", lambda store, user: listener(datetime(1970, 1, 1, tzinfo=UTC)))
    arguments = ("recommend", "--user", "u1", "--server", "nowhere:1")
    return lambda *more: CliRunner().invoke(cli, (*arguments, *more), catch_exceptions=False)


def test_a_known_listener(run):
    answer = json.loads(run("-k", "2", "--json").stdout)

    assert [(i["item_id"], i["title"], i["source"]) for i in answer["recommendations"]["u1"]] == [
        ("a", "Air", ["retrieval"]),
        ("b", "Bee", ["retrieval", "sequence"]),
    ]
    assert FakeClient.received["retrieval"]["history_items"] == [["b"]]


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        pytest.param((), 1_772_373_600, id="a push is later than the log"),
        pytest.param(("--at", "2026-03-01T13:00"), 1_772_370_000, id="--at"),
    ],
)
def test_the_time_of_a_request_is_that_of_the_newest_event(run, monkeypatch, at, expected):
    pushed = listener(datetime(2026, 3, 1, 14, tzinfo=UTC))
    monkeypatch.setattr("feature_repo.online.listener", lambda store, user: pushed)
    assert run("--json", *at).exit_code == 0
    assert FakeClient.received["retrieval"]["request_ts"] == [expected]


def test_picks_make_a_listener_new(run):
    done = run("--pick", "a", "--pick", "c", "--json")

    assert done.exit_code == 0
    assert FakeClient.received["retrieval"]["history_items"] == [["c", "a"]]  # the latest first
    assert FakeClient.received["retrieval"]["request_ts"] == [1_772_366_400]  # 2026-03-01 12:00 UTC
    assert done.stderr == ""


def test_a_new_listener_without_picks_is_noted_on_stderr(run):
    done = run("--new", "--json")

    assert FakeClient.received["retrieval"]["history_items"] == [[""]]
    assert "no features but surface and time" in done.stderr
    assert json.loads(done.stdout)["recommendations"]["u1"]


def test_unknown_picks_are_all_named(run):
    with pytest.raises(InputError, match="not in it: 'x', 'y'"):
        run("--pick", "x", "--pick", "a", "--pick", "y")


def test_filters_reach_the_models(run):
    run("--content-type", "music", "--content-type", "podcast", "--market", "SE")

    assert FakeClient.received["retrieval"]["content_types"] == [["music", "podcast"]]
    assert FakeClient.received["retrieval"]["market"] == ["SE"]


@pytest.mark.parametrize(("budget", "expected"), [((), ["a", "b"]), (("--explore", "0.5"), ["a", "c"])])
def test_the_exploration_budget_reaches_the_slate(run, budget, expected):
    answer = json.loads(run("-k", "2", "--json", *budget).stdout)["recommendations"]["u1"]

    assert [item["item_id"] for item in answer] == expected
    assert [item["explored"] for item in answer] == [item == "c" for item in expected]


def test_a_budget_beyond_half_is_refused(run):
    with pytest.raises(InputError, match=r"0 to 0\.5. Received 0\.9"):
        run("--explore", "0.9")


def test_the_table_shows_where_an_item_came_from(run):
    table = run("-k", "2", "--explore", "0.5").stdout

    assert "Air" in table
    assert "retrieval, explored" in table


def test_the_history_comes_before_the_list(run):
    text = run("-k", "2").stdout
    assert text.index("u1 played lately") < text.index("2026-03-01 11:53") < text.index("For u1 on home")


def test_a_head_without_a_weight_in_the_reward_is_not_shown(run):
    # Such a head had no labels, so its scores mean nothing.
    header = run("-k", "2").stdout.partition("For u1 on home")[2].splitlines()[2]
    assert "play" in header
    assert "like" not in header


def test_the_lists_are_written_as_a_page(run, tmp_path):
    page = tmp_path / "page.html"
    done = run("-k", "2", "--page", str(page))
    text = page.read_text(encoding="utf-8")
    assert str(page) in done.stdout.replace("\n", "")
    assert "Alma · music · rock, folk" in text
    assert "play 90 %" in text


def test_the_page_does_not_disturb_json(run, tmp_path):
    answer = json.loads(run("-k", "2", "--json", "--page", str(tmp_path / "page.html")).stdout)
    assert len(answer["recommendations"]["u1"]) == 2


@pytest.fixture
def card(home):
    """The card of the served retrieval model, with the values that requests may name."""
    card = {"content_types": ["music", "podcast"], "markets": ["NO"], "axes": {"tokens": {"country": ["SE"]}}}
    write_json(home.models / "retrieval" / "1" / "assets.extra" / "segue.json", card)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--surface", "hmoe", "no surface 'hmoe'. Did you mean home?"),
        ("--surface", "now-playing", "no surface 'now-playing'. Did you mean now_playing?"),
        ("--surface", "", "no surface ''. Known are: home"),
        ("--content-type", "podcst", "no content type 'podcst'. Did you mean podcast?"),
        ("--content-type", "Music", "no content type 'Music'. Did you mean music?"),
        ("--market", "Sweden", "no market 'Sweden'. Known are: NO, SE."),
        ("--market", "se", "no market 'se'. Did you mean SE?"),
        ("--market", "", "no market ''. Known are: NO, SE."),
    ],
)
def test_a_value_that_is_not_known_is_refused(run, card, option, value, message):
    with pytest.raises(InputError, match=re.escape(message)):
        run(option, value)


@pytest.mark.parametrize(
    "arguments", [("--surface", "search"), ("--content-type", "podcast"), ("--market", "NO"), ("--market", "SE")]
)
def test_known_values_are_answered(run, card, arguments):
    assert run(*arguments).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--at", "2000-01-01"), "no item of the served models is released by 2000-01-01 00:00 UTC."),
        (("--content-type", "music"), "is of the type music, and released by 2026-03-01 12:00 UTC."),
        (
            ("--market", "NO", "--content-type", "music", "--content-type", "podcast"),
            "is of the type music or podcast, and available in NO, and released by 2026-03-01 12:00 UTC.",
        ),
    ],
)
def test_an_empty_list_says_why_it_is_empty(run, card, monkeypatch, arguments, reason):
    async def nothing(client, model, inputs, **how):
        rows = len(inputs["request_ts"])
        return {"item_ids": np.full((rows, 1), b"", object), "scores": np.full((rows, 1), -3.4e38)}

    monkeypatch.setattr(FakeClient, "predict", nothing)

    done = run(*arguments)
    assert done.exit_code == 0
    assert done.stderr == f"The list for u1 is empty: {done.stderr.partition(': ')[2]}"
    assert done.stderr.endswith(f"{reason}\n")
    assert "For u1 on" not in done.stdout
    assert json.loads(run(*arguments, "--json").stdout)["recommendations"] == {"u1": []}


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:8500", "localhost", "127.0.0.1:", ":8500", "a:b", "a:70000", "a b:1"]
)
@pytest.mark.parametrize("command", [("recommend", "--user", "u1"), ("models", "promote"), ("models", "rollback")])
def test_the_form_of_a_servers_address_is_checked_at_once(home, monkeypatch, command, address):
    from cli import cli

    monkeypatch.setenv("SEGUE_HOME", str(home.root))
    with pytest.raises(InputError, match=rf"HOST:PORT or unix:PATH. Received {re.escape(repr(address))}"):
        CliRunner().invoke(cli, (*command, "--server", address), catch_exceptions=False)


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01", "0001-01-01T00:00+14:00", "9999-12-31T23:00-10:00", ""])
def test_a_time_that_is_none_is_refused(text):
    with pytest.raises(InputError, match="ISO 8601"):
        instant(text)


@pytest.mark.parametrize("arguments", [(), ("--new",), ("--pick", "a"), ("--at", "2026-03-01"), ("--user", "u2")])
def test_an_online_store_that_no_run_has_filled_is_named(home, monkeypatch, arguments):
    monkeypatch.setenv("SEGUE_HOME", str(home.root))
    with pytest.raises(InputError, match="No features are online yet"):
        CliRunner().invoke(recommend, ("--user", "u1", *arguments), catch_exceptions=False)


def test_neither_a_history_nor_a_list(run, monkeypatch):
    unknown_then = SimpleNamespace(newest=datetime(1970, 1, 1, tzinfo=UTC), features_at=lambda at: {})
    monkeypatch.setattr("feature_repo.online.listener", lambda store, user: unknown_then)
    none = {"item_ids": np.full((1, 1), b"", object), "scores": np.full((1, 1), -3.4e38)}

    async def nothing(client, model, inputs, **how):
        return {name: values.repeat(len(inputs["request_ts"]), 0) for name, values in none.items()}

    monkeypatch.setattr(FakeClient, "predict", nothing)
    done = run("--at", "2000-01-01")
    assert done.exit_code == 0
    assert "released by 2000-01-01 00:00 UTC" in done.stderr
