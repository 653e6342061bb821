"""Following the split: down at once, up only with versions that are known, and never to a damaged file."""

import asyncio
import contextlib
import json

import pytest

from segue.errors import UnavailableError
from serving.rollouts.kept_state import NAME, FileState
from serving.store.split import Split, split_of
from surfaces.arms.assigned import Experiments
from surfaces.cohorts import follow_split as module
from surfaces.cohorts.follow_split import follow_split, ready
from surfaces.engine.path import Path
from surfaces.versions import Models, VersionSet
from tests.surfaces.catalogues import make_catalogue
from tests.surfaces.conftest import FakeServer

RUNNING = Split(1, "running", 0.05, {"ranking": 2})
SET = VersionSet({"ranking": 1}, {}, {("ranking", "stable"): (1, {}), ("ranking", 2): (2, {})})


@pytest.mark.parametrize(
    ("split", "current", "now"),
    [
        (None, VersionSet(), True),
        (RUNNING, SET, True),
        (RUNNING, VersionSet({"ranking": 1}), False),  # its versions are not read yet
        (Split(1, "taking back", 0.0, {"ranking": 2}), VersionSet({"ranking": 1}), True),
        (Split(1, "promoted", 0.0, {"ranking": 2}), SET, False),  # stable is still the old version here
        (Split(1, "promoted", 0.0, {"ranking": 2}), VersionSet({"ranking": 2}), True),
        (Split(1, "running", 0.05, {"other": 2}), VersionSet({"ranking": 1}), True),  # no gateway asks that model
    ],
)
def test_a_split_waits_for_the_versions_that_it_gives(split, current, now):
    assert ready(split, current) is now


def write(store, **split):
    """Write the state as a controller does: whole, under another name first."""
    replace(store, json.dumps({"schema": 1, "split": {"number": 1, "candidate": {"ranking": 2}, **split}}))


def replace(store, text):
    """Replace the file whole."""
    (store / "new").write_text(text)
    (store / "new").rename(store / NAME)


@pytest.fixture
def follow(tmp_path):
    """Follow `tmp_path`, or a keeping, while a coroutine function runs: `follow(async def story(path))`."""

    def run(story, keeping=None):
        async def whole():
            server = FakeServer({}, {})
            server.others = {("ranking", 2): 2}
            path = Path(Models(server), None, make_catalogue({"1": {}}), experiments=Experiments())
            await path.models.refresh()
            task = asyncio.create_task(follow_split(keeping or FileState(tmp_path), path, seconds=0.002))
            try:
                return await story(path)
            finally:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task

        return asyncio.run(whole())

    return run


async def until(true):
    async with asyncio.timeout(5):
        while not true():
            await asyncio.sleep(0.001)


def test_a_share_is_used_once_its_versions_are_read_and_a_share_of_0_at_once(tmp_path, follow):
    async def story(path):
        write(tmp_path, phase="running", share=0.05)
        await until(lambda: ("ranking", 2) in path.models.choices)
        await asyncio.sleep(0.02)
        assert path.experiments.split is None
        await path.models.refresh()
        await until(lambda: path.experiments.split == RUNNING)
        write(tmp_path, phase="taking back", share=0.0)
        await until(lambda: path.experiments.split.share == 0)
        assert path.models.choices  # the candidate drains
        write(tmp_path, phase="taken back", share=0.0)
        await until(lambda: not path.models.choices)

    follow(story)


def test_a_promotion_ends_once_stable_is_the_candidate(tmp_path, follow):
    async def story(path):
        path.experiments = Experiments(split=RUNNING)
        write(tmp_path, phase="promoted", share=0.0)
        await asyncio.sleep(0.05)
        assert path.experiments.split == RUNNING
        assert ("ranking", 2) in path.models.choices  # a request may still be the candidate's
        write(tmp_path, number=2, phase="running", share=0.05, candidate={"ranking": 3})  # the next one comes at once
        await until(lambda: ("ranking", 3) in path.models.choices)
        assert ("ranking", 2) in path.models.choices
        assert path.experiments.split == RUNNING
        write(tmp_path, phase="promoted", share=0.0)
        path.models.current = VersionSet({"ranking": 2})
        await until(lambda: path.experiments.split.phase == "promoted")

    follow(story)


