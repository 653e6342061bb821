"""Experiments from the start to the verdict: the world's listeners in two arms of a layout, with everything real."""

import shutil
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import replace
from datetime import timedelta

import pytest

from events import dataset
from events.journal.collect import collect_home
from events.journal.journal import open_journal
from events.world.day import DAY
from events.world.live.world import World
from experiments.definition import parse
from experiments.metrics.log import open_log
from experiments.registry import Registry
from experiments.reporting import report
from feature_repo.feast_store import open_store
from segue.settings import Home
from stores.settings import settings
from surfaces.arms.parameters import check_arms
from tests.support.experiments import definition
from workloads.simulation import servers
from workloads.simulation.arms import first_exposures, worth
from workloads.simulation.day import instant, replayed, serve
from workloads.simulation.gateway import Gateway
from workloads.simulation.plan import world_of
from workloads.simulation.served import Record

DAY_OF_TEST = 28  # the first after the log
NOW = instant(DAY_OF_TEST * DAY)
END = NOW + timedelta(days=1.5)  # the last sessions of the day end after midnight
SHORT = {"home.rows": 1, "home.columns": 3}
LONG = {"home.rows": 7}
# As long, and with less regard to relevance: more is played, and the skips that it brings exceed its margin.
WRONG = {**LONG, "home.calibration": 50.0, "home.diversity": 50.0}


def two_arms(name, treatment, margin):
    """An experiment of half of the layer: a short page, and another one, which may bring so many more skips."""
    parts = {
        "name": name,
        "share": [0.5],
        "arms": [
            {"name": "control", "share": 0.5, "parameters": SHORT},
            {"name": "treatment", "share": 0.5, "parameters": treatment},
        ],
        "metrics": {"success": {"plays": 0.5}, "guardrails": {"skip_rate": margin}},
        "plan": {"days": 1, "looks": 1, "pre_days": 0},
    }
    made = parse(definition(**parts))
    check_arms(made)
    return made


def more_listeners(world) -> World:
    """The world of the home with ten times as many listeners, who come more often: one day is an experiment.

    The models and the gateway do not know them, and serve them as people who have just signed up.
    """
    return World.build(replace(world.config, users=700, sessions=1.0), world.seed)


def played(moments, exposed):
    """Numbers of the world's own actions by arm, from each listener's first exposure on."""
    counts = Counter()
    for moment in moments:
        for event in moment.events:
            arm, first = exposed.get(event["user_id"], (None, END))
            if instant(moment.visit.at) >= first:
                counts[arm, event["action"]] += 1
    return counts


def look(home, name):
    with open_log(home.data) as log:
        return report(Registry(home.experiments), name, log, END).card


def lose_exposures(home, requests):
    """Delete the pages of some requests from a journal, as if they had never been written."""
    with closing(sqlite3.connect(home.journal)) as database, database:
        database.executemany("delete from records where kind = 'page' and request_id = ?", [(id,) for id in requests])


@pytest.mark.slow
def test_a_planted_lift_ships_a_planted_harm_is_blocked_and_a_broken_logger_is_invalid(trained_world, monkeypatch):
    home = trained_world.home
    monkeypatch.setenv("SEGUE_HOME", str(home.root))
    home.simulation.mkdir()
    manifest = dataset.load(home.data).manifest
    world = more_listeners(world_of(manifest))
    broken = Home(home.root.with_name("broken"))
    shutil.copytree(home.data, broken.data)
    for planned in (two_arms("longer", LONG, 0.5), two_arms("wrong", WRONG, 0.15)):
        Registry(home.experiments).start(planned, NOW, "me")
    record = Record.open(home.simulation / "day.jsonl")
    with (
        servers.model_server(home, home.simulation / "model-server.log") as server,
        servers.gateway(home, server) as address,
        closing(Gateway(address, open_store(home))) as gateway,
    ):
        serve(world, DAY_OF_TEST, gateway, record)
    for each in ("experiments", "journal"):
        shutil.copytree(home.root / each, broken.root / each)
    with closing(open_journal(home, settings())) as journal:
        collect_home(journal, home, END, timedelta(days=7))
    moments, events = replayed(world, DAY_OF_TEST, record), dataset.load(home.data).events()
    experiments = Registry(home.experiments).running()
    exposed, truth = first_exposures(events), worth(world, DAY_OF_TEST, moments, events, experiments)

    for name, verdict, reason in (("longer", "ship", "plays improved"), ("wrong", "stop", "skip_rate got worse")):
        card, worths, counts = look(home, name), truth[name], played(moments, exposed[name])
        rows = {row["metric"]: row for row in card["rows"]}
        plays_of, skips_of = {}, {}  # what each arm was truly worth
        for arm, of_arm in worths.items():
            plays, skips = counts[arm, "play"], counts[arm, "skip"]
            plays_of[arm] = of_arm["plays"] / of_arm["listeners"]
            skips_of[arm] = of_arm["skips"] / of_arm["impressions"]
            # The scorecard counts what the world says was done.
            assert card["units"][arm] == of_arm["listeners"]
            assert rows["plays"][arm] == pytest.approx(plays / of_arm["listeners"])
            assert rows["skip_rate"][arm] == pytest.approx(skips / (plays + skips))
        lift, harm = (of["treatment"] / of["control"] - 1 for of in (plays_of, skips_of))
        assert max(0.2, rows["plays"]["lift_low"]) < lift < rows["plays"]["lift_high"]
        assert (harm < rows["skip_rate"]["margin"]) == (verdict == "ship")
        assert rows["plays"]["improved"]
        assert (card["verdict"], reason in card["reason"]) == (verdict, True), card["reason"]

    treated = {user for user, (arm, _) in exposed["longer"].items() if arm == "treatment"}
    pages = [moment.shown.request_id for moment in moments if world.user_ids[moment.visit.user] in treated]
    lose_exposures(broken, pages[::2])
    with closing(open_journal(broken, settings())) as journal:
        collect_home(journal, broken, END, timedelta(days=7))
    card = look(broken, "longer")
    assert (card["verdict"], "exposures" in card["reason"]) == ("invalid", True), card["reason"]
