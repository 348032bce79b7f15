"""The settings of https: the sections [tls] and [acme].

A part of the table in `settings`, which has no room for it.
"""

from __future__ import annotations

from dataclasses import dataclass

from openclick.option_kinds import BOOLEAN, HTTPS_URL, MAIL_ADDRESS, OPTIONAL_PATH, PRINTABLE
from openclick.option_kinds import option as _option


@dataclass(frozen=True)
class TlsSettings:
    """The certificates of the tracking domains, for sidecar.tls_listen."""

    certificates_directory: str = _option(
        "",
        OPTIONAL_PATH,
        "Where certificates are, one file a tracking domain, NAME.pem: its certificate, the chain, "
        "the private key.  A file that changes is used from the next connection on.  Empty means "
        "the folder certificates in the store's directory.",
    )
    acme_webroot: str = _option(
        "",
        OPTIONAL_PATH,
        "What is below .well-known/acme-challenge here is served on every tracking domain, for "
        "certbot's --webroot-path.  Empty means the folder acme-webroot in the store's directory.",
    )


@dataclass(frozen=True)
class AcmeSettings:
    """Certificates that the sidecar obtains by itself; needs the library acme (python3-acme)."""

    directory_url: str = _option(
        "",
        HTTPS_URL,
        "The CA's directory, such as https://acme-v02.api.letsencrypt.org/directory.  Empty means "
        "that no certificate is obtained.  Needs port 80 to lead to sidecar.listen.",
    )
    terms_agreed: bool = _option(
        False,
        BOOLEAN,
        "Whether you agree to the CA's terms of service, which it names in its directory.",
    )
    contact: str = _option(
        "",
        MAIL_ADDRESS,
        "The mail address that the CA may write to.",
    )
    ca_file: str = _option(
        "",
        OPTIONAL_PATH,
        "The certificates, in PEM, by which the CA's own https is checked; empty means those of "
        "the system.  For a CA of your own.",
    )
    eab_key_id: str = _option(
        "",
        PRINTABLE,
        "The key id of an external account, which some CAs ask for.",
    )
    eab_hmac_file: str = _option(
        "",
        OPTIONAL_PATH,
        "The file that holds its HMAC key, in base64url as the CA gave it.",
    )
