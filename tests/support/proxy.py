"""A TCP proxy on loopback that a test cuts off and mends: a client sees what it sees of a killed server, at once."""

import contextlib
import socket
import struct
import threading

RESET = struct.pack("ii", 1, 0)  # SO_LINGER: a socket that is closed sends RST, as the system does for a killed process


class Proxy:
    """Passes connections on to a server on loopback.

    Attributes:
        port: the port of the proxy; the same after it was mended.
    """

    def __init__(self, server: int) -> None:
        self.server, self.port = server, 0
        self.start()

    def start(self) -> None:
        """Take connections, at first or again."""
        self.open: list[socket.socket] = []
        self.listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self.listener, self.open), daemon=True).start()

    def kill(self) -> None:
        """Break every connection, and refuse new ones."""
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for connection in self.open:
            with contextlib.suppress(OSError):  # it has ended by itself
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def _accept(self, listener: socket.socket, opened: list[socket.socket]) -> None:
        with contextlib.suppress(OSError):  # the listener was closed
            while True:
                client = listener.accept()[0]
                server = socket.create_connection(("127.0.0.1", self.server))
                opened += [client, server]
                for source, target in ((client, server), (server, client)):
                    threading.Thread(target=self._pass_on, args=(source, target), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):  # one end has gone
            while data := source.recv(2**16):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
