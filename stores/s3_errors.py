"""What an error of S3 or of the connection to it means for a person."""

import socket
import threading
from urllib.parse import urlsplit

from segue import tls
from segue.errors import InputError, SegueError, UnavailableError

LOOKUP_SECONDS = 5
AMAZON = "https://s3.amazonaws.com"
CREDENTIALS = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
BAD_CREDENTIALS = {
    *("SignatureDoesNotMatch", "InvalidAccessKeyId", "InvalidToken", "ExpiredToken", "AuthorizationHeaderMalformed"),
    *("InvalidClientTokenId", "UnrecognizedClientException", "TokenRefreshRequired"),
}
NO_RIGHTS = {"AccessDenied", "AllAccessDisabled", "AccountProblem"}
OTHER_REGION = {"PermanentRedirect", "TemporaryRedirect", "IllegalLocationConstraintException"}
CHANGED = {"BadDigest", "XAmzContentSHA256Mismatch", "InvalidDigest"}
BUSY = {"InternalError", "ServiceUnavailable", "SlowDown", "RequestTimeout", "429"}


def check_name(endpoint: str) -> None:
    """Look up the host of an endpoint, because a look-up without an answer has no time-out of its own.

    A host that does not exist is left to the connection, which says so.

    Raises:
        UnavailableError: the name server gives no answer.
    """
    url = urlsplit(endpoint)
    done = threading.Event()

    def look_up() -> None:
        try:
            socket.getaddrinfo(url.hostname, url.port, type=socket.SOCK_STREAM)
        except OSError:
            pass
        done.set()

    threading.Thread(target=look_up, daemon=True).start()
    if not done.wait(LOOKUP_SECONDS):
        raise UnavailableError(
            f"The name server gives no address of the object store {url.hostname} within {LOOKUP_SECONDS} s.",
            "Check objects_endpoint and the network's name server, and run the command again.",
        )


def refusal(code: str, message: str, url: str, endpoint: str | None) -> SegueError:
    """Return an answer of the server that is an error, by its code, as an error for people.

    Args:
        code: the code of S3, or the HTTP status if the answer had no body.
        message: the server's own words.
        url: the place, `s3://BUCKET/PREFIX`.
        endpoint: the address of the server; None for Amazon's.
    """
    server = f"The object store {endpoint or 'of Amazon'}"
    if code == "RequestTimeTooSkewed":
        return UnavailableError(
            f"{server} refuses the request for {url}, because the clocks of this machine and of the server differ.",
            "Set the clocks by NTP, and run the command again.",
        )
    if code in BAD_CREDENTIALS:
        return InputError(f"{server} refuses the credentials for {url}: {code}.", f"Correct {CREDENTIALS}.")
    if code in NO_RIGHTS:
        return InputError(
            f"{server} gives no right to do this in {url}: {code}.",
            "Give the key the rights to list, read, write and delete objects there, or use another key.",
        )
    if code == "NoSuchBucket":
        return InputError(f"{server} has no bucket of {url}.", "Create the bucket, or correct `objects` or `models`.")
    if code in OTHER_REGION:
        return InputError(f"{server} keeps {url} in another region: {code}.", "Correct `objects_region`.")
    if code in CHANGED:
        return InputError(
            f"{server} received other bytes for {url} than those that were counted: {code}.",
            "Run the command again when nothing else writes the files.",
        )
    said = f"{code} {message}".strip()
    if code.startswith("5") or code in BUSY:
        return UnavailableError(f"{server} failed at {url}: {said}", "Run the command again later.")
    if code.isdecimal():  # boto3's code for an answer without a code of S3 is the HTTP status
        return not_s3(said, endpoint)
    return InputError(f"{server} refuses the request for {url}: {said}", "Check `objects` and `objects_endpoint`.")


def fault(error: Exception, url: str, endpoint: str | None) -> SegueError:
    """Return an error of boto3 without an answer of the server as an error for people."""
    from botocore import exceptions
    from botocore.parsers import ResponseParserError

    server = f"The object store {endpoint or 'of Amazon'}"
    if isinstance(error, exceptions.NoCredentialsError | exceptions.PartialCredentialsError):
        return InputError(f"{server} needs credentials for {url}. There are none.", f"Set {CREDENTIALS}.")
    if isinstance(error, exceptions.ParamValidationError | exceptions.ProfileNotFound | exceptions.ConfigParseError):
        return InputError(f"{server} cannot be asked for {url}: {error}", "Correct the settings of the object store.")
    cause = tls.root(error)
    if misdirected := tls.fault(cause, server, endpoint or AMAZON, "by AWS_CA_BUNDLE"):
        return misdirected
    if isinstance(error, ResponseParserError):
        return not_s3(type(error).__name__, endpoint)
    reason = getattr(cause, "strerror", None) or type(cause).__name__
    return UnavailableError(
        f"{server} does not answer for {url}: {reason}.",
        "Check the host and port in objects_endpoint, and run the command again later.",
    )


def not_s3(answer: str, endpoint: str | None) -> InputError:
    """Return the error for a server of another kind, and for a TLS port that is asked in plain HTTP."""
    scheme = "http" if str(endpoint).startswith("https") else "https"
    return InputError(
        f"The server {endpoint} does not answer as S3 does: {answer}.",
        f"Correct the port in objects_endpoint, or write {scheme}:// there.",
    )
