"""Feast's registry of a cluster: PostgreSQL, with time-outs and errors that name the server."""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from segue.errors import InputError, UnavailableError
from stores.online_store import first_line
from stores.settings import PREFIX, Settings, shown

if TYPE_CHECKING:
    import psycopg

CONNECT_SECONDS = 5
STATEMENT_MILLISECONDS = 10_000
PASSWORD = f"{PREFIX}REGISTRY_PASSWORD"
# Classes of SQLSTATE, PostgreSQL's appendix A: what an operator corrects, and what may pass.
INPUT = {"28": f"Correct the user in registry, or {PASSWORD}.", "3D": "Create the database, or correct registry."}
RIGHTS = "42501"
PASSES = ("08", "53", "55", "57", "25")


def connect(settings: Settings) -> "psycopg.Connection":
    """Open a connection to the registry's database.

    Raises: the errors of psycopg, which `faults` explains.
    """
    import psycopg

    password = settings.registry_password
    return psycopg.connect(
        str(settings.registry),
        password=password.get_secret_value() if password else None,
        connect_timeout=CONNECT_SECONDS,
        options=f"-c statement_timeout={STATEMENT_MILLISECONDS}",
        autocommit=True,
    )


@contextlib.contextmanager
def faults(settings: Settings) -> Iterator[None]:
    """Raise the database's errors as errors for people that name the server.

    Raises:
        InputError: the server refuses the user, the password, the right or the database.
        UnavailableError: the server does not answer.
    """
    import psycopg
    from sqlalchemy.exc import DBAPIError, TimeoutError

    try:
        yield
    except psycopg.Error as error:
        raise explained(settings, error) from error
    except DBAPIError as error:  # how SQLAlchemy, on which Feast's registry stands, wraps the errors of psycopg
        raise explained(settings, error.orig or error) from error
    except TimeoutError as error:  # of its pool of connections
        raise explained(settings, error) from error


def explained(settings: Settings, error: BaseException) -> InputError | UnavailableError:
    """Return an error of psycopg as an error for people."""
    server = f"The registry {shown(settings.registry)}"
    state, said = getattr(error, "sqlstate", None) or "", first_line(error)
    # A refused connection has no SQLSTATE, only the server's own words: `FATAL:  password authentication failed …`.
    if (not state and "authentication failed" in str(error)) or "no password supplied" in str(error):
        state = "28P01"
    if not state and "does not exist" in str(error):
        state = "3D000" if "database" in str(error) else "28000"
    if state == RIGHTS:
        return InputError(f"{server} gives no right to do this: {said}.", "Grant CREATE on its schema to the user.")
    if state[:2] in INPUT:
        return InputError(f"{server} refuses the connection: {said}.", INPUT[state[:2]])
    if not state or state.startswith(PASSES):
        return UnavailableError(
            f"{server} does not answer: {said}.", "Check registry, and run the command again later."
        )
    return InputError(f"{server} refuses the request: {said}.", "Correct registry or the database.")


def check(settings: Settings) -> str:
    """Check the right to make tables, and return what the server is: `PostgreSQL 17.2`.

    Raises: as `faults`.
    """
    with faults(settings), connect(settings) as connection:
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
