"""Whose certificates a webhook may show: the system's authorities, and those of the settings.

Called by `main` and `service` at start.  Promise: a file that cannot be used is named, and the
sidecar does not start with less trust than the settings say.
"""

from __future__ import annotations

import re
import ssl
from pathlib import Path
from typing import Any

from openclick.config import ConfigError, Fault
from openclick.settings import Config

_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


def own_authorities(config: Config) -> list[bytes]:
    """Return the certificates of `webhooks.ca_file` in PEM, none where none is named.

    Raises ConfigError.
    """
    path = config.webhooks.ca_file
    if not path:
        return []
    try:
        found = _PEM.findall(Path(path).read_bytes())
    except OSError as error:
        raise ConfigError([Fault(path, 0, f"cannot be read: {error.strerror}")]) from error
    try:
        ssl.create_default_context(cadata="\n".join(pem.decode("ascii") for pem in found))
    except (ssl.SSLError, ValueError) as error:
        raise ConfigError([Fault(path, 0, f"is at fault: {error}")]) from error
    if not found:
        raise ConfigError([Fault(path, 0, "holds no certificate: need some in PEM")])
    return found


def trust_root(authorities: list[bytes]) -> Any:
    """Return what Twisted checks certificates against.

    Twisted takes either the system's authorities or a list; so with authorities of one's own the
    system's are read into that list.
    """
    # Imported here, so that --check-config needs no Twisted.
    from twisted.internet.ssl import (  # noqa: PLC0415
        Certificate,
        platformTrust,
        trustRootFromCertificates,
    )

    if not authorities:
        return platformTrust()
    return trustRootFromCertificates(
        [Certificate.loadPEM(pem) for pem in [*_system_authorities(), *authorities]]
    )


def _system_authorities() -> list[bytes]:
    context = ssl.create_default_context()
    return [ssl.DER_cert_to_PEM_cert(der).encode("ascii") for der in context.get_ca_certs(True)]
