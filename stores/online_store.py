"""The online store of a cluster: Redis or Valkey, with time-outs and errors that name the server."""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

from segue.errors import InputError, UnavailableError
from stores.settings import PREFIX, Settings, shown

if TYPE_CHECKING:
    import redis

CONNECT_SECONDS, READ_SECONDS = 3.0, 10.0
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
        InputError: the server refuses the password, the right or the database.
        UnavailableError: the server does not answer.
    """
    from redis import exceptions

    server = f"The online store {shown(settings.online_store)}"
    try:
        yield
    except exceptions.AuthenticationError as error:
        raise InputError(f"{server} refuses the password: {error}.", f"Correct {PASSWORD}.") from error
    except (exceptions.ConnectionError, exceptions.TimeoutError, exceptions.BusyLoadingError) as error:
        raise UnavailableError(
            f"{server} does not answer: {first_line(error)}.", "Check online_store, and run the command again later."
        ) from error
    except exceptions.ResponseError as error:
        said = str(error)
        if said.startswith(("NOAUTH", "WRONGPASS")):
            raise InputError(f"{server} asks for a password.", f"Set {PASSWORD}.") from error
        if said.startswith(("READONLY", "OOM", "MISCONF", "LOADING", "CLUSTERDOWN")):
            raise UnavailableError(
                f"{server} does not take writes: {said}.", "Give it memory or disk, or name its primary server."
            ) from error
        raise InputError(
            f"{server} refuses the request: {said}.", "Correct online_store or the server's rights."
        ) from error


def check(settings: Settings) -> str:
    """Write, read and remove a key, and return what the server is: `Valkey 9.1.2`.

    Raises: as `faults`.
    """
    with faults(settings), contextlib.closing(connect(settings)) as client:
        client.set("segue:doctor", "1", ex=60)
        client.delete("segue:doctor")
        told = cast(dict[str, str], client.info("server"))
    return f"{'Valkey' if 'valkey_version' in told else 'Redis'} {told.get('valkey_version') or told['redis_version']}"


def first_line(error: BaseException) -> str:
    """Return the first line of an error, without the period at its end."""
    return (str(error).strip().split("\n")[0] or type(error).__name__).rstrip(".")
