"""Builds the message of an email as bytes, by the standard library's email.

Called in a thread of the submitter's.  Pure: id, instant and randomness are handed in.

    multipart/mixed             where there are attachments
      multipart/alternative     where there is both text and html
        text/plain
        multipart/related       where there are inline files
          text/html
          inline files
      attachments

Promises: what the app asked for in toggles and labels stands in control headers; Bcc stands
nowhere; text and html are UTF-8 in quoted-printable, so that no link's line is ever too long for
the milter; every line is at most 998 bytes and ends in CRLF.
"""

from __future__ import annotations

import binascii
import io
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from email.encoders import encode_base64
from email.generator import BytesGenerator
from email.header import Header
from email.message import Message
from email.mime.multipart import MIMEMultipart
from email.mime.nonmultipart import MIMENonMultipart
from email.policy import Compat32, compat32
from email.utils import format_datetime
from typing import Any
from urllib.parse import quote

from openclick.ids import format_email_id
from openclick.instants import SECOND, Instant
from openclick.sealed_ids import ID_HEADER
from openclick_sidecar.api.mailboxes import Mailbox, write_mailbox
from openclick_sidecar.api.outgoing import Attachment, OutgoingEmail

_POLICY: Compat32 = compat32.clone(linesep="\r\n")
_LINE_END = re.compile(r"\r\n|\r|\n")
_BOUNDARY_BYTES = 15
_MAX_UNBROKEN_CHARS = 900
_PARAMETER_CHARS = 60
_PLAIN_FILENAME = re.compile(r"[ !#-\[\]-~]*\Z")


def compose(
    email: OutgoingEmail,
    email_id: bytes,
    sealed_id: str | None,
    created_at: Instant,
    header_prefix: str,
    randomness: Callable[[int], bytes],
) -> bytes:
    """Return the message; `sealed_id` is the value of X-OpenClick-Id, None without a key."""

    def boundary() -> str:
        # Not looked for in the parts, as the standard library would: nobody can guess it.
        return f"=_oc_{randomness(_BOUNDARY_BYTES).hex()}"

    message: Any = _with_attachments(email, boundary)  # to mypy a field is a str alone
    for name, value in _fields(email, email_id, created_at):
        message[name] = value
    if sealed_id is not None:
        message[ID_HEADER] = sealed_id
    for name, text in _controls(email, header_prefix):
        message[name] = text
    for name, text in email.headers:
        message[name] = _unstructured(name, text)
    out = io.BytesIO()
    BytesGenerator(out, mangle_from_=False, policy=_POLICY).flatten(message)
    return out.getvalue()


