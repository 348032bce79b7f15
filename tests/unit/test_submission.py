"""One transaction from MAIL to the end of the message: mail first, then tracking (DESIGN 1.1, 3.9).

Everything is real but the clock: store, keys, domains, recorder, instrumenting.
"""

import dataclasses
import logging
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from openclick.keys import KeyDirectory, load_keys, rotate_keys
from openclick.messages import Labels, LinkRecord, Message, Outcome
from openclick.sealed_ids import sealed_header
from openclick.settings import Config, LinkSettings, MilterSettings
from openclick.store import Store, open_store
from openclick.tokens import Kind
from openclick_milter.controls import Removal
from openclick_milter.counters import Counters
from openclick_milter.directory import DomainDirectory
from openclick_milter.housekeeping import Housekeeping
from openclick_milter.minter import TokenMinter
from openclick_milter.recorder import MessageRecorder
from openclick_milter.rows import MessageRows
from openclick_milter.submission import Edits, Next, Submission, World
from openclick_milter.trust import Client
from support.clock import Clock
from unit.samples import DESTINATION, DOMAIN, EMAIL_ID, NOW, TRACKING_DOMAIN, a_domain

QUEUE_ID = "4Xk2Q1z0"
APP = Client("203.0.113.9", login="shop")
LOCAL = Client("127.0.0.1")
STRANGER = Client("203.0.113.66")
HTML = b'<html><body><p><a href="https://shop.kontor.example/boots?size=42">Boots</a></p></body></html>\r\n'
FIELDS = [
    ("From", "Kontor Nord <news@kontor.example>"),
    ("To", "anna@reader.example"),
    ("Subject", "=?utf-8?q?Gr=C3=BC=C3=9Fe?="),
    ("Message-ID", "<1@kontor.example>"),
    ("MIME-Version", "1.0"),
    ("Content-Type", "text/html; charset=utf-8"),
    ("X-Order", "17"),
]
CONTROL = ("X-Anypost-Track-Opens", "no")


class Milter:
    """A milter's world in a directory, and transactions in it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.store: Store = open_store(f"sqlite:{directory}")
        self.key_directory = directory / "keys"
        self.key_directory.mkdir()
        rotate_keys(str(self.key_directory))
        self.add_domain()
        self.clock = Clock()
        self.counters = Counters()
        housekeeping = Housekeeping(self.counters, lambda: 10_000, lambda: NOW, NOW)
        self.world = World(
            config=Config(),
            keys=KeyDirectory(str(self.key_directory), self.clock.monotonic),
            domains=DomainDirectory(self.store),
            recorder=MessageRecorder(self.store, housekeeping, time.monotonic),
            rows=MessageRows(self.store),
            counters=self.counters,
            now=lambda: NOW,
            monotonic=self.clock.monotonic,
        )
        self._running = False

    def add_domain(self, *, verified: bool = True, **fields: Any) -> None:
        """Add a sending domain, which is served over https unless `fields` say otherwise."""
        domain = a_domain(**{"https": True, **fields})
        with closing(self.store.registry()) as registry:
            registry.domains.add(domain)
            if verified:
                registry.domains.record_verified(domain.name, NOW, https=domain.https)

    def configure(self, **milter: Any) -> None:
        """Change settings of [milter]."""
        self.change(config=Config(milter=MilterSettings(**milter)))

    def change(self, **parts: Any) -> None:
        """Replace parts of the world."""
        self.world = dataclasses.replace(self.world, **parts)

    def start(self) -> None:
        """Start the recorder."""
        self.world.recorder.start()
        self._running = True

    def stop(self) -> None:
        """Write what is queued, close what was opened."""
        if self._running:
            self.world.recorder.stop()
            self._running = False
        self.world.domains._forget()
        self.world.rows._close()

    def submission(self, fields: list[tuple[str, str]], client: Client = APP) -> Submission:
        """Return a transaction up to its header fields."""
        made = Submission(self.world, client, "bounces@kontor.example", "QQ314159")
        made.recipients.append("anna@reader.example")
        made.fields += fields
        return made

    def send(
        self, fields: list[tuple[str, str]] = FIELDS, body: bytes = HTML, client: Client = APP
    ) -> tuple[Next | None, Edits]:
        """Send a message as callbacks do; None where it was let go at MAIL."""
        submission = self.submission(fields, client)
        if submission.is_foreign():
            return None, Edits()
        decided = submission.end_of_headers(QUEUE_ID)
        if decided is Next.ACCEPT:
            return decided, Edits()
        if decided is Next.READ_BODY:
            for start in range(0, len(body), 64):
                submission.add_chunk(body[start : start + 64])
        return decided, submission.end_of_message(QUEUE_ID)

    def rows(self) -> list[Message]:
        """Return every row of the queue id, once all are written."""
        self.stop()
        with closing(self.store.message_reader()) as reader:
            return reader.many_by_queue_id(QUEUE_ID)


@pytest.fixture
def idle(tmp_path: Path) -> Iterator[Milter]:
    """Return a milter whose recorder does not run."""
    made = Milter(tmp_path)
    yield made
    made.stop()


@pytest.fixture
def milter(idle: Milter) -> Milter:
    """Return a running milter with one verified domain that tracks both."""
    idle.start()
    return idle


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the log lines of the submission."""
    return [r.getMessage() for r in caplog.records if r.name == "openclick_milter.submission"]


