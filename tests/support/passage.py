"""A mail on its way through the private Postfix: submitted, arrived, its row, its edits undone.

Who calls: the functional tests called test_postfix_*. Promises: `undone` shares no code with the
milter, so that it can tell whether anything but the edits differs; `passed` demands a 250; waits
are bounded. Limits: `undone` sees an image and links in 7bit and 8bit parts only, as they stand.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from support import messages
from support.deployment import DOMAIN, Deployment, as_submitted, delivered
from support.processes import wait_until
from support.smtp_client import Address, SendResult, send
from support.smtp_sink import SmtpSink

SENDER = f"news@{DOMAIN}"
HREF = b"https://shop.kontor.example/item"
"""The one link of `large_mail`."""
CONTROLS = {"X-Anypost-Tags": "boots", "X-Anypost-Topic": "autumn"}
"""Its control headers."""

_LINES = 3500

_LINK = re.compile(rb"https?://track\.[^/\s\"'<>]+/c/[\w-]+")
_IMAGE = re.compile(rb'<img src="https?://track\.[^/"]+/o/[\w-]+" width="1" height="1" alt="">')


def large_mail(letter: bytes = b"1") -> bytes:
    """Return a mail with a link and an attachment, so that its replacement takes a while.

    The attachment is this letter again and again, and the replacement has five chunks. Where one
    ends half-way, Postfix goes on reading in the middle of what stood there before, and takes a
    letter for the type of a record; a digit is none, so that it notices.
    """
    page = b'<html><body>\r\n<a href="%b">Item</a>\r\n</body></html>\r\n' % HREF
    attached = messages.part(
        "application/octet-stream",
        (letter * 76 + b"\r\n") * _LINES,
        {"Content-Transfer-Encoding": "base64", "Content-Disposition": "attachment"},
    )
    head, _, _ = messages.html_only(headers=CONTROLS).partition(b"Content-Type:")
    return head + messages.multipart("mixed", "k", messages.part("text/html", page), attached)


def without_controls(raw: bytes) -> bytes:
    """Return a mail without the control headers that it may have."""
    return re.sub(rb"^X-Anypost-[^\r]*\r\n", b"", raw, flags=re.MULTILINE)


def passed(
    listener: Address,
    sink: SmtpSink,
    raw: bytes,
    *,
    sender: str = SENDER,
    recipients: Sequence[str] = messages.RECIPIENTS,
    **how: Any,
) -> tuple[SendResult, bytes]:
    """Submit a mail; return the 250 and the mail as it arrived, without Postfix's Received."""
    sent = send(listener, sender, recipients, raw, **how)
    assert sent.accepted, f"{sent.stage}: {sent.code} {sent.text}"
    return sent, as_submitted(delivered(sink, raw))


def arrivals(sink: SmtpSink, raw: bytes) -> list[bytes]:
    """Return every arrival so far of the mail `raw`, told by its Message-ID."""
    marker = message_id_of(raw)
    return [m.content for m in list(sink.messages) if marker in m.headers_bytes]


def message_id_of(raw: bytes) -> bytes:
    """Return the Message-ID of a mail, with its brackets."""
    match = re.search(rb"^Message-ID:\s*(<[^>]+>)", raw, re.MULTILINE | re.IGNORECASE)
    assert match is not None, "the mail has no Message-ID"
    return match[1]


def row_of(deployment: Deployment, queue_id: str | None) -> Any:
    """Wait for the one message row with this queue id; a row may be written after the 250."""

    def rows() -> list[Any]:
        reader = deployment.installation.store.message_reader()
        try:
            return list(reader.many_by_queue_id(str(queue_id)))
        finally:
            reader.close()

    found = wait_until(rows, 5.0, f"a row with the queue id {queue_id}", 0.05)
    assert len(found) == 1, f"{len(found)} rows have the queue id {queue_id}"
    return found[0]


def marks(content: bytes) -> tuple[int, int]:
    """Count the open images and the tracking links that stand in a mail as they are."""
    return len(_IMAGE.findall(content)), len(_LINK.findall(content))


def undone(content: bytes, hrefs: Iterable[bytes]) -> bytes:
    """Return a mail without its open image, and with `hrefs` in place of its tracking links."""
    originals = iter(hrefs)
    return _LINK.sub(lambda link: next(originals, link[0]), _IMAGE.sub(b"", content))
