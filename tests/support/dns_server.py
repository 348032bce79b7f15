"""A name server on one loopback port, UDP and TCP, whose zone a test sets while it runs.

Who calls: functional tests of domain verification and of the webhook's checked resolution.
Promises: NXDOMAIN only where neither the name nor anything below it exists, else an empty answer;
CNAMEs followed inside the zone up to 8, but for a type that the name has records of beside its
CNAME, as only a server that lies has them; too long for UDP = TC; each name may be told to fail
with an rcode or to stay silent; every question is kept. Limits: class IN, no zone cuts, no DNSSEC,
no SOA in negative answers.
"""

import contextlib
import socketserver
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from support.closing import ClosedAtTheEnd
from support.processes import LOOPBACK, free_port

_MOST_CNAMES = 8
_UDP_WITHOUT_EDNS = 512
_IDLE_SECONDS = 10.0

_Rdatas = tuple[dns.rdata.Rdata, ...]


@dataclass(frozen=True)
class Query:
    """One question: lower-case name without the final dot, type, "udp" or "tcp"."""

    name: str
    rtype: str
    transport: str


class DnsServer(ClosedAtTheEnd):
    """Serves from construction or `with` to `close`; all names are absolute, dot or no dot."""

    def __init__(self, ttl: int = 60) -> None:
        self.queries: list[Query] = []
        self._ttl = ttl
        self._lock = threading.Lock()
        self._zone: dict[dns.name.Name, dict[dns.rdatatype.RdataType, _Rdatas]] = {}
        self._rcodes: dict[dns.name.Name, tuple[dns.rcode.Rcode, dns.rdatatype.RdataType]] = {}
        self._silent: set[dns.name.Name] = set()
        self.host: str = LOOPBACK
        self.port: int = free_port()
        self._servers = (_UdpServer(self), _TcpServer(self))
        self._threads = [
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
            for server in self._servers
        ]
        for thread in self._threads:
            thread.start()

    def set(self, name: str, rtype: str, *values: str) -> None:
        """Replace the records of this name and type; values as in a zone file."""
        kind = dns.rdatatype.from_text(rtype)
        rdatas = tuple(
            dns.rdata.from_text(dns.rdataclass.IN, kind, v, dns.name.root, relativize=False)
            for v in values
        )
        with self._lock:
            self._zone.setdefault(_absolute(name), {})[kind] = rdatas

    def remove(self, name: str, rtype: str | None = None) -> None:
        """Remove one type of a name, or the name with all that was said about it."""
        key = _absolute(name)
        with self._lock:
            if rtype is not None:
                self._zone.get(key, {}).pop(dns.rdatatype.from_text(rtype), None)
                return
            self._zone.pop(key, None)
            self._rcodes.pop(key, None)
            self._silent.discard(key)

    def set_rcode(self, name: str, rcode: str | None, rtype: str = "ANY") -> None:
        """Answer questions for this name with SERVFAIL, REFUSED …; None ends that.

        With an `rtype` only questions for that type.
        """
        key = _absolute(name)
        with self._lock:
            self._rcodes.pop(key, None)
            if rcode is not None:
                kind = dns.rdatatype.from_text(rtype)
                self._rcodes[key] = dns.rcode.from_text(rcode), kind

    def set_silent(self, name: str, silent: bool = True) -> None:
        """Give no answer at all to questions for this name."""
        with self._lock:
            (self._silent.add if silent else self._silent.discard)(_absolute(name))

    def clear(self) -> None:
        """Forget the zone, the faults and the questions."""
        with self._lock:
            self._zone.clear()
            self._rcodes.clear()
            self._silent.clear()
            self.queries.clear()

    def count(self, name: str | None = None, rtype: str | None = None) -> int:
        """How many questions came, of this name and type where given."""
        wanted = None if name is None else _plain(_absolute(name))
        with self._lock:
            return sum(
                wanted in (None, query.name) and rtype in (None, query.rtype)
                for query in self.queries
            )

    def close(self) -> None:
        """Stop both listeners and free the port. Idempotent."""
        for server, thread in zip(self._servers, self._threads, strict=True):
            if thread.is_alive():
                server.shutdown()
                thread.join(_IDLE_SECONDS)
            server.server_close()

    def answer(self, wire: bytes, transport: str) -> bytes | None:
        """Return the reply to one message; None means silence."""
        try:
            query = dns.message.from_wire(wire)
            question = query.question[0]
        except (dns.exception.DNSException, IndexError):
            return None
        with self._lock:
            self.queries.append(
                Query(_plain(question.name), dns.rdatatype.to_text(question.rdtype), transport)
            )
            if question.name in self._silent:
                return None
            response = self._respond(query, question.name, question.rdtype)
        return _to_wire(response, query.payload if query.edns >= 0 else 0, transport)

    def _respond(
        self, query: dns.message.Message, name: dns.name.Name, rtype: dns.rdatatype.RdataType
    ) -> dns.message.Message:
        response = dns.message.make_response(query)
        response.flags |= dns.flags.AA
        rcode, kind = self._rcodes.get(name, (None, None))
        if rcode is not None and kind in (rtype, dns.rdatatype.ANY):
            response.set_rcode(rcode)
            return response
        for owner, _kind, rdatas in self._chain(name, rtype):
            if rdatas:
                response.answer.append(dns.rrset.from_rdata(owner, self._ttl, *rdatas))
            elif not self._exists(owner):
                response.set_rcode(dns.rcode.NXDOMAIN)
        return response

    def _chain(
        self, name: dns.name.Name, rtype: dns.rdatatype.RdataType
    ) -> Iterator[tuple[dns.name.Name, dns.rdatatype.RdataType, _Rdatas]]:
        # Each step is one CNAME; the last is what was asked for, perhaps with nothing in it.
        for _ in range(_MOST_CNAMES):
            records = self._zone.get(name, {})
            alias = records.get(dns.rdatatype.CNAME, ())
            if not alias or rtype == dns.rdatatype.CNAME or records.get(rtype):
                yield name, rtype, records.get(rtype, ())
                return
            yield name, dns.rdatatype.CNAME, alias
            name = dns.name.from_text(alias[0].to_text())

    def _exists(self, name: dns.name.Name) -> bool:
        return any(records and other.is_subdomain(name) for other, records in self._zone.items())


