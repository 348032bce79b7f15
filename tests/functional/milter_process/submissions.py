"""Mail for a milter that is signalled about: one submission, or clients that go on sending.

Who calls: tests of this folder.
"""

import threading

from support import messages
from support.deployment import DOMAIN, Deployment, delivered
from support.smtp_client import SmtpSession, send
from support.smtp_sink import SmtpSink


def submit(deployment: Deployment, sink: SmtpSink, **fields: object) -> tuple[bytes, bytes]:
    """Submit a newsletter; return it as it was sent and as it arrived."""
    raw = messages.newsletter(**fields)  # type: ignore[arg-type]
    sent = send(deployment.submission, f"news@{DOMAIN}", messages.RECIPIENTS, raw)
    assert sent.accepted, sent.text
    return raw, delivered(sink, raw)


class Client(threading.Thread):
    """Sends mail until told to stop, and keeps what was refused."""

    def __init__(
        self,
        deployment: Deployment,
        stop: threading.Event,
        *,
        keeps: bool,
        per_session: int = 50,
    ) -> None:
        super().__init__(daemon=True)
        self.deployment, self.stop = deployment, stop
        self.per_session = per_session if keeps else 1
        self.sent: list[bytes] = []
        self.refused: list[str] = []

    def run(self) -> None:
        """Send: a connection a message, or many messages a connection."""
        while not self.stop.is_set():
            with SmtpSession(self.deployment.submission) as session:
                for _ in range(self.per_session):
                    raw = messages.newsletter()
                    result = session.send(f"news@{DOMAIN}", messages.RECIPIENTS, raw)
                    (self.sent if result.accepted else self.refused).append(
                        raw if result.accepted else result.text  # type: ignore[arg-type]
                    )
                    if self.stop.is_set():
                        break
