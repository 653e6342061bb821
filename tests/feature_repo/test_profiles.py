"""Profiles of items and listeners."""

from datetime import UTC, date, datetime

import pyarrow as pa
import pytest

from events import schema
from feature_repo.transformations import item_profile, item_vectors, user_profile

GENRES, CONTENT_TYPES = ["rock", "pop"], ["music", "podcast"]
SINCE = datetime(1990, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("genres", "weights"),
    [
        pytest.param("rock", [1, 0], id="one genre"),
        pytest.param("pop,rock", [1 / 2, 1 / 2], id="two genres"),
        pytest.param("rock,polka", [1, 0], id="a genre outside the vocabulary has no weight"),
        pytest.param("polka", [0, 0], id="only genres outside the vocabulary"),
        pytest.param("-", [0, 0], id="unknown"),
    ],
)
def test_genre_weights_sum_to_one_or_zero(make_items, memory, rows, genres, weights):
    vectors = item_vectors(memory(make_items(f"a music {genres} -")), GENRES, CONTENT_TYPES)
    (row,) = rows(vectors, "item_id")
    assert [row["genre_0"], row["genre_1"]] == pytest.approx(weights)


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [("music", [1, 0]), ("podcast", [0, 1]), ("opera", [0, 0]), ("-", [0, 0])],
)
def test_content_type_is_one_hot(make_items, memory, rows, content_type, expected):
    (row,) = rows(item_vectors(memory(make_items(f"a {content_type} rock -")), GENRES, CONTENT_TYPES), "item_id")
    assert [row["type_0"], row["type_1"]] == expected


def test_items_with_and_without_their_optional_columns(memory, rows):
    complete = {
        "item_id": "a", "title": "A", "creator_id": "c1", "content_type": "music", "language": "en",
        "duration_ms": 90_500, "genres": ["pop"], "release_date": date(1970, 1, 3),
    }  # fmt: skip
    items = pa.Table.from_pylist([complete, {"item_id": "b", "title": "B"}], schema=schema.ITEMS)
    full, bare = rows(item_profile(memory(items), GENRES, CONTENT_TYPES, SINCE), "item_id")
    assert full == {
        "item_id": "a", "event_timestamp": SINCE, "creator_id": "c1", "content_type": "music", "language": "en",
        "duration_s": 90.5, "release_ts": 2 * 86_400, "genre_weights": [0.0, 1.0],
    }  # fmt: skip
    assert bare == {
        "item_id": "b", "event_timestamp": SINCE, "creator_id": "", "content_type": "", "language": "",
        "duration_s": 0.0, "release_ts": 0, "genre_weights": [0.0, 0.0],
    }  # fmt: skip


def test_listeners_with_and_without_their_optional_columns(memory, rows):
    users = pa.Table.from_pylist(
        [{"user_id": "u", "country": "SE", "age_band": "25-34", "plan": "free"}, {"user_id": "v"}],
        schema=schema.USERS,
    )
    full, bare = rows(user_profile(memory(users), SINCE), "user_id")
    assert full == {
        "user_id": "u", "event_timestamp": SINCE, "country": "SE", "age_band": "25-34", "plan": "free",
    }  # fmt: skip
    assert bare == {
        "user_id": "v", "event_timestamp": SINCE, "country": "", "age_band": "", "plan": "",
    }  # fmt: skip
