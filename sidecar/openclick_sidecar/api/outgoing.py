"""Reads the object of one email, as `POST /v1/email` and the entries of a batch have it.

Called by `email` and `batch`.  Pure.  Promises: an `OutgoingEmail` that exists can be composed; all
that is wrong with one is told at once, by field.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from openclick.labels import MAX_TAGS, is_campaign, is_topic, sort_tags
from openclick.messages import Labels
from openclick.policy import Toggles
from openclick_sidecar.api.fields import Fields, Problems, text_problem
from openclick_sidecar.api.mailboxes import BadMailbox, Mailbox, read_mailbox

MAX_RECIPIENTS = 50
MAX_SUBJECT_CHARS = 998
MAX_BODY_CHARS = 1_000_000
MAX_REPLY_TO = 10
MAX_ATTACHMENTS = 20
MAX_HEADERS = 25
_MAX_HEADERS_GIVEN = 100
_MAX_HEADER_CHARS = 900
_MAX_UNBROKEN_CHARS = 500
"""A word that cannot be folded must leave its line below 998 bytes, encoded or not."""
_MAX_FILENAME_CHARS = 255
_DEFAULT_TYPE = "application/octet-stream"
_HEADER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}\Z")
_WORD = r"[A-Za-z0-9!#$&^_.+-]{1,64}"
_TYPE = re.compile(
    rf'{_WORD}/{_WORD}(?:\s*;\s*{_WORD}=(?:{_WORD}|"[A-Za-z0-9!#$&^_.+ ,:/()-]{{0,100}}"))*\Z'
)
_CONTENT_ID = re.compile(r"<?([A-Za-z0-9!#$%&'*+/=?^_`{|}~.@-]{1,250})>?\Z")
_NO_USE = {
    "template_id": "OpenClick has no templates: need text or html",
    "variables": "OpenClick has no templates",
    "unsubscribe": "OpenClick has no unsubscribe pages: put your own into List-Unsubscribe",
    "ip_pool": "OpenClick has no IP pools",
}
FIELD_NAMES = frozenset(
    [
        *("from", "to", "cc", "bcc", "reply_to", "subject", "text", "html", "tracking"),
        *("tags", "topic", "campaign", "headers", "attachments", *_NO_USE),
    ]
)
"""Every field that an email may have, or is told that it may not have."""
# The platform's own, and what a receiver takes for another server's word.
_OURS = re.compile(
    r"(?:from|sender|to|cc|bcc|reply-to|subject|date|message-id|mime-version|content-.*|received.*|"
    r"return-path|delivered-to|x-original-to|resent-.*|dkim-.*|domainkey-.*|arc-.*|"
    r"authentication-results.*|x-openclick-.*|x-spam-.*|x-google-dkim-.*|envelope-to|errors-to|"
    r"apparently-to|encrypted|autocrypt.*|bimi-.*)\Z"
)


@dataclass(frozen=True)
class Attachment:
    """One file; with a `content_id` it is an inline one."""

    filename: str
    content: bytes
    content_type: str
    content_id: str | None


@dataclass(frozen=True)
class OutgoingEmail:
    """One message as it is to be sent."""

    sender: Mailbox
    to: tuple[Mailbox, ...]
    cc: tuple[Mailbox, ...]
    bcc: tuple[Mailbox, ...]
    reply_to: tuple[Mailbox, ...]
    subject: str
    text: str | None
    html: str | None
    toggles: Toggles
    labels: Labels
    headers: tuple[tuple[str, str], ...]
    attachments: tuple[Attachment, ...]

    @property
    def recipients(self) -> tuple[str, ...]:
        """The envelope's recipients, each once, in order."""
        mailboxes = (*self.to, *self.cc, *self.bcc)
        return tuple(dict.fromkeys(mailbox.address for mailbox in mailboxes))

    @property
    def is_international(self) -> bool:
        """Whether it needs SMTPUTF8."""
        shown = (self.sender, *self.to, *self.cc, *self.bcc, *self.reply_to)
        return any(mailbox.is_international for mailbox in shown)


