"""Logs with planted effects, made once for all tests of experiments."""

import pytest

from benchmarks.experiments.log import STARTED, Planted, event_files, write_log
from experiments.assignment.assign import Running
from experiments.definition import parse
from experiments.metrics.log import Log, engine
from tests.support.experiments import definition

LISTENERS, DAYS = 3000, 7
PLAN = {"units": 2000, "days": DAYS, "pre_days": DAYS}
PLANTED = {
    "nothing": Planted(),
    "lift": Planted(lift=0.35),
    "lift_and_skips": Planted(lift=0.35, skips=1.8),
    "harm": Planted(lift=-0.35),
    "lost": Planted(lost=0.3),
    "rows_lost": Planted(rows_lost=0.3),
}


def running(**parts) -> Running:
    """The experiment of the logs."""
    return Running(parse(definition(plan=PLAN, **parts)), ((0, 10_000),))


@pytest.fixture(scope="session")
def log_folder(tmp_path_factory):
    """Return a function from the name of a planted effect to the folder of a log that has it."""
    made = {}

    def folder(name):
        if name not in made:
            made[name] = tmp_path_factory.mktemp(name)
            write_log(made[name], running(), LISTENERS, DAYS, PLANTED[name], seed=1, visits=0.4)
        return made[name]

    return folder


@pytest.fixture
def open_planted(log_folder):
    """Return a function that opens the log of a planted effect."""
    with engine() as duckdb:

        def opened(name):
            folder = log_folder(name)
            files = [str(path) for path in event_files(folder)]
            tables = (duckdb.read_parquet([str(folder / f"{table}.parquet")]) for table in ("items", "users"))
            return Log(duckdb.read_parquet(files, hive_partitioning=False), *tables)

        yield opened


@pytest.fixture
def started():
    return STARTED
