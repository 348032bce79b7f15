"""Signatures, checked with a verifier that shares no code with them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclick.webhooks import new_secret
from openclick_sidecar.signing import signature_headers
from support.signatures import SignatureError, verify_signature, verify_standard_webhook
from unit.samples import SECRET

AT = 1_763_937_600


def lowered(headers: dict[str, str]) -> dict[str, str]:
    """Return fields by lower-case name, as a receiver sees them."""
    return {name.lower(): value for name, value in headers.items()}


def test_to_the_byte() -> None:
    """Anypost: the whole secret is the key. Standard Webhooks: its base64 part is.

    The expected values were made by openssl(1).
    """
    assert {
        "Anypost-Signature": "t=1763937600,"
        "v1=a6222721c410eb95a3e131c6ccefedb1009e40efd6cb73b550e3205af9f2fbe5",
        "webhook-id": "b1",
        "webhook-timestamp": "1763937600",
        "webhook-signature": "v1,e5joITcdc3PokdQc1s8Kfmw45Pn57TiIATFzc9Wt5zE=",
    } == signature_headers((SECRET,), "b1", AT, b'{"a":1}')


@given(st.binary(max_size=200), st.integers(0, 2**33), st.binary(min_size=24, max_size=24))
def test_a_receiver_accepts(body: bytes, at: int, key: bytes) -> None:
    """Both schemes, for any body, time and secret."""
    secret = new_secret(lambda _size: key)

    headers = lowered(signature_headers((secret,), "b" * 32, at, body))

    verify_signature(secret, headers["anypost-signature"], body, at)
    verify_standard_webhook(secret, headers, body, at)


def test_a_receiver_refuses_another_body() -> None:
    """A changed byte fails both."""
    headers = lowered(signature_headers((SECRET,), "b1", AT, b"body"))

    with pytest.raises(SignatureError, match="no_match"):
        verify_signature(SECRET, headers["anypost-signature"], b"Body", AT)
    with pytest.raises(SignatureError, match="no_match"):
        verify_standard_webhook(SECRET, headers, b"Body", AT)


def test_a_receiver_refuses_another_secret() -> None:
    """Only the holder of the secret signs."""
    headers = lowered(signature_headers((SECRET,), "b1", AT, b"body"))
    other = new_secret(lambda size: b"o" * size)

    with pytest.raises(SignatureError, match="no_match"):
        verify_signature(other, headers["anypost-signature"], b"body", AT)
    with pytest.raises(SignatureError, match="no_match"):
        verify_standard_webhook(other, headers, b"body", AT)


def test_a_secret_is_24_bytes_in_standard_base64() -> None:
    """whsec_ and 32 characters without padding, so that ready-made verifiers take it."""
    assert "whsec_" + "+/" * 16 == new_secret(lambda size: b"\xfb\xff\xbf" * (size // 3))
    assert len(SECRET) == 6 + 32
