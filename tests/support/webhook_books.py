"""Events without mail, and the books of what became of them: for tests and bench of webhooks.

Who calls: functional tests of deliveries, and the bench.  Promises: event number N has the same id
each time; the books are read from the store's own tables, not from what the sidecar says.
"""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from openclick.events import make_event
from openclick.hits import Hit
from openclick.ids import event_id
from openclick.instants import now
from openclick.messages import Message, Outcome
from openclick.store import JudgeCursor, Judgement, Store
from openclick.tokens import Kind
from openclick.verdicts import Verdict, Visitor

DOMAIN = "kontor.example"
_EMAIL_ID = bytes.fromhex("0199c0de00007abc8def0123456789ab")
_USER_AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


def id_of(number: int) -> str:
    """Return the id of event `number`."""
    return event_id(number.to_bytes(16, "big"))


def log_events(store: Store, numbers: Sequence[int]) -> None:
    """Write events into the log, as the judge does."""
    judgements = [_judgement(number) for number in numbers]
    with closing(store.registry()) as registry:
        registry.events.record_judgements(
            judgements, JudgeCursor("none", 0, judgements[-1].hit.hit_id), now()
        )


def _judgement(number: int) -> Judgement:
    hit = Hit(
        *(number.to_bytes(16, "big"), now(), Kind.CLICK, _EMAIL_ID, b"copy", 0),
        f"https://shop.{DOMAIN}/boots?n={number}",
        *(f"track.{DOMAIN}", "192.0.2.7", _USER_AGENT, {"accept": "text/html"}),
    )
    message = Message(
        *(_EMAIL_ID, b"copy", now(), Outcome.INSTRUMENTED, "", "4Xk2Q1z0", "<1@kontor.example>"),
        *(None, f"news@{DOMAIN}", None, ("anna@reader.example",), "November: boots", DOMAIN),
        *(f"track.{DOMAIN}", True, "", True, ""),
    )
    return Judgement(hit, Verdict(Visitor.PERSON, "no-rule"), make_event(hit, message, None))


def books(store: Store) -> dict[str, int]:
    """Return the number of events by what became of them, for the one webhook there is.

    `unread` are those that no delivery holds yet; `twice` those that two deliveries hold.
    """
    with closing(_open(store)) as connection:
        states = dict(
            connection.execute(
                "SELECT state, count(*) FROM delivery_events JOIN deliveries USING (delivery_id) "
                "GROUP BY state"
            ).fetchall()
        )
        (unread,) = connection.execute(
            "SELECT count(*) FROM events WHERE seq > (SELECT cursor FROM webhooks)"
        ).fetchone()
        (twice,) = connection.execute(
            "SELECT count(*) - count(DISTINCT seq) FROM delivery_events"
        ).fetchone()
    return {"delivered": 0, "pending": 0, "abandoned": 0, "unread": unread, "twice": twice} | states


def unfinished_attempts(store: Store) -> dict[str, int]:
    """Return, by batch id, how many attempts have begun and have no end in the store."""
    with closing(_open(store)) as connection:
        rows = connection.execute(
            "SELECT batch_id, count(*) FROM attempts JOIN deliveries USING (delivery_id) "
            "WHERE attempts.finished_at IS NULL GROUP BY batch_id"
        ).fetchall()
    return dict(rows)


def accepted_after_a_timeout(store: Store) -> int:
    """Return how many attempts that succeeded began after the first one that had timed out."""
    with closing(_open(store)) as connection:
        (count,) = connection.execute(
            "SELECT count(*) FROM attempts WHERE outcome = 'accepted' AND started_at > "
            "(SELECT min(finished_at) FROM attempts WHERE outcome = 'timeout')"
        ).fetchone()
    return int(count)


def _open(store: Store) -> sqlite3.Connection:
    path: Path = store.directory / "openclick.db"
    return sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)