@dataclass
class EmailReader:
    """Reads emails; `header_prefix` is that of the control headers.

    What a batch repeats in each entry (the attachments of its defaults) is decoded once.
    """

    header_prefix: str
    _decoded: dict[int, tuple[str, bytes | None]] = field(default_factory=dict)

    def read(self, value: Mapping[str, Any]) -> OutgoingEmail:
        """Return the email that an object describes.  Raises ApiFault."""
        problems = Problems()
        body = Fields(value, problems)
        sender = self._mailbox(body, "from", body.raw("from", required=True))
        to = self._mailboxes(body, "to", required=True)
        cc, bcc = self._mailboxes(body, "cc"), self._mailboxes(body, "bcc")
        if len(to) + len(cc) + len(bcc) > MAX_RECIPIENTS:
            body.wrong("to", f"to, cc and bcc together: need at most {MAX_RECIPIENTS} addresses")
        subject = body.text("subject", MAX_SUBJECT_CHARS, required=True)
        text = body.text("text", MAX_BODY_CHARS, multiline=True)
        html = body.text("html", MAX_BODY_CHARS, multiline=True)
        if not any(body.raw(name) is not None for name in ("text", "html", "template_id")):
            body.wrong("html", "need html, text or both")
        reply_to, toggles, labels = self._reply_to(body), _toggles(body), _labels(body)
        headers, attachments = self._headers(body), self._attachments(body)
        body.refuse(_NO_USE)
        body.end()
        problems.check()
        assert sender is not None
        assert subject is not None
        return OutgoingEmail(
            sender,
            to,
            cc,
            bcc,
            reply_to,
            subject,
            text,
            html,
            toggles,
            labels,
            headers,
            attachments,
        )

    def _mailbox(self, body: Fields, name: str, value: Any) -> Mailbox | None:
        if value is None:
            return None
        if not isinstance(value, str):
            body.wrong(name, "need a text")
            return None
        try:
            return read_mailbox(value)
        except BadMailbox as error:
            body.wrong(name, str(error))
            return None

    def _mailboxes(self, body: Fields, name: str, *, required: bool = False) -> tuple[Mailbox, ...]:
        entries = body.items(name, MAX_RECIPIENTS, required=required)
        found = [self._mailbox(body, f"{name}.{n}", _there(e)) for n, e in enumerate(entries)]
        return tuple(mailbox for mailbox in found if mailbox is not None)

    def _reply_to(self, body: Fields) -> tuple[Mailbox, ...]:
        value = body.raw("reply_to")
        if isinstance(value, str):
            mailbox = self._mailbox(body, "reply_to", value)
            return () if mailbox is None else (mailbox,)
        entries = body.items("reply_to", MAX_REPLY_TO)
        found = [self._mailbox(body, f"reply_to.{n}", _there(e)) for n, e in enumerate(entries)]
        return tuple(mailbox for mailbox in found if mailbox is not None)

    def _headers(self, body: Fields) -> tuple[tuple[str, str], ...]:
        """Return the app's own header fields, less those that are not its own."""
        value = body.raw("headers")
        if value is None:
            return ()
        if not isinstance(value, dict) or len(value) > _MAX_HEADERS_GIVEN:
            body.wrong("headers", f"need an object of at most {_MAX_HEADERS_GIVEN} fields")
            return ()
        kept: dict[str, tuple[str, str]] = {}
        for name, content in value.items():
            problem = _header_problem(name, content)
            if problem:
                body.wrong(f"headers.{name[:64]}", problem)
            elif not self._is_ours(name.lower()):
                kept[name.lower()] = (name, content)
        return tuple(kept.values())[:MAX_HEADERS]

    def _is_ours(self, lowered: str) -> bool:
        return lowered.startswith(self.header_prefix.lower()) or _OURS.match(lowered) is not None

    def _attachments(self, body: Fields) -> tuple[Attachment, ...]:
        found = []
        for number, value in enumerate(body.items("attachments", MAX_ATTACHMENTS)):
            path = f"attachments.{number}"
            if not isinstance(value, dict):
                body.wrong(path, "need an object")
                continue
            problems = Problems()
            attachment = self._attachment(Fields(value, problems), problems)
            for name, texts in problems.by_field.items():
                for text in texts:
                    body.wrong(f"{path}.{name}", text)
            if attachment is not None:
                found.append(attachment)
        return tuple(found)

    def _attachment(self, fields: Fields, problems: Problems) -> Attachment | None:
        filename = fields.text("filename", _MAX_FILENAME_CHARS, required=True)
        content = self._content(fields)
        content_type = fields.text("content_type", 255) or _DEFAULT_TYPE
        if not _TYPE.match(content_type) or content_type.lower().startswith(
            ("multipart/", "message/")
        ):
            fields.wrong("content_type", "need a type such as image/png, not multipart or message")
        content_id = fields.text("content_id", 252)
        match = _CONTENT_ID.match(content_id) if content_id is not None else None
        if content_id is not None and match is None:
            fields.wrong("content_id", "need a word such as logo or logo@example.com")
        fields.end()
        if problems or filename is None or content is None:
            return None
        return Attachment(filename, content, content_type, match[1] if match else None)

    def _content(self, fields: Fields) -> bytes | None:
        value = fields.raw("content", required=True)
        if value is None:
            return None
        if not isinstance(value, str):
            fields.wrong("content", "need base64")
            return None
        # By identity: the text that a batch's defaults hold is one object in all entries.
        known = self._decoded.get(id(value))
        if known is None:
            known = self._decoded[id(value)] = value, _from_base64(value)
        if known[1] is None:
            fields.wrong("content", "is no base64 (RFC 4648, 4)")
        return known[1]


