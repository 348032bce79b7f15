"""Losses are all counted, and said without flooding the log."""

import pytest

from openclick_sidecar.losses import Losses
from support.clock import Clock


def test_the_first_is_said_at_once_and_later_ones_together(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """At most one line in ten seconds, with the number of all since the last."""
    clock = Clock()
    losses = Losses(clock.monotonic)

    losses.count(1, "disk full")
    for _ in range(5):
        losses.count(2, "disk full")
    clock.advance(10)
    losses.tell()
    losses.tell()

    assert 11 == losses.total
    assert [
        'hits: answered but not recorded hits=1 reason="disk full"',
        'hits: answered but not recorded hits=10 reason="disk full"',
    ] == caplog.messages


def test_no_loss_is_silent(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing to say."""
    Losses(Clock().monotonic).tell()

    assert [] == caplog.messages
