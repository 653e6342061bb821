"""The contract of what keeps the counts of gateways, over files and over Redis."""

import pytest

from segue.errors import InputError, UnavailableError
from serving.rollouts.kept_counts import KEPT_SECONDS, KEY, RedisCounts
from stores import online_store


class TestCountsKeeping:
    """What every keeping does."""

    def test_each_gateway_has_its_counts_and_the_last_ones_count(self, open_counts):
        first, second = open_counts(), open_counts()
        first.write(3, "a", {"control": {"requests": 1}})
        second.write(3, "b", {"control": {"requests": 10}})
        first.write(3, "a", {"control": {"requests": 2}})
        first.write(4, "a", {"control": {"requests": 100}})
        assert [counts for _, counts in open_counts().read(3)] == [
            {"control": {"requests": 2}},
            {"control": {"requests": 10}},
        ]

    def test_without_counts_there_are_none(self, open_counts):
        assert list(open_counts().read(3)) == []


def test_counts_expire_long_after_the_last_gateway(redis_settings):
    client = online_store.connect(redis_settings)
    for gateway in ("a", "b"):
        RedisCounts(redis_settings).write(3, gateway, {})
        assert KEPT_SECONDS - 60 < client.ttl(KEY.format(number=3)) <= KEPT_SECONDS
        client.expire(KEY.format(number=3), 100)


def test_a_damaged_field_is_named(redis_settings):
    online_store.connect(redis_settings).hset(KEY.format(number=3), "gateway-1", "{")
    with pytest.raises(InputError, match=r"gateway-1 in segue:\{rollout\}:counts:3 of redis://.* must be JSON"):
        list(RedisCounts(redis_settings).read(3))


def test_a_dead_server_is_named(redis_settings, valkey):
    keeping = RedisCounts(redis_settings)
    keeping.write(3, "a", {"n": 1})
    valkey.kill()
    try:
        with pytest.raises(UnavailableError, match="does not answer"):
            keeping.write(3, "a", {"n": 2})
        with pytest.raises(UnavailableError, match="does not answer"):
            list(keeping.read(3))
    finally:
        valkey.start()
    assert [counts for _, counts in keeping.read(3)] == [{"n": 1}]
