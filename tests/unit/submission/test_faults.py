"""Whatever fails on our side, the mail goes out, and a row and a log line say why (DESIGN 1.1)."""

import dataclasses
import logging
import re
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from openclick.keys import KeyDirectory, rotate_keys
from openclick.messages import Message, Outcome
from openclick.settings import Config, LinkSettings
from openclick_milter.controls import Removal
from openclick_milter.housekeeping import Housekeeping
from openclick_milter.recorder import MessageRecorder
from openclick_milter.submission import Next
from unit.samples import DOMAIN, NOW
from unit.submission.transactions import (
    CONTROL,
    FIELDS,
    HTML,
    QUEUE_ID,
    Milter,
    Sent,
    lines,
    untouched,
)


def test_no_store(idle: Milter, caplog: pytest.LogCaptureFixture) -> None:
    """Headers go, the body stays, one line says why (DESIGN 1.1)."""
    (idle.directory / "openclick.db").unlink()

    assert (Next.SKIP_BODY, Sent((Removal(CONTROL[0], 1),))) == idle.send([*FIELDS, CONTROL])
    (told,) = lines(caplog)
    assert told.startswith(f'{QUEUE_ID}: untouched reason="store: ')


def test_no_row_no_edit(milter: Milter, caplog: pytest.LogCaptureFixture) -> None:
    """Where the row cannot be written the message leaves as it came."""
    caplog.set_level(logging.INFO)
    milter.stop()
    for path in milter.directory.glob("messages.db*"):
        path.unlink()
    (milter.directory / "messages.db").mkdir()
    housekeeping = Housekeeping(milter.counters, lambda: 400, lambda: NOW, NOW)
    milter.change(recorder=MessageRecorder(milter.store, housekeeping, time.monotonic))
    milter.start()

    _, edits = milter.send([*FIELDS, CONTROL])

    assert Sent((Removal(CONTROL[0], 1),)) == edits
    (told,) = lines(caplog)
    assert re.match(rf'{QUEUE_ID}: untouched reason=".*messages\.db: unable to open database', told)


def test_no_key(milter: Milter) -> None:
    """A missing key stops tracking, never mail."""
    milter.change(keys=KeyDirectory("/nonexistent", milter.clock.monotonic))

    untouched(milter, "/nonexistent: cannot be listed: No such file or directory")


@pytest.mark.parametrize(("damaged", "tracked"), [("000", False), ("001", True), ("002", False)])
def test_damaged_key(milter: Milter, damaged: str, tracked: bool) -> None:
    """The newest seals and ids derive from the oldest; one between them is not needed."""
    for _ in range(2):
        rotate_keys(str(milter.key_directory))
    (milter.key_directory / f"{damaged}.v1.key").write_bytes(b"")
    milter.change(keys=KeyDirectory(str(milter.key_directory), milter.clock.monotonic))

    if tracked:
        assert milter.send()[1].body is not None
    else:
        untouched(milter, f"{milter.key_directory}/{damaged}.v1.key: holds 0 bytes: need 64")


def test_no_key_at_first(milter: Milter) -> None:
    """Once it is there mail is tracked, without a restart."""
    later = milter.directory / "later"
    later.mkdir()
    milter.change(keys=KeyDirectory(str(later), milter.clock.monotonic))
    assert milter.send()[1].body is None

    rotate_keys(str(later))
    milter.clock.advance(1)

    assert milter.send()[1].body is not None


def test_deadline(milter: Milter) -> None:
    """A message that takes too long goes out untouched."""
    ticks = iter(range(0, 10_000, 6))
    milter.change(monotonic=lambda: float(next(ticks)))

    untouched(milter, "not done within 5 s")


def test_one_deadline_for_work_and_wait(idle: Milter) -> None:
    """What instrumenting took is gone from the wait for the commit (DESIGN 3.9)."""
    times = iter([0.0] * 4)  # until the instrumenting begins
    idle.change(monotonic=lambda: next(times, 5.0))
    begun = time.monotonic()

    _, edits = idle.send()  # the recorder does not run: no row will ever be on disk

    assert edits.body is None
    assert time.monotonic() - begun < 3


