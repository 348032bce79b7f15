"""The files of a used store, its journal and its settings, for tests of `openclick store`.

Who calls: tests of this folder.
"""

from openclick_sidecar.journal import Journal
from unit.admin.command_line import CommandLine
from unit.journals import a_journal

FILES = ("openclick.db", "hits.db", "messages.db")


def journal(openclick: CommandLine) -> Journal:
    """Return the journal of that installation."""
    return a_journal(openclick.store.directory / "journal")


def set_store(openclick: CommandLine, line: str) -> None:
    """Add an option to the section [store]."""
    text = openclick.config_path.read_text("utf-8")
    openclick.config_path.write_text(text.replace("[store]\n", f"[store]\n{line}\n"), "utf-8")
