"""Servers for tests that speak TLS and nothing behind it."""

import contextlib
import socket
import threading
from collections.abc import Iterator

from stores import servers

SSL_REQUEST = 8  # bytes, to which PostgreSQL answers with a letter before TLS begins


@contextlib.contextmanager
def secured(context, greeting: bytes = b"") -> Iterator[int]:
    """A server on loopback that speaks TLS and nothing behind it; yields its port.

    Args:
        context: its certificate.
        greeting: what it says before TLS begins, as an answer to the client's first bytes.
    """

    def serve() -> None:
        with contextlib.suppress(OSError):  # the listener's end
            while True:
                connection, _ = listener.accept()
                with connection, contextlib.suppress(OSError):
                    if greeting:
                        connection.recv(SSL_REQUEST)
                        connection.sendall(greeting)
                    context.wrap_socket(connection, server_side=True).close()

    with socket.create_server((servers.HOST, 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
