"""A sidecar whose store is to break, and readers who click links that are asked for once.

Who calls: functional tests of what must not be lost. Promises: a destination names its hit, so that
what was answered can be looked for among the events; `require_all` fails for an answered click that
is no event, and for one that is two. Limits: needs root, like every installation.
"""

import json
import os
import sqlite3
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

from openclick.keys import load_keys
from openclick.messages import Message, Outcome
from openclick_sidecar.journal import journal_files
from support.installation import Installation
from support.processes import wait_until
from support.visitors import Visitors

DOMAIN = "kontor.example"
TRACKING_DOMAIN = f"track.{DOMAIN}"
EMAIL_ID = bytes.fromhex("0199c0de00007abc8def0123456789ab")
MESSAGE_ID = "<faults@kontor.example>"


class World:
    """An installation with a running sidecar, and readers who click.

    `store` are settings of the store. `rows` copies, from 0 on, are rows of `messages.db`.
    """

    def __init__(self, installation: Installation, rows: int = 0, **store: object) -> None:
        self.installation = installation
        self.state = installation.state
        installation.configure(
            "unix:/nonexistent/milter.sock",
            53,
            store={"url": f"sqlite:{installation.state}"} | store,
            keys={"directory": str(installation.state / "keys")},
            log={"level": "info"},
        )
        installation.init()
        with closing(installation.store.message_log()) as log:
            log.record([a_message(number.to_bytes(4, "big")) for number in range(max(1, rows))])
        os.chown(self.state / "messages.db", installation.milter_uid, installation.gid)
        installation.start_sidecar()
        ring = load_keys(str(installation.state / "keys"))
        self.visitors = Visitors(ring, TRACKING_DOMAIN, EMAIL_ID, installation.hit_port)

    def path(self, name: str) -> Path:
        """Return a file of the store."""
        return self.state / name

    def files(self, name: str) -> list[Path]:
        """Return a database and its companions."""
        return sorted(self.state.glob(f"{name}*"))

    def stop(self) -> None:
        """End the sidecar as systemd does."""
        assert self.installation.sidecar is not None
        assert 0 == self.installation.sidecar.terminate(timeout=20)

    def kill(self) -> None:
        """End the sidecar as a power cut would."""
        assert self.installation.sidecar is not None
        self.installation.sidecar.kill9()

    def visit(self, seconds: float) -> None:
        """Let readers click for a while."""
        with self.visitors:
            time.sleep(seconds)

    def journal(self) -> list[Path]:
        """Return the files of the journal in the store's directory."""
        return journal_files(self.state / "journal")

    def log(self) -> str:
        """Return everything that the sidecar has logged."""
        return (self.installation.directory / "sidecar.log").read_text("utf-8", "replace")

    def events(self) -> list[dict[str, Any]]:
        """Return the events that were made."""
        with closing(self.installation.store.registry()) as registry:
            found = list[dict[str, Any]]()
            seq = 0
            while logged := registry.events.many_after(seq, 1000):
                found += [json.loads(entry.event.body) for entry in logged]
                seq = logged[-1].seq
        return found

    def require_all(self, timeout: float = 60) -> None:
        """Wait until every answered click is an event, and check that none became two."""
        wait_until(lambda: not self.missing(), timeout, "an event for each answered click", 0.2)
        urls = Counter(event["data"]["tracking"]["url"] for event in self.events())
        assert [] == [url for url, times in urls.items() if times > 1]

    def missing(self) -> set[str]:
        """Return the answered clicks that are no event."""
        made = {event["data"]["tracking"]["url"] for event in self.events()}
        return set(self.visitors.answered) - made

    def require_answers(self, at_least: int) -> None:
        """Check that every click was answered with its redirect."""
        assert [] == self.visitors.refused
        assert len(self.visitors.answered) >= at_least


def a_message(copy: bytes) -> Message:
    """Return the row of a copy."""
    return Message(
        email_id=EMAIL_ID,
        copy=copy,
        created_at=0,
        outcome=Outcome.INSTRUMENTED,
        reason="",
        queue_id="4Xk2Q1z0",
        message_id=MESSAGE_ID,
        envelope_id=None,
        sender="news@kontor.example",
        header_from="news@kontor.example",
        recipients=("anna@reader.example",),
        subject="Boots",
        sending_domain=DOMAIN,
        tracking_domain=TRACKING_DOMAIN,
        opens=True,
        opens_reason="",
        clicks=True,
        clicks_reason="",
    )


def hold_lock(path: Path) -> sqlite3.Connection:
    """Take the write lock of a database; who closes the connection gives it back."""
    connection = sqlite3.connect(path, isolation_level=None, timeout=10)
    connection.execute("BEGIN IMMEDIATE")
    return connection


class locked:  # noqa: N801 - reads as a function
    """Holds the write lock of a database; makes sure that there is one first."""

    def __init__(self, path: Path, world: World) -> None:
        if not path.exists():
            world.visitors.click(1)
        self._connection = hold_lock(path)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_error: object) -> None:
        self._connection.execute("ROLLBACK")
        self._connection.close()
