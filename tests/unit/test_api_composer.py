"""Composing messages: the standard library's reader finds in them what was asked for."""

import base64
import email
import email.policy
import os
from email.message import EmailMessage
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclick_sidecar.api.composer import compose
from openclick_sidecar.api.faults import ApiFault
from openclick_sidecar.api.outgoing import EmailReader
from unit.samples import EMAIL_ID, NOW

LEAST: dict[str, Any] = {
    "from": "Kontor Nord <news@kontor.example>",
    "to": ["anna@reader.example"],
    "subject": "Boots",
    "text": "Hello",
}
PNG = {
    "filename": "logo.png",
    "content": base64.b64encode(bytes(range(256))).decode(),
    "content_type": "image/png",
}


def composed(**fields: Any) -> bytes:
    """Return the message of the least email there is, with these fields over it."""
    outgoing = EmailReader("X-Anypost-").read({**LEAST, **fields})
    return compose(outgoing, EMAIL_ID, "email_x mac", NOW, "X-Anypost-", os.urandom)


def parsed(raw: bytes) -> EmailMessage:
    """Return what the standard library reads."""
    message = email.message_from_bytes(raw, policy=email.policy.SMTPUTF8)
    assert isinstance(message, EmailMessage)
    return message


def tree(part: Any) -> Any:
    """Return the MIME structure as nested lists of types."""
    if part.is_multipart():
        return [part.get_content_subtype(), *map(tree, part.iter_parts())]
    return part.get_content_subtype()


@pytest.mark.parametrize(
    ("fields", "structure"),
    [
        ({}, "plain"),
        ({"text": None, "html": "<p>"}, "html"),
        ({"html": "<p>"}, ["alternative", "plain", "html"]),
        ({"attachments": [PNG]}, ["mixed", "plain", "png"]),
        (
            {"html": "<p>", "attachments": [PNG | {"content_id": "logo"}, PNG]},
            ["mixed", ["alternative", "plain", ["related", "html", "png"]], "png"],
        ),
        ({"attachments": [PNG | {"content_id": "logo"}]}, ["mixed", "plain", "png"]),
    ],
)
def test_structure(fields: dict[str, Any], structure: Any) -> None:
    """As simple as what is in it; what a reader should see comes last among alternatives."""
    assert tree(parsed(composed(**fields))) == structure


def test_the_header() -> None:
    """What mail needs, what the milter obeys, and the app's own; Bcc is nowhere."""
    raw = composed(
        cc=["Bert <bert@reader.example>"],
        bcc=["cleo@reader.example"],
        reply_to="help@kontor.example",
        tracking={"opens": False},
        tags=["a", "b"],
        topic="news",
        campaign="nov",
        headers={"X-Order": "17"},
    )

    fields = dict(email.message_from_bytes(raw).items())

    assert list(fields) == [
        *("Content-Type", "MIME-Version", "Content-Transfer-Encoding", "Date", "From"),
        *("Reply-To", "To", "Cc", "Message-ID", "Subject", "X-OpenClick-Id"),
        *("X-Anypost-Track-Opens", "X-Anypost-Tags", "X-Anypost-Topic", "X-Anypost-Campaign"),
        "X-Order",
    ]
    assert fields["Date"] == "Sun, 23 Nov 2025 22:40:00 +0000"
    assert fields["From"] == "Kontor Nord <news@kontor.example>"
    assert fields["Message-ID"] == "<0199c0de-0000-7abc-8def-0123456789ab@kontor.example>"
    assert fields["X-Anypost-Track-Opens"] == "false"
    assert fields["X-Anypost-Tags"].split() == ["a,", "b"]
    assert b"cleo" not in raw


def test_an_inline_file() -> None:
    """The HTML finds it by its content id; it comes back byte for byte."""
    raw = composed(html='<img src="cid:logo">', attachments=[PNG | {"content_id": "logo"}])

    [part] = [part for part in parsed(raw).walk() if part.get_content_type() == "image/png"]

    assert part["Content-ID"] == "<logo>"
    assert part.get_content_disposition() == "inline"
    assert part.get_payload(decode=True) == bytes(range(256))


