"""A store with a message, the judge's work on it, and a desk with both, for tests of judging."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from openclick.store import Registry, Store, open_store
from openclick_sidecar.judge import Judge
from openclick_sidecar.judging import Docket
from openclick_sidecar.rules import packaged_rules
from unit.judging.judging_desk import Desk
from unit.samples import NOW, a_message


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Return a store with one message row and no hit."""
    made = open_store(f"sqlite:{tmp_path}")
    with closing(made.message_log()) as log:
        log.record([a_message()])
    return made


@pytest.fixture
def docket(store: Store) -> Iterator[Docket]:
    """Return the judge's work on that store."""
    made = Docket(store, Judge(packaged_rules()), lambda: NOW, lambda _fault: None)
    yield made
    made.close()


@pytest.fixture
def registry(store: Store) -> Iterator[Registry]:
    """Return the registry that verdicts go to."""
    with closing(store.registry(owner=True)) as opened:
        yield opened


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """Return a desk without a hit, on a store of its own."""
    directory = tmp_path / "desk"
    directory.mkdir()
    made = Desk(directory)
    yield made
    made.close()
