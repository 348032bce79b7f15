"""TLS on the API's own listener, from two PEM files.

Called by `service` at start.  By way of twisted.internet.ssl alone: tracking domains have their own
certificates and their own module.  Limits: read once; a renewed certificate needs a restart.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from twisted.internet.ssl import Certificate, CertificateOptions, KeyPair
from twisted.protocols.tls import TLSMemoryBIOFactory

from openclick_sidecar.listeners import CannotListen

_BLOCK = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n?", re.DOTALL)
_PEM = 1
"""OpenSSL's FILETYPE_PEM."""


def with_tls(factory: Any, certificate_file: str, key_file: str) -> Any:
    """Return a factory that speaks TLS before `factory` hears anything.  Raises CannotListen."""
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
    return TLSMemoryBIOFactory(options, False, factory)


def _read(setting: str, path: str) -> str:
    if not path:
        raise CannotListen(f"{setting}: is empty; TLS needs api.certificate_file and api.key_file")
    try:
        return Path(path).read_text("ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise CannotListen(f"{setting}: {path}: cannot be read: {error}") from error
