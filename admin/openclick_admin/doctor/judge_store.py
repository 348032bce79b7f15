"""Judges the store, its disk and the keys; pure."""

from __future__ import annotations

from collections.abc import Iterator

from openclick.instants import SECOND
from openclick.keys import MAX_KEY_ID
from openclick_admin.doctor.facts import Facts, KeyFacts
from openclick_admin.doctor.findings import Finding, fault, ok, warning

_WAIT_SECONDS = 60
"""How long a hit may wait for the judge, beyond the hold."""
_LAST_KEYS = 5
_MANY_BYTES = 20_000_000_000


def files(facts: Facts) -> Iterator[Finding]:
    """Whether the store's files are whole, of the right schema, with the right rights."""
    store = facts.store
    if store.fault:
        yield fault("store", store.fault, "openclick init, or put a back-up in its place")
        return
    for text in store.directory_faults:
        yield fault(store.directory, text, "openclick init")
    for report in store.reports:
        for text in report.faults:
            yield fault(report.name, text, "openclick store check, then docs/doctor.md")
        if not report.made:
            yield ok(report.name, "not made yet")
        elif not report.faults:
            yield ok(
                report.name,
                f"whole; schema {report.schema}, {report.size_bytes:,} bytes, "
                f"log {report.log_bytes:,} bytes",
            )
        if report.size_bytes > _MANY_BYTES:
            yield warning(
                report.name,
                f"has {report.size_bytes:,} bytes",
                "keep less: retention.hits_days, retention.messages_days, retention.events_days",
            )
    for path in store.set_aside:
        yield warning(
            path,
            "was set aside as corrupt; a new file was begun",
            "look at it, then remove it with its -wal and -shm",
        )


def space(facts: Facts) -> Iterator[Finding]:
    """Whether hits have room on the disk, and none waits outside of the store."""
    store, reserve = facts.store, facts.config.store.reserve_bytes
    free = store.free_bytes
    if free is not None:
        text = f"{free:,} bytes are free, {reserve:,} are kept in reserve"
        if free < reserve:
            yield fault(store.directory, f"{text}: hits go to the journal", "make room there")
        elif free < 4 * reserve:
            yield warning(store.directory, text, "make room there before hits go to the journal")
        else:
            yield ok(store.directory, text)
    if store.journal_bytes:
        yield warning(
            store.journal_directory,
            f"{store.journal_bytes:,} bytes of hits wait to be taken into hits.db",
            "the sidecar does it as soon as it runs and hits.db "
            "can be written: journalctl -u openclick-sidecar",
        )


def judging(facts: Facts) -> Iterator[Finding]:
    """Whether hits become verdicts and events."""
    store = facts.store
    if store.unjudged_at is None:
        if not store.fault:
            yield ok("judge", "every hit is judged")
        return
    waits = (facts.now - store.unjudged_at) // SECOND
    text = f"{store.unjudged:,} hits wait to be judged, the oldest for {waits} s"
    if waits > _WAIT_SECONDS + facts.config.sidecar.hold_seconds:
        yield fault(
            "judge",
            text,
            "the sidecar does not run, or cannot read messages.db or write "
            "openclick.db: journalctl -u openclick-sidecar -p warning",
        )
    else:
        yield ok("judge", text)


def _broken_keys(known: KeyFacts, directory: str) -> Iterator[Finding]:
    for broken in known.unreadable:
        yield fault(
            directory,
            f"{broken}; the links that it sealed are dead",
            "put the back-up of this key there",
        )
    if not known.seals:
        yield fault(
            directory,
            "the newest or the oldest key is unreadable, so that mail goes out untracked",
            "put its back-up there; without one: openclick keys rotate for the newest, "
            "remove the file for the oldest",
        )
    for stray in known.strays:
        yield warning(directory, f"{stray}; the file is passed over", "remove it")


def keys(facts: Facts) -> Iterator[Finding]:
    """Whether the keys can be read, by our group alone, and rotation has room."""
    known, directory = facts.keys, facts.config.keys.directory
    if known.fault:
        yield fault(
            directory,
            known.fault,
            "put the back-up of the keys there; without a key the links that it sealed are dead",
        )
        return
    yield from _broken_keys(known, directory)
    for path in known.open_files:
        yield fault(
            path,
            "others than its group may read it, and so forge links",
            f"chmod 0640 {path}; openclick keys rotate",
        )
    for path in known.other_group:
        yield fault(
            path, "is not of the store's group, so a daemon cannot read it", "openclick init"
        )
    left = MAX_KEY_ID - max(known.key_ids, default=-1)
    if left <= _LAST_KEYS:
        yield warning(directory, f"only {left} more keys can be made", "rotate less often")
    yield ok(directory, f"{len(known.key_ids)} keys; the newest is {max(known.key_ids, default=0)}")
