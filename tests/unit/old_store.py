"""Makes openclick.db as an older OpenClick left it, from that version's own migrations.

Who calls: tests of migrations.  Promises: the file has the schema of then and nothing of later
ones, however many come.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib import resources
from pathlib import Path


@contextmanager
def older_registry(directory: Path, version: int) -> Iterator[sqlite3.Connection]:
    """Write the file with schema `version`; rows are written by way of what is yielded."""
    with closing(sqlite3.connect(directory / "openclick.db")) as connection:
        folder = resources.files("openclick.store") / "schema" / "openclick"
        for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
            if int(entry.name[:4]) <= version:
                connection.executescript(entry.read_text("utf-8"))
        connection.execute(f"PRAGMA user_version = {version}")
        yield connection
        connection.commit()
