"""A directory's names on disk: that it is asked of the right one, and a fault is told."""

import os
from pathlib import Path

import pytest

from openclick.durable import sync_directory


def test_the_directory_itself_is_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once, and what was opened for it is closed."""
    synced: list[tuple[int, os.stat_result]] = []
    monkeypatch.setattr(os, "fsync", lambda number: synced.append((number, os.fstat(number))))

    sync_directory(tmp_path)

    [(descriptor, found)] = synced
    assert os.path.samestat(found, tmp_path.stat())
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_a_directory_that_is_gone(tmp_path: Path) -> None:
    """Is no success: whoever relies on it must hear."""
    with pytest.raises(FileNotFoundError):
        sync_directory(tmp_path / "none")
