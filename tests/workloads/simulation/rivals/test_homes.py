"""The daily rival has a home of its own, with the loop's log."""

from segue.settings import Home
from workloads.simulation.rivals import homes


def test_the_daily_rival_begins_with_all_of_the_home_but_what_happens_there(tmp_path):
    home = Home(tmp_path)
    assert set(homes.rivals(home)) == {"loop", "frozen"}
    for name in (
        "data/manifest.json",
        "models/ranking/1/model",
        "runs/r1/log",
        "simulation/state",
        "journal/journal.db",
    ):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("first")
    homes.begin_daily(home)
    daily = homes.rivals(home)["daily"]
    assert {path.name for path in daily.root.iterdir()} == {"data", "models"}
    (tmp_path / "data/manifest.json").write_text("later")
    homes.begin_daily(home)
    assert (daily.data / "manifest.json").read_text() == "first"
    homes.give_log(home)
    assert (daily.data / "manifest.json").read_text() == "later"
