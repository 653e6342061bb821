"""`segue bench surfaces` on a small trained home and the smallest world: every part runs, and says what it should."""

import contextlib

import pytest

from benchmarks.surfaces import world
from events.importers.synthetic import sized
from events.world.live.world import World

pytestmark = pytest.mark.slow
SIZE = world.Size(moments=24, sessions=8, logs=2, pages=30, predicted=5)


def test_every_part_is_measured(trained):
    listeners = World.build(sized("nano", version=2), 0)  # the catalogue and the ids are those of the trained home
    result = world.measured(trained.home, listeners, SIZE, print, contextlib.nullcontext, seed=0)
    home = result["home"]
    assert home["pages"] == 24
    assert set(home["values"]) == {"home", "static_shelves", "popularity", "mmr_alone", "creator_cap"}
    for figures in (*home["values"].values(), *result["new_releases"]["values"].values()):
        assert 0 < figures["value"]["low"] <= figures["value"]["mean"] <= figures["value"]["high"]
    assert home["exploration"]["over_budget"] == 0
    assert home["calibration"]["kl_ratio"] < 1
    assert 0 <= result["skips"]["left"] < 1
    assert result["estimates"]["repeats"] == 2
    assert result["estimates"]["true_value"] > 0
    assert result["next"]["sessions"] == 5
    assert {"home_above_popularity", "two_skips_halve_a_genre", "ips_coverage", "ahead_of_item_knn"} <= set(
        result["targets"]
    )
