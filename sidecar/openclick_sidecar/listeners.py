"""Opens the sidecar's ports: binds them, or takes over those that systemd has bound.

Called by `service`.  Four entrances: "hits" for readers, "tls" for readers by https, "proxy" for
proxies that begin each connection with a PROXY header, "metrics".  An inherited socket says by its
name which one it is (FileDescriptorName=; any other name means hits), and an entrance that has one
binds nothing itself.

The outermost factory of the public entrances is the doorkeeper, because only there a connection
can be turned away before anything is made for it; what wraps the channel (the PROXY header, TLS)
stands behind it.

Promises: `open_all` opens every port or raises CannotListen and leaves none open.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import (
    IAddress,
    IListeningPort,
    IProtocolFactory,
    IStreamServerEndpoint,
)
from twisted.internet.protocol import Protocol, ServerFactory
from twisted.protocols.haproxy import proxyEndpoint
from twisted.protocols.tls import TLSMemoryBIOFactory
from zope.interface import implementer

from openclick.option_kinds import HostPort
from openclick.settings import SidecarSettings
from openclick.systemd import InheritedSocket
from openclick_sidecar.admission import Admission
from openclick_sidecar.channel import HitChannel
from openclick_sidecar.client_address import normal_peer
from openclick_sidecar.hit_factory import HitFactory

_BACKLOG = 1024
HITS, TLS, PROXY, METRICS = "hits", "tls", "proxy", "metrics"


class CannotListen(Exception):
    """A port cannot be opened; the message says which and why."""


class Doorkeeper(ServerFactory):
    """Turns connections away at accept; the others are the business of `inner`."""

    noisy = False

    def __init__(
        self,
        inner: Any,
        admission: Admission,
        may_enter: Callable[[str], bool] = lambda _peer: True,
    ) -> None:
        self._inner = inner
        self._admission = admission
        self._may_enter = may_enter

    def buildProtocol(self, addr: IAddress | None) -> Protocol | None:  # noqa: N802
        """Return the protocol of a new connection, None to have it closed at once."""
        host = getattr(addr, "host", "")
        if not self._may_enter(normal_peer(host)):
            self._admission.refused["stranger"] += 1
            return None
        if not self._admission.admit(host):
            return None
        protocol: Protocol = self._inner.buildProtocol(addr)
        return protocol


class ProxiedHits(ServerFactory):
    """Makes the channels of connections that begin with a PROXY header."""

    noisy = False

    def __init__(self, hits: HitFactory) -> None:
        self._hits = hits

    def buildProtocol(self, addr: IAddress | None) -> HitChannel:  # noqa: N802
        """Return a channel that asks its transport for the client."""
        channel = self._hits.buildProtocol(addr)
        channel.proxied = True
        return channel


@implementer(IStreamServerEndpoint)
class _Entrance:
    """A bound socket as Twisted's endpoints have it; it puts `around` around what listens there."""

    def __init__(self, reactor: Any, bound: socket.socket, around: Callable[[Any], Any]) -> None:
        self._reactor = reactor
        self._bound = bound
        self._around = around

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:  # noqa: N803
        """Listen; the reactor duplicates the descriptor, so ours is closed."""
        with self._bound as bound:
            # Linux hands it on to each connection, which spares every one a system call.
            bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            port = self._reactor.adoptStreamPort(
                bound.fileno(), bound.family, self._around(protocolFactory)
            )
        return succeed(port)


