"""`openclick instrument`: the milter's work on standard input, and what is said of it."""

import email
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from openclick.tokens import BadToken, Kind, Token
from openclick_admin import instrument as module
from support import messages
from support.messages import TRACKED_LINKS
from unit.admin.command_line import CommandLine
from unit.samples import COPY, DOMAIN, EMAIL_ID, TRACKING_DOMAIN, a_domain, a_message

HEADERS = {"X-Anypost-Tags": "autumn", "X-Anypost-Track-Opens": "yes"}
CONTROL_LINES = b"X-Anypost-Tags: autumn\r\nX-Anypost-Track-Opens: yes\r\n"
NEWSLETTER = messages.newsletter(headers=HEADERS)
AS_IT_IS = "the milter would leave the message as it is"
UNTOUCHED = NEWSLETTER.replace(CONTROL_LINES, b"")

pytestmark = pytest.mark.usefixtures("tracked_domain")


def html_of(raw: bytes) -> str:
    """Return a message's HTML as the standard library reads it."""
    parts = email.message_from_bytes(raw).walk()
    page = next(part for part in parts if part.get_content_type() == "text/html")
    content = page.get_payload(decode=True)
    assert isinstance(content, bytes)
    return content.decode("utf-8")


def tokens_of(raw: bytes, kind: Kind) -> list[tuple[str, str]]:
    """Return host and text of each token of a message."""
    urls = re.findall(r"https?://[^\"'\s<>]+", html_of(raw))
    paths = [(urlsplit(url).hostname or "", urlsplit(url).path) for url in urls]
    return [(host, path[3:]) for host, path in paths if path.startswith(f"/{kind.value}/")]


def opened(openclick: CommandLine, raw: bytes, kind: Kind = Kind.CLICK) -> list[Token]:
    """Open the tokens of a message."""
    return [openclick.ring.open(kind, host, text) for host, text in tokens_of(raw, kind)]


def test_links_and_image_are_put_in(openclick: CommandLine) -> None:
    """The links lead where they led, there is one image, and both are sealed with our key."""
    done = openclick("instrument", stdin=NEWSLETTER)

    assert done.status == 0
    assert [token.destination for token in opened(openclick, done.out)] == list(TRACKED_LINKS)
    assert len(opened(openclick, done.out, Kind.OPEN)) == 1


def test_nothing_else_differs(openclick: CommandLine) -> None:
    """Header and text part are byte for byte what they were, but for the control headers."""
    done = openclick("instrument", stdin=NEWSLETTER)

    html_part = UNTOUCHED.index(b"Content-Type: text/html")
    assert done.out[:html_part] == UNTOUCHED[:html_part]


def test_what_was_done_is_said(openclick: CommandLine) -> None:
    """Standard error sums up links, reasons, image and removed headers."""
    done = openclick("instrument", stdin=NEWSLETTER)

    first, left, sealed, removed = done.err.splitlines()
    assert first.endswith("instrumented: 7 links tracked, 5 left alone; open image before </body>")
    assert left.endswith(
        "left alone: 1 anchor, 2 not http or https, 1 opt-out attribute, 1 unsubscribe link"
    )
    assert re.search(rf"sealed for {TRACKING_DOMAIN} as email_\S+; no row is written$", sealed)
    assert removed.endswith("control headers removed: X-Anypost-Tags, X-Anypost-Track-Opens")


def test_no_row_is_written(openclick: CommandLine) -> None:
    """messages.db is not even made."""
    openclick("instrument", stdin=NEWSLETTER)

    assert not (openclick.store.directory / "messages.db").exists()


def test_line_ends_stay(openclick: CommandLine) -> None:
    """A message with bare LF keeps it, in what is put in too."""
    done = openclick("instrument", stdin=NEWSLETTER.replace(b"\r\n", b"\n"))

    assert b"\r" not in done.out
    assert len(opened(openclick, done.out)) == len(TRACKED_LINKS)


