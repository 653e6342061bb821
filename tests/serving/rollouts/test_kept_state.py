"""The contract of what keeps the state of roll-outs, over a file and over Redis."""

import threading

import pytest

from segue.errors import InputError, UnavailableError
from serving.rollouts.kept_state import KEYS, FileState, RedisState, state_keeping
from serving.store.split import Split, split_of
from stores import online_store
from tests.support.soon import soon


def numbered(number, share=0.05):
    """A state that has had so many changes."""
    return {"changes": number, "split": {"number": 1, "phase": "running", "share": share, "candidate": {"ranking": 2}}}


class TestStateKeeping:
    """What every keeping does."""

    def test_it_is_empty_at_first(self, open_state):
        keeping = open_state()
        assert (keeping.state(), keeping.split()) == (None, None)
        assert split_of(keeping) is None

    def test_another_process_reads_what_was_written(self, open_state):
        open_state().change(lambda state: numbered(1) if state is None else None)
        assert open_state().state() == numbered(1)
        assert split_of(open_state()) == Split(1, "running", 0.05, {"ranking": 2})

    def test_the_stamp_changes_with_the_split(self, open_state):
        keeping = open_state()
        stamps = [keeping.stamp()]
        for share in (0.05, 0.25, 0.0):
            open_state().change(lambda _, share=share: numbered(1, share))
            stamps.append(keeping.stamp())
        assert len(set(stamps)) == 4
        assert keeping.stamp() == stamps[-1]

    def test_an_edit_that_raises_or_leaves_it_writes_nothing(self, open_state):
        keeping = open_state()
        keeping.change(lambda _: numbered(1))

        def refuse(_):
            raise InputError("no")

        with pytest.raises(InputError):
            keeping.change(refuse)
        stamp = keeping.stamp()
        keeping.change(lambda _: None)
        assert (keeping.state(), keeping.stamp()) == (numbered(1), stamp)

    def test_no_change_of_several_processes_is_lost(self, open_state):
        def write():
            keeping = open_state()
            for _ in range(10):
                keeping.change(lambda state: numbered((state or numbered(0))["changes"] + 1))

        threads = [threading.Thread(target=write) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert open_state().state()["changes"] == 30


def test_an_edit_is_asked_again_if_another_process_was_faster(redis_settings):
    seen = []

    def edit(state):
        seen.append(state)
        if len(seen) == 1:
            RedisState(redis_settings).change(lambda _: numbered(1, share=0.0))  # taken back meanwhile
        return numbered(2, state["split"]["share"] if state else 0.25)

    keeping = RedisState(redis_settings)
    keeping.change(edit)
    assert seen == [None, numbered(1, share=0.0)]
    assert keeping.state() == numbered(2, share=0.0)


def test_a_state_that_changes_all_the_time_is_an_error(redis_settings):
    keeping, other = RedisState(redis_settings), RedisState(redis_settings)
    counter = iter(range(100))

    def edit(_):
        other.change(lambda _: numbered(next(counter)))
        return numbered(-1)

    with pytest.raises(UnavailableError, match="was changed by others 20 times"):
        keeping.change(edit)
    assert keeping.state() == numbered(19)


@pytest.mark.parametrize("key", KEYS)
def test_damaged_keys_are_named(redis_settings, key):
    keeping = RedisState(redis_settings)
    online_store.connect(redis_settings).set(key, "{")
    with pytest.raises(InputError, match=r"segue:\{rollout\}:state of redis://.* must be JSON"):
        keeping.state() if key == KEYS[0] else keeping.split()


def test_a_look_of_a_gateway_is_small_however_long_the_history_is(redis_settings):
    keeping = RedisState(redis_settings)
    keeping.change(lambda _: numbered(1) | {"history": ["x" * 1000] * 1000})
    assert len(keeping.stamp()) < 200


def test_a_dead_server_is_named_soon(redis_settings, valkey):
    keeping = RedisState(redis_settings)
    keeping.change(lambda _: numbered(1))
    valkey.kill()
    try:
        for ask in (keeping.stamp, keeping.state, lambda: keeping.change(lambda _: numbered(2))):
            with soon(), pytest.raises(UnavailableError, match=r"The online store .* does not answer"):
                ask()
    finally:
        valkey.start()
    assert keeping.state() == numbered(1)  # it has written before it answered


def test_the_settings_choose(tmp_path, monkeypatch):
    assert isinstance(state_keeping(tmp_path), FileState)
    for name, value in (
        ("PROFILE", "cluster"),
        ("ONLINE_STORE", "redis://:secret@127.0.0.1:1/0"),
        ("REGISTRY", "postgresql://segue@127.0.0.1:1/feast"),
        ("TRACKING", "http://127.0.0.1:1"),
        ("OBJECTS", "s3://segue"),
    ):
        monkeypatch.setenv(f"SEGUE_{name}", value)
    keeping = state_keeping(tmp_path)
    assert isinstance(keeping, RedisState)
    assert "secret" not in keeping.place
