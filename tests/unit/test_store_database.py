"""The store's files: rights, schemas, faults, and who may do what."""

import os
import re
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from openclick.store import Store, StoreCorrupt, StoreFault, StoreTooNew, open_store
from openclick.store.database import Database, open_reading, open_writing
from unit.samples import a_domain, a_hit, a_message

WRITERS: dict[str, Callable[[Store], Any]] = {
    "openclick.db": lambda store: store.registry(owner=True),
    "messages.db": Store.message_log,
    "hits.db": Store.hit_log,
}
READERS: dict[str, Callable[[Store], Any]] = {
    "openclick.db": Store.registry_reader,
    "messages.db": Store.message_reader,
    "hits.db": Store.hit_reader,
}
FILES = pytest.mark.parametrize("name", WRITERS)


@contextmanager
def a_stranger(directory: Path) -> Iterator[None]:
    """Be somebody who may not enter a directory, for a while."""
    mode = directory.stat().st_mode
    directory.chmod(0)
    user = os.geteuid()
    if user == 0:  # whom no mode keeps out
        os.seteuid(65_534)
    try:
        yield
    finally:
        os.seteuid(user)
        directory.chmod(mode)


@contextmanager
def umask(mask: int) -> Iterator[None]:
    """Set the process's umask for a while."""
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def plain(path: Path) -> closing[sqlite3.Connection]:
    """Open a file behind the store's back."""
    return closing(sqlite3.connect(path, isolation_level=None))


def test_unknown_kind_of_store() -> None:
    """A second backend will come; a typing error is no backend."""
    with pytest.raises(StoreFault, match="unknown kind of store: need sqlite:/DIRECTORY"):
        open_store("postgresql://localhost/openclick")


def test_naming_a_store_touches_nothing(tmp_path: Path) -> None:
    """A daemon starts before its store exists."""
    open_store(f"sqlite:{tmp_path}/none")

    assert [] == os.listdir(tmp_path)


@FILES
@pytest.mark.parametrize("mask", [0o000, 0o027, 0o077, 0o777])
def test_files_are_for_owner_and_group_whatever_the_umask(
    store: Store, name: str, mask: int
) -> None:
    """0660, the write-ahead log and its index too: two daemons of one group share them."""
    with umask(mask), closing(WRITERS[name](store)):
        modes = {
            path.name: path.stat().st_mode & 0o777
            for path in store.directory.iterdir()
            if path.name.startswith(name)
        }

    assert dict.fromkeys((name, f"{name}-wal", f"{name}-shm"), 0o660) == modes


@FILES
def test_commits_survive_a_power_cut(store: Store, name: str) -> None:
    """WAL with synchronous=FULL: a commit that returned is on disk."""
    with closing(WRITERS[name](store)) as opened, opened._database.reading() as connection:
        pragmas = [
            connection.execute(f"PRAGMA {pragma}").fetchone()[0]
            for pragma in ("journal_mode", "synchronous", "foreign_keys")
        ]

    assert ["wal", 2, 1] == pragmas


def test_only_the_owner_checkpoints(store: Store) -> None:
    """The command writes to openclick.db and leaves checkpoints to the sidecar (DESIGN 5)."""
    pages = []
    for owner in (True, False):
        with (
            closing(store.registry(owner=owner)) as registry,
            registry._database.reading() as connection,
        ):
            pages.append(connection.execute("PRAGMA wal_autocheckpoint").fetchone()[0])

    assert pages[0] > 0
    assert pages[1] == 0


@FILES
def test_opening_again_keeps_what_is_there(store: Store, name: str) -> None:
    """Migrations run once."""
    WRITERS[name](store).close()
    with plain(store.directory / name) as connection:
        before = connection.execute("SELECT sql FROM sqlite_master").fetchall()

    WRITERS[name](store).close()

    with plain(store.directory / name) as connection:
        assert before == connection.execute("SELECT sql FROM sqlite_master").fetchall()