def test_signed_mail_where_the_setting_says_so(openclick: CommandLine) -> None:
    """`milter.instrument_signed` holds here as it does in the milter."""
    openclick.configure("[milter]", "instrument_signed = true")
    raw = messages.newsletter(headers={"DKIM-Signature": "v=1; h=from; b=x"})

    done = openclick("instrument", stdin=raw)

    assert len(opened(openclick, done.out)) == len(TRACKED_LINKS)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (messages.text_only(), "no HTML part"),
        (messages.signed(), "signed (multipart/signed)"),
        (messages.newsletter(headers={"DKIM-Signature": "v=1"}), "already DKIM-signed"),
    ],
    ids=["text", "signed", "dkim"],
)
def test_untouched_is_no_failure(openclick: CommandLine, raw: bytes, reason: str) -> None:
    """The message comes out as it went in, with the reason."""
    done = openclick("instrument", stdin=raw)

    assert (done.status, done.out) == (0, raw)
    assert done.err == f"openclick: untouched: {reason}\n"


def test_control_headers_go_from_untouched_mail_too(openclick: CommandLine) -> None:
    """As the milter removes them from every submission that it obeys."""
    done = openclick("instrument", "--no-opens", "--no-clicks", stdin=NEWSLETTER)

    assert done.out == UNTOUCHED
    assert "untouched: option says off" in done.err


def test_header_over_domain_default(openclick: CommandLine) -> None:
    """Without options the message decides, then its domain."""
    openclick.add(a_domain(domain_id="2", name="leise.example", opens_enabled=False))
    raw = messages.newsletter(sender="x@leise.example", headers={"X-Anypost-Track-Clicks": "no"})

    done = openclick("instrument", stdin=raw)

    assert "untouched: opens: domain default is off; clicks: header says off" in done.err


def test_option_over_header(openclick: CommandLine) -> None:
    """--no-opens wins over a header that says yes, and leaves the links to be tracked."""
    done = openclick("instrument", "--no-opens", stdin=NEWSLETTER)

    assert tokens_of(done.out, Kind.OPEN) == []
    assert len(tokens_of(done.out, Kind.CLICK)) == len(TRACKED_LINKS)
    assert "no open image: opens are off" in done.err


@pytest.mark.parametrize(
    ("sender", "host", "note"),
    [
        (
            "x@fremd.example",
            "track.fremd.example",
            "fremd.example is not added, track.fremd.example is assumed: " + AS_IT_IS,
        ),
        (
            "x@wartet.example",
            "t.wartet.example",
            "t.wartet.example is not verified: " + AS_IT_IS,
        ),
        (
            "nobody",
            "track.example.test",
            "no From address names a sending domain: track.example.test is assumed",
        ),
    ],
    ids=["not added", "not verified", "none"],
)
def test_what_is_missing_is_assumed_and_said(
    openclick: CommandLine, sender: str, host: str, note: str
) -> None:
    """A first try needs no domain; what the milter would do instead is not hidden."""
    waiting = a_domain(domain_id="2", name="wartet.example", subdomain="t", verified_at=None)
    openclick.add(waiting, verified=False)

    done = openclick("instrument", stdin=messages.newsletter(sender=sender))

    assert {found for found, _ in tokens_of(done.out, Kind.CLICK)} == {host}
    assert done.err.splitlines()[-1] == f"openclick: {note}"


def test_return_path_stands_in_for_the_envelope(openclick: CommandLine) -> None:
    """With two From addresses the envelope sender's domain counts, where delivery has noted it."""
    raw = b"Return-Path: <b@kontor.example>\r\n" + messages.newsletter(sender="a@x.org, b@y.org")

    done = openclick("instrument", stdin=raw)

    assert {found for found, _ in tokens_of(done.out, Kind.CLICK)} == {TRACKING_DOMAIN}


