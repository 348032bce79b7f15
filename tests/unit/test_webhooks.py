"""Webhooks: what a receiver may ask for."""

from openclick.events import EventType
from openclick.webhooks import ACCEPTED_EVENT_NAMES, MAX_BATCH_EVENTS


def test_all_nine_of_anyposts_names_are_accepted() -> None:
    """Clients subscribe to all at once, so names that we never emit are no error."""
    names = "sent delivered delayed bounced complained suppressed unsubscribed opened clicked"

    assert tuple(f"email.{name}" for name in names.split()) == ACCEPTED_EVENT_NAMES


def test_every_event_that_we_make_can_be_asked_for() -> None:
    """What is emitted is among what is accepted."""
    assert {event.value for event in EventType} <= set(ACCEPTED_EVENT_NAMES)


def test_a_batch_holds_a_hundred() -> None:
    """The bound is the wire format's (DESIGN 7)."""
    assert 100 == MAX_BATCH_EVENTS