def untouched(milter: Milter, reason: str, **send: Any) -> None:
    """Check that a message goes out as it came, with a row that says why."""
    _, edits = milter.send(**send)

    assert edits.body is None
    (row,) = milter.rows()
    assert (Outcome.UNTOUCHED, ()) == (row.outcome, row.links)
    assert re.fullmatch(reason, row.reason)


# --- tracked


def test_no_name_server_is_asked(milter: Milter) -> None:
    """Nor anything else in the network, tracked or not: no socket is made, no name looked up.

    An audit hook sees what any library does; it cannot be removed, so it is switched off.
    """
    seen: list[str] = []
    watching = [True]
    sys.addaudithook(
        lambda event, _: seen.append(event) if watching[0] and "socket." in event else None
    )
    milter.add_domain(domain_id="2", name="new.example", verified=False)
    senders = (DOMAIN, "new.example", "never.example")
    from_at = [name.lower() for name, _ in FIELDS].index("from")

    decided = []
    for domain in senders:
        fields = list(FIELDS)
        fields[from_at] = (fields[from_at][0], f"news@{domain}")
        decided.append(milter.send(fields)[0])
    rows = milter.rows()
    watching[0] = False

    assert [Next.READ_BODY, Next.ACCEPT, Next.ACCEPT] == decided
    assert {DOMAIN, "new.example"} == {row.sending_domain for row in rows}
    assert seen == []


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_scheme_of_links(milter: Milter, scheme: str) -> None:
    """That by which the tracking domain was last seen to be served."""
    with closing(milter.store.registry()) as registry:
        registry.domains.record_verified(DOMAIN, NOW, https=scheme == "https")

    _, edits = milter.send()

    assert edits.body is not None
    begin = f"{scheme}://track.kontor.example/".encode("ascii")
    assert [True, True] == [
        f'{attribute}="'.encode("ascii") + begin in edits.body for attribute in ("href", "src")
    ]


def test_tracked_mail(milter: Milter, caplog: pytest.LogCaptureFixture) -> None:
    """Link and image carry tokens that open; nothing else has changed; one line tells it."""
    caplog.set_level(logging.INFO)
    decided, edits = milter.send()

    assert Next.READ_BODY is decided
    assert edits.body is not None
    ring = milter.world.keys.ring()
    link = re.search(rb'href="https://track\.kontor\.example/c/([^"]+)"', edits.body)
    image = re.search(rb'<img[^>]*src="https://track\.kontor\.example/o/([^"]+)"[^>]*>', edits.body)
    assert link is not None
    assert image is not None
    opened = ring.open(Kind.CLICK, TRACKING_DOMAIN, link[1].decode())
    assert DESTINATION == opened.destination
    assert opened.email_id == ring.open(Kind.OPEN, TRACKING_DOMAIN, image[1].decode()).email_id
    restored = edits.body.replace(image[0], b"").replace(
        link[0], b'href="' + DESTINATION.encode() + b'"'
    )
    assert restored == HTML
    (told,) = lines(caplog)
    assert re.fullmatch(
        rf"{QUEUE_ID}: instrumented links=1 left=0 image=yes email_id=email_\S+ domain={DOMAIN}",
        told,
    )


