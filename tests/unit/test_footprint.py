"""What the milter holds in memory."""

import gc
import os
import platform
import time
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest
from bench.procfs import resident_bytes

from openclick.store import open_store
from openclick_milter.counters import Counters
from openclick_milter.footprint import look_rarely, tidy_up
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


@pytest.mark.parametrize("retired", [False, True])
def test_cycles_go_with_the_next_heartbeat(tmp_path: Path, retired: bool) -> None:
    """What a library or an exception ties together stays for seconds at the most.

    Also in the old process of a hand-over, which may serve its sessions for an hour.
    """
    housekeeping = Housekeeping(Counters(), lambda: 400, lambda: NOW, NOW)
    recorder = MessageRecorder(open_store(f"sqlite:{tmp_path}"), housekeeping, time.monotonic)
    if retired:
        recorder.retire()
    look_rarely()
    knot = weakref.ref(Knot())
    assert knot() is not None

    recorder.start()

    wait_until(lambda: knot() is None, 10, "the first heartbeat")
    recorder.stop()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be asked to")
def test_memory_that_is_not_needed_goes_back() -> None:
    """What lies free below something that stays, which glibc by itself keeps."""
    needed = [bytes([number % 256]) * 60_000 for number in range(500)]
    stays = needed.pop()
    needed.clear()
    before = resident_bytes(os.getpid())

    tidy_up()

    assert len(stays) == 60_000
    assert before - resident_bytes(os.getpid()) > 10_000_000
