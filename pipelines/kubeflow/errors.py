"""What an error of Kubeflow's API means for a person. A token is never shown."""

import json
from urllib.parse import urlsplit

import kfp_server_api
from urllib3 import exceptions

from segue.errors import InputError, SegueError, UnavailableError
from segue.tls import refused_certificate, speaks_tls, wrong_scheme

LONGEST = 300  # characters of a message of the server
TOKEN = "SEGUE_KUBEFLOW_TOKEN, or name its file by SEGUE_KUBEFLOW_TOKEN_FILE"


def no_address() -> InputError:
    """Return the error that no address is known."""
    return InputError(
        "--on kfp needs the address of Kubeflow Pipelines.",
        "Add --host http://HOST:PORT, or set kubeflow in segue.yaml or SEGUE_KUBEFLOW.",
    )


def told(error: Exception, address: str, token: str | None, subject: str = "") -> SegueError:
    """Return an error of the API's client as one that a person can act on.

    Args:
        error: what the client or its transport raised.
        address: the address of the API.
        token: the token that was sent; it is masked in what the server says.
        subject: what the call was about: `the run 1b2c`.
    """
    where = f"Kubeflow Pipelines at {address}"
    if isinstance(error.__context__, kfp_server_api.ApiException):
        error = error.__context__  # the client fails again on an error of TLS, which has no body
    if isinstance(error, kfp_server_api.ApiException) and error.status:
        return refused(error, where, address, token, subject)
    if isinstance(error, kfp_server_api.ApiException):  # the client's word for an error of TLS
        return tls_error(str(error.reason), where, address)
    if isinstance(error, exceptions.HTTPError):
        return unreachable(error, where, address)
    return InputError(
        f"{where} does not answer as the API v2beta1 does: {type(error).__name__}.",
        "Name the address of the API of Kubeflow Pipelines 2; a full Kubeflow has it below /pipeline.",
    )


def refused(
    error: kfp_server_api.ApiException, where: str, address: str, token: str | None, subject: str
) -> SegueError:
    """Return the error of an answer that is an error."""
    status = int(error.status)
    said = message(error.body)
    if token:
        said = said.replace(token, "***")
    if status < 400:
        return InputError(
            f"{where} sends to a login page (status {status}).", f"Set {TOKEN}; or name an address behind the login."
        )
    if status == 400 and wants_tls(address):
        return wrong_scheme(where, "http")
    if status == 401:
        given = "refuses the token" if token else "asks for a token, and none is set"
        return InputError(f"{where} {given} (status 401).{said}", f"Set {TOKEN}, to a token that is valid now.")
    if status == 403:
        return InputError(
            f"{where} allows this user no such call (status 403).{said}",
            "Ask for the right to edit in that namespace, or correct kubeflow_namespace or the token.",
        )
    if status == 404 and subject:
        return InputError(f"{where} does not have {subject} (status 404).", "List the runs: `segue run list --on kfp`.")
    if status == 404:
        return InputError(
            f"{where} has no API v2beta1 (status 404).",
            "Name the address of Kubeflow Pipelines 2; a full Kubeflow has it below /pipeline.",
        )
    if status >= 500 or status in (408, 429):
        return UnavailableError(f"{where} fails (status {status}).{said}", "Look at the pod ml-pipeline; run again.")
    return InputError(f"{where} refuses the call (status {status}).{said}", "Correct what it names.")


def message(body: bytes | str | None) -> str:
    """Return what the server says of its error, as a sentence after a blank; empty if it is not the API's JSON."""
    try:
        parsed = json.loads(body or "")
        text = str(parsed.get("message") or parsed.get("error") or "")
    except (ValueError, AttributeError):
        return ""
    text = " ".join(text.split())
    return f" It says: {text[:LONGEST].rstrip('.')}." if text else ""


def tls_error(reason: str, where: str, address: str) -> SegueError:
    """Return the error of a TLS connection: no TLS there, a certificate that is not trusted, or another."""
    if "CERTIFICATE_VERIFY_FAILED" in reason:
        cause = reason.partition("certificate verify failed: ")[2].partition(" (_ssl")[0] or "it is not trusted"
        return refused_certificate(where, cause, "by SSL_CERT_FILE")
    if not speaks_tls(address):
        return wrong_scheme(where, "https")
    return InputError(f"{where} and this machine agree on no TLS: {reason.splitlines()[-1]}.", "Use TLS 1.2 or newer.")


def unreachable(error: exceptions.HTTPError, where: str, address: str) -> SegueError:
    """Return the error of a connection that does not come about or breaks."""
    host = urlsplit(address).hostname
    if isinstance(error, exceptions.NameResolutionError):
        return UnavailableError(f"No address is known for the host {host} of {where}.", "Correct the name, or the DNS.")
    if isinstance(error, exceptions.NewConnectionError):
        return UnavailableError(
            f"{where} cannot be connected: {cause_of(error)}.",
            "Start its port-forward: `kubectl port-forward -n kubeflow svc/ml-pipeline-ui 8080:80`.",
        )
    if isinstance(error, exceptions.TimeoutError):
        return UnavailableError(
            f"{where} did not answer in time.", "Check the network; `segue run list --on kfp` tells what has started."
        )
    if wants_tls(address):
        return wrong_scheme(where, "http")
    return UnavailableError(f"The connection to {where} broke.", "Run again.")


def cause_of(error: BaseException) -> str:
    """Return the system's words in an error of a connection."""
    cause = error.__cause__ or error.__context__
    return (cause.strerror if isinstance(cause, OSError) else None) or "no connection"


def wants_tls(address: str) -> bool:
    """Whether an address without TLS is that of a server with it."""
    return urlsplit(address).scheme == "http" and speaks_tls(address)