@FILES
@pytest.mark.parametrize("side", [WRITERS, READERS], ids=["writer", "reader"])
def test_newer_schema_is_refused(
    store: Store, name: str, side: dict[str, Callable[[Store], Any]]
) -> None:
    """A downgrade must not write into what it does not understand; one line says so."""
    WRITERS[name](store).close()
    with plain(store.directory / name) as connection:
        connection.execute("PRAGMA user_version = 99")

    with pytest.raises(StoreTooNew) as caught:
        side[name](store)

    assert re.fullmatch(
        re.escape(f"{store.directory / name}: has schema 99, this OpenClick knows ")
        + r"\d+; need a newer OpenClick, or a back-up from before the upgrade",
        str(caught.value),
    )


@FILES
def test_reader_waits_for_the_owner_to_migrate(store: Store, name: str) -> None:
    """A reader changes nothing, not even an old schema."""
    with plain(store.directory / name) as connection:
        connection.execute("CREATE TABLE t (x)")

    with pytest.raises(StoreFault, match=r"has schema 0; its owner has not brought it to \d"):
        READERS[name](store)


@FILES
def test_reader_makes_no_file(store: Store, name: str) -> None:
    """A missing file is a fault that names it."""
    with pytest.raises(StoreFault, match=rf"{name}: .*there is no such file"):
        READERS[name](store)

    assert [] == os.listdir(store.directory)


@FILES
def test_reader_cannot_write(store: Store, name: str) -> None:
    """Opened with mode=ro: the other side's data is safe from a fault of ours."""
    WRITERS[name](store).close()
    with (
        closing(READERS[name](store)) as reader,
        pytest.raises(StoreFault, match="readonly database"),
        reader._database.transaction() as connection,
    ):
        connection.execute("CREATE TABLE mischief (x)")


@FILES
@pytest.mark.parametrize("side", [WRITERS, READERS], ids=["writer", "reader"])
def test_corrupt_file_is_named(
    store: Store, name: str, side: dict[str, Callable[[Store], Any]]
) -> None:
    """Not sqlite3's error but a StoreFault with the path, so that the daemons carry on."""
    (store.directory / name).write_bytes(b"this is no database " * 400)

    with pytest.raises(StoreFault, match=rf"{store.directory}/{name}: file is not a database"):
        side[name](store)


def test_a_corrupt_registry_says_what_to_do(store: Store) -> None:
    """It holds what only the admin knows, so it is not set aside by itself (ADR 0008)."""
    (store.directory / "openclick.db").write_bytes(b"this is no database " * 400)

    with pytest.raises(StoreCorrupt, match="put a back-up in their place"):
        store.registry(owner=True)


@FILES
def test_a_file_that_was_replaced_is_noticed(store: Store, name: str) -> None:
    """By its device and inode, and by those of its write-ahead log."""
    with closing(WRITERS[name](store)), closing(READERS[name](store)) as reader:
        before = reader.moved
        (store.directory / f"{name}-wal").rename(store.directory / "old-wal")
        without_log = reader.moved
        (store.directory / "old-wal").rename(store.directory / f"{name}-wal")
        (store.directory / name).rename(store.directory / "old")
        gone = reader.moved
        (store.directory / name).write_bytes(b"another")

        assert [False, True, True, True] == [before, without_log, gone, reader.moved]


def test_damage_inside_a_file_is_named(store: Store) -> None:
    """A page that is torn is met at the first read of it."""
    with closing(store.message_log()) as log:
        log.record([a_message(copy=number.to_bytes(4, "big")) for number in range(200)])
    path = store.directory / "messages.db"
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (size - 4096))

    with closing(store.message_reader()) as reader, pytest.raises(StoreFault, match=str(path)):
        reader.many_by_queue_id("4Xk2Q1z0")


