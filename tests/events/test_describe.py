"""The description of a data set, compared with figures counted by hand."""

import pytest

from events import dataset
from events.describe import describe
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
