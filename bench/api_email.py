"""Email requests a second, against the same messages handed to Postfix by smtplib.

Both sides are ten threads of this process, each with a connection of its own, and end at the same
smtpd with the same milter, which instruments every message.  The anchor's messages are what the API
composes, composed beforehand.  Every request has an Idempotency-Key of its own, as the SDKs send
one, so that two commits of ours are in each.
"""

from __future__ import annotations

import http.client
import json
import os
import smtplib
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from bench import mails
from bench.experiment import BenchFault, Experiment, Values, in_turn
from openclick.instants import now
from openclick_sidecar.api.composer import compose
from openclick_sidecar.api.outgoing import EmailReader
from support.deployment import DOMAIN
from support.processes import LOOPBACK

_THREADS = 10
_DRAIN_SECONDS = 600.0
_PREFIX = "X-Anypost-"
_INSTRUMENTED = b" instrumented "


class ApiEmail(Experiment):
    """Values: messages a second, `api` and `smtplib`."""

    name = "api email"

    @property
    def note(self) -> str:
        """How many messages a point has."""
        return f"{self._count} messages a point, {_THREADS} connections, 50 KB"

    @property
    def _count(self) -> int:
        return self.scale.of(usual=400, quick=60)

    def prepare(self) -> None:
        """Make a key, and send a few messages each way."""
        installation = self.world.deployment.installation
        made = installation.openclick_json("apikey", "create", "bench")
        self._fields = {"Authorization": f"Bearer {made['secret']}"}
        email: dict[str, Any] = {
            "from": f"Kontor Nord <news@{DOMAIN}>",
            "to": [mails.RECIPIENT],
            "subject": "November: jackets, boots, wax",
            "html": mails.newsletter_html(1),
            "tags": ["newsletter"],
        }
        self._body = json.dumps(email).encode()
        outgoing = EmailReader(_PREFIX).read(email)
        self._message = compose(outgoing, bytes(16), None, now(), _PREFIX, os.urandom)
        self.round(backwards=False)

    def round(self, backwards: bool) -> Values:
        """Load each in turn."""
        installation = self.world.deployment.installation
        sidecar = installation.start_sidecar()
        try:
            return {
                name: self._rate(name, send)
                for name, send in in_turn(
                    [("api", self._by_api), ("smtplib", self._by_smtplib)], backwards
                )
            }
        finally:
            sidecar.close()

    def _rate(self, name: str, send: Callable[[int], None]) -> float:
        self.say(f"api email: {name}")
        log = self.world.milter.log_path
        logged = log.stat().st_size
        self.world.postfix.wait_for_empty_queue(_DRAIN_SECONDS)
        began = time.perf_counter()
        with ThreadPoolExecutor(_THREADS) as pool:
            for done in [pool.submit(send, self._count // _THREADS) for _ in range(_THREADS)]:
                done.result()
        seconds = time.perf_counter() - began
        self.world.postfix.wait_for_empty_queue(_DRAIN_SECONDS)
        with log.open("rb") as lines:
            lines.seek(logged)
            found = lines.read().count(_INSTRUMENTED)
        if found != self._count:
            raise BenchFault(f"{name}: of {self._count} mails the milter instrumented {found}")
        return self._count / seconds

    def _by_api(self, count: int) -> None:
        port = self.world.deployment.installation.api_port
        with _closing(http.client.HTTPConnection(LOOPBACK, port, timeout=60)) as connection:
            for _ in range(count):
                fields = {**self._fields, "Idempotency-Key": str(uuid.uuid4())}
                connection.request("POST", "/v1/email", self._body, fields)
                answer = connection.getresponse()
                body = answer.read()
                if answer.status != 202:
                    raise BenchFault(f"the API answers {answer.status}: {body[:200]!r}")

    def _by_smtplib(self, count: int) -> None:
        listener = self.world.deployment.submission
        with _closing(smtplib.SMTP(listener.host, listener.port, "localhost", 60)) as connection:
            for _ in range(count):
                connection.sendmail(f"news@{DOMAIN}", [mails.RECIPIENT], self._message)


@contextmanager
def _closing(connection: Any) -> Iterator[Any]:
    try:
        yield connection
    finally:
        connection.close()
