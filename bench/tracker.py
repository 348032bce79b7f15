"""Our side of the hit path: the real sidecar, with keys, links and message rows, without a Postfix.

Who calls: `hits`, `commits`, `stored_hits`, `deliveries`.  Promises: the process is the one that an
admin starts, under its own user; the links are sealed with the installation's key, an open and a
click for each message, and each message has its row and two recipients, so that every hit becomes
an event (the judge's rules against bursts and repeats do not apply).

Limits: events are stored and not sent, unless a webhook is added.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

from bench import floor
from bench.experiment import BenchFault
from bench.message_rows import TRACKING_DOMAIN, message_row, page
from bench.processors import pinned_to, processors
from bench.servers import Server
from openclick.keys import load_keys
from openclick.store import Store
from openclick.tokens import Kind, Token, tracking_path
from support.authority import Authority
from support.installation import Installation
from support.processes import LOOPBACK, free_port, wait_until

HITS_FILE = "hits.db"
_MESSAGES = 300
_LONGEST_SECONDS = 120
_CONNECTIONS = 1000
_HOLD_SECONDS = 0.5
"""Short, so that the judge is at work during a point rather than after it."""


@dataclasses.dataclass(frozen=True)
class Probe:
    """An open and a click to look at before anything is measured."""

    open_path: str
    click_path: str
    destination: str


class Tracker:
    """One installation; `python` runs the sidecar.  Raises InstallationError."""

    def __init__(self, python: str, parent: Path | None) -> None:
        self._installation = Installation(parent=parent)
        programs = self._installation.programs
        sidecar = (*pinned_to(processors().server), python, *programs.sidecar[1:])
        self._installation.programs = dataclasses.replace(programs, sidecar=sidecar)
        self.tls_port = free_port()
        self.authority = Authority()
        self._installation.configure(
            f"unix:{self._installation.directory}/milter.sock",  # no milter runs
            dns_port=53,  # and nothing is resolved
            # All the load comes from one address, which may have more connections than readers get.
            sidecar={
                "hold_seconds": _HOLD_SECONDS,
                "max_connections_per_address": _CONNECTIONS,
                "tls_listen": [f"{LOOPBACK}:{self.tls_port}"],
            },
            log={"level": "info"},
        )
        self._installation.init()
        self.certificate = self.authority.put(self.certificates, TRACKING_DOMAIN)

    def close(self) -> None:
        """End the sidecar and remove everything."""
        self._installation.close()

    @property
    def state(self) -> Path:
        """The store's directory."""
        return self._installation.state

    @property
    def certificates(self) -> Path:
        """The certificate directory; at first it holds the tracking domain's."""
        return self._installation.certificates

    @property
    def store(self) -> Store:
        """The store, to look into."""
        return self._installation.store

    @cached_property
    def links(self) -> Path:
        """A file of tracking links' paths, one a line; makes the message rows too."""
        ring = load_keys(str(self.state / "keys"))
        messages = [message_row(number) for number in range(_MESSAGES)]
        opens = [Token(message.email_id, message.copy) for message in messages]
        clicks = [
            token._replace(link_index=1, destination=page(n)) for n, token in enumerate(opens)
        ]
        sealed = (
            [
                tracking_path(kind, text)
                for text in ring.seal_many(TRACKING_DOMAIN, [(kind, token) for token in tokens])
            ]
            for kind, tokens in ((Kind.OPEN, opens), (Kind.CLICK, clicks))
        )
        log = self.store.message_log()
        log.record(messages)
        log.close()
        path = self._installation.directory / "links"
        path.write_text("".join(f"{o}\n{c}\n" for o, c in zip(*sealed, strict=True)), "ascii")
        return path

    @property
    def probe(self) -> Probe:
        """The first message's links."""
        opened, clicked, *_ = self.links.read_text("ascii").splitlines()
        return Probe(opened, clicked, page(0))

    def forget_hits(self) -> None:
        """Make the store as it was before the first hit; the sidecar does not run meanwhile."""
        for name in (HITS_FILE, "openclick.db"):
            for path in self.state.glob(f"{name}*"):
                path.unlink()
        self._installation.init()

    def add_webhook(self, url: str) -> None:
        """Add a webhook, until the store is made afresh.  The sidecar need not run."""
        self._installation.openclick("webhook", "add", url)

    @contextmanager
    def serving(self) -> Iterator[Server]:
        """Run the sidecar on the store as it is."""
        daemon = self._installation.start_sidecar()
        try:
            yield Server(self._installation.hit_port, daemon.pid, self.rows)
        finally:
            daemon.close()

    @contextmanager
    def serving_afresh(self) -> Iterator[Server]:
        """Run the sidecar on a store without hits."""
        self.forget_hits()
        with self.serving() as server:
            yield server

    def rows(self) -> int:
        """Return how many hits were ever stored: nothing is removed during a run."""
        if not (self.state / HITS_FILE).exists():  # the recorder makes it with the first hit
            return 0
        reader = self.store.hit_reader()
        try:
            return reader.last_position()
        finally:
            reader.close()

    def wait_until_judged(self) -> None:
        """Return when the judge has passed every hit.  Raises WaitTimeoutError."""
        wait_until(lambda: self.judged() >= self.rows(), _LONGEST_SECONDS, "the judge", 0.2)

    def judged(self) -> int:
        """Return how many of them the judge has passed."""
        registry = self.store.registry()
        try:
            return registry.events.judge_cursor().position
        finally:
            registry.close()


def on_floor(parent: Path | None) -> Tracker:
    """Return a tracker on Debian's python3.  Raises BenchFault."""
    if floor.missing_reason():
        raise BenchFault(floor.missing_reason())
    return Tracker(floor.PYTHON, parent)
