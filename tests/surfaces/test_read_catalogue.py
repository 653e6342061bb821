"""The catalogue of a home: its columns, its counts, and what is kept of them."""

from datetime import UTC, date, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from events import schema
from segue.errors import InputError
from segue.files import write_json
from serving.store import model_store
from surfaces.catalogue import NO_DAY
from surfaces.read_catalogue import read_catalogue, read_uncounted

ITEMS = [
    {"item_id": "a", "title": "Air", "creator": "Alma", "creator_id": "c1", "content_type": "music",
     "genres": ["rock", "folk"], "duration_ms": 1000, "release_date": date(1970, 1, 11), "markets": ["SE"]},
    {"item_id": "b", "title": "Bee", "content_type": "podcast"},
]  # fmt: skip
USERS = [{"user_id": "u", "country": "SE"}, {"user_id": "v"}]
PLAYS = [  # user, item, day of March 2026, hour, action
    ("u", "a", 30, 7, "play"),
    ("u", "a", 30, 7, "like"),
    ("v", "a", 29, 8, "play"),
    ("v", "b", 29, 8, "add"),
    ("u", "b", 1, 9, "play"),  # more than 28 days before the newest
    ("u", "b", 30, 7, "skip"),
    ("u", "b", 30, 7, "impression"),
    ("u", "gone", 30, 7, "play"),
]


@pytest.fixture
def home(home):
    """A home with an imported log."""
    (home.data / "events").mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(ITEMS, schema=schema.ITEMS), home.data / "items.parquet")
    pq.write_table(pa.Table.from_pylist(USERS, schema=schema.USERS), home.data / "users.parquet")
    events = [
        {
            "event_id": str(number),
            "user_id": user,
            "item_id": item,
            "ts": datetime(2026, 3, day, hour, tzinfo=UTC),
            "action": action,
        }
        for number, (user, item, day, hour, action) in enumerate(PLAYS)
    ]
    pq.write_table(pa.Table.from_pylist(events, schema=schema.EVENTS), home.data / "events" / "part-0.parquet")
    write_json(home.data / "manifest.json", {"dataset": "d", "sha256": "1"})
    return home


def add_item(home, tmp_path):
    """Serve a retrieval model that the item `c` was added to."""
    folder = tmp_path / "retrieval"
    (folder / "assets.extra").mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"graph")
    write_json(folder / "assets.extra" / "segue.json", {"added": [{"at": "", "items": {"c": "Sea", "a": "Old"}}]})
    model_store.push(home.models, {"retrieval": folder})


def test_columns(home, tmp_path):
    add_item(home, tmp_path)
    catalogue = read_uncounted(home)

    assert catalogue.item_ids.tolist() == ["a", "b", "c", ""]
    assert catalogue.titles.tolist() == ["Air", "Bee", "Sea", ""]
    assert catalogue.creators.tolist() == ["Alma", "", "", ""]
    assert catalogue.genres.tolist() == [("rock", "folk"), (), (), ()]
    assert catalogue.release_days.tolist() == [10, NO_DAY, NO_DAY, NO_DAY]
    assert catalogue.markets.tolist() == [{"SE"}, set(), set(), set()]
    assert catalogue.explicit.tolist() == [False] * 4
    assert catalogue.types == ("music", "podcast")
    assert [catalogue.title(item) for item in ("a", "c", "nothing")] == ["Air", "Sea", "nothing"]
    assert catalogue.rows(["b", "nothing"]).tolist() == [1, -1]


def test_counts(home):
    catalogue = read_catalogue(home)

    assert {market: plays.tolist() for market, plays in catalogue.popularity.items()} == {
        "": [3, 1, 0],
        "SE": [2, 0, 0],
    }
    assert catalogue.popular("SE").tolist() == [0]
    assert catalogue.popular("XX").tolist() == [0, 1]
    assert catalogue.plays_by_hour[7].tolist() == [2, 0]
    assert catalogue.plays_by_hour[8].tolist() == [1, 1]
    assert catalogue.plays_by_hour.shape == (24, 2)
    assert catalogue.similar[0, :2].tolist() == [1, -1]
    assert catalogue.known_markets == {"SE"}


def test_a_column_of_explicit_items_is_read(home):
    table = pq.read_table(home.data / "items.parquet").append_column("explicit", pa.array([True, None]))
    pq.write_table(table, home.data / "items.parquet")
    assert read_uncounted(home).explicit.tolist() == [True, False, False]


def test_the_log_is_read_once_for_an_import(home):
    before = read_catalogue(home)
    for part in (home.data / "events").iterdir():
        part.unlink()
    again = read_catalogue(home)
    assert again.popularity[""].tolist() == before.popularity[""].tolist()

    write_json(home.data / "manifest.json", {"dataset": "d", "sha256": "2"})
    with pytest.raises((pa.ArrowException, FileNotFoundError, ValueError)):
        read_catalogue(home)  # another import is read again


def test_nothing_is_imported(home):
    (home.data / "manifest.json").unlink()
    with pytest.raises(InputError, match="Nothing is imported"):
        read_catalogue(home)
