"""The versions that a server has not loaded yet, asked over REST: the sidecar's image has no gRPC."""

import http.client
import json
from collections.abc import Iterable

from segue.errors import InputError

ANSWER_SECONDS = 5.0


def check_address(address: str) -> None:
    """Check the address of a server.

    Raises:
        InputError: it is not `host:port`.
    """
    try:
        http.client.HTTPConnection(address)
    except http.client.InvalidURL:
        raise InputError(f"A server is HOST:PORT. Received {address!r}.", "For instance 127.0.0.1:8501.") from None


def unloaded(address: str, wanted: Iterable[tuple[str, int]]) -> list[str]:
    """Return a phrase for each version that a server cannot answer with; empty if it can with all.

    Args:
        address: the REST address of the server, `host:port`. A server that does not answer has loaded nothing.
        wanted: the (model, version) pairs.
    """
    return [phrase for model, version in wanted if (phrase := _hindrance(address, model, version))]


def _hindrance(address: str, model: str, version: int) -> str:
    """Why a server cannot answer with a version; empty if it can."""
    connection = http.client.HTTPConnection(address, timeout=ANSWER_SECONDS)
    try:
        connection.request("GET", f"/v1/models/{model}/versions/{version}")
        answer = json.loads(connection.getresponse().read())
        if "error" in answer:  # the server has not found the version yet
            return str(answer["error"])
        (status,) = answer["model_version_status"]
        state, reason = status["state"], status["status"]["error_message"]
    except (OSError, http.client.HTTPException) as error:
        return f"{address} does not answer for {model} {version}: {getattr(error, 'strerror', None) or error}"
    except (ValueError, KeyError, TypeError):
        return f"{address} does not answer as TensorFlow Serving does"
    finally:
        connection.close()
    return "" if state == "AVAILABLE" else f"{model} {version} is {state} {reason}".rstrip()
