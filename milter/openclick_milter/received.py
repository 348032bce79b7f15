"""Reads the first Received field, which the per-recipient split leaves on top of each copy.

Called by `submission` for mail that came through a trusted listener.  Pure.  Postfix writes

    from HELO (NAME [IP]) (Authenticated sender: USER) by HOST (Postfix) with ESMTPA id QUEUEID
    for <RCPT>; DATE
    by HOST (Postfix, from userid UID) id QUEUEID; DATE           (sendmail(1))

Promises: reads only; what it returns is information for the log and the row, never a permission,
since any local process can write such a field.  HELO, USER and RCPT are the client's own words:
each is read at its place alone, and where they imitate the words of another place, so that the
field could be read in two ways, nothing is read there.  (Postfix 3.7 to 3.11 write "?" for every
blank, bracket and semicolon of a HELO; that is not relied on.)
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from openclick.instants import SECOND, Instant

_MAX_CHARS = 2000
_QUEUE_ID = re.compile(r" id ([A-Za-z0-9]{6,32})(?= for <|;)")
_CLIENT = re.compile(r" \(\S+ \[[^\]\s]+\]\) ")
_LOGIN_WORDS = "(Authenticated sender: "
_LOGIN = re.compile(re.escape(_LOGIN_WORDS) + r"([^()\s]{1,256})\) ")


@dataclass(frozen=True)
class FirstPass:
    """What the first Received field says; None or empty where it does not say it."""

    queue_id: str
    login: str | None
    received_at: Instant | None


def read_first_pass(value: str) -> FirstPass | None:
    """Return what a Received field says, None where it names no queue id."""
    text = " ".join(value[:_MAX_CHARS].split())
    queue_ids = list(_QUEUE_ID.finditer(text))
    if len(queue_ids) != 1:
        return None
    (queue_id,) = queue_ids
    return FirstPass(queue_id[1], _login(text[: queue_id.start()]), _instant(text))


def _login(before_id: str) -> str | None:
    """Return the login of a field, from what stands before its queue id."""
    clients = list(_CLIENT.finditer(before_id))
    if len(clients) != 1 or before_id.count(_LOGIN_WORDS) != 1:
        return None
    login = _LOGIN.search(before_id, clients[0].end())
    return login[1] if login else None


def _instant(text: str) -> Instant | None:
    """Return the date behind the last semicolon (RFC 5321, 4.4)."""
    _, semicolon, date = text.rpartition(";")
    if not semicolon:
        return None
    try:
        return int(parsedate_to_datetime(date.strip()).timestamp()) * SECOND
    except (ValueError, OverflowError, IndexError):
        return None
