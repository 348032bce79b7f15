"""When a certificate is due, and how long a name waits, whatever the clock says."""

import pytest

from openclick.instants import SECOND, Instant, now
from openclick.tracking_certificates import TrackingCertificate
from openclick_sidecar.certificates import bundle, read_certificate
from openclick_sidecar.renewals import after_success_at, is_due, wait_seconds
from support.authority import Authority
from unit.renewals.renewals_world import DAY, NAME

STATE = TrackingCertificate(NAME)


def _aged(ca: Authority, days: float, *, by_acme: bool = True) -> object:
    issued = ca.issue(NAME, days=90, starts_in_days=-days)
    content = bundle(issued.chain, issued.key) if by_acme else issued.bundle
    return read_certificate(content, NAME)


@pytest.mark.parametrize(
    ("days", "by_acme", "due"),
    [
        (59, True, False),
        (61, True, True),
        (91, True, True),
        (61, False, False),
        (89, False, False),
        (91, False, True),
    ],
)
def test_what_is_due(ca: Authority, days: float, by_acme: bool, due: bool) -> None:
    """Ours at two thirds of its life, another's once it has expired."""
    certificate = _aged(ca, days, by_acme=by_acme)

    assert due == is_due(certificate, STATE, now())


def test_a_wait_from_a_clock_that_was_ahead(ca: Authority) -> None:
    """A next attempt in 400 days is none that we have set: the clock has come back."""
    instant = now()
    waiting = TrackingCertificate(NAME, next_attempt_at=instant + 86_400 * SECOND)
    wrong = TrackingCertificate(NAME, next_attempt_at=instant + 400 * DAY)

    assert (False, True) == (is_due(None, waiting, instant), is_due(None, wrong, instant))


@pytest.mark.parametrize("off", [400 * DAY, -400 * DAY])
def test_a_clock_that_is_wrong_orders_nothing_in_a_circle(ca: Authority, off: Instant) -> None:
    """A fresh certificate that seems to be due is ordered again a day later at the earliest."""
    fresh = _aged(ca, 0)

    again_at = after_success_at(fresh, now() + off)

    assert abs(again_at - (now() + off + DAY)) < 10 * SECOND


def test_short_lives_are_renewed_in_time(ca: Authority) -> None:
    """Some CAs give a day: no wait is longer than two thirds of it."""
    issued = ca.issue(NAME, days=1, starts_in_days=0)
    certificate = read_certificate(bundle(issued.chain, issued.key), NAME)

    assert certificate.renew_at == after_success_at(certificate, now())


def test_waits() -> None:
    """A day at most."""
    assert [300, 300, 900, 86_400] == [wait_seconds(count) for count in (0, 1, 2, 100)]
