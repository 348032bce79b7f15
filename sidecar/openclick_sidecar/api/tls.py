"""TLS on the API's own listener, from two PEM files.

Called by `service` at start.  By way of twisted.internet.ssl alone: tracking domains have their own
certificates and their own module.

Promises: files that have changed are read before the next connection is served; where they cannot
be used together, what was read before is served on, and the log says why, once.  Limits: two stats
a connection, in the reactor's thread; the files lie on a local disk.
"""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path
from typing import Any

from twisted.internet.ssl import Certificate, CertificateOptions, KeyPair
from twisted.protocols.tls import TLSMemoryBIOFactory

from openclick.logs import line
from openclick_sidecar.listeners import CannotListen

log = logging.getLogger(__name__)

_BLOCK = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n?", re.DOTALL)
_PEM = 1
"""OpenSSL's FILETYPE_PEM."""
_Mark = tuple[int, int, int, int]


def with_tls(factory: Any, certificate_file: str, key_file: str) -> Any:
    """Return a factory that speaks TLS before `factory` hears anything.  Raises CannotListen."""
    contexts: Any = _FreshContext(certificate_file, key_file)  # an IOpenSSLContextFactory
    return TLSMemoryBIOFactory(contexts, False, factory)


class _FreshContext:
    """What Twisted asks for a context for each connection."""

    def __init__(self, certificate_file: str, key_file: str) -> None:
        self._files = certificate_file, key_file
        self._marks = self._look()
        self._options = _options(certificate_file, key_file)

    def getContext(self) -> Any:  # noqa: N802 - Twisted's name
        """Return the context of the files as they are, or of what they were when usable."""
        marks = self._look()
        if marks != self._marks:
            self._marks = marks
            self._read_again()
        return self._options.getContext()

    def _read_again(self) -> None:
        try:
            self._options = _options(*self._files)
        except CannotListen as fault:
            log.error(line("api", f"{fault}; the certificate read before is served on"))
        else:
            log.info(line("api", "certificate read", file=self._files[0]))

    def _look(self) -> list[_Mark | None]:
        return [_mark(path) for path in self._files]


def _mark(path: str) -> _Mark | None:
    """Return what tells one content of a file from another, None where there is no file."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino


def _options(certificate_file: str, key_file: str) -> Any:
    """Return what makes a context of the two files.  Raises CannotListen."""
    blocks = _BLOCK.findall(_read("api.certificate_file", certificate_file))
    if not blocks:
        raise CannotListen(f"api.certificate_file: {certificate_file}: holds no certificate in PEM")
    key_pem = _read("api.key_file", key_file)
    try:
        first, *rest = (Certificate.loadPEM(block).original for block in blocks)
        key = KeyPair.load(key_pem.encode("ascii"), _PEM).original
        options: Any = CertificateOptions(
            privateKey=key,
            certificate=first,
            extraCertChain=rest,
            # Without it the newest Twisted refuses every client that offers h2.
            acceptableProtocols=[b"http/1.1"],
        )
        options.getContext().check_privatekey()
    except Exception as error:
        raise CannotListen(
            f"{certificate_file}, {key_file}: cannot be used together: {error!r}"
        ) from error
    return options


def _read(setting: str, path: str) -> str:
    if not path:
        raise CannotListen(f"{setting}: is empty; TLS needs api.certificate_file and api.key_file")
    try:
        return Path(path).read_text("ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise CannotListen(f"{setting}: {path}: cannot be read: {error}") from error
