"""Reads the first Received field, which the per-recipient split leaves on top of each copy.

Called by `submission` for mail that came through a trusted listener.  Pure.  Postfix writes

    from HELO (NAME [IP]) (Authenticated sender: USER) by HOST (Postfix) with ESMTPA id QUEUEID
    for <RCPT>; DATE

Promises: reads only; what it returns is information for the log and the row, never a permission,
since any local process can write such a field.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from openclick.instants import SECOND, Instant

_MAX_CHARS = 2000
_QUEUE_ID = re.compile(r"\bwith \S+ id ([A-Za-z0-9]{6,32})\b")
_LOGIN = re.compile(r"\(Authenticated sender: ([^()\s]{1,256})\)")


@dataclass(frozen=True)
class FirstPass:
    """What the first Received field says; None or empty where it does not say it."""

    queue_id: str
    login: str | None
    received_at: Instant | None


def read_first_pass(value: str) -> FirstPass | None:
    """Return what a Received field says, None where it names no queue id."""
    text = " ".join(value[:_MAX_CHARS].split())
    queue_id = _QUEUE_ID.search(text)
    if queue_id is None:
        return None
    login = _LOGIN.search(text)
    return FirstPass(queue_id[1], login[1] if login else None, _instant(text))


def _instant(text: str) -> Instant | None:
    """Return the date behind the last semicolon (RFC 5321, 4.4)."""
    _, semicolon, date = text.rpartition(";")
    if not semicolon:
        return None
    try:
        return int(parsedate_to_datetime(date.strip()).timestamp()) * SECOND
    except (ValueError, OverflowError, IndexError):
        return None
