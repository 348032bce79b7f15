"""A certificate with its chain and its private key, as one PEM file holds them.

Called by `certificate_shelf` to read, by `acme_client` to make keys and requests.  One of the two
importers of cryptography; the other one seals tokens.  Pure: bytes in, facts or BadCertificate out.

A file holds, in this order, the certificate of the name, the certificates that lead to the CA's,
and the key.  The key comes last, so that a file that was written in part is seen to be one.

Promises: what is returned has a key that belongs to its certificate, and the certificate is for the
name.  Limits: whether it has expired is a fact here, not a fault: whoever serves it decides.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from openclick.instants import SECOND, Instant

_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,40})-----\s.*?-----END \1-----", re.DOTALL)
_ACME_MARK = b"# Obtained by openclick-sidecar by ACME, which renews it.\n"


class BadCertificate(Exception):
    """A file that cannot be served; the message says what was found and what is needed."""


@dataclass(frozen=True, eq=False)
class Certificate:
    """What one file holds.

    `leaf`, `chain` and `key` are cryptography's objects.  `by_acme` tells whether we obtained it
    ourselves, and so renew it.
    """

    leaf: Any
    chain: tuple[Any, ...]
    key: Any
    not_before_at: Instant
    not_after_at: Instant
    by_acme: bool

    @property
    def renew_at(self) -> Instant:
        """When two thirds of its life are over."""
        return self.not_before_at + (self.not_after_at - self.not_before_at) * 2 // 3

    def has_expired(self, now: Instant) -> bool:
        """Tell whether browsers refuse it by now."""
        return now >= self.not_after_at


def read_certificate(pem: bytes, name: str) -> Certificate:
    """Read a file for `name`, an A-label in lower case.  Raises BadCertificate."""
    blocks = [(match[1], match[0] + b"\n") for match in _BLOCK.finditer(pem)]
    certificates = [_certificate(block) for label, block in blocks if label == b"CERTIFICATE"]
    keys = [block for label, block in blocks if label.endswith(b"PRIVATE KEY")]
    if not certificates:
        raise BadCertificate("holds no whole certificate; need a chain in PEM, then its key")
    if len(keys) != 1:
        raise BadCertificate(
            f"holds {len(keys) or 'no whole'} private key{'s' * (len(keys) > 1)}; "
            "need one, in PEM, after the chain"
        )
    leaf, key = certificates[0], _private_key(keys[0])
    if _public_bytes(leaf.public_key()) != _public_bytes(key.public_key()):
        raise BadCertificate(
            "the private key does not belong to the first certificate; need the pair"
        )
    names = _names_of(leaf)
    if not any(_covers(pattern, name) for pattern in names):
        raise BadCertificate(f"is for {', '.join(sorted(names)) or 'no name'}; need {name}")
    return Certificate(
        leaf=leaf,
        chain=tuple(certificates[1:]),
        key=key,
        not_before_at=_instant(leaf, "not_valid_before"),
        not_after_at=_instant(leaf, "not_valid_after"),
        by_acme=pem.startswith(_ACME_MARK),
    )


def new_private_key() -> bytes:
    """Return a new key, ECDSA on P-256, in PEM: RSA costs 1.6 times as much CPU a handshake."""
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )


def signing_request(key_pem: bytes, name: str) -> bytes:
    """Return the request for a certificate of `name`, in PEM.

    Its subject is empty: a common name ends at 64 characters, and no browser looks at it.
    """
    builder = x509.CertificateSigningRequestBuilder(x509.Name([])).add_extension(
        x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False
    )
    return builder.sign(_private_key(key_pem), SHA256()).public_bytes(Encoding.PEM)


def bundle(chain_pem: bytes, key_pem: bytes) -> bytes:
    """Return the content of a file for a certificate that ACME gave."""
    return _ACME_MARK + chain_pem.rstrip() + b"\n" + key_pem


def _certificate(pem: bytes) -> Any:
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError as error:
        raise BadCertificate(f"holds a certificate that cannot be read: {error}") from error


def _private_key(pem: bytes) -> Any:
    try:
        return load_pem_private_key(pem, password=None)
    except TypeError as error:
        raise BadCertificate("the private key has a passphrase; need one without") from error
    except Exception as error:  # cryptography's UnsupportedAlgorithm is no ValueError
        raise BadCertificate(f"holds a private key that cannot be read: {error}") from error


def _public_bytes(key: Any) -> bytes:
    found: bytes = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return found


def _names_of(leaf: Any) -> list[str]:
    """Return the host names of a certificate; its common name counts for no browser."""
    try:
        extension = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (x509.ExtensionNotFound, ValueError):
        return []
    return [str(name).lower() for name in extension.value.get_values_for_type(x509.DNSName)]


def _covers(pattern: str, name: str) -> bool:
    """Tell whether a name of a certificate covers `name` (RFC 6125, 6.4.3)."""
    return pattern == name or (pattern[:2] == "*." and pattern[2:] == name.partition(".")[2])


def _instant(leaf: Any, attribute: str) -> Instant:
    at = getattr(leaf, f"{attribute}_utc", None)  # cryptography 42 and newer
    if at is None:
        at = getattr(leaf, attribute).replace(tzinfo=UTC)
    assert isinstance(at, datetime)
    return int(at.timestamp()) * SECOND
