"""A journal for hits in a directory of a test's, as a process that has just begun has it.

Who calls: tests of the journal, of its replay, and of `openclick store`.
"""

from pathlib import Path

from openclick.free_space import FreeSpace
from openclick_sidecar.journal import Journal
from support.clock import Clock
from unit.samples import NOW


def a_journal(directory: Path, reserve_bytes: int = 0) -> Journal:
    """Return a journal that a process has just begun."""
    clock = Clock()
    return Journal(directory, FreeSpace(directory, reserve_bytes, clock.monotonic), lambda: NOW)
