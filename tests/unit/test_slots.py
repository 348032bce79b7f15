"""Slots: what hangs never keeps a healthy webhook from its turn."""

from openclick_sidecar.slots import AttemptSlots


def test_a_webhook_has_its_share() -> None:
    """And not more, however many are free."""
    slots = AttemptSlots(64, 4, [("wh_1", False)] * 3)

    assert (1, 4) == (slots.free("wh_1", is_failing=False), slots.free("wh_2", is_failing=False))


def test_what_is_given_out_counts() -> None:
    """Within one round, too."""
    slots = AttemptSlots(6, 4, [])
    slots.take("wh_1", 4, is_failing=False)

    assert (0, 2) == (slots.free("wh_1", is_failing=False), slots.free("wh_2", is_failing=False))


def test_a_failing_webhook_has_one() -> None:
    """Until it succeeds."""
    slots = AttemptSlots(64, 4, [])

    assert 1 == slots.free("wh_1", is_failing=True)
    slots.take("wh_1", 1, is_failing=True)
    assert 0 == slots.free("wh_1", is_failing=True)


def test_failing_webhooks_have_half_together() -> None:
    """The other half is there for those that do well, also where hundreds hang."""
    slots = AttemptSlots(10, 4, [(f"wh_{number}", True) for number in range(5)])

    assert 0 == slots.free("wh_9", is_failing=True)
    assert 4 == slots.free("wh_well", is_failing=False)


def test_no_slots_at_all() -> None:
    """The sidecar stops."""
    assert 0 == AttemptSlots(0, 0, ()).free("wh_1", is_failing=False)
