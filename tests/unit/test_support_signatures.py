"""The webhook verifiers of the tests accept what the wire format allows and nothing else."""

import hashlib
import hmac

import pytest

from support.webhook_receiver import SignatureError, verify_signature, verify_standard_webhook

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = b'{"batch_id":"00ff","timestamp":1762250400,"events":[]}'
NOW = 1_762_250_400

# The published example of Standard Webhooks.
STANDARD_BODY = b'{"test": 2432232314}'
STANDARD_AT = 1_614_265_330
STANDARD = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": str(STANDARD_AT),
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}


def _hex(secret: str = SECRET, stamp: int = NOW) -> str:
    return hmac.new(secret.encode(), b"%d." % stamp + BODY, hashlib.sha256).hexdigest()


@pytest.mark.parametrize(
    "header",
    [
        f"t={NOW},v1={_hex()}",
        f"v1={_hex()},t={NOW}",
        f" t={NOW} , v1={_hex()} ",
        f"t={NOW},v0=abc,v1={_hex()}",
        f"t={NOW},v1={_hex('whsec_new')},v1={_hex()}",
    ],
    ids=["plain", "other order", "blanks", "unknown key", "second of two secrets"],
)
def test_accepts_every_form_that_the_wire_format_allows(header: str) -> None:
    """Order, blanks, unknown keys and several secrets do not matter."""
    verify_signature(SECRET, header, BODY, NOW)


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("", "malformed_header"),
        (f"v1={_hex()}", "no_timestamp"),
        (f"t=soon,v1={_hex()}", "no_timestamp"),
        (f"t={NOW}", "no_signatures"),
        (f"t={NOW - 301},v1={_hex(stamp=NOW - 301)}", "timestamp_out_of_tolerance"),
        (f"t={NOW + 301},v1={_hex(stamp=NOW + 301)}", "timestamp_out_of_tolerance"),
        (f"t={NOW},v1={_hex().upper()}", "no_match"),
        (f"t={NOW},v1={_hex('whsec_other')}", "no_match"),
        (f"t={NOW - 1},v1={_hex()}", "no_match"),
        (f"t={NOW},v1=é", "no_match"),
    ],
)
def test_a_refusal_names_the_check_that_failed(header: str, reason: str) -> None:
    """Each way to be wrong has its own stable reason."""
    with pytest.raises(SignatureError) as refusal:
        verify_signature(SECRET, header, BODY, NOW)

    assert refusal.value.reason == reason


def test_a_changed_body_does_not_match() -> None:
    """One byte more, and the signature is void."""
    header = f"t={NOW},v1={_hex()}"

    with pytest.raises(SignatureError, match="no_match"):
        verify_signature(SECRET, header, BODY + b"\n", NOW)


def test_signature_is_fresh_up_to_the_tolerance_itself() -> None:
    """Exactly 300 seconds are still allowed."""
    verify_signature(SECRET, f"t={NOW},v1={_hex()}", BODY, NOW + 300)


def test_standard_webhooks_published_example_verifies() -> None:
    """The specification's own example holds, alone and beside another secret's signature."""
    beside = STANDARD | {"webhook-signature": f"v1,AAAA {STANDARD['webhook-signature']}"}

    verify_standard_webhook(SECRET, STANDARD, STANDARD_BODY, STANDARD_AT)
    verify_standard_webhook(SECRET, beside, STANDARD_BODY, STANDARD_AT)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"webhook-id": ""}, "malformed_header"),
        ({"webhook-id": "msg_other"}, "no_match"),
        ({"webhook-timestamp": "1614265330.5"}, "no_timestamp"),
        ({"webhook-timestamp": str(STANDARD_AT - 400)}, "timestamp_out_of_tolerance"),
        ({"webhook-signature": "v2,AAAA"}, "no_signatures"),
    ],
)
def test_standard_webhooks_refusal_names_the_check(change: dict[str, str], reason: str) -> None:
    """The second scheme refuses with the same words as the first."""
    with pytest.raises(SignatureError) as refusal:
        verify_standard_webhook(SECRET, STANDARD | change, STANDARD_BODY, STANDARD_AT)

    assert refusal.value.reason == reason


@pytest.mark.parametrize("secret", ["MfKQ9r8GKYqrTwjU", "whsec_not base64"])
def test_standard_webhooks_secret_must_be_base64_after_its_prefix(secret: str) -> None:
    """A secret of another shape is the test's own mistake and is called so."""
    with pytest.raises(SignatureError, match="bad_secret"):
        verify_standard_webhook(secret, STANDARD, STANDARD_BODY, STANDARD_AT)
