"""A store and the milter's writer on it, idle or running."""

import time
from collections.abc import Iterator

import pytest

from openclick.store import Store
from openclick_milter.counters import Counters
from openclick_milter.housekeeping import Housekeeping
from openclick_milter.recorder import MessageRecorder
from unit.samples import NOW


@pytest.fixture
def idle(store: Store) -> MessageRecorder:
    """Return a recorder that is not started."""
    housekeeping = Housekeeping(Counters(), lambda: 400, lambda: NOW, NOW)
    return MessageRecorder(store, housekeeping, time.monotonic)


@pytest.fixture
def recorder(idle: MessageRecorder) -> Iterator[MessageRecorder]:
    """Return a recorder that runs, and is stopped at the end."""
    idle.start()
    yield idle
    idle.stop()