def _fields(
    email: OutgoingEmail, email_id: bytes, created_at: Instant
) -> list[tuple[str, str | Header]]:
    moment = datetime.fromtimestamp(created_at // SECOND, UTC)
    uuid = format_email_id(email_id).removeprefix("email_")
    fields: list[tuple[str, str | Header]] = [
        ("Date", format_datetime(moment)),
        ("From", _mailboxes([email.sender])),
        ("To", _mailboxes(email.to)),
        ("Message-ID", f"<{uuid}@{email.sender.domain}>"),
        ("Subject", _unstructured("Subject", email.subject)),
    ]
    if email.cc:
        fields.insert(3, ("Cc", _mailboxes(email.cc)))
    if email.reply_to:
        fields.insert(2, ("Reply-To", _mailboxes(email.reply_to)))
    return fields


def _controls(email: OutgoingEmail, prefix: str) -> list[tuple[str, str]]:
    """Return the control headers, which the milter obeys and removes."""
    toggles, labels = email.toggles, email.labels
    asked = {
        "Track-Opens": None if toggles.opens is None else str(toggles.opens).lower(),
        "Track-Clicks": None if toggles.clicks is None else str(toggles.clicks).lower(),
        "Tags": ",\n ".join(labels.tags) or None,
        "Topic": labels.topic,
        "Campaign": labels.campaign,
    }
    return [(f"{prefix}{name}", value) for name, value in asked.items() if value is not None]


def _mailboxes(mailboxes: Sequence[Mailbox]) -> str:
    """Return a list of mailboxes, one a line.

    One that is international leaves raw UTF-8 in the header (RFC 6532), which the standard library
    takes as surrogate escapes and writes as it is.
    """
    text = ",\n ".join(map(write_mailbox, mailboxes))
    return text.replace("\n", "\r\n").encode("utf-8").decode("ascii", "surrogateescape")


def _unstructured(name: str, text: str) -> Header:
    """Return a field's text; what cannot stand or be folded as it is goes into encoded words."""
    plain = text.isascii() and max(map(len, text.split(" "))) <= _MAX_UNBROKEN_CHARS
    return Header(text, "us-ascii" if plain else "utf-8", header_name=name)


def _with_attachments(email: OutgoingEmail, boundary: Callable[[], str]) -> Message:
    attached = [each for each in email.attachments if each.content_id is None or email.html is None]
    readable = _readable(email, boundary)
    if not attached:
        return readable
    mixed = MIMEMultipart("mixed", boundary(), policy=_POLICY)
    for part in (_nested(readable), *map(_file, attached)):
        mixed.attach(part)
    return mixed


def _readable(email: OutgoingEmail, boundary: Callable[[], str]) -> Message:
    """Return text, html, or both as alternatives: what is meant to be read comes last."""
    parts: list[Message] = []
    if email.text is not None:
        parts.append(_text("plain", email.text))
    if email.html is not None:
        inline = [each for each in email.attachments if each.content_id is not None]
        parts.append(_with_inline_files(_text("html", email.html), inline, boundary))
    if len(parts) == 1:
        return parts[0]
    alternative = MIMEMultipart("alternative", boundary(), policy=_POLICY)
    for part in parts:
        alternative.attach(_nested(part))
    return alternative


def _with_inline_files(
    html: Message, inline: Sequence[Attachment], boundary: Callable[[], str]
) -> Message:
    if not inline:
        return html
    related = MIMEMultipart("related", boundary(), policy=_POLICY, type="text/html")
    for part in (_nested(html), *map(_file, inline)):
        related.attach(part)
    return related


def _text(subtype: str, content: str) -> Message:
    raw = _LINE_END.sub("\n", content).encode("utf-8")
    part = MIMENonMultipart("text", subtype, policy=_POLICY, charset="utf-8")
    part["Content-Transfer-Encoding"] = "quoted-printable"
    # binascii's, for the standard library's own encoder goes letter by letter in Python.
    part.set_payload(binascii.b2a_qp(raw, istext=True).decode("ascii"))
    return part


def _file(attachment: Attachment) -> Message:
    part = MIMENonMultipart("application", "octet-stream", policy=_POLICY)
    part.replace_header("Content-Type", attachment.content_type)
    part.set_payload(attachment.content)
    encode_base64(part)
    name = attachment.filename
    disposition = "attachment" if attachment.content_id is None else "inline"
    if _PLAIN_FILENAME.match(name):
        part.add_header("Content-Disposition", disposition, filename=name)
    else:
        part["Content-Disposition"] = disposition + _encoded_parameter("filename", name)
    if attachment.content_id is not None:
        part["Content-ID"] = f"<{attachment.content_id}>"
    return _nested(part)


def _encoded_parameter(name: str, text: str) -> str:
    """Return a parameter in UTF-8, over as many lines as it takes (RFC 2231, 3 and 4)."""
    pieces = ["utf-8''"]
    for character in text:
        encoded = quote(character, safe="")
        if len(pieces[-1]) + len(encoded) > _PARAMETER_CHARS:
            pieces.append("")
        pieces[-1] += encoded
    if len(pieces) == 1:
        return f"; {name}*={pieces[0]}"
    return "".join(f";\n {name}*{number}*={piece}" for number, piece in enumerate(pieces))


def _nested(part: Message) -> Message:
    """Return a part of a message: MIME-Version is for the whole alone (RFC 2045, 4)."""
    del part["MIME-Version"]
    return part
