"""A certificate authority for tests: issues what a test asks for, the wrong and the old included.

Who calls: tests of TLS, unit and functional, and the bench. Promises: a client that trusts
`root_pem` accepts what `issue` makes, as long as the dates and the names are right. Limits: one
intermediate, ECDSA on P-256 alone.
"""

import ssl
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

SIGNS_CERTIFICATES = x509.KeyUsage(
    key_cert_sign=True,
    crl_sign=True,
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    encipher_only=False,
    decipher_only=False,
)
"""What a CA's certificate must say (RFC 5280, 4.2.1.3); Python 3.13 demands it of them."""


@dataclass(frozen=True)
class Issued:
    """One certificate with its chain, and its key, both in PEM."""

    chain: bytes
    key: bytes

    @property
    def bundle(self) -> bytes:
        """Return what stands in a file of the certificate directory."""
        return self.chain + self.key

    @property
    def leaf(self) -> bytes:
        """Return the certificate alone, in DER: what a client sees of it."""
        return ssl.PEM_cert_to_DER_cert(
            self.chain.decode("ascii").partition("-----END")[0] + "-----END CERTIFICATE-----"
        )


@dataclass
class Authority:
    """A root, and an intermediate that signs."""

    name: str = "OpenClick's test CA"
    root_pem: bytes = field(init=False)

    def __post_init__(self) -> None:
        root_key, self._key = _new_key(), _new_key()
        root = _sign(self.name, self.name, root_key, root_key, is_ca=True)
        self._signer = f"{self.name}, intermediate"
        self._intermediate = _sign(self._signer, self.name, self._key, root_key, is_ca=True)
        self.root_pem = root.public_bytes(Encoding.PEM)

    def issue(
        self,
        *names: str,
        days: float = 90,
        starts_in_days: float = -1,
    ) -> Issued:
        """Return a certificate for some names, valid for `days` from `starts_in_days` on."""
        key = _new_key()
        leaf = _sign(
            names[0],
            self._signer,
            key,
            self._key,
            names=names,
            starts_at=datetime.now(UTC) + timedelta(days=starts_in_days),
            days=days,
        )
        chain = leaf.public_bytes(Encoding.PEM) + self._intermediate.public_bytes(Encoding.PEM)
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return Issued(chain, pem)

    def put(self, directory: Path, name: str, **options: float) -> Issued:
        """Issue a certificate for `name` and put its file into a certificate directory."""
        issued = self.issue(name, **options)
        replace(directory / f"{name}.pem", issued.bundle)
        return issued

    def client(self, *protocols: str) -> ssl.SSLContext:
        """Return what a client that trusts this CA connects with; `protocols` are its ALPN."""
        context = ssl.create_default_context(cadata=self.root_pem.decode("ascii"))
        if protocols:
            context.set_alpn_protocols(list(protocols))
        return context


def replace(path: Path, content: bytes) -> None:
    """Put a file in place of another, whole, to be read by any user."""
    fresh = path.with_suffix(".new")
    fresh.write_bytes(content)
    fresh.chmod(0o644)
    fresh.replace(path)


def _new_key() -> Any:
    return ec.generate_private_key(ec.SECP256R1())


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])


def _sign(
    subject: str,
    issuer: str,
    key: Any,
    issuer_key: Any,
    *,
    names: tuple[str, ...] = (),
    starts_at: datetime | None = None,
    days: float = 3650,
    is_ca: bool = False,
) -> x509.Certificate:
    begin = starts_at or datetime.now(UTC) - timedelta(days=800)
    builder = (
        x509.CertificateBuilder()
        .subject_name(_named(subject))
        .issuer_name(_named(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()),
            critical=False,
        )
    )
    if names:
        alternative = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
        builder = builder.add_extension(alternative, critical=False)
    if is_ca:
        builder = builder.add_extension(SIGNS_CERTIFICATES, critical=True)
    return builder.sign(issuer_key, SHA256())