def _from_base64(text: str) -> bytes | None:
    """Decode standard base64; line breaks in it are forgiven, for MIME has them."""
    try:
        raw = text.encode("ascii").translate(None, b"\r\n")
        if len(raw) % 4:
            return None  # a padding too many, which binascii lets pass
        return binascii.a2b_base64(raw, strict_mode=True) if raw else b""
    except (UnicodeEncodeError, binascii.Error):
        return None


def _there(entry: Any) -> Any:
    """Return an entry of a list, where null is no way of leaving it out."""
    return "" if entry is None else entry


def _toggles(body: Fields) -> Toggles:
    tracking = body.object("tracking")
    if tracking is None:
        return Toggles()
    toggles = Toggles(opens=tracking.boolean("opens"), clicks=tracking.boolean("clicks"))
    tracking.end()
    return toggles


def _labels(body: Fields) -> Labels:
    tags = body.items("tags", 10 * MAX_TAGS)
    kept, dropped = sort_tags(tag for tag in tags if isinstance(tag, str))
    if dropped or not all(isinstance(tag, str) for tag in tags):
        body.wrong("tags", f"need at most {MAX_TAGS} tags of A-Z a-z 0-9 _ -, 1 to 64 each")
    return Labels(
        kept,
        body.label("topic", is_topic, "need 1 to 64 of a-z 0-9 _ . -"),
        body.label("campaign", is_campaign, "need 1 to 64 of A-Z a-z 0-9 _ -"),
    )


def _header_problem(name: str, content: Any) -> str | None:
    if not _HEADER_NAME.match(name):
        return "is no name of a header field"
    problem = text_problem(content, _MAX_HEADER_CHARS)
    if problem is None and max(map(len, content.split()), default=0) > _MAX_UNBROKEN_CHARS:
        return f"holds a word of more than {_MAX_UNBROKEN_CHARS} characters, which cannot be folded"
    return problem
