"""The circuit of a webhook: opened by ten failures in a row, closed by a success."""

import pytest

from openclick.circuit import (
    FAILURES_IN_A_ROW,
    PROBE_SECONDS,
    Health,
    after_failure,
    after_gone,
    after_success,
)
from openclick.instants import SECOND
from openclick.webhooks import WebhookStatus
from unit.samples import NOW

WELL = Health(WebhookStatus.ACTIVE)
PROBE = PROBE_SECONDS * SECOND


def failing(count: int, health: Health = WELL) -> Health:
    """Return the health after so many failures."""
    for _ in range(count):
        health = after_failure(health, NOW, "answered 500", None)
    return health


def test_nine_failures_are_borne() -> None:
    """They are counted."""
    assert Health(WebhookStatus.ACTIVE, "", 9) == failing(FAILURES_IN_A_ROW - 1)


def test_the_tenth_opens_the_circuit() -> None:
    """With the reason, and the first probe in a minute."""
    told = "10 failed attempts in a row; the last: answered 500"

    assert Health(WebhookStatus.CIRCUIT_DISABLED, told, 10, NOW + PROBE) == failing(10)


def test_a_success_in_between_begins_anew() -> None:
    """In a row, they must be."""
    assert failing(9, after_success(failing(9))).status is WebhookStatus.ACTIVE


def test_a_failed_probe_keeps_it_open() -> None:
    """The next one comes a minute later, or when the receiver asked for it."""
    later = after_failure(failing(10), NOW + PROBE, "timeout", None)
    much_later = after_failure(failing(10), NOW, "timeout", NOW + 10 * PROBE)

    assert (11, NOW + 2 * PROBE) == (later.failures, later.probe_at)
    assert NOW + 10 * PROBE == much_later.probe_at


def test_a_success_closes_it() -> None:
    """Nothing of the failures is left."""
    assert WELL == after_success(failing(12))


@pytest.mark.parametrize("health", [WELL, failing(10)])
def test_410_disables(health: Health) -> None:
    """Whatever it was before."""
    assert after_gone(health).status is WebhookStatus.DISABLED


def test_a_disabled_webhook_stays_so() -> None:
    """The end of an attempt that was under way does not switch it on."""
    off = Health(WebhookStatus.DISABLED, "switched off")

    assert off == after_success(off) == failing(20, off)
