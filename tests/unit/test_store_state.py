"""What the store says of the milter and itself, and what of it speaks against being ready."""

from contextlib import closing
from pathlib import Path

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from openclick.instants import SECOND
from openclick.store import Heartbeat, Store, open_store
from openclick_sidecar.store_state import StoreState, read_state
from openclick_sidecar.store_watch import StoreWatch
from unit.samples import NOW, a_domain

BEAT = Heartbeat(7, "0.1.0", NOW - SECOND, NOW, {"instrumented": 5})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Return a store on which a milter runs."""
    store = open_store(f"sqlite:{tmp_path}")
    with closing(store.registry()) as registry:
        registry.domains.add(a_domain())
    with closing(store.message_log()) as log:
        log.beat(BEAT)
    return store


def test_what_is_read(store: Store) -> None:
    """The heartbeat, the domains, the sizes of the files, what is free."""
    state = read_state(store)

    assert state.heartbeat == BEAT
    assert [domain.name for domain in state.domains] == ["kontor.example"]
    assert [(each.name, each.size_bytes > 0) for each in state.files] == [
        ("openclick.db", True),
        ("hits.db", False),
        ("messages.db", True),
    ]
    assert (state.free_bytes or 0) > 0
    assert state.faults == ()


def test_all_is_well(store: Store) -> None:
    """No reason, as long as the last sign of life is no older than a minute."""
    assert read_state(store).reasons(NOW + 60 * SECOND) == []


def test_a_silent_milter(store: Store) -> None:
    """Mail goes out untracked, or waits."""
    reasons = read_state(store).reasons(NOW + 61 * SECOND)

    assert reasons == ["milter: its last sign of life is 61 s old"]


def test_no_milter(tmp_path: Path) -> None:
    """It has never run here, and has made no file; nothing is wrong with the store."""
    store = open_store(f"sqlite:{tmp_path}")
    store.registry().close()

    assert read_state(store).reasons(NOW) == ["milter: has never run on this store"]


def test_no_store(tmp_path: Path) -> None:
    """Each file that cannot be read is a reason."""
    (tmp_path / "messages.db").write_bytes(b"no database " * 100)

    reasons = read_state(open_store(f"sqlite:{tmp_path}")).reasons(NOW)

    assert [reason.partition(": ")[0] for reason in reasons] == ["store", "store", "milter"]
    assert "messages.db" in reasons[0]
    assert "openclick.db" in reasons[1]


class HangingPool:
    """Threads that take work and never end it."""

    def callInThreadWithCallback(self, *_work: object) -> None:  # noqa: N802 - Twisted's name
        """Take it."""


class Reactor(Clock):
    """A clock, and threads that hang."""

    def getThreadPool(self) -> HangingPool:  # noqa: N802 - Twisted's name
        """Return the threads."""
        return HangingPool()


def test_a_disk_that_hangs(store: Store) -> None:
    """It is a reason after some seconds; nobody waits for ever."""
    reactor = Reactor()
    found: list[list[str]] = []

    StoreWatch(store, reactor).checks().addCallback(found.append)
    reactor.advance(4.9)
    before = list(found)
    reactor.advance(0.2)

    assert before == []
    assert found == [["store: no answer within 5 s"]]


def test_somebody_who_does_not_wait(store: Store) -> None:
    """Is told nothing any more."""
    reactor = Reactor()
    found: list[object] = []
    asked: Deferred[list[str]] = StoreWatch(store, reactor).checks()

    asked.cancel()
    asked.addErrback(found.append)

    assert len(found) == 1
    assert not reactor.getDelayedCalls()


def test_nothing_was_read() -> None:
    """What is not known yet speaks against it."""
    assert StoreState().reasons(NOW) == ["milter: has never run on this store"]
