"""Control headers of the big mail services."""

import pytest

from openclick.policy import Toggles
from openclick_milter.controls import read_controls

PREFIX = "X-Anypost-"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("X-PM-TrackOpens", "true", Toggles(opens=True)),
        ("X-PM-TrackLinks", "HtmlOnly", Toggles(clicks=True)),
        ("X-PM-TrackLinks", "None", Toggles(clicks=False)),
        ("X-PM-TrackLinks", "TextOnly", Toggles(clicks=False)),
        ("X-Mailgun-Track", "no", Toggles(opens=False, clicks=False)),
        ("x-mailgun-track-clicks", "htmlonly", Toggles(clicks=True)),
        ("X-Mailgun-Track-Opens", "yes", Toggles(opens=True)),
        ("X-MC-Track", "opens, clicks_htmlonly", Toggles(opens=True, clicks=True)),
        ("X-MC-Track", "opens", Toggles(opens=True, clicks=False)),
        ("X-Mailjet-TrackOpen", "0", Toggles(opens=False)),
        ("X-Mailjet-TrackClick", "1", Toggles(clicks=True)),
        ("X-PM-TrackOpens", "perhaps", Toggles()),
    ],
)
def test_wish_is_understood(name: str, value: str, expected: Toggles) -> None:
    """Each header asks for what its service's manual says."""
    controls = read_controls([(name, value)], PREFIX, vendors=True)

    assert expected == controls.toggles
    assert [(name, 1)] == [(removal.name, removal.occurrence) for removal in controls.removals]


def test_ours_win() -> None:
    """Where both speak of one feature, the vendor's word does not count; of another, it does."""
    fields = [
        ("X-Anypost-Track-Opens", "false"),
        ("X-Mailgun-Track", "yes"),
        ("X-Anypost-Tags", "ours"),
        ("X-PM-Tag", "theirs"),
        ("X-Mailjet-Campaign", "theirs"),
        ("X-Anypost-Campaign", "ours"),
    ]

    controls = read_controls(fields, PREFIX, vendors=True)

    assert Toggles(opens=False, clicks=True) == controls.toggles
    assert ("ours", "theirs") == controls.labels.tags
    assert "ours" == controls.labels.campaign
    assert len(fields) == len(controls.removals)


def test_without_the_setting_they_are_strangers() -> None:
    """They are neither read nor removed."""
    controls = read_controls([("X-PM-TrackOpens", "false")], PREFIX)

    assert (Toggles(), ()) == (controls.toggles, controls.removals)
