"""The listener effect makes statistics by rows too sure of themselves; statistics by listeners are right."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from events.importers.synthetic import generate, sized
from events.world.live.world import World

SPLITS, LEVEL = 200, 0.05


def test_the_effect_has_a_standard_deviation_of_about_seven_tenths():
    effect = World.build(replace(sized("nano", version=2), users=3_000), 0).listener_traits.effect
    assert 0.66 < effect.std() < 0.74


@pytest.mark.slow
def test_splits_of_listeners_without_a_difference():
    # 200 splits of the listeners into two halves that are treated alike. Rejections at 5 % are 10 +- 3.1 if the test
    # is right, so a right test has at most 22 (four standard errors above), and the wrong one far more.
    events = generate(replace(sized("nano", version=2), name="many", users=400), 0).events.to_pandas()
    looked = events[events.action.isin(["play", "skip"])]
    by_user = looked.assign(play=looked.action == "play").groupby("user_id").play.agg(["sum", "count"])
    plays, rows = by_user["sum"].to_numpy(float), by_user["count"].to_numpy(float)
    rng, by_row, by_listener = np.random.default_rng(0), 0, 0
    for _ in range(SPLITS):
        a = rng.permutation(len(rows)) < len(rows) // 2
        table = [[plays[side].sum(), (rows - plays)[side].sum()] for side in (a, ~a)]
        by_row += stats.chi2_contingency(table, correction=False).pvalue < LEVEL
        rates = plays / rows
        by_listener += stats.ttest_ind(rates[a], rates[~a], equal_var=False).pvalue < LEVEL
    assert by_row > 30
    assert by_listener <= 22
