"""A day begins with its releases, in the data set and in the models of the loop and its rivals."""

from contextlib import nullcontext

import pyarrow.parquet as pq

from events import dataset
from events.importers.synthetic import generate_live, sized
from segue.files import write_json
from segue.settings import Home
from workloads.simulation.day import instant
from workloads.simulation.plan import world_of
from workloads.simulation.rivals.first import first_home
from workloads.simulation.simulate import DAY, begin


def test_releases_reach_all_models_on_their_day_also_while_a_candidate_is_tried(tmp_path):
    home = Home(tmp_path)
    dataset.write(home.data, generate_live(sized("nano", version=2), 0))
    write_json(home.models / "rollout.json", {"split": {"number": 1, "phase": "running", "share": 0.5}})
    world = world_of(dataset.load(home.data).manifest)
    first = world.config.days
    day = next(day for day in range(first, first + 28) if world.items_table(day, day).num_rows)
    items = set(world.items_table(day, day)["item_id"].to_pylist())
    released = []

    def release(served, file, at):
        released.append((served, set(pq.read_table(file)["item_id"].to_pylist()), at))

    begin(home, world, day, release, lambda line: None, nullcontext)
    assert released == [(each, items, instant(day * DAY)) for each in (home, first_home(home))]
    assert items <= set(dataset.load(home.data).items["item_id"].to_pylist())
