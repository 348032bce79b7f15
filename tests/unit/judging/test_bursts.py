"""Bursts and repeats are found whatever the judge's batches, restarts and clock."""

import sys
from contextlib import closing
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from openclick.events import make_event
from openclick.instants import SECOND
from openclick.store import Registry, Store, open_store
from openclick_sidecar.judge import Judge
from openclick_sidecar.judging import Docket
from openclick_sidecar.rules import packaged_rules
from unit.judging.judging_desk import a_burst, events, put_hits, rules, strangers
from unit.samples import NOW, a_hit, a_message, an_open


def test_a_burst_is_dropped_whole(store: Store, docket: Docket, registry: Registry) -> None:
    """The first clicks too; an open in its midst counts."""
    opened = an_open(7, received_at=NOW + 5_000)
    put_hits(store, *a_burst(1), opened)

    docket.judge_up_to(registry, 4)

    assert ["burst", "no-rule", "burst", "burst"] == rules(registry)
    assert [make_event(opened, a_message(), None)] == events(registry)


def test_a_burst_reaches_beyond_what_was_held(
    store: Store, docket: Docket, registry: Registry
) -> None:
    """The hold's look ahead: the first click is judged with those in view that came after it."""
    put_hits(store, *a_burst(1))

    docket.judge_up_to(registry, 1)

    assert rules(registry) == ["burst"]


def test_a_burst_after_a_restart(store: Store, registry: Registry) -> None:
    """What was judged before is read from the file: the third link makes no reader of the rest."""
    put_hits(store, *a_burst(1))
    for position in (1, 2, 3):
        docket = Docket(store, Judge(packaged_rules()), lambda: NOW, lambda _fault: None)
        docket.judge_up_to(registry, position)
        docket.close()

    assert ["burst"] * 3 == rules(registry)


@pytest.mark.parametrize("before", range(996, 1001))
def test_a_burst_across_batches(
    store: Store, docket: Docket, registry: Registry, before: int
) -> None:
    """A batch's end hides no part of it, wherever it falls: it takes 1,000 hits."""
    put_hits(store, *strangers(before), *a_burst(1))

    steps = [docket.judge_up_to(registry, 10_000) for _ in range(3)]

    assert [min(1000, before + 3), max(0, before + 3 - 1000), 0] == steps
    assert ["burst"] * 3 == rules(registry)


def test_a_backlog_is_judged_as_it_came(store: Store, docket: Docket, registry: Registry) -> None:
    """Instants decide, not when the judge looks: an hour's clicks at once are no burst."""
    minute = 60 * SECOND
    put_hits(store, *(a_hit(n, link_index=n, received_at=NOW + n * minute) for n in range(1, 10)))

    docket.judge_up_to(registry, 9)

    assert ["no-rule"] * 9 == rules(registry)


def test_clock_set_back(store: Store, docket: Docket, registry: Registry) -> None:
    """Hits before the jump are neither neighbours nor a reason to search the whole file."""
    hour = 3600 * SECOND
    put_hits(store, *a_burst(1, at=NOW + hour), *a_burst(11, links=2), *a_burst(21, at=NOW - hour))

    docket.judge_up_to(registry, 8)

    assert ["burst"] * 3 + ["no-rule"] * 2 + ["burst"] * 3 == rules(registry)


def test_a_repeat_is_dropped(store: Store, docket: Docket, registry: Registry) -> None:
    """Twenty times an hour by one address and user agent; then no more, until an hour is over."""
    put_hits(
        store,
        *(an_open(n, received_at=NOW + n * SECOND) for n in range(1, 26)),
        an_open(30, received_at=NOW + 30 * SECOND, ip="198.51.100.1"),
        an_open(31, received_at=NOW + 31 * SECOND, user_agent="Mozilla/5.0 (X11; Linux) else"),
        an_open(32, received_at=NOW + 3700 * SECOND),
    )

    docket.judge_up_to(registry, 28)

    assert ["no-rule"] * 20 + ["repeat"] * 5 + ["no-rule"] * 3 == rules(registry)


def test_a_repeat_across_batches(store: Store, docket: Docket, registry: Registry) -> None:
    """What was judged before counts, from the store."""
    put_hits(store, *(an_open(n) for n in range(1, 24)))

    for position in (*range(1, 20), 23):
        docket.judge_up_to(registry, position)

    assert ["no-rule"] * 20 + ["repeat"] * 3 == rules(registry)


@pytest.mark.parametrize("recipients", [("a@reader.example", "b@reader.example"), ()])
def test_several_readers_may_repeat(
    store: Store, docket: Docket, registry: Registry, recipients: tuple[str, ...]
) -> None:
    """A company's mails leave by one address: only one recipient's token tells them apart."""
    with closing(store.message_log()) as log:
        log.record([a_message(recipients=recipients)])
    put_hits(store, *(an_open(n) for n in range(1, 30)))

    docket.judge_up_to(registry, 29)

    assert ["no-rule"] * 29 == rules(registry)


def work_of_a_flood(directory: Path, hits: int) -> tuple[int, int]:
    """Return how many lines of Python, and steps of SQLite, it takes to judge a flood."""
    store = open_store(f"sqlite:{directory}")
    with closing(store.message_log()) as log:
        log.record([a_message()])
    put_hits(
        store,
        *(a_hit(n, link_index=n % 9, received_at=NOW + n * 2_000) for n in range(1, hits + 1)),
    )
    docket = Docket(store, Judge(packaged_rules()), lambda: NOW, lambda _fault: None)
    lines = steps = 0

    def trace(_frame: FrameType, event: str, _argument: object) -> Any:
        nonlocal lines
        lines += event == "line"
        return trace

    def progress() -> int:
        nonlocal steps
        steps += 1
        return 0

    with closing(store.registry(owner=True)) as registry, closing(docket):
        registry._database._connection.set_progress_handler(progress, 100)
        docket._hit_reader()._database._connection.set_progress_handler(progress, 100)
        sys.settrace(trace)
        try:
            while docket.judge_up_to(registry, hits):
                pass
        finally:
            sys.settrace(None)
        assert {"burst"} == set(rules(registry))
    return lines, steps


def test_a_flood_on_one_message_is_linear(tmp_path: Path) -> None:
    """500 clicks a second on one copy: three times as many are three times the work, not more."""
    (tmp_path / "few").mkdir()
    (tmp_path / "many").mkdir()

    few = work_of_a_flood(tmp_path / "few", 3_000)
    many = work_of_a_flood(tmp_path / "many", 9_000)

    assert many[0] < 3.4 * few[0]
    assert many[1] < 3.4 * few[1]
