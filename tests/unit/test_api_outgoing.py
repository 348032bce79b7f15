"""Reading one email: what is accepted, what is refused by which field."""

import base64
from typing import Any

import pytest

from openclick.messages import Labels
from openclick.policy import Toggles
from openclick_sidecar.api.batch import merge
from openclick_sidecar.api.faults import ApiFault
from openclick_sidecar.api.mailboxes import Mailbox
from openclick_sidecar.api.outgoing import Attachment, EmailReader, OutgoingEmail

LEAST: dict[str, Any] = {
    "from": "news@kontor.example",
    "to": ["anna@reader.example"],
    "subject": "Boots",
    "text": "Hello",
}
FILE = {"filename": "a.txt", "content": base64.b64encode(b"abc").decode()}


def read(**fields: Any) -> OutgoingEmail:
    """Return the least email there is, with these fields over it."""
    return EmailReader("X-Anypost-").read({**LEAST, **fields})


def refused(**fields: Any) -> dict[str, list[str]]:
    """Return what is wrong with an email."""
    with pytest.raises(ApiFault) as caught:
        read(**fields)
    assert (caught.value.status, caught.value.kind) == (422, "validation_error")
    return {name: list(texts) for name, texts in caught.value.errors.items()}


def test_the_least_email() -> None:
    """From, to, subject and a body."""
    email = read()

    assert email.sender == Mailbox("", "news", "kontor.example")
    assert email.recipients == ("anna@reader.example",)
    assert (email.toggles, email.labels) == (Toggles(), Labels())