def test_versions_with_added_items_are_used_once_they_are_read_and_those_before_until_then(
    tmp_path, follow, monkeypatch
):
    monkeypatch.setattr(module, "PATIENCE", 0.01)

    async def story(path):
        path.experiments, path.models.choices = Experiments(split=RUNNING), frozenset({("ranking", 2)})
        await path.models.refresh()
        write(tmp_path, phase="running", share=0.05, candidate={"ranking": 4})
        await until(lambda: path.models.choices == {("ranking", 2), ("ranking", 4)})
        await path.models.refresh()
        await asyncio.sleep(0.02)
        assert path.experiments.split == RUNNING
        assert ("ranking", 2) in path.models.current.served
        path.models._client.others[("ranking", 4)] = 4  # a server has loaded it
        await path.models.refresh()
        await until(lambda: path.experiments.split.candidate == {"ranking": 4})
        assert path.experiments.split.salt == RUNNING.salt  # nobody changes sides
        assert path.models.choices == {("ranking", 4)}

    follow(story)


def test_a_candidate_that_is_gone_is_not_kept_for_the_sake_of_its_successor(tmp_path, follow, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", 0.01)

    async def story(path):
        path.experiments = Experiments(split=RUNNING)
        write(tmp_path, phase="running", share=0.05, candidate={"ranking": 4})
        await until(lambda: path.experiments.split.candidate == {"ranking": 4})

    follow(story)


def test_a_version_that_no_server_loads_is_waited_for_and_then_counted(tmp_path, follow, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", 0.01)

    async def story(path):
        write(tmp_path, phase="running", share=0.05)
        await until(lambda: path.experiments.split == RUNNING)

    follow(story)


def test_looks_that_write_the_state_anew_do_not_make_a_gateway_wait_longer(tmp_path, follow, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", 0.1)

    async def story(path):
        async def looks():
            while True:
                write(tmp_path, phase="running", share=0.05)
                await asyncio.sleep(0.02)

        looking = asyncio.create_task(looks())
        try:
            await until(lambda: path.experiments.split == RUNNING)
        finally:
            looking.cancel()

    follow(story)


def test_a_change_that_could_not_be_read_is_read_at_the_next_look(tmp_path, follow, monkeypatch, caplog):
    faults = [OSError(24, "Too many open files")] * 2

    def read(keeping):
        if faults:
            raise faults.pop()
        return split_of(keeping)

    monkeypatch.setattr(module, "split_of", read)

    async def story(path):
        write(tmp_path, phase="taking back", share=0.0)
        await until(lambda: path.experiments.split is not None)
        assert len(caplog.records) == 1

    follow(story)


def test_a_damaged_file_is_said_once_and_the_last_split_stays(tmp_path, follow, caplog):
    async def story(path):
        write(tmp_path, phase="running", share=0.0)
        await until(lambda: path.experiments.split)
        last = path.experiments.split
        for text in ("{", '{"split": {"number": 0}}'):
            caplog.clear()
            replace(tmp_path, text)
            await until(lambda: caplog.records)
            await asyncio.sleep(0.03)
            assert path.experiments.split == last
            assert len(caplog.records) == 1
        write(tmp_path, phase="taking back", share=0.0)
        await until(lambda: path.experiments.split.phase == "taking back")

    follow(story)


class Failing(FileState):
    """A keeping whose server is dead now and then: it closes the connection, then it refuses the next."""

    dead: tuple[str, ...] = ()
    asked = 0

    def stamp(self):
        self.answer("stamp")
        return super().stamp()

    def split(self):
        self.answer("split")
        return super().split()

    def answer(self, call):
        if call in self.dead:
            self.asked += 1
            raise UnavailableError("It closed the connection." if self.asked == 1 else "It refuses connections.", "")


@pytest.mark.parametrize("dead", [("stamp", "split"), ("split",)])
def test_a_dead_server_is_said_once_an_outage_and_a_split_that_was_missed_is_read(tmp_path, follow, caplog, dead):
    keeping = Failing(tmp_path)

    async def story(path):
        write(tmp_path, phase="running", share=0.0)
        await until(lambda: path.experiments.split)
        for phase in ("taking back", "taken back"):
            caplog.clear()
            keeping.dead, keeping.asked = dead, 0
            write(tmp_path, phase=phase, share=0.0)
            await until(lambda: caplog.records)
            await asyncio.sleep(0.03)
            assert path.experiments.split.phase != phase
            assert len(caplog.records) == 1 < keeping.asked
            keeping.dead = ()
            await until(lambda phase=phase: path.experiments.split.phase == phase)

    follow(story, keeping)
