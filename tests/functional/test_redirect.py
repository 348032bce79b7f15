"""What a click sets in motion beside its answer: nothing at the destination."""

from contextlib import closing

from openclick.keys import load_keys
from openclick.tokens import Kind, Token, tracking_path
from support.fixtures import requires_private_postfix
from support.http_client import fetch
from support.lone_sidecar import TRACKING_DOMAIN, LoneSidecar
from support.processes import LOOPBACK, free_port, wait_until
from support.scripted_server import answering, server

pytestmark = requires_private_postfix

NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
"""One-time links are used up by whoever asks for them first (a reset, a confirmation)."""


def test_the_destination_is_never_asked() -> None:
    """Neither HEAD nor GET nor the judging of the click makes a connection to where it leads."""
    port, asked = free_port(), list[bytes]()
    destination = f"http://{LOOPBACK}:{port}/reset?token=1"
    with (
        server(port, answering(NOT_FOUND, asked)),
        LoneSidecar(hold_seconds=0.1) as sidecar,
    ):
        ring = load_keys(str(sidecar.installation.state / "keys"))
        token = Token(b"e" * 16, b"c" * 4, 0, destination)
        path = tracking_path(Kind.CLICK, ring.seal(Kind.CLICK, TRACKING_DOMAIN, token))
        peer = (LOOPBACK, sidecar.port)

        answers = [
            fetch(f"http://{TRACKING_DOMAIN}{path}", peer, {"User-Agent": "Mozilla/5.0"}, method)
            for method in ("HEAD", "GET")
        ]
        wait_until(lambda: _judged(sidecar), 30, "a verdict on the click", 0.1)
        fetch(f"http://{LOOPBACK}:{port}/", (LOOPBACK, port))

    assert [(302, destination)] * 2 == [(one.status, one.header("location")) for one in answers]
    assert 1 == len(asked)  # our own, which shows that it would have been heard


def _judged(sidecar: LoneSidecar) -> bool:
    with closing(sidecar.installation.store.registry()) as registry:
        return registry.events.judge_cursor().position > 0
