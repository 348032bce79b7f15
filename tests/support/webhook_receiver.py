"""A webhook endpoint: keeps every POST as it came, and checks signatures with code of its own.

Who calls: functional tests, the demo and the bench, as the customer's application.
Promises: raw body bytes, all headers, the instant of arrival; the answer is a status, a list of
them, or a function of the request. Limits: POST with Content-Length only; everything stays in
memory.
"""

import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from support.closing import ClosedAtTheEnd
from support.cut_connections import CutAtClose
from support.processes import LOOPBACK, WaitTimeoutError
from support.signatures import SignatureError, verify_signature, verify_standard_webhook

__all__ = [
    "HANG_UP",
    "ReceivedPost",
    "Reply",
    "SignatureError",
    "WebhookReceiver",
    "verify_signature",
    "verify_standard_webhook",
]

_STOP_SECONDS = 10.0


@dataclass(frozen=True)
class ReceivedPost:
    """One request: path with query, headers keyed in lower case, the body's raw bytes."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    received_at: float


@dataclass(frozen=True)
class Reply:
    """An answer; status 0 closes the connection without one."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


HANG_UP = Reply(status=0)
Answer = int | Reply
Answers = Answer | Sequence[Answer] | Callable[[ReceivedPost], Answer]


class WebhookReceiver(ClosedAtTheEnd):
    """Listens from construction or `with` to `close`; `posts` grows in order of arrival."""

    def __init__(self, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self.posts: list[ReceivedPost] = []
        self.delay_seconds = 0.0
        self._answer = _as_function(200)
        self._arrival = threading.Condition()
        self._closing = threading.Event()
        self._server = _Server(self, port, tls)
        self.host: str = LOOPBACK
        self.port: int = self._server.server_address[1]
        self.url = f"{'https' if tls else 'http'}://{self.host}:{self.port}/hook"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), name="webhook-receiver", daemon=True
        )
        self._thread.start()

    def answer_with(self, answers: Answers, delay_seconds: float = 0.0) -> None:
        """Set what comes back: one answer, a list (its last one stays), or a function."""
        with self._arrival:
            self._answer = _as_function(answers)
            self.delay_seconds = delay_seconds

    def wait_for(self, count: int, timeout: float = 10.0) -> list[ReceivedPost]:
        """Return the posts as soon as there are `count`; WaitTimeoutError tells how many."""
        with self._arrival:
            if not self._arrival.wait_for(lambda: len(self.posts) >= count, timeout):
                raise WaitTimeoutError(
                    f"webhook receiver on port {self.port}: {len(self.posts)} of {count} requests"
                    f" after {timeout:g} s"
                )
            return list(self.posts)

    def clear(self) -> None:
        """Forget all posts."""
        with self._arrival:
            self.posts.clear()

    def close(self) -> None:
        """Stop listening, cut what is open, free the port. Idempotent."""
        self._closing.set()
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join(_STOP_SECONDS)
        self._server.server_close()

    def take(self, post: ReceivedPost) -> Reply:
        """Keep one request and return the answer that is its turn, after the delay."""
        with self._arrival:
            self.posts.append(post)
            self._arrival.notify_all()
            answer = self._answer
        reply = answer(post)
        self._closing.wait(self.delay_seconds)
        return Reply(reply) if isinstance(reply, int) else reply


def _as_function(answers: Answers) -> Callable[[ReceivedPost], Answer]:
    if callable(answers):
        return answers
    turns = [answers] if isinstance(answers, int | Reply) else list(answers)
    lock = threading.Lock()

    def next_turn(_post: ReceivedPost) -> Answer:
        with lock:
            return turns.pop(0) if len(turns) > 1 else turns[0]

    return next_turn


class _Server(CutAtClose, ThreadingHTTPServer):
    request_queue_size = 256

    def __init__(self, owner: WebhookReceiver, port: int, tls: ssl.SSLContext | None) -> None:
        self.owner = owner
        super().__init__((LOOPBACK, port), _Handler)
        if tls is not None:
            # The handshake belongs to the thread of its connection, not to the accepting one.
            self.socket = tls.wrap_socket(
                self.socket, server_side=True, do_handshake_on_connect=False
            )

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Stay quiet: a client that goes away, or refuses our certificate, is a normal case."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    timeout = 60.0
    wbufsize = -1  # headers and body leave in one segment, so that no delayed ACK is measured
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isdigit():
            self.send_error(411)
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(length))
        reply = self.server.owner.take(ReceivedPost(self.path, headers, body, time.time()))
        if reply.status == 0:
            self.close_connection = True
            return
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Write nothing: what came stands in `posts`."""
