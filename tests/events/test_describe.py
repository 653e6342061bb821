"""The description of a data set, compared with figures counted by hand."""

import pytest

from events import dataset
from events.describe import describe, recent_interactions
from segue.errors import InputError


def test_the_figures_of_five_events(event, imported, tmp_path):
    rows = [
        event(0, action="impression", surface="home"),
        event(2, surface="home"),  # u0 plays i0
        event(4),  # u0 plays i0 again
        event(1, action="impression", surface="search"),
        event(3, action="hum"),
    ]
    dataset.write(tmp_path / "data", imported(rows))
    result = describe(tmp_path / "data")
    assert result["surfaces"] == {"home": 2, "search": 1, "unknown": 1}
    assert result["content_types"] == {"unknown": 1}
    assert result["active"] == {"users": 1, "items": 1}
    assert result["density"] == pytest.approx(1 / 2)  # 1 of the 2 pairs of a user and an item
    assert result["counts"]["quarantined"] == 1


def test_describe_without_a_data_set_is_refused(tmp_path):
    with pytest.raises(InputError, match="No data set"):
        describe(tmp_path / "data")


def test_the_newest_interactions_of_a_listener_come_first(event, imported, tmp_path):
    rows = [event(0, action="impression"), event(2, action="skip"), event(4, action="like"), event(3)]
    dataset.write(tmp_path / "data", imported(rows))
    newest = recent_interactions(tmp_path / "data", rows[0]["user_id"], 2)
    assert [row["action"] for row in newest] == ["like", "skip"]  # event 3 is of another listener
    assert newest[0]["ts"].hour == rows[2]["ts"].hour


def test_a_listener_without_interactions_is_refused(event, imported, tmp_path):
    dataset.write(tmp_path / "data", imported([event(0), event(1)]))
    with pytest.raises(InputError, match="'nobody' has none"):
        recent_interactions(tmp_path / "data", "nobody", 2)
