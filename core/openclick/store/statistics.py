"""Counts for `openclick stats` and the status page: messages of messages.db beside the verdicts.

Called through `openclick.figures`; read-only.  One connection with both files, so that a verdict
finds the domain and campaign of its message by the index.  Each question is one SELECT.

What is counted: a message is an email_id, a copy one pass of it through the milter; a hit is
unique where it is the first counted one (person or proxy) of its kind for a copy, so that one
recipient who opens twice counts once where Postfix splits the mail.  Days are UTC's.

Limits: only mail of added domains has rows; verdicts are kept for retention.hits_days; a verdict
whose message row is gone counts under the empty key.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from urllib.parse import quote

from openclick.ids import first_email_id
from openclick.instants import SECOND, Instant
from openclick.store.database import Database, open_reading
from openclick.tokens import Kind
from openclick.verdicts import COUNTED, Visitor

DAY = 86_400 * SECOND
HOUR = 3600 * SECOND
_DAY, _HOUR = DAY, HOUR  # inside Grouping the plain names are its members
_LATEST_SPLIT = 8 * DAY  # a copy of the split is dated by its first pass, at most a week before
_COUNTED = ", ".join(f"'{visitor.value}'" for visitor in sorted(COUNTED))

_OF_LABELS = (
    "(:domain IS NULL OR m.sending_domain = :domain) "
    "AND (:campaign IS NULL OR m.campaign = :campaign)"
)
# The key begins with an instant, so old rows are not even read.
_SUBMITTED = (
    f"m.email_id >= :first AND m.created_at >= :since AND m.created_at < :until AND {_OF_LABELS}"
)
_JUDGED = "v.received_at >= :since AND v.received_at < :until"
_ALONE = f"FROM main.verdicts AS v WHERE {_JUDGED}"
_WITH_MESSAGES = (
    "FROM main.verdicts AS v LEFT JOIN mail.messages AS m "
    f"ON m.email_id = v.email_id AND m.copy = v.copy WHERE {_JUDGED} AND {_OF_LABELS}"
)


class Grouping(Enum):
    """What the counts are told apart by; the value is what of a message and a hit makes the key."""

    ALL = ("''", "''")
    HOUR = (f"m.created_at / {_HOUR}", f"v.received_at / {_HOUR}")
    DAY = (f"m.created_at / {_DAY}", f"v.received_at / {_DAY}")
    DOMAIN = ("m.sending_domain", "m.sending_domain")
    CAMPAIGN = ("coalesce(m.campaign, '')", "coalesce(m.campaign, '')")
    DOMAIN_DAY = (
        f"m.sending_domain || ' ' || (m.created_at / {_DAY})",
        f"coalesce(m.sending_domain, '') || ' ' || (v.received_at / {_DAY})",
    )
    MESSAGE = ("lower(hex(m.email_id))", "lower(hex(v.email_id))")


@dataclass(frozen=True)
class Window:
    """Which messages and hits count: from `since` until before `until`.

    `domain` and `campaign` are None for any.
    """

    since: Instant
    until: Instant
    domain: str | None = None
    campaign: str | None = None


@dataclass(frozen=True)
class MessageCount:
    """Messages of one key; `tracked` are the copies that were instrumented."""

    key: str
    messages: int
    copies: int
    tracked: int


@dataclass(frozen=True)
class ReasonCount:
    """Untouched copies of one key that have one reason."""

    key: str
    reason: str
    copies: int


@dataclass(frozen=True)
class HitCount:
    """Judged hits of one key, kind and visitor."""

    key: str
    kind: Kind
    visitor: Visitor
    hits: int


@dataclass(frozen=True)
class UniqueCount:
    """Copies of one key that were opened, or clicked, at least once by a counted visitor."""

    key: str
    kind: Kind
    copies: int


def open_with_mail(directory: Path) -> Database:
    """Open openclick.db to read, with messages.db beside it as `mail`.  Raises StoreFault."""
    mail = directory / "messages.db"
    open_reading(mail, "messages").close()  # a clear fault where it cannot be read
    database = open_reading(directory / "openclick.db", "openclick")
    with database.reading() as connection:
        connection.execute("ATTACH DATABASE ? AS mail", (f"file:{quote(str(mail))}?mode=ro",))
    return database


class Statistics:
    """The counts; opened by `Store.statistics`, closed by the caller."""

    def __init__(self, directory: Path) -> None:
        self._database = open_with_mail(directory)

    def close(self) -> None:
        """Close both files."""
        self._database.close()

    def messages(self, window: Window, grouping: Grouping) -> list[MessageCount]:
        """Count messages and copies by key.  Raises StoreFault."""
        with self._rows(
            f"SELECT {grouping.value[0]} AS key, count(DISTINCT m.email_id) AS messages, "  # noqa: S608
            "count(*) AS copies, sum(m.outcome = 'instrumented') AS tracked "
            f"FROM mail.messages AS m WHERE {_SUBMITTED} GROUP BY 1 ORDER BY 1",
            window,
        ) as rows:
            return [
                MessageCount(str(row["key"]), row["messages"], row["copies"], row["tracked"])
                for row in rows
            ]

    def reasons(self, window: Window, grouping: Grouping = Grouping.ALL) -> list[ReasonCount]:
        """Count untouched copies by key and reason, the most frequent first.  Raises StoreFault."""
        with self._rows(
            f"SELECT {grouping.value[0]} AS key, m.reason AS reason, count(*) AS copies "  # noqa: S608
            f"FROM mail.messages AS m WHERE {_SUBMITTED} AND m.outcome = 'untouched' "
            "GROUP BY 1, 2 ORDER BY 1, 3 DESC, 2",
            window,
        ) as rows:
            return [ReasonCount(str(row["key"]), row["reason"], row["copies"]) for row in rows]

    def hits(self, window: Window, grouping: Grouping) -> list[HitCount]:
        """Count judged hits by key, kind and visitor.  Raises StoreFault."""
        with self._rows(
            f"SELECT {grouping.value[1]} AS key, v.kind AS kind, v.visitor AS visitor, "
            f"count(*) AS hits {_verdicts(window, grouping)} GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
            window,
        ) as rows:
            return [
                HitCount(
                    str(row["key"] or ""), Kind(row["kind"]), Visitor(row["visitor"]), row["hits"]
                )
                for row in rows
            ]

    def unique(self, window: Window, grouping: Grouping) -> list[UniqueCount]:
        """Count copies that were opened or clicked, by key and kind.  Raises StoreFault."""
        with self._rows(
            "SELECT key, kind, count(*) AS copies FROM ("  # noqa: S608 - constants only
            f"SELECT DISTINCT {grouping.value[1]} AS key, v.kind AS kind, v.email_id, v.copy "
            f"{_verdicts(window, grouping)} AND v.visitor IN ({_COUNTED})) "
            "GROUP BY 1, 2 ORDER BY 1, 2",
            window,
        ) as rows:
            return [
                UniqueCount(str(row["key"] or ""), Kind(row["kind"]), row["copies"]) for row in rows
            ]

    @contextmanager
    def _rows(self, statement: str, window: Window) -> Iterator[sqlite3.Cursor]:
        values = {
            "since": window.since,
            "until": window.until,
            "first": first_email_id(max(0, window.since - _LATEST_SPLIT)),
            "domain": window.domain,
            "campaign": window.campaign,
        }
        with self._database.reading() as connection:
            yield connection.execute(statement, values)


def _verdicts(window: Window, grouping: Grouping) -> str:
    """Return where hits come from: with their messages only where these are asked about.

    Totals need no look-up a hit: 3.9 s against 6.4 s for 300,000 of each (two busy cores).
    """
    asked = window.domain is not None or window.campaign is not None
    return _WITH_MESSAGES if asked or "m." in grouping.value[1] else _ALONE
