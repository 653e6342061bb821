"""Targets, names and peak memory as all benchmarks report them."""

import pytest

from benchmarks.results import check_names, peak_memory_mb, target
from segue.errors import InputError


def test_a_figure_equal_to_its_limit_holds():
    assert target(3, at_least=3) == {"value": 3, "at_least": 3, "holds": True}
    assert target(3, at_most=3) == {"value": 3, "at_most": 3, "holds": True}
    assert not target(3, at_most=2)["holds"]
    assert not target(3, at_least=4)["holds"]


def test_an_unknown_name_lists_the_choices():
    check_names("model", ("ease",), ("ease", "als"))
    with pytest.raises(InputError, match="There is no model 'eas'") as raised:
        check_names("model", ("ease", "eas"), ("ease", "als"))
    assert "ease, als" in raised.value.fix


def test_peak_memory_is_in_mib():
    assert 10 < peak_memory_mb() < 100_000