@dataclass
class Listeners:
    """The ports of one sidecar.

    `tls` makes the server's side of TLS connections (IOpenSSLServerConnectionCreator).
    """

    reactor: Any
    hits: HitFactory
    admission: Admission
    is_proxy: Callable[[str], bool]
    metrics: Any
    tls: Any

    def __post_init__(self) -> None:
        self.ports: list[Any] = []
        self.speaks_tls = False
        self.listening: tuple[tuple[str, str, str], ...] = ()
        """Each entrance with its address, and who said so: "systemd" or "settings"."""

    def open_all(self, settings: SidecarSettings, inherited: Sequence[InheritedSocket]) -> str:
        """Listen wherever it is asked for; return the addresses, for the log.

        Raises CannotListen.
        """
        with contextlib.ExitStack() as undo:
            sockets = _sockets(settings, inherited, undo)
            sources = ["systemd"] * len(inherited) + ["settings"] * len(sockets)
            self.listening = tuple(
                (entrance, _address_of(bound), source)
                for (entrance, bound), source in zip(sockets, sources, strict=False)
            )
            for entrance, bound in sockets:
                self._listen(entrance, bound)
            undo.pop_all()
        return ",".join(address for _, address, _ in self.listening)

    def _listen(self, entrance: str, bound: socket.socket) -> None:
        endpoint: Any  # zope's interfaces are none to mypy
        factory: Any
        if entrance == METRICS:
            endpoint, factory = _Entrance(self.reactor, bound, lambda inner: inner), self.metrics
        elif entrance == PROXY:
            behind: Any = _Entrance(self.reactor, bound, self._only_proxies)
            endpoint = proxyEndpoint(behind)
            factory = ProxiedHits(self.hits)
        elif entrance == TLS:
            self.speaks_tls = True
            endpoint = _Entrance(self.reactor, bound, self._everybody)
            hits: Any = self.hits
            factory = TLSMemoryBIOFactory(self.tls, isClient=False, wrappedFactory=hits)
            factory.noisy = False
        else:
            endpoint, factory = _Entrance(self.reactor, bound, self._everybody), self.hits
        endpoint.listen(factory).addCallback(self.ports.append)

    def _everybody(self, inner: Any) -> Doorkeeper:
        return Doorkeeper(inner, self.admission)

    def _only_proxies(self, inner: Any) -> Doorkeeper:
        return Doorkeeper(inner, self.admission, self.is_proxy)


def _sockets(
    settings: SidecarSettings, inherited: Sequence[InheritedSocket], undo: contextlib.ExitStack
) -> list[tuple[str, socket.socket]]:
    """Return each entrance's sockets; `undo` closes them.  Raises CannotListen."""
    found: list[tuple[str, socket.socket]] = []
    for one in inherited:
        entrance = one.name if one.name in (TLS, PROXY, METRICS) else HITS
        found.append((entrance, undo.enter_context(_take_over(one))))
    asked: dict[str, tuple[HostPort, ...]] = {
        HITS: settings.listen,
        TLS: settings.tls_listen,
        PROXY: settings.proxy_protocol_listen,
        METRICS: settings.metrics_listen,
    }
    taken_over = {entrance for entrance, _ in found}
    for entrance, addresses in asked.items():
        if entrance not in taken_over:
            found += [(entrance, undo.enter_context(bind(address))) for address in addresses]
    return found


def _take_over(inherited: InheritedSocket) -> socket.socket:
    """Return an inherited descriptor as a listening socket.  Raises CannotListen."""
    where = f"inherited descriptor {inherited.descriptor} ({inherited.name or 'without a name'})"
    try:
        bound = socket.socket(fileno=inherited.descriptor)
    except OSError as error:
        os.close(inherited.descriptor)
        raise CannotListen(f"{where}: is no socket: {error.strerror}") from error
    if (
        bound.family not in (socket.AF_INET, socket.AF_INET6)
        or bound.type != socket.SOCK_STREAM
        or not bound.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    ):
        bound.close()
        raise CannotListen(f"{where}: need a TCP socket that listens")
    return bound


def bind(address: HostPort) -> socket.socket:
    """Bind a socket of our own: Twisted's takes IPv4 too on [::], and then 0.0.0.0 is refused.

    Raises CannotListen.
    """
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        # Twisted does not see to this, and a blocking accept hangs the whole process.
        bound.setblocking(False)
        bound.bind((address.host, address.port))
        bound.listen(_BACKLOG)
    except OSError as error:
        bound.close()
        raise CannotListen(f"{address}: cannot listen: {error.strerror}") from error
    return bound


def _address_of(bound: socket.socket) -> str:
    host, port, *_ = bound.getsockname()
    return str(HostPort(host, port))