def _absolute(name: str) -> dns.name.Name:
    return dns.name.from_text(name)


def _plain(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True).lower()


def _to_wire(response: dns.message.Message, payload: int, transport: str) -> bytes:
    if transport == "tcp":
        return response.to_wire(max_size=65535)
    try:
        return response.to_wire(max_size=max(payload, _UDP_WITHOUT_EDNS))
    except dns.exception.TooBig:
        response.answer.clear()
        response.flags |= dns.flags.TC
        return response.to_wire()


class _UdpServer(socketserver.ThreadingUDPServer):
    daemon_threads = True
    max_packet_size = 65535

    def __init__(self, owner: DnsServer) -> None:
        self.owner = owner
        super().__init__((owner.host, owner.port), _UdpHandler)


class _UdpHandler(socketserver.BaseRequestHandler):
    server: _UdpServer

    def handle(self) -> None:
        wire, reply_socket = self.request
        reply = self.server.owner.answer(wire, "udp")
        if reply is not None:
            with contextlib.suppress(OSError):  # the asker, or this server, may be gone by now
                reply_socket.sendto(reply, self.client_address)


class _TcpServer(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, owner: DnsServer) -> None:
        self.owner = owner
        super().__init__((owner.host, owner.port), _TcpHandler)


class _TcpHandler(socketserver.StreamRequestHandler):
    server: _TcpServer
    timeout = _IDLE_SECONDS

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            while len(prefix := self.rfile.read(2)) == 2:
                (length,) = struct.unpack("!H", prefix)
                reply = self.server.owner.answer(self.rfile.read(length), "tcp")
                if reply is None:
                    return
                self.wfile.write(struct.pack("!H", len(reply)) + reply)
