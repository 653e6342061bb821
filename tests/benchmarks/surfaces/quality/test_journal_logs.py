"""What comes back from the journal is worth what the world says."""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.surfaces.quality.journal_logs import logged
from benchmarks.surfaces.quality.served_pages import rows_of
from events.importers.synthetic import sized
from events.world.day import HOME
from events.world.live.value import Context as Moment
from events.world.live.value import contexts, policy_values
from events.world.live.world import World
from surfaces.engine.page import ShownItem, ShownPage, ShownShelf
from surfaces.home.layout_record import LayoutRecord
from surfaces.request import Request
from surfaces.versions import VersionSet
from workloads.simulation.day import instant

pytestmark = pytest.mark.slow
REWARD = {"play": 1.0, "complete": 0.5, "skip": -0.5, "like": 2.0, "add": 2.0}
SHELVES = {"a": ("i00001", "i00005", "i00009"), "b": ("i00002", "i00006")}
RECORD = LayoutRecord(tuple(SHELVES), np.zeros((2, 3)), np.zeros(4), (0, 1), 2, 2, np.array([0.5, 1.0]))


def page() -> ShownPage:
    """Two shelves; the first item of each keeps the layout, as on a Home page."""
    position, shelves = 0, []
    for row, (name, items) in enumerate(SHELVES.items(), 1):
        shown = []
        for column, item in enumerate(items, 1):
            position += 1
            shown.append(ShownItem(item, row, column, position, scores=RECORD.to_scores() if column == 1 else {}))
        shelves.append(ShownShelf(name, "", "", tuple(shown)))
    return ShownPage(tuple(shelves), "plackett-luce", "0", RECORD.propensity)


@dataclass
class Visit:
    """A request whose page is always the same."""

    moment: Moment

    @property
    def answer(self):
        request = Request("u", instant(self.moment.at))
        return SimpleNamespace(context=SimpleNamespace(request=request, versions=VersionSet()))

    def page(self, surface, request_id):
        return page()


def test_the_mean_reward_of_a_log_is_the_true_value():
    world = World.build(sized("nano", version=2), 0)
    moments = contexts(world, range(28, 30), HOME, 400, seed=1)
    pages = logged(world, [Visit(moment) for moment in moments], None, REWARD, world.items_table(-(10**6), 27), seed=3)
    assert len(pages) == len(moments)  # the first item of a page is always seen
    assert len({one.listener for one in pages}) == len(pages)
    assert all(one.record.chances.tolist() == [0.5, 1.0] for one in pages)
    rewards = np.array([one.reward for one in pages])
    truth = policy_values(world, moments, lambda moment: rows_of(world, page()), REWARD).mean()
    assert rewards.mean() == pytest.approx(truth, abs=4 * rewards.std() / np.sqrt(len(rewards)))
    assert rewards.std() / np.sqrt(len(rewards)) < 0.1 * abs(truth) + 0.1