def test_row_of_a_tracked_mail(milter: Milter) -> None:
    """Everything that events and `openclick explain` are made from."""
    milter.send([*FIELDS, ("X-Anypost-Tags", "a,b"), ("X-Anypost-Topic", "t")])

    (row,) = milter.rows()
    assert (
        Message(
            email_id=row.email_id,
            copy=row.copy,
            created_at=NOW,
            outcome=Outcome.INSTRUMENTED,
            reason="",
            queue_id=QUEUE_ID,
            message_id="<1@kontor.example>",
            envelope_id="QQ314159",
            sender="bounces@kontor.example",
            header_from="Kontor Nord <news@kontor.example>",
            recipients=("anna@reader.example",),
            subject="Grüße",
            sending_domain=DOMAIN,
            tracking_domain=TRACKING_DOMAIN,
            opens=True,
            opens_reason="domain default is on",
            clicks=True,
            clicks_reason="domain default is on",
            labels=Labels(("a", "b"), "t", None),
            headers={"x_order": "17"},
            links=(LinkRecord(0, DESTINATION, True, ""),),
            image_reason="before </body>",
            login="shop",
        )
        == row
    )


def test_edits_come_only_when_the_row_is_on_disk(milter: Milter) -> None:
    """Recorded before the first edit (DESIGN 3.9)."""
    submission = milter.submission(FIELDS)
    submission.end_of_headers(QUEUE_ID)
    submission.add_chunk(HTML)

    edits = submission.end_of_message(QUEUE_ID)

    assert edits.body is not None
    with closing(milter.store.message_reader()) as reader:
        assert [Outcome.INSTRUMENTED] == [r.outcome for r in reader.many_by_queue_id(QUEUE_ID)]


def test_control_headers_go(milter: Milter) -> None:
    """From a tracked mail too, and what they ask for is done: no image here."""
    _, edits = milter.send([*FIELDS, CONTROL])

    assert (Removal(CONTROL[0], 1),) == edits.removals
    assert edits.body is not None
    assert b"/c/" in edits.body
    assert b"/o/" not in edits.body


def test_each_copy_has_names_of_its_own(milter: Milter) -> None:
    """Two messages share neither email id nor copy."""
    milter.send()
    milter.send()

    first, second = milter.rows()
    assert first.email_id != second.email_id
    assert first.copy != second.copy


def test_queue_id_that_comes_late(milter: Milter) -> None:
    """Postfix may name it only at the end of the message."""
    submission = milter.submission(FIELDS)
    submission.end_of_headers("")
    submission.add_chunk(HTML)
    submission.end_of_message(QUEUE_ID)

    assert 1 == len(milter.rows())


# --- not a submission


def test_a_stranger_is_let_go_at_mail(milter: Milter) -> None:
    """Everything else is accepted at once, as it came."""
    assert (None, Edits()) == milter.send([*FIELDS, CONTROL], client=STRANGER)


def test_local_mail_is_a_submission(milter: Milter) -> None:
    """From sendmail(1) or an app on this machine."""
    assert milter.send(client=LOCAL)[1].body is not None


@pytest.mark.parametrize("name", ["Received", "received"])
def test_local_mail_that_was_received_is_not(milter: Milter, name: str) -> None:
    """A content filter hands back a stranger's mail: not even his control headers are removed."""
    fields = [(name, "from evil by here with ESMTP id 4Xk2Q1y9"), *FIELDS, CONTROL]

    assert (Next.ACCEPT, Edits()) == milter.send(fields, client=LOCAL)
    assert [] == milter.rows()


def test_authenticated_mail_that_was_received_is(milter: Milter) -> None:
    """A mail client may forward what it got."""
    fields = [("Received", "from x by y"), *FIELDS]

    assert milter.send(fields)[1].body is not None


# --- untouched by decision


