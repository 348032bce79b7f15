"""Who is let in: the doorkeeper, and the PROXY header, on connections in memory."""

import ipaddress
import struct
from typing import Any

import pytest
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.protocols.haproxy import proxyEndpoint
from twisted.python.failure import Failure

from openclick_sidecar import answers
from openclick_sidecar.admission import Admission
from openclick_sidecar.client_address import ClientAddresses
from openclick_sidecar.counters import HitCounters
from openclick_sidecar.hit_factory import HitFactory
from openclick_sidecar.hit_request import HitRequest
from openclick_sidecar.listeners import Doorkeeper, ProxiedHits
from openclick_sidecar.waiting_room import WaitingRoom
from support.clock import Clock

PROXY = "10.0.0.1"
GET = b"GET / HTTP/1.1\r\nHost: track.kontor.example\r\n\r\n"
V2 = b"\r\n\r\n\x00\r\nQUIT\n"


class Endpoint:
    """What `proxyEndpoint` wraps: keeps the factory that it is given."""

    factory: Any = None

    def listen(self, factory: Any) -> None:
        """Keep the factory."""
        self.factory = factory


class Entrance:
    """A public entrance whose proxies are 10.0.0.0/24, with and without a PROXY header."""

    def __init__(self, most: int = 100, most_per_address: int = 100) -> None:
        clients = ClientAddresses([ipaddress.ip_network("10.0.0.0/24")])
        self.requests: list[HitRequest] = []
        self.admission = Admission(most, most_per_address, clients.trusts)
        self.hits = HitFactory(
            self._on_request,
            Clock().monotonic,
            clients=clients,
            room=WaitingRoom(),
            counters=HitCounters(),
            on_end=self.admission.release,
        )
        self.plain = Doorkeeper(self.hits, self.admission)
        endpoint: Any = Endpoint()
        proxyEndpoint(endpoint).listen(ProxiedHits(self.hits))
        self.proxied = Doorkeeper(endpoint.factory, self.admission, clients.trusts)

    def _on_request(self, request: HitRequest, respond: Any) -> None:
        self.requests.append(request)
        respond(answers.ROOT)

    def connect(self, door: Doorkeeper, host: str) -> Any:
        """Return the connection of a client at `host`, None where it is turned away."""
        kind = IPv6Address if ":" in host else IPv4Address
        address = kind("TCP", host, 50_000)
        protocol = door.buildProtocol(address)
        if protocol is not None:
            protocol.makeConnection(StringTransport(peerAddress=address))
        return protocol

    def ask_by_proxy(self, data: bytes, host: str = PROXY) -> bytes:
        """Send what a proxy sends; return what it gets."""
        protocol = self.connect(self.proxied, host)
        protocol.dataReceived(data)
        answer: bytes = protocol.transport.value()
        protocol.connectionLost(Failure(ConnectionDone()))
        return answer


@pytest.fixture
def entrance() -> Entrance:
    """Return an entrance with room."""
    return Entrance()


def version_2(family: int, addresses: bytes, command: int = 0x21) -> bytes:
    """Return a PROXY header of version 2."""
    return V2 + struct.pack("!BBH", command, family, len(addresses)) + addresses


def test_caps_hold_at_the_door() -> None:
    """A connection too many gets no protocol, so that its socket is closed at once."""
    entrance = Entrance(most=3, most_per_address=2)

    let_in = [
        entrance.connect(entrance.plain, host) is not None
        for host in ("192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.2", "192.0.2.3")
    ]

    assert [True, True, False, True, False] == let_in
    assert {"address": 1, "total": 1} == entrance.admission.refused


@pytest.mark.parametrize("door", ["plain", "proxied"])
def test_an_ended_connection_makes_room(door: str) -> None:
    """However it went, behind the PROXY header too."""
    entrance = Entrance(most=1)
    for data in (b"", GET, b"GET", b"\x00\x00\x00\x00\x00\x00\x00\x00\r\n\r\n"):
        protocol = entrance.connect(getattr(entrance, door), PROXY)
        protocol.dataReceived(data)

        protocol.connectionLost(Failure(ConnectionDone()))

    assert entrance.admission.open == 0
    assert entrance.hits.connections() == 0