def test_a_filename_beyond_ascii() -> None:
    """Written as RFC 2231 has it."""
    raw = composed(attachments=[PNG | {"filename": 'Prüfung; "2".png'}])

    [part] = [part for part in parsed(raw).walk() if part.get_content_type() == "image/png"]

    assert part.get_filename() == 'Prüfung; "2".png'


@pytest.mark.parametrize("filename", ["ü" * 255, "𝕏" * 255, "x" * 255, 'a"b' * 80])
def test_a_long_filename(filename: str) -> None:
    """On several lines, where one is not enough."""
    raw = composed(attachments=[PNG | {"filename": filename}])

    [part] = [part for part in parsed(raw).walk() if part.get_content_type() == "image/png"]

    assert part.get_filename() == filename
    assert max(map(len, raw.split(b"\r\n"))) <= 998


@pytest.mark.parametrize("subject", ["x" * 998, "a " + "x" * 990, "ü" * 998, "x " * 499])
def test_a_subject_of_long_words(subject: str) -> None:
    """In encoded words, which can be folded."""
    raw = composed(subject=subject)

    assert " ".join(str(parsed(raw)["Subject"]).split()) == " ".join(subject.split())
    assert max(map(len, raw.split(b"\r\n"))) <= 998


def test_fifty_recipients_with_long_names() -> None:
    """Each on a line of its own, none lost."""
    names = [f"Anna-Lena {'Überlinger ' * 5}{n} <a{n}@reader.example>" for n in range(50)]

    message = parsed(composed(to=names))

    assert [each.addr_spec for each in message["To"].addresses] == [
        f"a{n}@reader.example" for n in range(50)
    ]


def test_an_international_message() -> None:
    """Addresses stand in the header as UTF-8 (RFC 6532); the rest is as ever."""
    raw = composed(**{"from": "Jürgen <jürgen@kontor.example>", "to": ["λ@reader.example"]})

    message = email.message_from_string(raw.decode(), policy=email.policy.SMTPUTF8)

    assert "jürgen@kontor.example".encode() in raw
    assert message["From"].addresses[0].addr_spec == "jürgen@kontor.example"
    assert message["From"].addresses[0].display_name == "Jürgen"
    assert message["To"].addresses[0].addr_spec == "λ@reader.example"


LINES = st.text(min_size=1)
WORDS = st.text(min_size=1, max_size=300).map(
    lambda text: "".join(char for char in text if char.isprintable()) or "x"
)


def newlines(text: str) -> str:
    """Return a text with one sort of line end, as mail has it."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


@given(subject=WORDS, text=LINES, html=LINES, value=WORDS, filename=WORDS, content=st.binary())
def test_whatever_is_accepted_arrives(
    subject: str, text: str, html: str, value: str, filename: str, content: bytes
) -> None:
    """Text, HTML, subject, header and file are read back; no line is too long or bare."""
    encoded = base64.b64encode(content).decode()
    try:
        raw = composed(
            subject=subject,
            text=text,
            html=html,
            headers={"X-Value": value},
            attachments=[{"filename": filename, "content": encoded}],
        )
    except ApiFault:
        return

    message = parsed(raw)
    plain, rich = (message.get_body((kind,)) for kind in ("plain", "html"))
    [attached] = message.iter_attachments()

    assert plain is not None
    assert rich is not None
    assert plain.get_payload(decode=True).decode().rstrip("\r\n").replace("\r\n", "\n") == (
        newlines(text).rstrip("\n")
    )
    assert rich.get_payload(decode=True).decode().rstrip("\r\n").replace("\r\n", "\n") == (
        newlines(html).rstrip("\n")
    )
    assert " ".join(str(message["Subject"]).split()) == " ".join(subject.split())
    assert " ".join(str(message["X-Value"]).split()) == " ".join(value.split())
    assert attached.get_payload(decode=True) == content
    assert all(len(line) <= 998 for line in raw.split(b"\r\n"))
    assert raw.count(b"\n") == raw.count(b"\r") == raw.count(b"\r\n")
