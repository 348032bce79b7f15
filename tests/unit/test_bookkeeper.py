"""The one thread that works on openclick.db for the sidecar."""

import threading
from collections.abc import Iterator

import pytest
import pytest_twisted
from twisted.internet import reactor

from openclick.store import Registry, Store, StoreFault
from openclick_sidecar.bookkeeper import Bookkeeper
from unit.samples import a_domain


@pytest.fixture
def bookkeeper(store: Store) -> Iterator[Bookkeeper]:
    """Return a running bookkeeper."""
    running = Bookkeeper(store, reactor)
    running.start()
    yield running
    running.stop()


@pytest_twisted.ensureDeferred
async def test_work_is_done_in_one_other_thread(bookkeeper: Bookkeeper) -> None:
    """A slow disk holds no reader up; SQLite sees one thread."""
    names = [await bookkeeper.run(lambda _: threading.current_thread().ident) for _ in range(3)]

    assert 1 == len(set(names))
    assert threading.current_thread().ident not in names


@pytest_twisted.ensureDeferred
async def test_work_is_done_in_order(bookkeeper: Bookkeeper) -> None:
    """One function after another, as they were handed over."""
    done: list[int] = []
    pending = [bookkeeper.run(lambda _, n=n: done.append(n)) for n in range(20)]
    for each in pending:
        await each

    assert list(range(20)) == done


@pytest_twisted.ensureDeferred
async def test_the_registry_is_kept_open(bookkeeper: Bookkeeper) -> None:
    """Opened once, at the first need."""
    registries = [await bookkeeper.run(lambda registry: registry) for _ in range(3)]

    assert 1 == len({id(registry) for registry in registries})


@pytest_twisted.ensureDeferred
async def test_a_fault_reaches_the_caller_and_the_file_is_opened_anew(
    bookkeeper: Bookkeeper, store: Store
) -> None:
    """A store that comes back is used at once."""
    path = store.directory / "openclick.db"
    path.write_bytes(b"no database" * 100)
    with pytest.raises(StoreFault, match="file is not a database"):
        await bookkeeper.run(lambda _: None)
    path.unlink()

    assert await bookkeeper.run(lambda registry: registry.domains.add(a_domain()))


@pytest_twisted.ensureDeferred
async def test_a_back_up_that_was_put_back_is_used(bookkeeper: Bookkeeper, store: Store) -> None:
    """Another file at the path: nothing more is read from or written to the old one."""
    await bookkeeper.run(lambda registry: registry.domains.add(a_domain()))
    for path in store.directory.glob("openclick.db*"):
        path.rename(store.directory / f"old.{path.name}")
    store.registry().close()

    assert await bookkeeper.run(lambda registry: registry.domains.add(a_domain()))


@pytest_twisted.ensureDeferred
async def test_a_file_that_was_taken_away_is_not_made_anew(
    bookkeeper: Bookkeeper, store: Store
) -> None:
    """An admin at work moves it out of the way and puts it, or a back-up, back."""
    path = store.directory / "openclick.db"
    await bookkeeper.run(lambda registry: registry.domains.add(a_domain()))
    path.rename(path.with_suffix(".aside"))
    with pytest.raises(StoreFault, match="there is no such file"):
        await bookkeeper.run(lambda _: None)
    made = path.exists()
    path.with_suffix(".aside").rename(path)

    assert not made
    assert not await bookkeeper.run(lambda registry: registry.domains.add(a_domain()))


@pytest_twisted.ensureDeferred
async def test_a_fault_in_the_middle_closes_the_file(bookkeeper: Bookkeeper) -> None:
    """The next call does not meet the connection that failed."""
    first = await bookkeeper.run(lambda registry: registry)

    def fail(_registry: Registry) -> None:
        raise StoreFault("disk I/O error")

    with pytest.raises(StoreFault):
        await bookkeeper.run(fail)

    assert first is not await bookkeeper.run(lambda registry: registry)


@pytest_twisted.ensureDeferred
async def test_an_error_of_the_work_reaches_the_caller(bookkeeper: Bookkeeper) -> None:
    """And leaves the thread alive."""
    with pytest.raises(ZeroDivisionError):
        await bookkeeper.run(lambda _: 1 // 0)

    assert await bookkeeper.run(lambda _: 7) == 7
