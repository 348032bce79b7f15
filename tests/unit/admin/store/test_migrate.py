"""`openclick store migrate`: files brought to the newest schema."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from openclick.store.migrations import newest_version
from openclick_admin.main import EX_UNAVAILABLE
from unit.admin.command_line import CommandLine


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
