"""`openclick store check`: what is wrong with the store, and that nothing is."""

import shutil
import sqlite3
from contextlib import closing

import pytest

from openclick.config import EX_CONFIG
from openclick_admin.main import EX_UNAVAILABLE
from unit.admin.command_line import CommandLine
from unit.admin.store.used_store import FILES, journal, set_store
from unit.samples import a_hit


def test_a_sound_store(openclick: CommandLine) -> None:
    """Every file with its schema, sizes, rights and owner; status 0."""
    done = openclick("store", "check", columns=200)

    assert 0 == done.status, done.err
    assert all(name in done.text for name in FILES)
    assert "no fault found" in done.text
    assert "" == done.err


def test_as_json(openclick: CommandLine) -> None:
    """For programs: the same, with the journal and the free space."""
    done = openclick("store", "check", "--json")

    found = done.json
    assert 0 == done.status
    assert ["openclick.db", "hits.db", "messages.db"] == [file["name"] for file in found["files"]]
    assert [True] * 3 == [file["made"] for file in found["files"]]
    assert [file["newest_schema"] for file in found["files"]] == [
        file["schema"] for file in found["files"]
    ]
    assert {0o660} == {file["mode"] for file in found["files"]}
    with closing(openclick.store.hit_reader()) as reader:
        assert [None, reader.file_id(), None] == [file["file_id"] for file in found["files"]]
    assert {"directory", "files", "bytes"} == set(found["journal"])
    assert found["free_bytes"] > 0
    assert [] == found["faults"]


def test_files_that_the_daemons_have_not_made_yet(openclick: CommandLine) -> None:
    """Nothing is wrong with a store that is young."""
    for path in (*openclick.store.directory.glob("hits.db*"),):
        path.unlink()

    done = openclick("store", "check", columns=200)

    assert 0 == done.status
    assert "not made yet" in done.text


def test_no_store(openclick: CommandLine) -> None:
    """Status 69 and what to do."""
    shutil.rmtree(openclick.store.directory)

    done = openclick("store", "check")

    assert EX_UNAVAILABLE == done.status
    assert "No such file or directory; need: openclick init" in done.err


def faults(openclick: CommandLine) -> list[str]:
    """Return what is found to be wrong; there must be something."""
    done = openclick("store", "check", "--json")
    assert 1 == done.status
    found: list[str] = done.json["faults"]
    return found


def test_the_registry_is_missing(openclick: CommandLine) -> None:
    """The one file that is there from the beginning."""
    for path in openclick.store.directory.glob("openclick.db*"):
        path.unlink()

    assert ["openclick.db: there is no such file; need: openclick init"] == faults(openclick)


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_no_database(openclick: CommandLine, name: str) -> None:
    """Named, with SQLite's word for it; the others are looked at all the same."""
    (openclick.store.directory / name).write_bytes(b"no database" * 100)

    assert [f"{name}: file is not a database"] == faults(openclick)


def test_damage_inside_a_file(openclick: CommandLine) -> None:
    """The whole file is read."""
    with closing(openclick.store.hit_log()) as log:
        log.append([a_hit(number) for number in range(500)])
    path = openclick.store.directory / "hits.db"
    with path.open("r+b") as file:
        file.seek(5 * 4096)
        file.write(b"\xff" * 4096)

    found = faults(openclick)

    assert found
    assert all(fault.startswith("hits.db: ") for fault in found)


@pytest.mark.parametrize("name", FILES)
def test_wrong_rights(openclick: CommandLine, name: str) -> None:
    """A file that one daemon alone could use."""
    (openclick.store.directory / name).chmod(0o600)

    assert [f"{name}: has mode 0600; need 0660, so that both daemons can use it"] == faults(
        openclick
    )


def test_wrong_rights_of_the_directory(openclick: CommandLine) -> None:
    """What is made in it would not belong to the group."""
    directory = openclick.store.directory
    directory.chmod(0o755)

    assert [f"{directory}: has mode 0755; need 2770, see: openclick init"] == faults(openclick)


def test_schemas(openclick: CommandLine) -> None:
    """An older one is to be migrated, a newer one needs a newer OpenClick."""
    for name, version in (("hits.db", 1), ("messages.db", 99)):
        path = openclick.store.directory / name
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute(f"PRAGMA user_version = {version}")

    found = faults(openclick)

    assert 2 == len(found)
    assert found[0] == "hits.db: has schema 1; need 3, see: openclick store migrate"
    assert found[1].startswith("messages.db: has schema 99, this OpenClick knows 2; need a newer ")


def test_a_file_of_the_journal_that_goes_meanwhile(openclick: CommandLine) -> None:
    """Listed, and then taken into the store by the sidecar: as one that leads nowhere is."""
    directory = openclick.store.directory / "journal"
    directory.mkdir()
    (directory / "hits-1-0.v1.journal").symlink_to(directory / "gone")

    done = openclick("store", "check", "--json")

    assert (0, 0) == (done.status, done.json["journal"]["bytes"])


def test_hits_wait_in_the_journal(openclick: CommandLine) -> None:
    """The store could not be written, or the sidecar does not run."""
    waiting = journal(openclick)
    waiting.append([a_hit(3)])
    waiting.close_file()
    [path] = waiting.files()

    [fault] = faults(openclick)

    assert f"journal: {path.stat().st_size} bytes of hits wait to be taken into the store" in fault


def test_a_file_that_was_set_aside(openclick: CommandLine) -> None:
    """It holds addresses and takes room: somebody has to look at it and remove it."""
    for ending in ("", "-wal"):
        aside = f"hits.db.corrupt-20251123T224000Z{ending}"
        (openclick.store.directory / aside).write_bytes(b"no database")

    [fault] = faults(openclick)

    assert "hits.db.corrupt-20251123T224000Z: was set aside as corrupt: remove it" in fault


def test_little_space(openclick: CommandLine) -> None:
    """Below the reserve, hits go to the journal."""
    set_store(openclick, "reserve_bytes = 1_000_000_000_000")

    [fault] = faults(openclick)

    assert "fewer than store.reserve_bytes (1000000000000): hits go to the journal" in fault


def test_a_check_changes_nothing(openclick: CommandLine) -> None:
    """Not the files, not their rights."""
    before = {
        path.name: (path.read_bytes(), path.stat().st_mode)
        for path in openclick.store.directory.glob("*.db")
    }

    openclick("store", "check")

    assert before == {
        path.name: (path.read_bytes(), path.stat().st_mode)
        for path in openclick.store.directory.glob("*.db")
    }


def test_settings_at_fault(openclick: CommandLine) -> None:
    """Status 78, as everywhere."""
    set_store(openclick, "reserve_bytes = -1")

    assert EX_CONFIG == openclick("store", "check").status
