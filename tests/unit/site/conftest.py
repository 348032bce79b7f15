"""A world with one key and an empty store, for every test of the tracking domain."""

from pathlib import Path

import pytest

from unit.site.site_world import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Return a world with one key and an empty store."""
    return World(tmp_path)
