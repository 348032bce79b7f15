"""An openclick.db as an older OpenClick has left it.

Who calls: tests of migrations.  Promises: the file has the schema of that time and no later one.
"""

import sqlite3
from importlib import resources
from pathlib import Path
from typing import Any


def write_older_registry(directory: Path, version: int, statement: str, *values: Any) -> None:
    """Make openclick.db with schema `version`, and write one row into it."""
    folder = resources.files("openclick.store") / "schema" / "openclick"
    scripts = sorted((entry.name, entry.read_text("utf-8")) for entry in folder.iterdir())
    connection = sqlite3.connect(directory / "openclick.db")
    for _, script in scripts[:version]:
        connection.executescript(script)
    connection.execute(f"PRAGMA user_version = {version}")
    with connection:
        connection.execute(statement, values)
    connection.close()
