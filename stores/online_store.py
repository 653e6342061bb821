"""The online store of a cluster: Redis or Valkey, with time-outs and errors that name the server."""

import contextlib
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from segue import tls
from segue.errors import InputError, UnavailableError
from stores.settings import PREFIX, Settings, shown

if TYPE_CHECKING:
    import redis

CONNECT_SECONDS, READ_SECONDS = 3.0, 10.0
MIB = 2**20
PASSWORD = f"{PREFIX}ONLINE_STORE_PASSWORD"


def connect(settings: Settings) -> "redis.Redis":
    """Return a client of the online store. It connects at the first call, and tries once."""
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    password = settings.online_store_password
    return redis.Redis.from_url(
        str(settings.online_store),
        password=password.get_secret_value() if password else None,
        socket_connect_timeout=CONNECT_SECONDS,
        socket_timeout=READ_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )


@contextlib.contextmanager
def faults(settings: Settings) -> Iterator[None]:
    """Raise the client's errors as errors for people that name the server.

    Raises:
        InputError: the server refuses the password, the right or the database, or its certificate is not valid.
        UnavailableError: the server does not answer.
    """
    from redis import exceptions

    server = f"The online store {shown(settings.online_store)}"
    try:
        yield
    except exceptions.AuthenticationError as error:
        raise InputError(f"{server} refuses the password: {error}.", f"Correct {PASSWORD}.") from error
    except (exceptions.ConnectionError, exceptions.TimeoutError, exceptions.BusyLoadingError) as error:
        address = str(settings.online_store)
        if misdirected := tls.fault(tls.root(error), server, address, "by ?ssl_ca_certs=FILE in online_store"):
            raise misdirected from error
        if address.startswith("rediss:") and isinstance(error, exceptions.TimeoutError) and speaks_plainly(address):
            raise tls.wrong_scheme(server, "rediss") from error
        raise UnavailableError(
            f"{server} does not answer: {first_line(error)}.", "Check online_store, and run the command again later."
        ) from error
    except (exceptions.ReadOnlyError, exceptions.OutOfMemoryError, exceptions.ClusterDownError) as error:
        raise takes_no_writes(server, error) from error
    except exceptions.ResponseError as error:
        said = first_line(error)
        if said.startswith(("NOAUTH", "WRONGPASS")):
            raise InputError(f"{server} asks for a password.", f"Set {PASSWORD}.") from error
        if said.startswith(("MISCONF", "MASTERDOWN", "NOREPLICAS")):
            raise takes_no_writes(server, error) from error
        raise InputError(
            f"{server} refuses the request: {said}.", "Correct online_store or the server's rights."
        ) from error


def takes_no_writes(server: str, error: BaseException) -> UnavailableError:
    """Return the error of a server that is a replica, or has no memory, disk or primary server for a write."""
    return UnavailableError(
        f"{server} does not take writes: {first_line(error)}.", "Give it memory or disk, or name its primary server."
    )


def speaks_plainly(address: str) -> bool:
    """Whether the server at an address speaks Redis's protocol without TLS: it answers no greeting of TLS, but PING."""
    url = urlsplit(address)
    try:
        with socket.create_connection((str(url.hostname), url.port or 6379), tls.PROBE_SECONDS) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(1) in (b"+", b"-")
    except OSError:
        return False


def check(settings: Settings) -> str:
    """Write and remove a key, and return what the server is: `Valkey 9.1.2, 12 of 384 MiB used, appendonly on`.

    The journal needs the last: without it a gateway does not start.

    Raises: as `faults`.
    """
    with faults(settings), contextlib.closing(connect(settings)) as client:
        client.set("segue:doctor", "1", ex=60)
        client.delete("segue:doctor")
        state = cast(dict[str, Any], client.info())
    kind = "Valkey" if "valkey_version" in state else "Redis"
    used, most = state["used_memory"] / MIB, state["maxmemory"] / MIB
    memory = f"{used:.0f} of {most:.0f} MiB used" if most else f"{used:.0f} MiB used"
    return f"{kind} {state[f'{kind.lower()}_version']}, {memory}, appendonly {'on' if state['aof_enabled'] else 'off'}"


def first_line(error: BaseException) -> str:
    """Return the first line of an error, without the period at its end."""
    return (str(error).strip().split("\n")[0] or type(error).__name__).rstrip(".")
