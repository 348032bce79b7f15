"""The names of many domains in openclick.db: the sidecar asks for all of them again and again."""

from contextlib import closing
from pathlib import Path

from openclick.domains import NameState
from openclick.store import open_store
from unit.samples import a_domain


def test_twice_the_names_take_twice_the_time(tmp_path: Path) -> None:
    """No name is compared with every domain: SQLite's own instructions are counted."""
    costs, calls = [], list[None]()
    with closing(open_store(f"sqlite:{tmp_path}").registry()) as registry:
        for first in (0, 200):
            for number in range(first, first + 200):
                registry.domains.add(a_domain(domain_id=str(number), name=f"kunde{number}.example"))
            calls.clear()
            registry._database._connection.set_progress_handler(lambda: calls.append(None), 1)
            names = registry.domains.tracking_names()
            registry._database._connection.set_progress_handler(None, 1)
            costs.append(len(calls))

    assert {NameState.CURRENT} == {name.state for name in names}
    assert costs[1] <= 2.2 * costs[0]
