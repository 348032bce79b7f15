"""A dispatcher over days, for every test of its schedule."""

from collections.abc import Iterator

import pytest
import pytest_twisted

from openclick.store import Registry, Store
from unit.dispatcher.delivery_days import Days
from unit.samples import a_webhook


@pytest.fixture
def days(store: Store) -> Iterator[Days]:
    """Return a dispatcher with one webhook."""
    made = Days(store)
    made.bookkeeper.start()
    pytest_twisted.blockon(made.bookkeeper.run(_add_webhook))
    yield made
    made.bookkeeper.stop()


def _add_webhook(registry: Registry) -> None:
    registry.webhooks.add(a_webhook())
