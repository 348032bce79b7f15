"""Clicks of mail whose image nobody has fetched: many mail clients block images."""

from contextlib import closing
from pathlib import Path

from openclick.instants import SECOND
from openclick.store import Store, open_store
from openclick_sidecar.judge import Judge
from openclick_sidecar.judging import Docket
from openclick_sidecar.rules import packaged_rules
from unit.samples import NOW, a_hit, a_message

LINKS = 7


def event_types(store: Store) -> list[str]:
    """Judge every hit of a store; return the types of the events."""
    docket = Docket(store, Judge(packaged_rules()), lambda: NOW, lambda _fault: None)
    with closing(store.registry(owner=True)) as registry:
        docket.judge_up_to(registry, LINKS)
        docket.close()
        return [logged.event.type for logged in registry.events.many_after(0, LINKS)]


def with_clicks(directory: Path, seconds_apart: float) -> Store:
    """Return a store with a click on each link of one copy, and no open."""
    store = open_store(f"sqlite:{directory}")
    clicks = [
        a_hit(
            number,
            received_at=NOW + 60 * SECOND + int(number * seconds_apart * SECOND),
            link_index=number,
        )
        for number in range(1, LINKS + 1)
    ]
    with closing(store.message_log()) as messages, closing(store.hit_log()) as hits:
        messages.record([a_message()])
        hits.append(clicks)
    return store


def test_click_without_an_open_counts(tmp_path: Path) -> None:
    """A reader whose client shows no images clicks all the same, on several links even."""
    assert event_types(with_clicks(tmp_path, 30.0)) == ["email.clicked"] * LINKS


def test_cluster_of_clicks_without_an_open_is_a_burst(tmp_path: Path) -> None:
    """What tells a scanner is that it follows everything at once, not the missing open."""
    assert event_types(with_clicks(tmp_path, 0.1)) == []