def test_everything_that_there_is() -> None:
    """Each field lands where it belongs."""
    email = read(
        cc=["bert@reader.example"],
        bcc=["Cleo <cleo@reader.example>", "anna@reader.example"],
        reply_to=["help@kontor.example", "desk@kontor.example"],
        html="<p>Hello</p>",
        tracking={"opens": False, "clicks": True},
        tags=["a", "b", "a"],
        topic="news.weekly",
        campaign="Nov-2025",
        headers={"X-Order": "17", "List-Unsubscribe": "<https://kontor.example/u>"},
        attachments=[FILE, FILE | {"content_type": "image/png", "content_id": "<logo>"}],
    )

    assert email.recipients == (
        *("anna@reader.example", "bert@reader.example", "cleo@reader.example"),
    )
    assert [mailbox.address for mailbox in email.reply_to] == [
        *("help@kontor.example", "desk@kontor.example"),
    ]
    assert email.toggles == Toggles(opens=False, clicks=True)
    assert email.labels == Labels(("a", "b"), "news.weekly", "Nov-2025")
    assert email.headers == (
        ("X-Order", "17"),
        ("List-Unsubscribe", "<https://kontor.example/u>"),
    )
    assert email.attachments == (
        Attachment("a.txt", b"abc", "application/octet-stream", None),
        Attachment("a.txt", b"abc", "image/png", "logo"),
    )


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"from": None}, "from"),
        ({"from": "kontor.example"}, "from"),
        ({"from": ["news@kontor.example"]}, "from"),
        ({"to": []}, "to"),
        ({"to": "anna@reader.example"}, "to"),
        ({"to": ["anna@reader.example"] * 51}, "to"),
        ({"to": ["anna@reader.example"] * 10_000}, "to"),
        ({"to": ["anna@reader.example"] * 30, "cc": ["bert@reader.example"] * 21}, "to"),
        ({"to": [None]}, "to.0"),
        ({"to": [7]}, "to.0"),
        ({"cc": ["anna@reader.example", "bert"]}, "cc.1"),
        ({"bcc": {"a": 1}}, "bcc"),
        ({"reply_to": ["a@b.example"] * 11}, "reply_to"),
        ({"reply_to": 7}, "reply_to"),
        ({"subject": ""}, "subject"),
        ({"subject": None}, "subject"),
        ({"subject": "x" * 999}, "subject"),
        ({"text": None}, "html"),
        ({"text": "x" * 1_000_001}, "text"),
        ({"html": 7}, "html"),
        ({"html": "a\0b"}, "html"),
        ({"tracking": True}, "tracking"),
        ({"tracking": {"opens": "false"}}, "tracking.opens"),
        ({"tracking": {"clicks": 0}}, "tracking.clicks"),
        ({"tracking": {"open": True}}, "tracking.open"),
        ({"tags": "a"}, "tags"),
        ({"tags": ["a b"]}, "tags"),
        ({"tags": [1]}, "tags"),
        ({"tags": [str(n) for n in range(11)]}, "tags"),
        ({"topic": "News"}, "topic"),
        ({"topic": ["news"]}, "topic"),
        ({"campaign": "a.b"}, "campaign"),
        ({"headers": ["X-A: b"]}, "headers"),
        ({"headers": {f"X-{n}": "1" for n in range(101)}}, "headers"),
        ({"headers": {"X A": "b"}}, "headers.X A"),
        ({"headers": {"X-A": 7}}, "headers.X-A"),
        ({"headers": {"X-A": "x" * 501}}, "headers.X-A"),
        ({"headers": {"X-A:": "b"}}, "headers.X-A:"),
        ({"attachments": [FILE] * 21}, "attachments"),
        ({"attachments": ["a"]}, "attachments.0"),
        ({"attachments": [{"filename": "a"}]}, "attachments.0.content"),
        ({"attachments": [FILE | {"content": "a b c d"}]}, "attachments.0.content"),
        ({"attachments": [FILE | {"content": "YWJj="}]}, "attachments.0.content"),
        ({"attachments": [FILE, FILE | {"size": 3}]}, "attachments.1.size"),
        ({"attachments": [FILE | {"content_type": "png"}]}, "attachments.0.content_type"),
        (
            {"attachments": [FILE | {"content_type": "message/rfc822"}]},
            "attachments.0.content_type",
        ),
        ({"attachments": [FILE | {"content_id": "a b"}]}, "attachments.0.content_id"),
        ({"template_id": "template_1"}, "template_id"),
        ({"variables": {}}, "variables"),
        ({"unsubscribe": {"mode": "none"}}, "unsubscribe"),
        ({"ip_pool": "pool"}, "ip_pool"),
        ({"metadata": {}}, "metadata"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_refused(fields: dict[str, Any], field: str) -> None:
    """By the name of the field, and by no other."""
    assert list(refused(**fields)) == [field]


@pytest.mark.parametrize("ending", ["\r\nBcc: x@y.example", "\n x", "\r", "\x0b", "\x85", "\u2028"])
@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"from": "Kontor{} <news@kontor.example>"}, "from"),
        ({"from": "news@kontor.example{}"}, "from"),
        ({"to": ["anna@reader.example{}"]}, "to.0"),
        ({"cc": ["An{}na <anna@reader.example>"]}, "cc.0"),
        ({"bcc": ["anna@rea{}der.example"]}, "bcc.0"),
        ({"reply_to": "anna@reader.example{}"}, "reply_to"),
        ({"subject": "Boots{}"}, "subject"),
        ({"tags": ["a{}"]}, "tags"),
        ({"topic": "news{}"}, "topic"),
        ({"campaign": "nov{}"}, "campaign"),
        ({"headers": {"X-A": "b{}"}}, "headers.X-A"),
        ({"headers": {"X-A{}": "b"}}, "headers.X-A{}"),
        ({"attachments": [FILE | {"filename": "a{}.txt"}]}, "attachments.0.filename"),
        ({"attachments": [FILE | {"content_type": "image/png{}"}]}, "attachments.0.content_type"),
        ({"attachments": [FILE | {"content_id": "logo{}"}]}, "attachments.0.content_id"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_line_ends_in_every_field(fields: dict[str, Any], field: str, ending: str) -> None:
    """A text that would end its header field is refused, wherever it stands."""

    def planted(value: Any) -> Any:
        if isinstance(value, dict):
            return {planted(name): planted(content) for name, content in value.items()}
        if isinstance(value, list):
            return [planted(each) for each in value]
        return value.replace("{}", ending)

    assert list(refused(**planted(fields))) == [field.replace("{}", ending)]


@pytest.mark.parametrize(
    "name",
    ["From", "BCC", "subject", "Message-ID", "Content-Type", "DKIM-Signature", "Received",
     "X-OpenClick-Id", "X-Anypost-Track-Opens", "x-anypost-tags", "ARC-Seal", "Return-Path",
     "Authentication-Results", "Resent-From", "MIME-Version"],
)  # fmt: skip
def test_headers_that_are_not_the_apps_own(name: str) -> None:
    """Are dropped silently, as Anypost does."""
    assert read(headers={name: "x", "X-Order": "17"}).headers == (("X-Order", "17"),)


def test_headers_beyond_25() -> None:
    """Are dropped silently too; of one name in two spellings the last counts."""
    headers = {"x-0": "first"} | {f"X-{n}": str(n) for n in range(30)}

    assert read(headers=headers).headers == tuple((f"X-{n}", str(n)) for n in range(25))


@pytest.mark.parametrize(
    ("default", "own", "merged"),
    [
        ({"subject": "a"}, {}, {"subject": "a"}),
        ({"subject": "a"}, {"subject": "b"}, {"subject": "b"}),
        ({"subject": "a"}, {"subject": None}, {"subject": "a"}),
        ({"cc": ["a"]}, {"cc": ["b"]}, {"cc": ["a", "b"]}),
        ({"attachments": [{"x": 1}]}, {"attachments": []}, {"attachments": [{"x": 1}]}),
        ({"tags": ["a", "b"]}, {"tags": ["c", "a"]}, {"tags": ["a", "b", "c", "a"]}),
        (
            {"headers": {"X-A": "1", "X-B": "1"}},
            {"headers": {"x-a": "2"}},
            {"headers": {"X-B": "1", "x-a": "2"}},
        ),
        ({"tracking": {"opens": True}}, {}, {"tracking": {"opens": True}}),
        ({"tracking": {"opens": True}}, {"tracking": {"clicks": False}},
         {"tracking": {"clicks": False}}),
        ({"tracking": {"opens": True}}, {"tracking": {}}, {"tracking": {}}),
        ({"reply_to": ["a"]}, {"reply_to": ["b"]}, {"reply_to": ["b"]}),
        ({"cc": "wrong"}, {"cc": ["b"]}, {"cc": ["b"]}),
        ({"headers": {"X-A": "1"}}, {"headers": "wrong"}, {"headers": "wrong"}),
    ],
)  # fmt: skip
def test_defaults_of_a_batch(
    default: dict[str, Any], own: dict[str, Any], merged: dict[str, Any]
) -> None:
    """They replace, join or merge as docs/api.md says; tracking is replaced as a whole."""
    assert merge(default, own) == merged


def test_attachments_of_the_defaults_are_decoded_once() -> None:
    """A hundred entries do not hold a hundred copies of a file."""
    reader = EmailReader("X-Anypost-")
    default = {"attachments": [FILE]}

    one, two = (reader.read(merge(default, LEAST)) for _ in range(2))

    assert one.attachments[0].content is two.attachments[0].content
