"""What a package does to the store before daemons of a new version start."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from openclick import upgrade
from openclick.store import open_store
from openclick.store.migrations import newest_version


@pytest.fixture
def config_path(tmp_path: Path) -> str:
    """Return settings whose store is below the test's directory, and is not made yet."""
    path = tmp_path / "openclick.toml"
    path.write_text(f'[store]\nurl = "sqlite:{tmp_path}"\n', "utf-8")
    return str(path)


def version_of(path: Path) -> int:
    """Return the schema that a file says it has."""
    with closing(sqlite3.connect(path)) as connection:
        found: int = connection.execute("PRAGMA user_version").fetchone()[0]
        return found


def set_version(path: Path, number: int) -> None:
    """Have a file say that it has schema `number`."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {number}")


def an_old_store(directory: Path) -> Path:
    """Make openclick.db as its first schema had it; return its path."""
    schema = Path(upgrade.__file__).parent / "store" / "schema" / "openclick"
    path = directory / "openclick.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((schema / "0001_initial.sql").read_text("utf-8"))
        connection.execute("PRAGMA user_version = 1")
    return path


@pytest.mark.parametrize("schema", ["openclick", "messages", "hits"])
def test_migrations_are_numbered_one_by_one(schema: str) -> None:
    """Two of one number, from two branches, would hide one another."""
    folder = Path(upgrade.__file__).parent / "store" / "schema" / schema

    numbers = sorted(int(path.name[:4]) for path in folder.glob("*.sql"))

    assert list(range(1, len(numbers) + 1)) == numbers


def test_an_older_file_is_brought_to_the_newest_schema(
    config_path: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The new milter only reads openclick.db: it must find what it knows."""
    path = an_old_store(tmp_path)

    status = upgrade.main(config_path)

    newest = newest_version("openclick")
    assert 0 == status
    assert newest == version_of(path)
    assert f"openclick: openclick.db: schema 1 -> {newest}\n" == capsys.readouterr().out


def test_the_second_time_nothing_is_done(
    config_path: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Packages call it at every upgrade, and say something only where something happens."""
    an_old_store(tmp_path)
    upgrade.main(config_path)
    capsys.readouterr()

    status = upgrade.main(config_path)

    assert (0, "", "") == (status, *capsys.readouterr())


def test_no_store_yet(config_path: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is made: that is for `openclick init`."""
    status = upgrade.main(config_path)

    assert (0, "", "") == (status, *capsys.readouterr())
    assert not (tmp_path / "openclick.db").exists()


def test_a_newer_store(
    config_path: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is left alone, and the line says what is needed."""
    open_store(f"sqlite:{tmp_path}").registry().close()
    set_version(tmp_path / "openclick.db", 9000)

    status = upgrade.main(config_path)

    assert 69 == status
    assert 9000 == version_of(tmp_path / "openclick.db")
    assert "has schema 9000" in capsys.readouterr().err


def test_settings_at_fault(config_path: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The store's place is not known; the fault is named and nothing is touched."""
    Path(config_path).write_text("[store]\nurl = 5\n", "utf-8")

    status = upgrade.main(config_path)

    assert 78 == status
    assert "the store is not migrated" in capsys.readouterr().err
