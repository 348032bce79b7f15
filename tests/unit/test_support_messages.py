"""The mails of the tests are what they claim to be, read by the standard library."""

import email
import email.policy
from collections.abc import Callable
from email.message import EmailMessage
from html.parser import HTMLParser
from typing import get_args

import pytest

from support import messages
from support.messages import NEWSLETTER_HTML, TRACKED_LINKS, UNTRACKED_LINKS, TransferEncoding

ENCODINGS = get_args(TransferEncoding)
BUILDERS: list[Callable[..., bytes]] = [
    messages.newsletter,
    messages.text_only,
    messages.html_only,
    messages.signed,
    messages.with_attachment,
    messages.related,
]


class _Links(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if tag == "a" and name == "href"]


def _parse(raw: bytes) -> EmailMessage:
    parsed = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(parsed, EmailMessage)
    return parsed


def _html_of(raw: bytes) -> str:
    body = _parse(raw).get_body(("html",))
    assert body is not None
    content: str = body.get_content()
    return content.replace("\r\n", "\n")


@pytest.mark.parametrize("build", BUILDERS)
def test_every_mail_is_well_formed(build: Callable[..., bytes]) -> None:
    """No defect in any part, CRLF only, a From, a Message-ID, lines that SMTP allows."""
    raw = build()

    parsed = _parse(raw)

    assert [part.defects for part in parsed.walk() if part.defects] == []
    assert raw.count(b"\n") == raw.count(b"\r\n") == raw.count(b"\r")
    assert parsed["From"].addresses[0].addr_spec == "news@kontor.example"
    assert parsed["Message-ID"].endswith("@kontor.example>")
    assert max(map(len, raw.split(b"\r\n"))) <= 998


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("charset", ["utf-8", "iso-8859-1", "windows-1252"])
def test_newsletter_html_survives_its_encoding(encoding: TransferEncoding, charset: str) -> None:
    """Any transfer encoding and charset: the reader sees the same links in the same order."""
    raw = messages.newsletter(encoding=encoding, charset=charset)

    html = _html_of(raw)

    assert sorted(_Links(html).found) == sorted(TRACKED_LINKS + UNTRACKED_LINKS)
    assert [link for link in _Links(html).found if link in TRACKED_LINKS] == list(TRACKED_LINKS)


@pytest.mark.parametrize("encoding", ["8bit", "quoted-printable", "base64"])
def test_newsletter_in_utf8_reads_back_character_by_character(encoding: TransferEncoding) -> None:
    """Where the encoding can say everything, nothing is replaced."""
    raw = messages.newsletter(encoding=encoding)

    assert _html_of(raw) == NEWSLETTER_HTML


def test_seven_bit_newsletter_is_ascii() -> None:
    """7bit HTML says what is not ASCII by character references."""
    raw = messages.newsletter(encoding="7bit")

    assert raw.isascii()
    assert "&#8211;" in _html_of(raw)


def test_fields_and_own_html_are_used() -> None:
    """Sender, recipients, subject, id, extra headers and HTML are settable."""
    raw = messages.html_only(
        html="<p>short</p>\n",
        sender="a@other.example",
        recipients=("b@x.example", "c@x.example"),
        subject="Grüße",
        message_id="<1@other.example>",
        headers={"X-Anypost-Tags": "a,b"},
    )

    parsed = _parse(raw)

    assert parsed["From"] == "a@other.example"
    assert [a.addr_spec for a in parsed["To"].addresses] == ["b@x.example", "c@x.example"]
    assert (parsed["Subject"], parsed["Message-ID"]) == ("Grüße", "<1@other.example>")
    assert parsed["X-Anypost-Tags"] == "a,b"
    assert _html_of(raw) == "<p>short</p>\n"


def test_equal_arguments_give_equal_bytes() -> None:
    """With a Message-ID given, nothing in a mail is random."""
    first, second = (messages.signed(message_id="<1@kontor.example>") for _ in range(2))

    assert first == second


def test_message_ids_differ_when_not_given() -> None:
    """So that a message can be found in a log by its id."""
    first, second = (_parse(messages.text_only())["Message-ID"] for _ in range(2))

    assert first != second


@pytest.mark.parametrize(
    ("build", "kinds"),
    [
        (messages.text_only, ["text/plain"]),
        (messages.newsletter, ["multipart/alternative", "text/plain", "text/html"]),
        (
            messages.signed,
            [
                "multipart/signed",
                "multipart/alternative",
                "text/plain",
                "text/html",
                "application/pgp-signature",
            ],
        ),
        (
            messages.with_attachment,
            [
                "multipart/mixed",
                "multipart/alternative",
                "text/plain",
                "text/html",
                "application/pdf",
                "text/html",
            ],
        ),
        (messages.related, ["multipart/related", "text/html", "image/png"]),
    ],
)
def test_variants_have_their_structure(build: Callable[..., bytes], kinds: list[str]) -> None:
    """The part tree is the one that the builder's name says."""
    parsed = _parse(build())

    assert [part.get_content_type() for part in parsed.walk()] == kinds
