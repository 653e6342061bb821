"""Servers from wheels: each is ready when `start` returns, and can be killed and started again with its data."""

import psutil
import pytest

from segue.errors import UnavailableError
from stores import servers
from stores.registry import load_psycopg

pytestmark = pytest.mark.slow


def test_postgres_is_back_after_a_kill(postgres, service_password):
    psycopg = load_psycopg()

    target = f"postgresql://{servers.USER}:{service_password}@{servers.HOST}:{postgres.port}/feast"
    with psycopg.connect(target) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (a int)")
    postgres.kill()
    assert not psutil.pid_exists(postgres.pid)
    with pytest.raises(psycopg.OperationalError, match="refused"):
        psycopg.connect(target)
    postgres.start()
    with psycopg.connect(target) as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(target.replace(service_password, "wrong"))


def test_valkey_is_back_after_a_kill(valkey, service_password):
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    client = redis.Redis(servers.HOST, valkey.port, password=service_password, retry=Retry(NoBackoff(), 0))
    assert client.ping()
    valkey.kill()
    with pytest.raises(redis.ConnectionError):
        client.ping()
    valkey.start()
    assert client.ping()
    client.close()
    with pytest.raises(redis.AuthenticationError), redis.Redis(servers.HOST, valkey.port) as other:
        other.ping()


def test_a_server_that_ends_at_once_says_where_its_log_is(valkey, tmp_path, service_password):
    twin = servers.valkey(tmp_path, valkey.port, "other")
    with pytest.raises(UnavailableError, match=rf"did not start: .*Read {tmp_path}/server.log"):
        twin.start()
    assert "Address already in use" in (tmp_path / "server.log").read_text()
    assert not psutil.pid_exists(twin.pid)