def test_only_proxies_may_send_a_proxy_header(entrance: Entrance) -> None:
    """Whoever else reaches that listener could name any client it likes."""
    assert entrance.connect(entrance.proxied, "192.0.2.1") is None
    assert entrance.connect(entrance.proxied, "2001:db8::1") is None

    assert {"stranger": 2} == entrance.admission.refused


CLIENTS = {
    "v1 TCP4": (b"PROXY TCP4 192.0.2.7 10.0.0.9 50000 80\r\n", "192.0.2.7"),
    "v1 TCP6": (b"PROXY TCP6 2001:DB8:0::7 ::1 50000 80\r\n", "2001:db8::7"),
    "v1 IPv4-mapped": (b"PROXY TCP6 ::ffff:192.0.2.7 ::1 50000 80\r\n", "192.0.2.7"),
    "v2 IPv4": (
        version_2(0x11, b"\xc0\x00\x02\x07\x0a\x00\x00\x09\xc3\x50\x00\x50"),
        "192.0.2.7",
    ),
    "v2 IPv4 with a TLV": (
        version_2(0x11, b"\xc0\x00\x02\x07\x0a\x00\x00\x09\xc3\x50\x00\x50\x04\x00\x01\x00"),
        "192.0.2.7",
    ),
    "v2 IPv6": (
        version_2(
            0x21,
            ipaddress.IPv6Address("2001:db8::7").packed + b"\x00" * 16 + b"\xc3\x50\x00\x50",
        ),
        "2001:db8::7",
    ),
    "v2 LOCAL, a health check": (
        version_2(0x11, b"\x00" * 12, command=0x20),
        PROXY,
    ),
}


@pytest.mark.parametrize("case", CLIENTS.values(), ids=CLIENTS)
def test_the_client_is_whom_the_proxy_names(entrance: Entrance, case: tuple[bytes, str]) -> None:
    """In its one spelling."""
    header, client = case

    answer = entrance.ask_by_proxy(header + GET)

    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert [client] == [request.client_ip for request in entrance.requests]


def test_a_proxy_behind_a_proxy(entrance: Entrance) -> None:
    """Where the PROXY header names a trusted proxy, its X-Forwarded-For is read on."""
    request = GET[:-2] + b"X-Forwarded-For: 192.0.2.8\r\n\r\n"

    entrance.ask_by_proxy(b"PROXY TCP4 10.0.0.2 10.0.0.9 50000 80\r\n" + request)
    entrance.ask_by_proxy(b"PROXY TCP4 192.0.2.7 10.0.0.9 50000 80\r\n" + request)

    assert ["192.0.2.8", "192.0.2.7"] == [each.client_ip for each in entrance.requests]


@pytest.mark.parametrize(
    "header",
    [
        b"PROXY TCP4 nonsense 10.0.0.9 50000 80\r\n",
        b"PROXY TCP4 192.0.2.256 10.0.0.9 50000 80\r\n",
        b"PROXY TCP4 <script> 10.0.0.9 50000 80\r\n",
        b"PROXY TCP6 192.0.2 ::1 50000 80\r\n",
        version_2(0x31, b"/run/x".ljust(108, b"\x00") + b"/run/y".ljust(108, b"\x00")),
        b"PROXY UNKNOWN\r\n",
        b"PROXY TCP9 192.0.2.7 10.0.0.9 50000 80\r\n",
        b"PROXY " + b"x" * 200,
        b"",
    ],
)
def test_nonsense_is_refused(entrance: Entrance, header: bytes) -> None:
    """A header without a client, or none at all: 400 or nothing, and the connection ends."""
    answer = entrance.ask_by_proxy(header + GET)

    assert answer == b"" or answer.startswith(b"HTTP/1.1 400 ")
    assert [] == entrance.requests


def test_without_the_proxy_entrance_a_proxy_header_is_no_request(entrance: Entrance) -> None:
    """The plain listener does not look for it, not even from a trusted proxy."""
    protocol = entrance.connect(entrance.plain, PROXY)

    protocol.dataReceived(b"PROXY TCP4 192.0.2.7 10.0.0.9 50000 80\r\n" + GET)

    assert protocol.transport.value().startswith(b"HTTP/1.1 400 ")
    assert [] == entrance.requests
    protocol.connectionLost(Failure(ConnectionDone()))
