"""MLflow on a cluster: a check of its address, and errors that name the server."""

import base64
import http.client
import os
import urllib.error
import urllib.request
from urllib.parse import urlsplit

from segue import tls
from segue.errors import InputError, SegueError, UnavailableError
from stores import registry
from stores.online_store import first_line
from stores.settings import shown

SECONDS = 5
LONGEST = 300  # characters of an error's text
CREDENTIALS = "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
CALL = "api/2.0/mlflow/experiments/search?max_results=1"  # the version alone needs no rights
CORRECT = "Correct MLFLOW_TRACKING_URI or `tracking`, or unset it to keep the record in the home."


def check(address: str) -> str:
    """Ask MLflow's server for its version and for an experiment, or its database for a connection.

    Returns:
        What it is: `MLflow 3.4.0`.

    Raises:
        InputError: the server refuses the user, is not MLflow, or its certificate or the scheme is wrong.
        UnavailableError: it does not answer.
    """
    if is_postgres(address):
        check_database(address)
        return "a PostgreSQL database, in which MLflow makes its tables"
    if urlsplit(address).scheme not in ("http", "https"):
        return "a database, which MLflow opens itself"
    version = ask(address, "version")
    ask(address, CALL)
    return f"MLflow {version}"


def is_postgres(address: str) -> bool:
    """Whether an address is that of a PostgreSQL database, with or without the name of a driver."""
    return urlsplit(address).scheme.partition("+")[0] in ("postgresql", "postgres")


def check_database(address: str) -> None:
    """Connect to MLflow's PostgreSQL database once; MLflow itself would try for 100 seconds.

    Raises: as `check`.
    """
    psycopg = registry.load_psycopg()

    scheme, _, rest = address.partition("://")
    try:
        registry.connect_to(f"{scheme.partition('+')[0]}://{rest}").close()
    except psycopg.Error as error:
        raise registry.explained(
            f"MLflow at {shown(address)}", "tracking", "its password there", error
        ) from None  # the error may have the address, and so the password


def ask(address: str, path: str) -> str:
    """Return the first line of what MLflow's server answers.

    Raises: as `check`.
    """
    url = urlsplit(address)
    base = url._replace(netloc=url.netloc.rpartition("@")[2]).geturl().rstrip("/")
    try:
        request = urllib.request.Request(f"{base}/{path}", headers=authorization(address))
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:
            text = answer.read(100).decode("utf-8", "replace")
    except urllib.error.HTTPError as error:
        raise refused(error.code, address) from error
    except (OSError, http.client.HTTPException) as error:  # URLError is an OSError
        raise unreachable(error, address) from error
    if text.lstrip().startswith("<"):
        raise refused(200, address)
    return first_line(Exception(text))


def authorization(address: str) -> dict[str, str]:
    """Return the header with the credentials that MLflow's own client would send."""
    url = urlsplit(address)
    user = url.username or os.environ.get("MLFLOW_TRACKING_USERNAME")
    password = url.password or os.environ.get("MLFLOW_TRACKING_PASSWORD")
    if user and password:
        return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}
    if token := os.environ.get("MLFLOW_TRACKING_TOKEN"):
        return {"Authorization": f"Bearer {token}"}
    return {}


def refused(status: int, address: str) -> SegueError:
    """Return an answer that is an error, by its HTTP status, as an error for people."""
    server = f"MLflow at {shown(address)}"
    if status in (401, 403):
        return InputError(f"{server} refuses the user (status {status}).", f"Set {CREDENTIALS}.")
    if status >= 500 or status in (408, 429):
        return UnavailableError(f"{server} fails (status {status}).", "Run the command again later.")
    if status == 400 and address.startswith("http:") and tls.speaks_tls(address):  # as nginx answers plain HTTP
        return tls.wrong_scheme(server, "http")
    return InputError(f"{server} does not answer as MLflow does (status {status}).", CORRECT)


def unreachable(error: BaseException, address: str) -> SegueError:
    """Return an error without an answer of the server as an error for people."""
    server, cause = f"MLflow at {shown(address)}", tls.root(error)
    if misdirected := tls.fault(cause, server, address, "by SSL_CERT_FILE and REQUESTS_CA_BUNDLE"):
        return misdirected
    said = " ".join(str(cause).split())[:LONGEST].rstrip(".") or type(cause).__name__
    return UnavailableError(f"{server} does not answer: {said}.", f"Start it. {CORRECT}")
