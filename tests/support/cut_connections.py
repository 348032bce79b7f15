"""A threading server that cuts what is open when it is closed, so that no client waits for it.

Who calls: `sasl_server` and `webhook_receiver`, whose servers inherit from it, before the class of
the standard library that makes the sockets.
"""

import contextlib
import socket
import socketserver
from typing import Any


class CutAtClose(socketserver.TCPServer):
    """Knows its open connections, and shuts them down with itself."""

    daemon_threads = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._open: set[socket.socket] = set()
        super().__init__(*args, **kwargs)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve one more."""
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Forget one that has ended."""
        self._open.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        """Stop listening, and cut the rest."""
        super().server_close()
        for connection in tuple(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
