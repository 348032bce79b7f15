"""TLS for the public listener: the right certificate for the name that a browser asks for.

Made by `https`, asked by `tls_connection` for an engine for each connection; the only importer of
OpenSSL.  A connection begins on a context without a certificate, which refuses; the name in its
hello (SNI) moves it to the context of that name.  Contexts are made at the first hello (305 µs and
16 KiB each) and again when the certificate behind them is another one.

Promises: TLS 1.2 and 1.3; sessions and tickets on, with one session id for all contexts, without
which nothing is resumed across the move; ALPN answers http/1.1 on every context, because a client
that offers h2 and http/1.1 must find one of them; a name without a certificate is refused, and
never sees somebody else's.  Limits: nothing is served to clients without SNI.
"""

from __future__ import annotations

import contextlib
import logging
from collections import OrderedDict
from typing import Any

import OpenSSL
from OpenSSL import SSL, crypto

from openclick.logs import line
from openclick_sidecar.certificate_shelf import CertificateShelf
from openclick_sidecar.certificates import Certificate
from openclick_sidecar.counters import HitCounters

log = logging.getLogger(__name__)

_SESSION_ID = b"openclick"
_SESSION_SECONDS = 86_400
_CIPHERS = b"ECDHE+AESGCM:ECDHE+CHACHA20"  # of TLS 1.2; those of 1.3 are all good
_HTTP_1_1 = b"http/1.1"
_MOST_CONTEXTS = 2000
_RECORD_BYTES = 16_384
# Since 24.3 pyOpenSSL takes cryptography's own objects, and warns of others.
_WRAPS = tuple(map(int, OpenSSL.__version__.split(".")[:2])) < (24, 3)


class TlsContexts:
    """Makes the server's side of TLS connections."""

    def __init__(self, shelf: CertificateShelf, counters: HitCounters) -> None:
        self._shelf = shelf
        self._counters = counters
        self._contexts: OrderedDict[str, tuple[Certificate, SSL.Context]] = OrderedDict()
        self._nameless = _context()
        self._nameless.set_tlsext_servername_callback(self._on_hello)

    def engine(self) -> TlsEngine:
        """Return the engine of a new connection."""
        connection = SSL.Connection(self._nameless, None)
        connection.set_accept_state()
        return TlsEngine(connection)

    def _on_hello(self, connection: SSL.Connection) -> None:
        """Move a connection to the context of its name.

        Whatever left this function would be printed by cffi and not stop the handshake.
        """
        try:
            context = self._context_for(connection.get_servername())
            if context is not None:
                connection.set_context(context)
        except Exception as error:  # noqa: BLE001 - see above
            self._counters.refused_hellos["fault"] += 1
            log.error(line("tls", "internal error, connection refused", reason=error))

    def _context_for(self, asked: bytes | None) -> SSL.Context | None:
        if not asked:
            self._counters.refused_hellos["no name"] += 1
            return None
        name = asked.decode("latin-1").lower().rstrip(".")
        slot = self._shelf.find(name)
        if slot is None:
            self._counters.refused_hellos["unknown name"] += 1
            return None
        if slot.certificate is None:
            self._counters.refused_hellos["no usable certificate"] += 1
            return None
        return self._held(slot.stem, slot.certificate)

    def _held(self, stem: str, certificate: Certificate) -> SSL.Context:
        """Return the context of a certificate; the least used one goes when there are too many."""
        held = self._contexts.get(stem)
        if held is None or held[0] is not certificate:
            held = self._contexts[stem] = certificate, _context(certificate)
        self._contexts.move_to_end(stem)
        if len(self._contexts) > _MOST_CONTEXTS:
            self._contexts.popitem(last=False)
        return held[1]


class TlsEngine:
    """The server's side of one connection, without a socket: the wire's bytes in, and out.

    `established` once the handshake is done; `ended` once the client has said that it sends no
    more, or after a fault: then what is outgoing, an alert, is the last of it.
    """

    def __init__(self, tls: SSL.Connection) -> None:
        self._tls = tls
        self.established = False
        self.ended = False

    def receive(self, data: bytes) -> bytes:
        """Take what has come, one byte or more; return what it says, in the clear."""
        said: list[bytes] = []
        tls = self._tls
        try:
            tls.bio_write(data)
            if not self.established:
                tls.do_handshake()
                self.established = True
            while True:
                said.append(tls.recv(_RECORD_BYTES))
        except SSL.WantReadError:
            pass
        except SSL.Error as error:
            self.ended = True
            if isinstance(error, SSL.ZeroReturnError):
                self.close()
        return b"".join(said)

    def send(self, data: bytes) -> None:
        """Have `data` leave with what is outgoing; after the handshake."""
        try:
            while data:
                data = data[self._tls.send(data) :]
        except SSL.Error:
            self.ended = True

    def close(self) -> None:
        """Have what is outgoing end with the word that nothing more will come."""
        with contextlib.suppress(SSL.Error):
            self._tls.shutdown()

    def outgoing(self) -> bytes:
        """Return what must be sent now, empty for nothing; each time what is new."""
        found: list[bytes] = []
        with contextlib.suppress(SSL.WantReadError):
            while not found or len(found[-1]) == _RECORD_BYTES:
                found.append(self._tls.bio_read(_RECORD_BYTES))
        return b"".join(found)


def _context(certificate: Certificate | None = None) -> SSL.Context:
    """Return a context; without a certificate it refuses every handshake."""
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_options(SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION)
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    context.set_cipher_list(_CIPHERS)
    # Tickets carry sessions; a cache would keep each of them once more, for nobody.
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_session_id(_SESSION_ID)
    context.set_timeout(_SESSION_SECONDS)
    context.set_alpn_select_callback(_choose_protocol)
    if certificate is not None:
        _use(context, certificate)
    return context


def _use(context: SSL.Context, certificate: Certificate) -> None:
    key: Any = certificate.key
    chain: list[Any] = [certificate.leaf, *certificate.chain]
    if _WRAPS:
        key = crypto.PKey.from_cryptography_key(key)
        chain = [crypto.X509.from_cryptography(each) for each in chain]
    context.use_certificate(chain[0])
    for each in chain[1:]:
        context.add_extra_chain_cert(each)
    context.use_privatekey(key)


def _choose_protocol(_connection: SSL.Connection, offered: list[bytes]) -> Any:
    """Choose http/1.1; a client that offers other protocols alone gets none (RFC 7301, 3.2)."""
    return _HTTP_1_1 if _HTTP_1_1 in offered else SSL.NO_OVERLAPPING_PROTOCOLS
