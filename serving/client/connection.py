"""The connection of a client to a model server: its options, TLS, repeated calls, and statuses as errors."""

import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import grpc

from segue.errors import InputError, SegueError, UnavailableError
from serving.protocol.tensors import MAX_MESSAGE_BYTES

# A host is a name, an IPv4 address, or an IPv6 address in brackets.
ADDRESS = re.compile(r"unix:[^\0]+|(?:[\w.-]+|\[[0-9A-Fa-f:.]+\]):(?P<port>[0-9]{1,5})")
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 0.05, 2.0
POLL_SECONDS = 0.1

OPTIONS: list[tuple[str, int]] = [
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.enable_http_proxy", 0),  # a model server is on the same network, and a proxy would be used even for loopback
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    # TF Serving closes a connection (GOAWAY, too_many_pings) that pings more often than every 5 minutes, or while no
    # call is open. gRPC also sets this timeout in the kernel, for bytes that are not acknowledged: the next call
    # notices after 5 s that the server is gone.
    ("grpc.keepalive_time_ms", 330_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 0),
]

_CALLERS_FAULT = (
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.FAILED_PRECONDITION,
)
_PASSING = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
)


@dataclass(frozen=True)
class TLS:
    """The PEM files of an encrypted connection.

    Args:
        ca: the certificate of the authority that signed the server's certificate.
        key, certificate: the client's own, for a server that requires them (mutual TLS); give both or neither.

    Raises:
        InputError: only one of `key` and `certificate` is given.
    """

    ca: Path
    key: Path | None = None
    certificate: Path | None = None

    def __post_init__(self) -> None:
        if (self.key is None) != (self.certificate is None):
            raise InputError(
                "Mutual TLS takes a key and a certificate of the client. Received only one of them.",
                "Give both or neither.",
            )

    def credentials(self) -> grpc.ChannelCredentials:
        """Read the files as the credentials of a gRPC channel.

        Raises:
            InputError: a file cannot be read.
        """
        try:
            ca, key, certificate = (path and Path(path).read_bytes() for path in (self.ca, self.key, self.certificate))
        except OSError as error:
            raise InputError(f"A TLS file must be readable: {error}.", "Check its path.") from error
        return grpc.ssl_channel_credentials(ca, key, certificate)


class Attempts:
    """The attempts of one call: its deadline, and the pauses between repetitions.

    A call is repeated on UNAVAILABLE only. The pauses grow, and have a random part so that many clients do not return
    at the same instant.

    Args:
        address: `host:port`, for the errors.
        timeout: seconds for the call with all repetitions.
        clock: a monotonic time in seconds.
        jitter: gives a random number in [0, 1).
    """

    def __init__(
        self,
        address: str,
        timeout: float,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.address, self.timeout = address, timeout
        self._clock, self._jitter = clock, jitter
        self._deadline = clock() + timeout
        self._wait = FIRST_WAIT_SECONDS

    def left(self, at_least: float = 0.001) -> float:
        """Seconds until the deadline, but not less than `at_least`."""
        return max(self._deadline - self._clock(), at_least)

    def pause_after(self, error: grpc.RpcError) -> float:
        """Seconds to wait before the next attempt.

        Raises:
            InputError, UnavailableError, SegueError: there is no next attempt; see `as_error`.
        """
        code, text = error.code(), error.details() or ""
        pause = self._wait * (1 + self._jitter()) / 2
        if code is not grpc.StatusCode.UNAVAILABLE or self._clock() + pause >= self._deadline:
            raise as_error(self.address, self.timeout, code, text) from error
        self._wait = min(self._wait * 2, LONGEST_WAIT_SECONDS)
        return pause

    def poll(self, model: str, hindrance: str) -> float:
        """Seconds to wait before the status of a model is read again.

        Args:
            model: the model's name, for the error.
            hindrance: why the model is not ready, for the error.

        Raises:
            UnavailableError: the deadline has come.
        """
        if self._clock() + POLL_SECONDS >= self._deadline:
            raise UnavailableError(
                f"Model {model} is not ready at {self.address} after {self.timeout:g} s: {hindrance}.",
                "See the server's log.",
            )
        return POLL_SECONDS


def check_address(address: str) -> None:
    """Check the form of a model server's address, so that a wrong one is not called until the timeout.

    Raises:
        InputError: the address is neither `host:port` nor `unix:path`.
    """
    match = ADDRESS.fullmatch(address)
    if match is None or (match["port"] and not 0 < int(match["port"]) < 65_536):
        raise InputError(
            f"The address of a model server is HOST:PORT or unix:PATH. Received {address!r}.",
            "Write the gRPC address without a scheme and a path, for example 127.0.0.1:8500.",
        )


def as_error(address: str, timeout: float, code: grpc.StatusCode, text: str) -> SegueError:
    """The error for a gRPC status.

    `InputError` if the request is wrong, `UnavailableError` if the same call may succeed later, else `SegueError`.
    """
    if code in _CALLERS_FAULT:
        return InputError(f"The model server at {address} rejects the request: {text}", "")
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return UnavailableError(
            f"The model server at {address} has no room for the request: {text}", "Send fewer rows, or try again later."
        )
    if code in _PASSING:
        return UnavailableError(
            f"The model server at {address} gave no answer in {timeout:g} s ({code.name}): {text}",
            "Check that it runs (`segue serve`) and that the address is right, or allow more time.",
        )
    return SegueError(f"The model server at {address} failed ({code.name}): {text}", "See its log.")
