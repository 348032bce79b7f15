"""The reserve: asked for once a second, and never in the way where nobody can tell."""

from pathlib import Path

import pytest

from openclick import free_space
from openclick.free_space import FreeSpace, free_bytes
from support.clock import Clock

MORE_THAN_ANY_DISK = 10**18


def test_plenty(tmp_path: Path) -> None:
    """No reserve is asked for, or a small one."""
    assert FreeSpace(tmp_path, 0, Clock().monotonic).enough()


def test_at_the_reserve(tmp_path: Path) -> None:
    """Less is free than is to stay free."""
    assert not FreeSpace(tmp_path, MORE_THAN_ANY_DISK, Clock().monotonic).enough()


def test_a_directory_to_be_made_counts_as_the_one_above(tmp_path: Path) -> None:
    """The journal's directory is made with its first file."""
    free = free_bytes(tmp_path / "journal" / "deeper")

    assert free is not None
    assert free > 0


def test_asked_at_most_once_a_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of batches a second do not ask the file system thousands of times."""
    clock = Clock()
    answers = iter([10, 30])
    monkeypatch.setattr(free_space, "free_bytes", lambda _directory: next(answers))
    space = FreeSpace(tmp_path, 20, clock.monotonic)

    seen = [space.enough(), space.enough()]
    clock.advance(0.99)
    seen.append(space.enough())
    clock.advance(0.01)
    seen += [space.enough(), space.enough()]

    assert [False, False, False, True, True] == seen


def test_where_nobody_can_tell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The write itself will say what is wrong."""
    monkeypatch.setattr(free_space, "free_bytes", lambda _directory: None)

    assert FreeSpace(tmp_path, MORE_THAN_ANY_DISK, Clock().monotonic).enough()