def test_untracked_mail_costs_no_body(milter: Milter, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing to remove, nothing to track: accepted at the end of the headers; a line for debug."""
    caplog.set_level(logging.DEBUG)
    fields = [("From", "a@other.example"), *FIELDS[1:]]

    assert (Next.ACCEPT, Edits()) == milter.send(fields)
    assert [] == milter.rows()
    assert [f"{QUEUE_ID}: not of an added domain domain=other.example"] == lines(caplog)


def test_control_headers_of_an_unknown_domain_go_too(milter: Milter) -> None:
    """From every obeyed submission, tracked or not; the body is not asked for."""
    fields = [("From", "a@other.example"), *FIELDS[1:], CONTROL]

    assert (Next.SKIP_BODY, Edits((Removal(CONTROL[0], 1),))) == milter.send(fields)


def test_switched_off_by_headers(milter: Milter, caplog: pytest.LogCaptureFixture) -> None:
    """A row and a line say why."""
    caplog.set_level(logging.INFO)
    off = [("X-Anypost-Track-Opens", "no"), ("X-Anypost-Track-Clicks", "no")]

    decided, edits = milter.send([*FIELDS, *off])

    assert (Next.SKIP_BODY, 2, None) == (decided, len(edits.removals), edits.body)
    assert [f'{QUEUE_ID}: untouched reason="header says off" domain={DOMAIN}'] == lines(caplog)
    (row,) = milter.rows()
    assert (Outcome.UNTOUCHED, "header says off", "", ()) == (
        row.outcome,
        row.reason,
        row.image_reason,
        row.links,
    )


def test_switched_off_for_two_reasons(milter: Milter) -> None:
    """Both are told."""
    milter.add_domain(domain_id="2", name="quiet.example", opens_enabled=False, clicks_enabled=True)
    fields = [
        ("From", "a@quiet.example"),
        *FIELDS[1:],
        ("X-Anypost-Track-Clicks", "no"),
    ]

    milter.send(fields)

    (row,) = milter.rows()
    assert row.reason == "opens: domain default is off; clicks: header says off"


def test_unverified_domain_leaves_body_alone(milter: Milter) -> None:
    """Until the tracking domain is verified the message leaves byte for byte as it came."""
    milter.add_domain(domain_id="2", name="new.example", verified=False)
    fields = [("From", "a@new.example"), *FIELDS[1:]]

    untouched(milter, "tracking domain track.new.example is not verified", fields=fields)


def test_void_control_header_is_named(milter: Milter, caplog: pytest.LogCaptureFixture) -> None:
    """In one line, queue id first."""
    milter.send([*FIELDS, ("X-Anypost-Track-Opens", "per\nhaps")])

    assert [
        f"{QUEUE_ID}: X-Anypost-Track-Opens: 'per haps' is neither true nor false: ignored"
    ] == [text for text in lines(caplog) if "instrumented" not in text]


# --- untouched by the message


def test_text_only_mail(milter: Milter) -> None:
    """There is nothing to instrument."""
    fields = [*FIELDS[:5], ("Content-Type", "text/plain")]

    untouched(milter, "no HTML part", fields=fields, body=b"plain\r\n")


def test_signed_mail_keeps_its_signed_control_headers(milter: Milter) -> None:
    """An existing DKIM signature stays valid."""
    signature = ("DKIM-Signature", "v=1; h=from:x-anypost-tags; b=x")
    fields = [signature, *FIELDS, ("X-Anypost-Tags", "a"), CONTROL]

    _, edits = milter.send(fields)

    assert Edits((Removal(CONTROL[0], 1),)) == edits
    assert ["already DKIM-signed"] == [row.reason for row in milter.rows()]


def test_signed_mail_is_instrumented_where_the_setting_says_so(milter: Milter) -> None:
    """A later signer replaces the signature; the body is read and edited."""
    milter.configure(instrument_signed=True)

    decided, edits = milter.send([("DKIM-Signature", "v=1; h=from; b=x"), *FIELDS])

    assert Next.READ_BODY is decided
    assert edits.body is not None
    assert [Outcome.INSTRUMENTED] == [row.outcome for row in milter.rows()]


def test_a_header_beyond_the_bound(milter: Milter) -> None:
    """The body is not even read."""
    fields = [*FIELDS, *[("X-Filler", "x" * 90_000)] * 5]

    decided, _ = milter.send(fields)

    assert Next.ACCEPT is decided
    assert ["header too long"] == [row.reason for row in milter.rows()]


def test_mail_that_is_too_large(milter: Milter) -> None:
    """Beyond the bound only the size is kept, and the message passes."""
    milter.configure(max_message_bytes=10_000)

    untouched(milter, "message too large", body=HTML + b"x" * 20_000)


def test_mail_that_would_grow_too_large(milter: Milter) -> None:
    """Postfix would refuse it for good: the milter stays below the limit."""
    milter.configure(max_message_bytes=10_000)
    links = b"".join(b'<a href="https://a.example/%d">x</a>\r\n' % n for n in range(150))

    untouched(milter, ".*past the size limit", body=b"<body>" + links + b"</body>")


# --- untouched by a fault


def test_no_store(idle: Milter, caplog: pytest.LogCaptureFixture) -> None:
    """Headers go, the body stays, one line says why (DESIGN 1.1)."""
    (idle.directory / "openclick.db").unlink()

    assert (Next.SKIP_BODY, Edits((Removal(CONTROL[0], 1),))) == idle.send([*FIELDS, CONTROL])
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

    assert Edits((Removal(CONTROL[0], 1),)) == edits
    (told,) = lines(caplog)
    assert re.match(rf'{QUEUE_ID}: untouched reason=".*messages\.db: unable to open database', told)


def test_no_key(milter: Milter) -> None:
    """A missing key stops tracking, never mail."""
    milter.change(keys=KeyDirectory("/nonexistent", milter.clock.monotonic))

    untouched(milter, "/nonexistent: cannot be listed: No such file or directory")


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
    assert Edits((Removal(CONTROL[0], 1),)) == edits
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


# --- identity


def test_the_apis_id_is_kept(milter: Milter) -> None:
    """X-OpenClick-Id with our MAC names the message; it never leaves."""
    value = sealed_header(EMAIL_ID, milter.world.keys.ring())

    _, edits = milter.send([*FIELDS, ("X-OpenClick-Id", value)])

    assert (Removal("X-OpenClick-Id", 1),) == edits.removals
    assert [EMAIL_ID] == [row.email_id for row in milter.rows()]


def test_a_forged_id_is_ignored(milter: Milter) -> None:
    """And removed all the same."""
    value = sealed_header(EMAIL_ID, milter.world.keys.ring())

    _, edits = milter.send([*FIELDS, ("X-OpenClick-Id", value[:-1] + "x")])

    assert (Removal("X-OpenClick-Id", 1),) == edits.removals
    assert [EMAIL_ID] != [row.email_id for row in milter.rows()]


def test_the_same_mail_coming_round_again_is_left(milter: Milter) -> None:
    """Its tokens have a row with the same Message-ID: nothing more is done (DESIGN 3.6)."""
    _, first = milter.send()
    assert first.body is not None

    _, second = milter.send(body=first.body)

    assert second.body is None
    assert [Outcome.INSTRUMENTED, Outcome.UNTOUCHED] == sorted(
        (row.outcome for row in milter.rows()), key=str
    )


def test_a_link_sealed_with_a_key_of_a_moment_ago_is_ours(milter: Milter) -> None:
    """A key id that is not held has the keys read again (DESIGN 4): no link is wrapped twice."""
    milter.world.keys.ring()
    rotate_keys(str(milter.key_directory))
    other = TokenMinter(
        load_keys(str(milter.key_directory)), LinkSettings(), TRACKING_DOMAIN, EMAIL_ID, b"copy"
    )
    url = other.link_urls([(0, DESTINATION)])[0]
    milter.clock.advance(2)

    milter.send(body=f'<html><body><a href="{url}">Boots</a></body></html>'.encode())

    [row] = milter.rows()
    assert [(url, False, "already tracked")] == [
        (link.destination, link.tracked, link.reason) for link in row.links
    ]
    assert (0, 1) == milter.world.keys.ring().key_ids


def test_tokens_of_strangers_cost_one_look_a_second(milter: Milter) -> None:
    """However many URLs look like tokens of a key that is not held."""
    links = [
        f'<a href="https://track.kontor.example/c/{letter}{"A" * 63}">x</a>\r\n'
        for letter in "BCDEFGHIJKLMNOPQRSTUVWXYZ"
    ]
    milter.send()
    milter.clock.advance(2)
    rotate_keys(str(milter.key_directory))
    reads: list[None] = []
    milter.world.keys._read = lambda: reads.append(None)  # type: ignore[method-assign]

    for _ in range(3):
        milter.send(body="".join(links).encode())

    assert [None] == reads


def test_a_reply_keeps_quoted_links_and_gets_its_own_image(milter: Milter) -> None:
    """Another Message-ID: the quoted tokens stay as they are."""
    _, first = milter.send()
    assert first.body is not None
    fields = [f if f[0] != "Message-ID" else ("Message-ID", "<2@kontor.example>") for f in FIELDS]

    _, reply = milter.send(fields, first.body)

    assert reply.body is not None
    assert reply.body.count(b"/o/") == 2
    for quoted in re.findall(rb"https://track\.kontor\.example/[^\"]+", first.body):
        assert quoted in reply.body


def test_counters(milter: Milter) -> None:
    """What the heartbeat tells."""
    milter.send()
    milter.send([*FIELDS, ("X-Anypost-Track-Opens", "no"), ("X-Anypost-Track-Clicks", "no")])
    milter.send([("Received", "x"), *FIELDS], client=LOCAL)

    assert {
        "instrumented": 1,
        "links": 1,
        "untouched": 1,
        "foreign": 1,
        "work.le_0.001": 1,
        "work.sum_us": 0,
    } == milter.counters.snapshot()
