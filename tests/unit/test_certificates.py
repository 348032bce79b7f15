"""One file of the certificate directory: what can be served, and what is wrong with the rest."""

import re

import pytest
from cryptography import x509

from openclick.instants import SECOND, now
from openclick_sidecar.certificates import (
    BadCertificate,
    bundle,
    new_private_key,
    read_certificate,
    signing_request,
)
from support.authority import Authority

NAME = "track.kontor.example"
DAY = 86_400 * SECOND


def test_a_chain_and_its_key(ca: Authority) -> None:
    """The chain goes out with the certificate; the dates are the certificate's."""
    found = read_certificate(ca.issue(NAME, days=90, starts_in_days=-1).bundle, NAME)

    assert len(found.chain) == 1
    assert abs(found.not_after_at - (now() + 89 * DAY)) < 10 * SECOND
    assert abs(found.renew_at - (now() + 59 * DAY)) < 10 * SECOND
    assert not found.by_acme
    assert not found.has_expired(now())
    assert found.has_expired(now() + 90 * DAY)


def test_the_order_and_the_text_between_do_not_matter(ca: Authority) -> None:
    """Other programs write the key first, and comments."""
    issued = ca.issue(NAME)

    found = read_certificate(b"key:\n" + issued.key + b"\nchain:\n" + issued.chain, NAME)

    assert len(found.chain) == 1


def test_what_acme_gave_is_known_again(ca: Authority) -> None:
    """So that we renew what we obtained, and leave alone what certbot renews."""
    issued = ca.issue(NAME)

    assert read_certificate(bundle(issued.chain, issued.key), NAME).by_acme


@pytest.mark.parametrize(
    ("covers", "name"),
    [
        (("a.example", NAME), NAME),
        (("*.kontor.example",), NAME),
        (("TRACK.Kontor.Example",), NAME),
    ],
)
def test_any_of_its_names_counts(ca: Authority, covers: tuple[str, ...], name: str) -> None:
    """A wildcard stands for one label."""
    assert read_certificate(ca.issue(*covers).bundle, name)


@pytest.mark.parametrize("covers", [("kontor.example",), ("*.example",), ("*.a.kontor.example",)])
def test_a_certificate_for_others_is_refused(ca: Authority, covers: tuple[str, ...]) -> None:
    """And says for whom it is."""
    with pytest.raises(BadCertificate, match=re.escape(covers[0])):
        read_certificate(ca.issue(*covers).bundle, NAME)


def test_the_key_of_another_certificate(ca: Authority) -> None:
    """A renewal that was copied in part: the pair does not match."""
    with pytest.raises(BadCertificate, match="does not belong"):
        read_certificate(ca.issue(NAME).chain + ca.issue(NAME).key, NAME)


def test_every_half_of_a_file_is_refused(ca: Authority) -> None:
    """Wherever the writer was interrupted; only the final newline may be missing."""
    content = ca.issue(NAME).bundle
    whole = len(content.rstrip())

    for length in [*range(0, whole, 37), whole - 1]:
        with pytest.raises(BadCertificate):
            read_certificate(content[:length], NAME)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "no whole certificate"),
        (b"\x00" * 1000, "no whole certificate"),
        (
            b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "cannot be read",
        ),
    ],
)
def test_nonsense(content: bytes, says: str) -> None:
    """Is named."""
    with pytest.raises(BadCertificate, match=says):
        read_certificate(content, NAME)


def test_a_key_with_a_passphrase(ca: Authority) -> None:
    """Nobody is there to type it."""
    key = b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n"

    with pytest.raises(BadCertificate, match="private key"):
        read_certificate(ca.issue(NAME).chain + key, NAME)


def test_a_request_for_a_long_name() -> None:
    """The common name of a certificate ends at 64 characters; browsers look at the other field."""
    name = f"{'a' * 60}.{'b' * 60}.example"

    made = x509.load_pem_x509_csr(signing_request(new_private_key(), name))

    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [name] == names.get_values_for_type(x509.DNSName)
    assert made.is_signature_valid