def test_a_row_that_came_too_late_is_corrected(idle: Milter) -> None:
    """The store never says "instrumented" of a mail that went out as it came."""
    times = iter([0.0] * 4)  # until the instrumenting begins
    idle.change(monotonic=lambda: next(times, 5.0))
    idle.send()

    idle.start()

    assert [(Outcome.UNTOUCHED, "store too slow", ())] == [
        (row.outcome, row.reason, row.links) for row in idle.rows()
    ]


@pytest.mark.parametrize("stage", ["headers", "message"])
def test_a_fault_of_ours(milter: Milter, caplog: pytest.LogCaptureFixture, stage: str) -> None:
    """Never an exception: untouched, with the queue id first in the log."""
    if stage == "headers":
        milter.change(randomness=_broken)
    else:
        milter.change(config=Config(links=replace(LinkSettings(), scheme="gopher", port=70)))

    _, edits = milter.send()

    assert edits.body is None
    assert [f"{QUEUE_ID}: internal error"] == [t for t in lines(caplog) if "untouched" not in t]


def test_a_fault_of_ours_has_a_row_where_the_domain_is_known(
    milter: Milter, caplog: pytest.LogCaptureFixture
) -> None:
    """At the end of the headers too: the row says what is certain, and why (DESIGN 1.8, 3.9)."""
    caplog.set_level(logging.INFO)
    clocks = iter([_broken])
    milter.change(now=lambda: next(clocks, lambda _: NOW)(0))

    decided, edits = milter.send([*FIELDS, CONTROL])

    assert Next.SKIP_BODY is decided
    assert Sent((Removal(CONTROL[0], 1),)) == edits
    [row] = milter.rows()
    assert (Outcome.UNTOUCHED, DOMAIN) == (row.outcome, row.sending_domain)
    assert (("anna@reader.example",), None) == (row.recipients, row.subject)
    reason = "internal error OSError('no randomness today')"
    assert reason == row.reason
    assert [
        f"{QUEUE_ID}: internal error",
        f'{QUEUE_ID}: untouched reason="{reason}" domain={DOMAIN}',
    ] == lines(caplog)
    assert {"untouched": 1, "faults": 1} == milter.counters.snapshot()


class _BrokenRecorder(MessageRecorder):
    def leave(self, message: Message) -> None:
        raise AttributeError("no rows today")


@pytest.mark.parametrize("toggle", ["yes", "no"])
def test_a_fault_in_dealing_with_a_fault(
    idle: Milter, caplog: pytest.LogCaptureFixture, toggle: str
) -> None:
    """Even a recorder that is broken itself stops no mail, at either end."""
    housekeeping = Housekeeping(idle.counters, lambda: 10_000, lambda: NOW, NOW)
    idle.configure(max_message_bytes=10_000)
    idle.change(recorder=_BrokenRecorder(idle.store, housekeeping, time.monotonic))
    toggles = [(f"X-Anypost-Track-{what}", toggle) for what in ("Opens", "Clicks")]

    _, edits = idle.send([*FIELDS, *toggles], HTML + b"x" * 20_000)

    assert edits.body is None
    assert 2 == len(edits.removals)
    assert f"{QUEUE_ID}: internal error" in lines(caplog)


def _broken(_size: int) -> bytes:
    raise OSError("no randomness today")


def test_rows_that_cannot_be_taken_stop_no_mail(
    idle: Milter, caplog: pytest.LogCaptureFixture
) -> None:
    """Untouched mail passes even where its row does not."""
    off = [("X-Anypost-Track-Opens", "no"), ("X-Anypost-Track-Clicks", "no")]
    submit: Callable[[], object] = lambda: idle.world.recorder.record(a_row)  # noqa: E731
    a_row = Message(**_row_of(idle))
    for _ in range(10_000):
        submit()

    decided, _ = idle.send([*FIELDS, *off])

    assert Next.SKIP_BODY is decided
    assert any(" row not recorded " in text for text in lines(caplog))


def _row_of(milter: Milter) -> dict[str, Any]:
    submission = milter.submission(FIELDS)
    submission.end_of_headers(QUEUE_ID)
    assert submission._draft is not None
    return {
        field.name: getattr(submission._draft, field.name)
        for field in dataclasses.fields(submission._draft)
    }
