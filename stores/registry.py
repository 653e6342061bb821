"""PostgreSQL on a cluster, for Feast's registry and MLflow, with time-outs and errors that name the server."""

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from segue.errors import InputError, UnavailableError
from stores.online_store import first_line
from stores.settings import PREFIX, Settings, shown

if TYPE_CHECKING:
    import psycopg

# Of every connection. A statement ends after 10 s. A host that is gone refuses nothing, so the kernel asks it after 5 s
# of silence and gives up 5 s later; by default it would wait for two hours.
TIME_OUTS: dict[str, Any] = {
    "connect_timeout": 5,
    "options": "-c statement_timeout=10000",
    "keepalives_idle": 5,
    "keepalives_interval": 1,
    "keepalives_count": 5,
    "tcp_user_timeout": 10_000,
}
PASSWORD = f"{PREFIX}REGISTRY_PASSWORD"
# Classes of SQLSTATE, PostgreSQL's appendix A: what an operator corrects, and what may pass.
USER, NO_DATABASE, RIGHTS = "28", "3D", "42501"
FULL_OR_READ_ONLY = ("25", "53")
PASSES = ("08", "55", "57")
# libpq's words for a connection that no repetition makes; it gives them no SQLSTATE.
TLS = ("certificate", "SSL error", "server does not support SSL", "sslmode")


def load_psycopg() -> Any:
    """Return psycopg, loaded so that it keeps to its own OpenSSL.

    TensorFlow brings an OpenSSL for all libraries that are loaded after it. libpq would take half of its functions from
    there, and the process would abort at the first TLS connection. So every room loads psycopg here first.
    """
    flags = sys.getdlopenflags()
    sys.setdlopenflags(flags | getattr(os, "RTLD_DEEPBIND", 0))  # a library prefers what it brings; Linux alone has it
    try:
        import psycopg
    finally:
        sys.setdlopenflags(flags)
    return psycopg


def connect(settings: Settings) -> "psycopg.Connection":
    """Open a connection to the registry's database.

    Raises: the errors of psycopg, which `faults` explains.
    """
    password = settings.registry_password
    return connect_to(str(settings.registry), password.get_secret_value() if password else None)


def connect_to(address: str, password: str | None = None) -> "psycopg.Connection":
    """Open a connection to a database, whose password may be in the address, too.

    Raises: the errors of psycopg, which `explained` explains.
    """
    psycopg = load_psycopg()

    return psycopg.connect(address, password=password, autocommit=True, **TIME_OUTS)


@contextlib.contextmanager
def faults(settings: Settings) -> Iterator[None]:
    """Raise the database's errors as errors for people that name the server.

    Raises:
        InputError: the server refuses the user, the password, the right or the database.
        UnavailableError: the server does not answer.
    """
    from sqlalchemy.exc import DBAPIError, TimeoutError

    psycopg = load_psycopg()

    server = f"The registry {shown(settings.registry)}"
    try:
        yield
    except psycopg.Error as error:
        raise explained(server, "registry", PASSWORD, error) from error
    except DBAPIError as error:  # how SQLAlchemy, on which Feast's registry stands, wraps the errors of psycopg
        raise explained(server, "registry", PASSWORD, error.orig or error) from error
    except TimeoutError as error:  # of its pool of connections
        raise explained(server, "registry", PASSWORD, error) from error


def explained(server: str, setting: str, password: str, error: BaseException) -> InputError | UnavailableError:
    """Return an error of psycopg as an error for people.

    Args:
        server: the server, as the beginning of a sentence.
        setting: the setting that has its address.
        password: where its password is set.
        error: what psycopg raised.
    """
    psycopg = load_psycopg()

    state, said = getattr(error, "sqlstate", None) or "", first_line(error)
    # A refused connection has no SQLSTATE, only the server's own words: `FATAL:  password authentication failed …`.
    if (not state and "authentication failed" in str(error)) or "no password supplied" in str(error):
        state = USER
    if not state and "does not exist" in str(error) and "certificate" not in str(error):
        state = NO_DATABASE if "database" in str(error) else USER
    if state == RIGHTS:
        return InputError(f"{server} gives no right to do this: {said}.", "Grant CREATE on its schema to the user.")
    if state.startswith(USER):
        return InputError(f"{server} refuses the connection: {said}.", f"Correct the user in {setting}, or {password}.")
    if state.startswith(NO_DATABASE):
        return InputError(f"{server} refuses the connection: {said}.", f"Create the database, or correct {setting}.")
    if not state and (isinstance(error, psycopg.ProgrammingError) or any(words in said for words in TLS)):
        return InputError(
            f"{server} cannot be connected as asked: {said}.",
            f"Correct sslmode and sslrootcert in {setting}, or renew the server's certificate.",
        )
    if state.startswith(FULL_OR_READ_ONLY):
        return UnavailableError(
            f"{server} does not take writes: {said}.", "Give it disk or memory, or name its primary server."
        )
    if not state or state.startswith(PASSES):
        return UnavailableError(
            f"{server} does not answer: {said}.", f"Check {setting}, and run the command again later."
        )
    return InputError(f"{server} refuses the request: {said}.", f"Correct {setting} or the database.")


def check(settings: Settings) -> str:
    """Check that tables can be made, and return what the server is: `PostgreSQL 17.2`.

    Raises: as `faults`.
    """
    with faults(settings), connect(settings) as connection:
        connection.execute("CREATE TEMPORARY TABLE doctor (a int)")  # a server that takes no writes refuses it
        row = connection.execute(
            "SELECT current_setting('server_version'), current_schema(),"
            " coalesce(has_schema_privilege(current_schema(), 'CREATE'), false)"
        ).fetchone()
        assert row is not None  # a SELECT without FROM has one row
        version, schema, may_create = row
    if not may_create:
        raise InputError(
            f"The registry {shown(settings.registry)} gives no right to make tables in the schema {schema}.",
            "Grant CREATE on the schema to the user.",
        )
    return f"PostgreSQL {version.split()[0]}"
