"""A row that cannot be read costs itself: its neighbours are judged, and it is counted and said.

Rows are spoiled in the files themselves, in each of the ways that a damaged page or a foreign hand
may leave behind.
"""

import json
import sqlite3
from contextlib import closing

import pytest

from openclick.store import Store
from unit.judging.judging_desk import Desk, a_burst, put_hits
from unit.samples import EMAIL_ID_TEXT, a_hit, an_event

NO_TEXT = "CAST(x'ff41' AS TEXT)"
LOST = {
    "no kind of ours": "kind = 'z'",
    "kind is no text": f"kind = {NO_TEXT}",
    "no instant": "received_at = 'soon'",
    "an instant beyond all dates": "received_at = 9e18",
    "an instant before all dates": "received_at = -1",
    "instant is no text": f"received_at = {NO_TEXT}",
    "a short email id": "email_id = x'00'",
    "email id is no text": f"email_id = {NO_TEXT}",
    "a long copy": "copy = x'0001020304'",
    "a short hit id": "hit_id = x'00'",
    "hit id is no text": f"hit_id = {NO_TEXT}",
    "a link beyond all tokens": "link_index = 70000",
    "no link index": "link_index = 'x'",
    "destination is no text": f"destination = {NO_TEXT}",
    "address is no text": f"ip = {NO_TEXT}",
    "tracking domain is no text": f"tracking_domain = {NO_TEXT}",
}
JUDGED_ALL_THE_SAME = {
    "headers end early": """headers = '{"accept":"x'""",
    "headers are a list": "headers = '[1]'",
    "headers hold a number": """headers = '{"accept":1}'""",
    "headers are empty": "headers = ''",
    "headers are no text": f"headers = {NO_TEXT}",
    "headers are a number": "headers = 7",
}


def spoil(store: Store, change: str, file: str = "hits", where: str = "position = 2") -> None:
    """Change a row of `file`."""
    with closing(sqlite3.connect(store.directory / f"{file}.db")) as connection, connection:
        table = file
        connection.execute(f"UPDATE {table} SET {change} WHERE {where}")


@pytest.mark.parametrize("change", LOST.values(), ids=LOST)
def test_a_hit_that_cannot_be_read(
    desk: Desk, change: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It alone is lost, and that is said once, with its place."""
    desk.put(1, 2, 3)
    spoil(desk.store, change)

    for _ in range(3):
        desk.judge()

    assert [1, 3] == desk.events()
    assert {"hit": 1, "hit fields": 0, "message": 0} == desk.docket.damage.counts()
    assert ["judge: rows of hits.db cannot be read, hits lost positions=2"] == caplog.messages


@pytest.mark.parametrize("change", JUDGED_ALL_THE_SAME.values(), ids=JUDGED_ALL_THE_SAME)
def test_headers_that_cannot_be_read(
    desk: Desk, change: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The hit is judged without them, and its event is whole: no event holds them."""
    desk.put(1, 2, 3)
    spoil(desk.store, change)

    desk.judge()

    logged = desk.with_registry(lambda registry: registry.events.many_after(0, 10))
    assert [an_event(1), an_event(2), an_event(3)] == [entry.event for entry in logged]
    assert {"hit": 0, "hit fields": 1, "message": 0} == desk.docket.damage.counts()
    assert [
        "judge: rows of hits.db are damaged, hits judged by what is left positions=2"
    ] == caplog.messages


def test_a_user_agent_that_is_no_text(desk: Desk) -> None:
    """What is left of it decides, and stands in the event."""
    desk.put(1, 2)
    spoil(desk.store, "user_agent = CAST('curl/8.1 ' || x'ff' AS TEXT)")
    spoil(desk.store, "user_agent = CAST('Reader ' || x'ff' AS TEXT)", where="position = 1")

    desk.judge()

    logged = desk.with_registry(lambda registry: registry.events.many_after(0, 10))
    agents = [json.loads(entry.event.body)["data"]["tracking"]["user_agent"] for entry in logged]
    assert ["Reader �"] == agents
    assert ["no-rule", "http-library"] == desk.rules()


def test_the_last_row_cannot_be_read(desk: Desk) -> None:
    """The cursor passes it, so that it is met once; what comes later goes on from there."""
    desk.put(1, 2)
    spoil(desk.store, f"hit_id = {NO_TEXT}")
    desk.judge()
    desk.judge()
    desk.put(3)

    desk.judge()

    assert [1, 3] == desk.events()
    assert desk.docket.damage.counts()["hit"] == 1


def test_more_than_a_step_of_unreadable_rows(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    """A whole batch without a hit is passed too; of its places twenty are named."""
    put_hits(desk.store, *(a_hit(number) for number in range(1, 1202)), a_hit(2000, link_index=1))
    spoil(desk.store, "kind = ''", where="position <= 1201")

    desk.judge()

    assert [2000] == desk.events()
    assert desk.docket.damage.counts()["hit"] == 1201
    assert caplog.messages[0].endswith(" more=980")
    assert 2 == len(caplog.messages)


def test_a_neighbour_that_cannot_be_read(desk: Desk) -> None:
    """It does not keep its burst from being seen."""
    put_hits(desk.store, *a_burst(1, links=4))
    spoil(desk.store, f"ip = {NO_TEXT}, email_id = {NO_TEXT}")
    newest = desk.with_registry(desk.docket.newest).position

    for position in range(1, newest + 1):
        desk.with_registry(lambda registry, end=position: desk.docket.judge_up_to(registry, end))

    assert ["burst"] * 3 == desk.rules()


MESSAGES = {
    "no JSON": """headers = '{"a'""",
    "no outcome of ours": "outcome = 'else'",
    "recipients are a number": "recipients = '5'",
    "recipients are numbers": "recipients = '[5]'",
    "headers are a list": "headers = '[1]'",
    "links of another form": "links = '[[1,2,3,4,5,6]]'",
    "subject is no text": f"subject = {NO_TEXT}",
    "sender is bytes": "sender = x'00'",
}


@pytest.mark.parametrize("change", MESSAGES.values(), ids=MESSAGES)
def test_a_message_row_that_cannot_be_read(
    desk: Desk, change: str, caplog: pytest.LogCaptureFixture
) -> None:
    """As if it were gone: the events carry what the token holds; said once for all its hits."""
    spoil(desk.store, change, "messages", "true")
    desk.put(1, 2, 3)

    desk.judge()

    bodies = [
        json.loads(entry.event.body)["data"]
        for entry in desk.with_registry(lambda registry: registry.events.many_after(0, 10))
    ]
    assert [EMAIL_ID_TEXT] * 3 == [data["email_id"] for data in bodies]
    assert [None] * 3 == [data["recipient"] for data in bodies]
    assert {"hit": 0, "hit fields": 0, "message": 1} == desk.docket.damage.counts()
    assert 1 == len(caplog.messages)
    assert caplog.messages[0].startswith("judge: a message row cannot be read, events lack its")
    assert f"email_id={EMAIL_ID_TEXT}" in caplog.messages[0]
