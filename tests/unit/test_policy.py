"""The decision: header over domain default over off, and only when verified."""

import itertools

import pytest

from openclick.policy import Choice, Decision, Toggles, decide
from unit.samples import a_domain


@pytest.mark.parametrize(
    ("toggle", "default", "choice"),
    [
        (None, False, Choice(False, "domain default is off")),
        (None, True, Choice(True, "domain default is on")),
        (True, False, Choice(True, "header says on")),
        (True, True, Choice(True, "header says on")),
        (False, False, Choice(False, "header says off")),
        (False, True, Choice(False, "header says off")),
    ],
)
def test_header_over_domain_default(toggle: bool | None, default: bool, choice: Choice) -> None:
    """A header decides; without one the domain does; the reason says which."""
    domain = a_domain(opens_enabled=default, clicks_enabled=default)

    decision = decide(Toggles(toggle, toggle), domain)

    assert Decision(opens=choice, clicks=choice) == decision


def test_features_are_decided_apart() -> None:
    """Opens and clicks have a header and a default each."""
    domain = a_domain(opens_enabled=True, clicks_enabled=False)

    decision = decide(Toggles(opens=False, clicks=True), domain)

    assert Decision(Choice(False, "header says off"), Choice(True, "header says on")) == decision


def test_unverified_domain_is_off_whatever_the_header_says() -> None:
    """Until the tracking domain is verified nothing is tracked (DESIGN 1.6)."""
    domain = a_domain(verified_at=None)

    decision = decide(Toggles(True, True), domain)

    reason = "tracking domain track.kontor.example is not verified"
    assert Decision(Choice(False, reason), Choice(False, reason)) == decision
    assert not decision.tracks


def test_unknown_domain_is_off_whatever_the_header_says() -> None:
    """A domain that was never added is never tracked."""
    decision = decide(Toggles(True, True), None)

    assert Choice(False, "sending domain is not added") == decision.opens == decision.clicks


def test_either_feature_makes_a_tracked_message() -> None:
    """Only where both are off is the body of no interest."""
    for opens, clicks in itertools.product((False, True), repeat=2):
        decision = decide(Toggles(opens, clicks), a_domain())

        assert (opens or clicks) == decision.tracks
