"""What every unit test is held to, and the stores and ids that many begin with.

And what none is held to: hypothesis' 200 ms for an example, which a busy machine does not keep.

Nothing of Twisted is left behind, and no coroutine goes unrun.  Three traps that pytest-twisted
leaves open (DESIGN 11) are closed here: a delayed call that outlives its test, a Deferred whose
failure nobody looked at, and, on Debian 12, a bare `async def` test, which passes without having
run.
"""

import gc
import inspect
import itertools
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import hypothesis
import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.logger import LogEvent, LogLevel, globalLogPublisher

from openclick.store import Registry, Store, open_store
from support.authority import Authority

hypothesis.settings.register_profile("openclick", deadline=None)
hypothesis.settings.load_profile("openclick")

_UNIT = __file__.rpartition("/")[0] + "/"


def pytest_configure(config: pytest.Config) -> None:
    """Make a coroutine that nobody awaited an error, whatever else is asked on the command line."""
    config.addinivalue_line("filterwarnings", "error:coroutine .* was never awaited:RuntimeWarning")
    config.addinivalue_line("filterwarnings", "error::pytest.PytestUnraisableExceptionWarning")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse a bare `async def` test."""
    mark = pytest_twisted._mark_attribute_name
    bare = [
        item.nodeid
        for item in items
        if str(item.path).startswith(_UNIT)
        and isinstance(item, pytest.Function)
        and inspect.iscoroutinefunction(inspect.unwrap(item.obj))
        and not hasattr(item.obj, mark)
    ]
    if bare:
        raise pytest.UsageError(
            f"bare async test, need @pytest_twisted.ensureDeferred: {', '.join(bare)}"
        )


@pytest.fixture(scope="session", autouse=True)
def _cheap_collections() -> None:
    """Keep what was imported out of the collections that `_nothing_left_behind` asks for."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _nothing_left_behind() -> Iterator[None]:
    """Fail a test that leaves a delayed call on the reactor or drops a failed Deferred."""
    dropped: list[str] = []

    def notice(event: LogEvent) -> None:
        if event.get("log_level") is LogLevel.critical and "log_failure" in event:
            dropped.append(event["log_failure"].getTraceback())

    globalLogPublisher.addObserver(notice)
    try:
        yield
        gc.collect()  # a Deferred speaks of its failure only when it goes
        gc.freeze()  # what is left belongs to the run: the next collection need not look at it
    finally:
        globalLogPublisher.removeObserver(notice)
    late = reactor.getDelayedCalls()
    for call in late:
        call.cancel()
    assert not late, "delayed calls left on the reactor"
    assert not dropped, "failures that nobody looked at:\n" + "\n".join(dropped)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Return a store whose directory is empty."""
    return open_store(f"sqlite:{tmp_path}")


@pytest.fixture
def registry(store: Store) -> Iterator[Registry]:
    """Return the writing side of its openclick.db, which is empty."""
    with closing(store.registry()) as opened:
        yield opened


@pytest.fixture
def new_batch_id() -> Callable[[], str]:
    """Return a source of batch ids: 32 hex digits that count."""
    numbers = itertools.count(1)
    return lambda: f"{next(numbers):032x}"


@pytest.fixture(scope="module")
def ca() -> Authority:
    """Give a CA."""
    return Authority()
