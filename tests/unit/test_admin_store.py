"""`openclick store`: what is wrong with the store, a back-up while it is used, migrations."""

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from openclick.config import EX_CONFIG
from openclick.free_space import FreeSpace
from openclick.store import open_store
from openclick.store.migrations import newest_version
from openclick_admin.main import EX_UNAVAILABLE
from openclick_sidecar.journal import Journal
from support.clock import Clock
from unit.command_line import CommandLine
from unit.samples import NOW, a_domain, a_hit, a_message

FILES = ("openclick.db", "hits.db", "messages.db")


@pytest.fixture
def openclick(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> CommandLine:
    """Return the command of an installation that was used: every file is there."""
    (tmp_path / "store").mkdir()
    (tmp_path / "store").chmod(0o2770)
    made = CommandLine(tmp_path / "store", monkeypatch, capfdbinary)
    made.config_path = tmp_path / "openclick.toml"
    made.configure()
    made.add(a_domain())
    made.record(a_message())
    with closing(made.store.hit_log()) as log:
        log.append([a_hit(1), a_hit(2)])
    return made


def journal(openclick: CommandLine) -> Journal:
    """Return the journal of that installation."""
    directory = openclick.store.directory / "journal"
    return Journal(directory, FreeSpace(directory, 0, Clock().monotonic), lambda: NOW)


def set_store(openclick: CommandLine, line: str) -> None:
    """Add an option to the section [store]."""
    text = openclick.config_path.read_text("utf-8")
    openclick.config_path.write_text(text.replace("[store]\n", f"[store]\n{line}\n"), "utf-8")


# --- check


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


# --- backup


def test_a_back_up_while_everything_is_open(openclick: CommandLine, tmp_path: Path) -> None:
    """What was committed is in it, also what stands in the write-ahead logs alone."""
    target = tmp_path / "back-up"
    with (
        closing(openclick.store.registry(owner=True)) as registry,
        closing(openclick.store.message_log()) as messages,
        closing(openclick.store.hit_log()) as hits,
    ):
        registry.domains.add(a_domain(domain_id="2", name="other.example"))
        messages.record([a_message(copy=b"more")])
        hits.append([a_hit(3)])

        done = openclick("store", "backup", str(target))

    copy = open_store(f"sqlite:{target}")
    assert 0 == done.status, done.err
    assert {*FILES, "keys"} == set(os.listdir(target))
    with closing(copy.registry_reader()) as reader:
        assert reader.domains.maybe_domain("other.example") is not None
    with closing(copy.message_reader()) as message_reader:
        assert message_reader.maybe_message(a_message().email_id, b"more") is not None
    with closing(copy.hit_reader()) as hit_reader:
        assert [a_hit(1), a_hit(2), a_hit(3)] == [
            hit for _, hit in hit_reader.many_after(0, 10, 10)
        ]


def test_keys_are_in_the_back_up(openclick: CommandLine, tmp_path: Path) -> None:
    """Without them no link of the past would lead anywhere."""
    openclick("store", "backup", str(tmp_path / "back-up"))

    names = [path.name for path in (tmp_path / "back-up" / "keys").iterdir()]
    assert ["000.v1.key"] == names
    assert (openclick.keys / names[0]).read_bytes() == (
        tmp_path / "back-up" / "keys" / names[0]
    ).read_bytes()


def test_what_waits_in_the_journal_is_in_the_back_up(
    openclick: CommandLine, tmp_path: Path
) -> None:
    """A hit that was answered is in one of the files, whenever the back-up is taken."""
    waiting = journal(openclick)
    waiting.append([a_hit(3)])
    [path] = waiting.files()

    openclick("store", "backup", str(tmp_path / "back-up"))

    assert path.read_bytes() == (tmp_path / "back-up" / "journal" / path.name).read_bytes()


def test_rights_are_kept(openclick: CommandLine, tmp_path: Path) -> None:
    """Nobody else may read a copy, and put back it is used as it is."""
    openclick("store", "backup", str(tmp_path / "back-up"))

    modes = {
        path.relative_to(tmp_path / "back-up").as_posix(): path.stat().st_mode & 0o7777
        for path in (tmp_path / "back-up").rglob("*")
    }
    assert dict.fromkeys(FILES, 432) | {"keys": 0o700, "keys/000.v1.key": 0o640} == modes
    assert 0o700 == (tmp_path / "back-up").stat().st_mode & 0o7777


def test_a_directory_that_is_not_empty(openclick: CommandLine, tmp_path: Path) -> None:
    """One line, status 69, and nothing is changed."""
    (tmp_path / "back-up").mkdir()
    (tmp_path / "back-up" / "letter").write_text("dear")

    done = openclick("store", "backup", str(tmp_path / "back-up"))

    assert EX_UNAVAILABLE == done.status
    assert (
        f"openclick: {tmp_path}/back-up: is not empty; need a new directory for the back-up\n"
        == done.err
    )
    assert ["letter"] == os.listdir(tmp_path / "back-up")


def test_an_empty_directory_will_do(openclick: CommandLine, tmp_path: Path) -> None:
    """A mount point, for example."""
    (tmp_path / "back-up").mkdir()

    assert 0 == openclick("store", "backup", str(tmp_path / "back-up")).status


def test_a_damaged_file_is_not_backed_up_silently(openclick: CommandLine, tmp_path: Path) -> None:
    """Whoever believes to have a back-up has one."""
    with closing(openclick.store.hit_log()) as log:
        log.append([a_hit(number) for number in range(500)])
    with (openclick.store.directory / "hits.db").open("r+b") as file:
        file.seek(5 * 4096)
        file.write(b"\xff" * 4096)

    done = openclick("store", "backup", str(tmp_path / "back-up"))

    assert EX_UNAVAILABLE == done.status
    assert "hits.db: is damaged" in done.err
    assert "see: openclick store check" in done.err


def test_a_young_store(openclick: CommandLine, tmp_path: Path) -> None:
    """What is not made yet is said and is no fault."""
    for path in openclick.store.directory.glob("hits.db*"):
        path.unlink()

    done = openclick("store", "backup", str(tmp_path / "back-up"))

    assert 0 == done.status
    assert "hits.db: not made yet" in done.text


def test_a_back_up_put_back(openclick: CommandLine, tmp_path: Path) -> None:
    """The copies are a store: check finds no fault with them."""
    openclick("store", "backup", str(tmp_path / "back-up"))
    for name in FILES:
        for path in openclick.store.directory.glob(f"{name}*"):
            path.unlink()
        shutil.copy2(tmp_path / "back-up" / name, openclick.store.directory)

    done = openclick("store", "check")

    assert 0 == done.status, done.err


# --- migrate


def old_hits(directory: Path) -> None:
    """Make a hits.db of the first schema, with one hit."""
    from importlib import resources  # noqa: PLC0415 - of this case alone

    for path in directory.glob("hits.db*"):
        path.unlink()
    script = resources.files("openclick.store") / "schema" / "hits" / "0001_initial.sql"
    with closing(sqlite3.connect(directory / "hits.db", isolation_level=None)) as connection:
        connection.executescript(script.read_text("utf-8"))
        connection.execute("PRAGMA user_version = 1")
    (directory / "hits.db").chmod(0o660)


def test_files_are_brought_to_the_newest_schema(openclick: CommandLine) -> None:
    """Each says from where to where; those that are new enough stay as they are."""
    old_hits(openclick.store.directory)

    done = openclick("store", "migrate")

    assert 0 == done.status, done.err
    newest = newest_version("openclick")
    assert (
        f"openclick.db: schema {newest}\nhits.db: schema 1 -> 3\nmessages.db: schema 2\n"
        == done.text
    )
    assert 0 == openclick("store", "check").status


def test_the_owner_stays_the_owner(openclick: CommandLine) -> None:
    """Root migrates in the owner's name: the daemon must be able to use what is made."""
    old_hits(openclick.store.directory)
    hits = openclick.store.directory / "hits.db"
    if os.geteuid() == 0:
        for path in (openclick.store.directory, *openclick.store.directory.parents):
            path.chmod(path.stat().st_mode | 0o011)
            if path.name.startswith("pytest-of-"):
                break
        os.chown(openclick.store.directory, 61_777, 61_778)
        os.chown(hits, 61_777, 61_778)
    owner = hits.stat().st_uid

    done = openclick("store", "migrate")

    assert 0 == done.status, done.err
    assert {owner} == {path.stat().st_uid for path in openclick.store.directory.glob("hits.db*")}


def test_a_newer_file_is_refused_and_none_is_changed(openclick: CommandLine) -> None:
    """One line, status 69."""
    old_hits(openclick.store.directory)
    path = openclick.store.directory / "messages.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA user_version = 99")

    done = openclick("store", "migrate")

    assert EX_UNAVAILABLE == done.status
    assert "messages.db: has schema 99, this OpenClick knows 2" in done.err
    with closing(sqlite3.connect(openclick.store.directory / "hits.db")) as connection:
        assert 1 == connection.execute("PRAGMA user_version").fetchone()[0]


def test_what_is_not_made_is_not_made(openclick: CommandLine) -> None:
    """A file belongs to the daemon that makes it."""
    for path in openclick.store.directory.glob("hits.db*"):
        path.unlink()

    done = openclick("store", "migrate")

    assert 0 == done.status
    assert "hits.db: not made yet" in done.text
    assert not (openclick.store.directory / "hits.db").exists()


def test_settings_at_fault(openclick: CommandLine) -> None:
    """Status 78, as everywhere."""
    set_store(openclick, "reserve_bytes = -1")

    assert EX_CONFIG == openclick("store", "check").status
