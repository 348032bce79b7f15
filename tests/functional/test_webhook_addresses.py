"""Nobody can use webhooks to reach into the admin's network: a real sidecar, a real name server."""

import contextlib
import itertools
import socket
import sqlite3
import threading
from contextlib import closing

import dns.message
import dns.rdatatype

from openclick.instants import now
from openclick.webhooks import Webhook, WebhookStatus
from support.dns_server import DnsServer
from support.installation import Installation
from support.processes import LOOPBACK, wait_until
from support.webhook_books import log_events
from unit.spellings import FORBIDDEN_ADDRESSES, FORBIDDEN_HOSTS

HOST = "hooks.kontor.example"
ALLOWED = "127.0.0.2"
"""Plays the address on the internet; nobody listens there."""
DIALS = 40


class Trap:
    """Listens on one address of this machine, or on all, and counts who comes."""

    def __init__(self, host: str = "") -> None:
        self.connections = 0
        self._listener = (
            socket.create_server((host, 0))
            if host
            else socket.create_server(("", 0), family=socket.AF_INET6, dualstack_ipv6=True)
        )
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._count, daemon=True).start()

    def _count(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                connection.close()

    def close(self) -> None:
        """Stop listening."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


class FlippingServer(DnsServer):
    """Answers every second question for HOST with this machine's own address."""

    def __init__(self) -> None:
        super().__init__(ttl=0)
        self._turns = itertools.cycle((ALLOWED, LOOPBACK))

    def answer(self, wire: bytes, transport: str) -> bytes | None:
        """Flip before each answer for an address."""
        if dns.message.from_wire(wire).question[0].rdtype == dns.rdatatype.A:
            self.set(HOST, "A", next(self._turns))
        return super().answer(wire, transport)


def outcomes(installation: Installation) -> dict[str, int]:
    """Return how attempts ended, by outcome."""
    path = installation.state / "openclick.db"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as connection:
        rows = connection.execute(
            "SELECT outcome, count(*) FROM attempts WHERE finished_at NOTNULL GROUP BY outcome"
        ).fetchall()
    return dict(rows)


def add_unchecked(installation: Installation, *urls: str) -> None:
    """Add webhooks past the rules, as an older version or another hand might have."""
    with closing(installation.store.registry()) as registry:
        for number, url in enumerate(urls):
            registry.webhooks.add(
                Webhook(
                    *(f"wh_{number}", url, url, ("email.clicked",), ()),
                    *("whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3", WebhookStatus.ACTIVE, now()),
                )
            )


def test_no_spelling_reaches_anything(dns_server: DnsServer) -> None:
    """Hosts in every spelling, and names that lead to special ranges: 0 connections."""
    trap = Trap()
    names = []
    for number, address in enumerate(FORBIDDEN_ADDRESSES):
        names.append(f"n{number}.kontor.example")
        dns_server.set(names[-1], "AAAA" if ":" in address else "A", address)
    urls = [f"http://{host}:{trap.port}/in" for host in (*FORBIDDEN_HOSTS, *names)]
    with Installation() as installation:
        installation.configure(
            f"unix:{installation.directory}/m.sock",
            dns_server.port,
            webhooks={"allow_private_networks": [], "retry_waits_seconds": [600]},
        )
        installation.init()
        add_unchecked(installation, *urls)
        installation.start_sidecar()

        log_events(installation.store, range(1))
        wait_until(
            lambda: sum(outcomes(installation).values()) == len(urls), 60, "every attempt", 0.2
        )

        found = outcomes(installation)
        assert set(found) <= {"forbidden_address", "broken"}
        assert found["forbidden_address"] >= len(urls) - 10
        assert trap.connections == 0
    trap.close()


def test_a_name_server_that_changes_its_answer() -> None:
    """Between check and dial nothing is asked: what was allowed is dialled, and nothing else."""
    trap = Trap(LOOPBACK)
    with FlippingServer() as name_server, Installation() as installation:
        installation.configure(
            f"unix:{installation.directory}/m.sock",
            name_server.port,
            webhooks={"allow_private_networks": [f"{ALLOWED}/32"], "retry_waits_seconds": [600]},
        )
        installation.init()
        urls = [f"http://{HOST}:{trap.port}/{number}" for number in range(DIALS)]
        add_unchecked(installation, *urls)
        installation.start_sidecar()

        log_events(installation.store, range(1))
        wait_until(lambda: sum(outcomes(installation).values()) == DIALS, 60, "every attempt", 0.2)

        assert {"forbidden_address": DIALS // 2, "connect": DIALS // 2} == outcomes(installation)
        assert name_server.count(HOST, "A") == DIALS
        assert trap.connections == 0
    trap.close()
