"""Dials webhooks: looks a name up once, checks every address, connects to that very address.

Called by `post`, as the endpoint factory of its Agent.  Promises: no connection is begun to an
address that `openclick.addresses` forbids, nor to any address of a name that has such a one among
its addresses; between check and connection nothing is looked up; Host, SNI and certificate are the
original name's.  A kept connection keeps its address.

An answer, header and all, is cut at ANSWER_BYTES, since Twisted bounds a header's lines but not
their number.  A connection on which nothing of ours has been sent for a while is cut too: TLS ends
one only when the receiver has answered our goodbye, and who is gone, or rude, never does.

Limits: only dns is asked: names in /etc/hosts are not known here.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint, wrapClientTLS
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import connectionDone
from twisted.internet.ssl import TLSVersion, optionsForClientTLS
from twisted.protocols.policies import ProtocolWrapper, TimeoutMixin, WrappingFactory
from twisted.python.failure import Failure
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

from openclick.addresses import IPAddress, forbidden_range, maybe_literal
from openclick.option_kinds import IPNetwork

ANSWER_BYTES = 262_144

Resolve = Callable[[str], "Deferred[Sequence[str]]"]
"""Returns the addresses of a name; fails with NameFault."""


class NameFault(Exception):
    """The name of a webhook leads nowhere now; the message says why."""


class ForbiddenAddress(Exception):
    """A webhook leads to an address that may not be dialled; the message says which and why."""


@implementer(IAgentEndpointFactory)
class CheckedEndpoints:
    """Makes the endpoints of an Agent."""

    def __init__(
        self,
        reactor: Any,
        resolve: Resolve,
        allowed: Sequence[IPNetwork],
        connect_timeout_seconds: float,
        trust_root: Any,
        *,
        allow_http: bool,
        quiet_seconds: float,
    ) -> None:
        """`quiet_seconds` are longer than any answer may take, and an idle connection is kept."""
        self._reactor = reactor
        self._quiet_seconds = quiet_seconds
        self._allow_http = allow_http
        self._resolve = resolve
        self._allowed = allowed
        self._connect_timeout_seconds = connect_timeout_seconds
        self._trust_root = trust_root

    def endpointForURI(self, uri: Any) -> Any:  # noqa: N802 - Twisted's name
        """Return what connects to the host of `uri`.  Raises ForbiddenAddress for plain http."""
        host = uri.host.decode("ascii")
        endpoint: Any = _Checked(self, host, uri.port)
        if uri.scheme != b"https":
            if not self._allow_http:  # the setting may have changed since the webhook was added
                raise ForbiddenAddress(f"{host}: http needs webhooks.allow_http = true")
            return endpoint
        options = optionsForClientTLS(
            host.removeprefix("[").removesuffix("]"),
            trustRoot=self._trust_root,
            extraCertificateOptions={"raiseMinimumTo": TLSVersion.TLSv1_2},
        )
        return wrapClientTLS(options, endpoint)

    async def connect(self, host: str, port: int, factory: Any) -> Any:
        """Look up, check, and connect to the first address that takes the connection."""
        failure: Exception = NameFault(f"{host}: has no address")
        for address in await self._checked_addresses(host):
            dial = TCP4ClientEndpoint if address.version == 4 else TCP6ClientEndpoint
            endpoint = dial(
                self._reactor, str(address), port, timeout=self._connect_timeout_seconds
            )
            try:
                return (await endpoint.connect(self._bounded(factory))).wrappedProtocol
            except Exception as error:  # noqa: BLE001 - the next address may do
                failure = error
        raise failure

    def _bounded(self, factory: Any) -> Any:
        wrapped: Any = _BoundedFactory(factory)
        wrapped.quiet_seconds, wrapped.call_later = self._quiet_seconds, self._reactor.callLater
        return wrapped

    async def _checked_addresses(self, host: str) -> list[IPAddress]:
        try:
            literal = maybe_literal(host)
        except ValueError as error:
            raise ForbiddenAddress(str(error)) from error
        if literal is not None:
            addresses = [literal]
        else:
            addresses = [ipaddress.ip_address(text) for text in await self._resolve(host)]
        for address in addresses:
            word = forbidden_range(address, self._allowed)
            if word is not None:
                raise ForbiddenAddress(f"{host} leads to {address} ({word})")
        # IPv4 first: where IPv6 leads nowhere, that would cost a time-out at every attempt.
        return sorted(addresses, key=lambda address: (address.version, int(address)))


@implementer(IStreamClientEndpoint)
class _Checked:
    """One host and port, looked up when it is dialled."""

    def __init__(self, endpoints: CheckedEndpoints, host: str, port: int) -> None:
        self._endpoints = endpoints
        self._host = host
        self._port = port

    def connect(self, factory: Any) -> Deferred[Any]:
        """Connect; fails with ForbiddenAddress, NameFault, or what the network says."""
        return Deferred.fromCoroutine(self._endpoints.connect(self._host, self._port, factory))


class _BoundedAnswer(ProtocolWrapper, TimeoutMixin):
    """Ends a connection on which too much comes between two requests, or nothing is sent."""

    transport: Any
    factory: Any
    _received = 0

    def connectionMade(self) -> None:  # noqa: N802 - Twisted's name
        self.setTimeout(self.factory.quiet_seconds)

    def callLater(self, seconds: float, call: Callable[[], None]) -> Any:  # noqa: N802
        return self.factory.call_later(seconds, call)

    def timeoutConnection(self) -> None:  # noqa: N802 - Twisted's name
        self.transport.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: N802
        self.setTimeout(None)
        super().connectionLost(reason)

    def dataReceived(self, data: bytes) -> None:  # noqa: N802 - Twisted's name
        self._received += len(data)
        if self._received > ANSWER_BYTES:
            self.transport.abortConnection()
        else:
            super().dataReceived(data)

    def write(self, data: bytes) -> None:
        self._has_sent()
        super().write(data)

    def writeSequence(self, data: Any) -> None:  # noqa: N802 - Twisted's name
        self._has_sent()
        super().writeSequence(data)

    def _has_sent(self) -> None:
        self._received = 0
        self.resetTimeout()


class _BoundedFactory(WrappingFactory):
    protocol = _BoundedAnswer
    noisy = False