def test_a_store_that_cannot_be_read(openclick: CommandLine) -> None:
    """Both are on, and the fault is told."""
    (openclick.store.directory / "openclick.db").unlink()

    done = openclick("instrument", stdin=NEWSLETTER)

    assert len(opened(openclick, done.out)) == len(TRACKED_LINKS)
    assert f"the store cannot be read, {TRACKING_DOMAIN} is assumed: " in done.err


def test_another_tracking_domain(openclick: CommandLine) -> None:
    """--tracking-domain seals for that name, in any spelling."""
    done = openclick("instrument", "--tracking-domain", "Links.Kontor.Example.", stdin=NEWSLETTER)

    assert {host for host, _ in tokens_of(done.out, Kind.CLICK)} == {"links.kontor.example"}
    assert len(opened(openclick, done.out)) == len(TRACKED_LINKS)


def test_a_throwaway_key(openclick: CommandLine) -> None:
    """Its links have the form of real ones, but nobody opens them, and that is said."""
    done = openclick("instrument", "--throwaway-key", stdin=NEWSLETTER)

    for host, text in tokens_of(done.out, Kind.CLICK):
        with pytest.raises(BadToken):
            openclick.ring.open(Kind.CLICK, host, text)
    assert "a throw-away key seals: the links open nowhere" in done.err


def test_without_keys(openclick: CommandLine) -> None:
    """A throw-away key is used, and why is told."""
    for path in openclick.keys.iterdir():
        path.unlink()

    done = openclick("instrument", stdin=NEWSLETTER)

    assert (done.status, len(tokens_of(done.out, Kind.CLICK))) == (0, len(TRACKED_LINKS))
    assert f"not recognised ({openclick.keys}: holds no key" in done.err


def test_without_settings(
    openclick: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a machine without openclick.toml at its usual place the defaults serve."""
    usual = tmp_path / "not-there.toml"
    monkeypatch.setattr(module, "DEFAULT_PATH", str(usual))

    done = openclick("--config", str(usual), "instrument", "--throwaway-key", stdin=NEWSLETTER)

    assert f"{usual} is not there: every setting has its default" in done.err


def test_faulty_settings(openclick: CommandLine) -> None:
    """Settings that are there must be right."""
    openclick.configure("[milter]", "header_prefix = 3")

    assert openclick("instrument", stdin=NEWSLETTER).status == 78


def test_the_same_mail_again(openclick: CommandLine) -> None:
    """A message that carries its own tracking links is left alone, as by the milter."""
    raw = messages.newsletter(message_id="<again@kontor.example>")
    text = openclick.ring.seal(Kind.OPEN, TRACKING_DOMAIN, Token(EMAIL_ID, COPY))
    own = f'<img src=3D"https://{TRACKING_DOMAIN}/o/=\r\n{text}"></body>'.encode()
    openclick.record(a_message(message_id="<again@kontor.example>"))

    done = openclick("instrument", stdin=raw.replace(b"</body>", own))

    assert "untouched: already instrumented: the same mail comes round again" in done.err


def test_nothing_on_standard_input(openclick: CommandLine) -> None:
    """It ends with 1 and says what it needs."""
    done = openclick("instrument")

    assert (done.status, done.out) == (1, b"")
    assert done.err == "openclick: standard input is empty: need a whole message\n"


def test_a_bad_tracking_domain(openclick: CommandLine) -> None:
    """It ends with 2."""
    done = openclick("instrument", "--tracking-domain", "a b", stdin=NEWSLETTER)

    assert (done.status, done.out) == (2, b"")


def test_a_complaint_about_a_control_header(openclick: CommandLine) -> None:
    """A value that counts for nothing is told."""
    raw = messages.newsletter(headers={"X-Anypost-Track-Opens": "maybe"})

    done = openclick("instrument", stdin=raw)

    assert "X-Anypost-Track-Opens: 'maybe' is neither true nor false: ignored" in done.err


def test_a_message_without_a_body(openclick: CommandLine) -> None:
    """A header alone comes out as it went in."""
    raw = f"From: x@{DOMAIN}\nSubject: a".encode()

    assert openclick("instrument", stdin=raw).out == raw
