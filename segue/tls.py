"""What an error of TLS means for a person: a certificate or a scheme to correct, which no repetition does."""

import socket
import ssl
from urllib.parse import urlsplit

from segue.errors import InputError

PROBE_SECONDS = 3
PORTS = {"http": 80, "https": 443}
WITH_TLS = {"http": "https", "redis": "rediss"}
WITHOUT_TLS = {secure: plain for plain, secure in WITH_TLS.items()}


def fault(error: BaseException, where: str, address: str, authority: str) -> InputError | None:
    """Return the error of a connection as a fault of its certificate or of the scheme of its address.

    Args:
        error: what broke the connection, as the operating system or TLS raised it.
        where: the server, as the beginning of a sentence: `MLflow at https://mlflow:5000`.
        address: its URL.
        authority: how to name the authority of a private certificate, as the end of a sentence.

    Returns:
        The error; None if the connection broke for another reason, which may pass.
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        return refused_certificate(where, error.verify_message, authority)
    scheme = urlsplit(address).scheme
    if scheme in WITH_TLS and not isinstance(error, TimeoutError | ConnectionRefusedError | socket.gaierror):
        return wrong_scheme(where, scheme) if speaks_tls(address) else None
    if not isinstance(error, ssl.SSLError) or isinstance(error, ssl.SSLEOFError):  # the server may just have ended
        return None
    if not speaks_tls(address):
        return wrong_scheme(where, scheme)
    return InputError(f"{where} and this machine agree on no TLS: {error.reason or error}.", "Use TLS 1.2 or newer.")


def refused_certificate(where: str, cause: str, authority: str) -> InputError:
    """Return the error of a certificate that has expired, has another name, or is of an unknown authority."""
    return InputError(
        f"{where} has a certificate that is not valid: {cause.rstrip('.')}.",
        f"Renew the certificate, or name the file of its authority {authority}.",
    )


def wrong_scheme(where: str, scheme: str) -> InputError:
    """Return the error that an address names TLS for a server without it, or the reverse."""
    words = "speaks TLS" if scheme in WITH_TLS else "speaks no TLS"
    right = WITH_TLS.get(scheme) or WITHOUT_TLS[scheme]
    return InputError(f"{where} {words}, and the address begins with {scheme}://.", f"Begin it with {right}://.")


def speaks_tls(address: str) -> bool:
    """Whether the server at an address answers the greeting of TLS. No certificate is checked, and nothing is sent."""
    url = urlsplit(address)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    place = (str(url.hostname), url.port or PORTS.get(url.scheme, 6379))
    try:
        with socket.create_connection(place, PROBE_SECONDS) as connection, context.wrap_socket(connection):
            return True
    except OSError:
        return False


def root(error: BaseException) -> BaseException:
    """Return the first error of a chain, as the operating system or TLS raised it."""
    inner = getattr(error, "kwargs", {}).get("error") or error.__cause__ or error.__context__
    reason = getattr(error, "reason", None)
    inner = reason if isinstance(reason, BaseException) else inner
    return root(inner) if isinstance(inner, BaseException) and inner is not error else error
