"""A world with an empty store, for tests of the keeper."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from unit.keeper.keeper_world import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Return a world with an empty store."""
    made = World(tmp_path)
    yield made
    made.keeper.close()
