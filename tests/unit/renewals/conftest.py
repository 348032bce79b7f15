"""A CA, and the renewals of one name, for every test of renewals."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.authority import Authority
from unit.renewals.renewals_world import World


@pytest.fixture
def world(tmp_path: Path, ca: Authority) -> Iterator[World]:
    """Give one name without a certificate."""
    made = World(tmp_path, ca)
    made.bookkeeper.start()
    yield made
    made.bookkeeper.stop()
