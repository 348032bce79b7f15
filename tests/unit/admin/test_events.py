"""`openclick events`: for people, for programs, and as they come."""

import json

import pytest

from openclick.store import Registry
from unit.admin.fresh_installation import Run
from unit.samples import a_message, log_events


def test_no_events(ready: Run) -> None:
    """A sentence for people, an empty list for programs."""
    assert ready("events").output == "No event yet.\n"
    assert ready("events", "--json").output == "[]\n"


def test_events_as_json(ready: Run, registry: Registry) -> None:
    """The payloads as webhooks get them, newest first, as many as asked for."""
    log_events(registry, range(1, 31))

    twenty = json.loads(ready("events", "--json").output)
    three = json.loads(ready("events", "--json", "--limit", "3").output)

    assert [f"evt_{n:032x}" for n in range(30, 10, -1)] == [event["id"] for event in twenty]
    assert twenty[:3] == three


def test_events_for_people(ready: Run, registry: Registry) -> None:
    """When, what, to whom, where to, about what."""
    log_events(registry, range(1, 2), a_message(subject="Boots"))

    output = " ".join(ready("events").output.split())

    for word in ("2025-11-23T", "email.clicked", "anna@reader", "Boots"):
        assert word in output


def test_events_of_several_recipients(ready: Run, registry: Registry) -> None:
    """Nobody is named who may not have been it."""
    log_events(registry, range(1, 2), a_message(recipients=("a@b.example", "c@d.example")))

    output = " ".join(ready("events").output.split())

    assert "2 candidates" in output
    assert "a@b.example" not in output


@pytest.mark.parametrize("limit", ["0", "1001", "x"])
def test_events_limit(ready: Run, limit: str) -> None:
    """1 to 1,000."""
    assert ready("events", "--limit", limit).exit_code == 2


def test_an_event_cannot_paint_the_terminal(
    ready: Run, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A subject is a stranger's text: escape sequences are spelled out, markup is no markup."""
    monkeypatch.setenv("COLUMNS", "200")
    log_events(registry, range(1, 2), a_message(subject="\x1b[31mred\x9b1m\u202e[bold]x"))

    output = ready("events").output

    assert not {"\x1b", "\x9b", "\u202e"} & set(output)
    assert "\\u001b[31mred\\u009b1m\\u202e[bold]x" in output


def follow(
    ready: Run, registry: Registry, monkeypatch: pytest.MonkeyPatch, *options: str
) -> list[str]:
    """Follow the log while three events come, then press Ctrl-C; return the lines."""
    numbers = iter((10, 11, 12))

    def wait(_seconds: float) -> None:
        number = next(numbers, None)
        if number is None:
            raise KeyboardInterrupt
        log_events(registry, range(number, number + 1), a_message(subject="\x1b[31mred"))

    monkeypatch.setattr("time.sleep", wait)
    log_events(registry, range(1, 4))
    result = ready("events", "--follow", *options)
    assert result.exit_code == 0
    return result.output.splitlines()


def test_following_for_people(
    ready: Run, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes from now on, a line each, with nothing that paints the terminal."""
    found = follow(ready, registry, monkeypatch)

    assert 3 == len(found)
    assert all(text.endswith("\\u001b[31mred") for text in found)


def test_following_many_at_once(
    ready: Run, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes faster than the wait is read without waiting."""
    waits = []

    def wait(_seconds: float) -> None:
        if waits:
            raise KeyboardInterrupt
        waits.append(1)
        log_events(registry, range(1, 351))

    monkeypatch.setattr("time.sleep", wait)

    result = ready("events", "--follow")

    assert 350 == len(result.output.splitlines())


def test_following_for_programs(
    ready: Run, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The payloads themselves, in order, one a line."""
    found = follow(ready, registry, monkeypatch, "--json")

    assert [f"evt_{n:032x}" for n in (10, 11, 12)] == [json.loads(text)["id"] for text in found]
