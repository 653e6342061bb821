"""The description of a data set, against figures counted by hand."""

import pytest

from events import dataset as store
from events.describe import describe
from segue.errors import InputError


def test_figures_of_five_events(event, imported, tmp_path):
    rows = [
        event(0, action="impression", surface="home"),
        event(2, surface="home"),  # u0 on i0
        event(4),  # u0 on i0 once more
        event(1, action="impression", surface="search"),
        event(3, action="hum"),
    ]
    store.write(tmp_path / "data", imported(rows))
    result = describe(tmp_path / "data")
    assert result["surfaces"] == {"home": 2, "search": 1, "unknown": 1}
    assert result["content_types"] == {"unknown": 1}
    assert result["active"] == {"users": 1, "items": 1}
    assert result["density"] == pytest.approx(1 / 2)  # one pair of two users and one item
    assert result["counts"]["quarantined"] == 1


def test_nothing_to_describe(tmp_path):
    with pytest.raises(InputError, match="No data set"):
        describe(tmp_path / "data")
