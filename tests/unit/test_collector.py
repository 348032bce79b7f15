"""How often the milter looks for reference cycles."""

import gc
import time
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest

from openclick.store import open_store
from openclick_milter.collector import look_rarely
from openclick_milter.counters import Counters
from openclick_milter.housekeeping import Housekeeping
from openclick_milter.links import scan
from openclick_milter.recorder import MessageRecorder
from support.processes import wait_until
from unit.samples import NOW

_MANY_LINKS = b'<a href="https://shop.kontor.example/">x</a>\r\n' * 9_000


class Knot:
    """Refers to itself, so that no reference count frees it."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Give the other tests Python's own thresholds back."""
    thresholds = gc.get_threshold()
    yield
    gc.set_threshold(*thresholds)
    gc.unfreeze()


def collections() -> int:
    """Return how often Python has looked for cycles, in new objects or in all."""
    return sum(generation["collections"] for generation in gc.get_stats())


def test_a_mail_of_many_links_is_not_looked_through() -> None:
    """Python's own thresholds look a dozen times before such a mail is done."""
    look_rarely()
    before = collections()

    found = scan(_MANY_LINKS)

    assert len(found.links) == 9_000
    assert before == collections()


def test_cycles_go_with_the_next_heartbeat(tmp_path: Path) -> None:
    """What a library or an exception ties together stays for seconds at the most."""
    housekeeping = Housekeeping(Counters(), lambda: 400, lambda: NOW, NOW)
    recorder = MessageRecorder(open_store(f"sqlite:{tmp_path}"), housekeeping, time.monotonic)
    look_rarely()
    knot = weakref.ref(Knot())
    assert knot() is not None

    recorder.start()

    wait_until(lambda: knot() is None, 10, "the first heartbeat")
    recorder.stop()
