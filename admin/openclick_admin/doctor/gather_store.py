"""Looks at the store, the keys, what came lately, and the clock."""

from __future__ import annotations

import ctypes
import os
import stat
from contextlib import closing
from pathlib import Path

from openclick.free_space import free_bytes
from openclick.hits import Hit
from openclick.instants import Instant
from openclick.keys import KeyFault, find_keys
from openclick.settings import Config
from openclick.store import JudgeCursor, Store, StoreFault, WebhookState
from openclick.store.statistics import DAY, Grouping, Window
from openclick_admin.doctor.facts import (
    ClockFacts,
    KeyFacts,
    MilterFacts,
    StoreFacts,
    TrafficFacts,
)
from openclick_sidecar.journal import journal_files, waiting_bytes
from openclick_sidecar.keeper import journal_directory

_RECENT_HITS = 200
_RECENT_DAYS = 7
_TIME_ERROR = 5
"""What adjtimex(2) returns for a clock that is not synchronised."""


def look_at_milter(store: Store) -> MilterFacts:
    """Return the milter's heartbeat, and whether its process is there."""
    try:
        with closing(store.message_reader()) as reader:
            beat = reader.maybe_heartbeat()
    except StoreFault as error:
        return MilterFacts(fault=str(error))
    return MilterFacts(beat, _lives(beat.pid) if beat else None)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def look_at_store(config: Config, store: Store) -> StoreFacts:
    """Return how the files are; reads each to its end."""
    journal = journal_directory(store, config.store.journal_directory)
    try:
        directory_faults = store.inspect_directory()
        reports = tuple(store.inspect(name) for name in store.file_names)
    except StoreFault as error:
        return StoreFacts(str(store.directory), fault=str(error))
    unjudged, unjudged_at = _unjudged(store)
    return StoreFacts(
        directory=str(store.directory),
        reports=reports,
        directory_faults=directory_faults,
        set_aside=tuple(map(str, store.many_set_aside())),
        journal_directory=str(journal),
        journal_bytes=waiting_bytes(journal_files(journal)),
        free_bytes=free_bytes(store.directory),
        unjudged=unjudged,
        unjudged_at=unjudged_at,
    )


def _unjudged(store: Store) -> tuple[int, Instant | None]:
    """Return how many hits the judge has not come to, and when the oldest came."""
    if not store.has_hits():
        return 0, None
    try:
        cursor = store.judge_cursor()
        with closing(store.hit_reader()) as reader:
            newest = reader.newest()
            place = _place(cursor, newest)
            first = reader.many_after(place, newest.position, 1)
    except StoreFault:
        return 0, None  # the check of the files says why
    return newest.position - place, first[0][1].received_at if first else None


def _place(cursor: JudgeCursor, newest: JudgeCursor) -> int:
    """Return after which position the judge reads on: from the start in another file."""
    same = cursor.file_id == newest.file_id and cursor.position <= newest.position
    return cursor.position if same else 0


def look_at_keys(config: Config, store: Store) -> KeyFacts:
    """Return which keys there are, and whose hands they are in."""
    directory = Path(config.keys.directory)
    try:
        found = find_keys(str(directory))
        group = store.directory.stat().st_gid
        rights = {path: path.stat() for path in sorted(directory.glob("*.key"))}
    except KeyFault as error:
        return KeyFacts(fault=str(error))
    except OSError as error:
        return KeyFacts(fault=f"{error.filename}: {error.strerror}")
    return KeyFacts(
        found.ring.key_ids,
        tuple(str(path) for path, status in rights.items() if status.st_mode & stat.S_IRWXO),
        tuple(str(path) for path, status in rights.items() if status.st_gid != group),
        unreadable=tuple(found.unreadable.values()),
        strays=found.strays,
        seals=not found.sealing_fault,
    )


def recent_hits(store: Store, now: Instant) -> list[Hit]:
    """Return the newest hits of the last days, oldest first; none where they cannot be read."""
    if not store.has_hits():
        return []
    try:
        with closing(store.hit_reader()) as reader:
            last = reader.last_position()
            hits = reader.many_after(max(0, last - _RECENT_HITS), last, _RECENT_HITS)
    except StoreFault:
        return []
    return [hit for _, hit in hits if hit.received_at > now - _RECENT_DAYS * DAY]


def look_at_traffic(store: Store, hits: list[Hit], now: Instant) -> TrafficFacts:
    """Return where the newest hits came from, and what became of the last day's mail."""
    addresses = tuple(hit.ip for hit in hits)
    window = Window(now - DAY, now + DAY)
    try:
        with closing(store.statistics()) as statistics:
            counts = statistics.messages(window, Grouping.ALL)
            reasons = {found.reason: found.copies for found in statistics.reasons(window)}
    except StoreFault as error:
        return TrafficFacts(addresses, fault=str(error))
    tracked = sum(count.tracked for count in counts)
    copies = sum(count.copies for count in counts)
    return TrafficFacts(addresses, tracked, copies - tracked, reasons)


def look_at_webhooks(store: Store) -> tuple[tuple[WebhookState, ...], str]:
    """Return how each webhook does, and why that cannot be read."""
    try:
        with closing(store.symptoms()) as symptoms:
            return tuple(symptoms.webhooks()), ""
    except StoreFault as error:
        return (), str(error)


def look_at_clock(milter: MilterFacts, hits: list[Hit]) -> ClockFacts:
    """Return what the kernel says of its clock, and the latest instant that was written."""
    written = [(hit.received_at, "a hit") for hit in hits]
    if milter.heartbeat is not None:
        written.append((milter.heartbeat.beat_at, "the milter's heartbeat"))
    latest_at, what = max(written, default=(None, ""))
    return ClockFacts(_synchronised(), latest_at, what)


def _synchronised() -> bool | None:
    try:
        state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(1024))
    except (OSError, AttributeError):
        return None
    return None if state < 0 else state != _TIME_ERROR
