"""A milter, idle or running, for every test of submissions."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from unit.submission.transactions import (
    Milter,
)


@pytest.fixture
def idle(tmp_path: Path) -> Iterator[Milter]:
    """Return a milter whose recorder does not run."""
    made = Milter(tmp_path)
    yield made
    made.stop()


@pytest.fixture
def milter(idle: Milter) -> Milter:
    """Return a running milter with one verified domain that tracks both."""
    idle.start()
    return idle