@FILES
def test_directory_is_missing(tmp_path: Path, name: str) -> None:
    """The path and the reason stand in the line."""
    store = open_store(f"sqlite:{tmp_path}/none")

    with pytest.raises(StoreFault, match=f"none/{name}: cannot be created: No such file"):
        WRITERS[name](store)


@pytest.mark.parametrize("odd", ["a b", "a?b#c%20", "ä", "a'b"])
def test_any_directory_name_will_do(tmp_path: Path, odd: str) -> None:
    """The path is quoted where SQLite takes a URI."""
    (tmp_path / odd).mkdir()
    store = open_store(f"sqlite:{tmp_path}/{odd}")
    store.hit_log().close()

    with closing(store.hit_reader()) as reader:
        assert reader.last_position() == 0


def test_transaction_is_all_or_nothing(tmp_path: Path) -> None:
    """An error in the middle takes everything back, whatever raised it."""
    database = open_writing(tmp_path / "hits.db", "hits")
    with closing(database):
        with pytest.raises(RuntimeError, match="ours"):
            _fail_in_the_middle(database)

        with database.reading() as connection:
            rows = connection.execute("SELECT * FROM meta WHERE key = 'x'").fetchall()

    assert [] == rows


def _fail_in_the_middle(database: Database) -> None:
    with database.transaction() as connection:
        connection.execute("INSERT INTO meta VALUES ('x', 1)")
        raise RuntimeError("ours")


def test_transaction_waits_no_longer_than_it_is_told(tmp_path: Path) -> None:
    """A lock that is held is a StoreFault after the busy time."""
    path = tmp_path / "hits.db"
    with (
        closing(open_writing(path, "hits")) as first,
        closing(open_writing(path, "hits", busy_seconds=0.01)) as second,
        first.transaction(),
        pytest.raises(StoreFault, match=f"{path}: database is locked"),
        second.transaction(),
    ):
        pass


def test_two_processes_may_migrate_at_once(tmp_path: Path) -> None:
    """Whoever comes second finds the work done; nobody hears "database is locked"."""
    faults: list[BaseException] = []

    def migrate(path: Path) -> None:
        try:
            open_writing(path, "openclick").close()
        except BaseException as fault:  # noqa: BLE001 - reported below
            faults.append(fault)

    # Many rounds: with SQLite's own time-out alone one in ten went wrong.
    for path in (tmp_path / f"{number}.db" for number in range(20)):
        threads = [threading.Thread(target=migrate, args=(path,)) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        open_reading(path, "openclick").close()

    assert [] == faults


def test_a_copy_of_the_three_files_is_a_back_up(store: Store, tmp_path: Path) -> None:
    """Once the writers have closed, the files alone hold everything."""
    with closing(store.registry(owner=True)) as registry:
        registry.domains.add(a_domain())
    with closing(store.hit_log()) as hits:
        hits.append([a_hit()])
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("openclick.db", "hits.db"):
        shutil.copy(store.directory / name, copy)

    with closing(open_store(f"sqlite:{copy}").registry_reader()) as reader:
        assert reader.domains.maybe_domain("kontor.example") is not None
    with closing(open_store(f"sqlite:{copy}").hit_reader()) as hit_reader:
        assert [(1, a_hit())] == hit_reader.many_after(0, 10, 10)


@pytest.mark.parametrize(
    "ask",
    [
        *READERS.values(),
        lambda store: store.inspect("openclick.db"),
        lambda store: store.inspect("messages.db"),
        lambda store: store.require_known_schema("hits.db"),
    ],
)
def test_a_directory_that_may_not_be_entered(
    store: Store, tmp_path: Path, ask: Callable[[Store], object]
) -> None:
    """A fault of the store like any other, for whoever is not of our group."""
    for open_writer in WRITERS.values():
        open_writer(store).close()

    with a_stranger(tmp_path), pytest.raises(StoreFault, match=r"[Pp]ermission denied"):
        ask(store)
