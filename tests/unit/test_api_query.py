"""Query strings and pages."""

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclick.instants import SECOND, iso
from openclick_sidecar.api.faults import ApiFault
from openclick_sidecar.api.paging import limit_of, page_of, read_cursor, write_cursor
from openclick_sidecar.api.query import Query
from unit.samples import NOW

ENTRIES = [(at, name) for at in (1, 2, 3) for name in ("a", "b")]


def listed(text: str) -> Any:
    """Return the body of the page of ENTRIES that a query asks for."""
    return page_of(ENTRIES, Query(text), lambda entry: entry, "{0[0]}{0[1]}".format).body


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2025-11-23T22:40:00.123456Z", NOW),
        ("2025-11-23T22:40:00.123456%2B00:00", NOW),
        ("2025-11-23T23:40:00.123456+01:00", NOW),
        ("2025-11-23T17:10:00.123456-05:30", NOW),
        ("2025-11-23T22:40:00.1234567Z", NOW),
        ("2025-11-23T22:40:00.123456", NOW),
        ("2025-11-23t22:40z", NOW // (60 * SECOND) * 60 * SECOND),
        ("2025-11-23", NOW // (86_400 * SECOND) * 86_400 * SECOND),
    ],
)
def test_instants(text: str, at: int) -> None:
    """ISO 8601 with or without fraction and offset; a + that became a blank is forgiven."""
    query = Query(f"start={text}")

    assert query.instant("start") == at
    query.check()


@pytest.mark.parametrize(
    "text",
    [
        "now",
        "1763937600",
        "2025-11-31",
        "2025-11-23T25:00:00Z",
        "2025-11-23T22:40:00Zz",
        "٢٠٢٥-11-23",
    ],
)
def test_no_instants(text: str) -> None:
    """400, with the parameter's name and an example."""
    query = Query(f"start={text}")

    query.instant("start")

    with pytest.raises(ApiFault) as caught:
        query.check()
    assert caught.value.status == 400
    assert "2026-11-23T22:20:00Z" in caught.value.errors["start"][0]


@pytest.mark.parametrize("limit", ["0", "101", "-1", "1.5", "ten", "9" * 50, "%D9%A1"])
def test_bad_limits(limit: str) -> None:
    """From 1 to 100, in plain digits."""
    query = Query(f"limit={limit}")

    limit_of(query)

    with pytest.raises(ApiFault):
        query.check()


def test_pages() -> None:
    """Newest first, every entry on one page, and a cursor as long as there is more."""
    first = b'{"data":["3b","3a","2b","2a"],"has_more":true,"next_cursor":"%s"}'
    cursor = write_cursor(2, "a")

    pages = [listed("limit=4"), listed(f"limit=4&after={cursor}"), listed(""), listed("limit=6")]

    everything = b'{"data":["3b","3a","2b","2a","1b","1a"],"has_more":false,"next_cursor":null}'
    assert pages == [
        first % cursor.encode(),
        b'{"data":["1b","1a"],"has_more":false,"next_cursor":null}',
        everything,
        everything,
    ]


@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        "!!",
        "ü",
        base64.urlsafe_b64encode(b"[1]").decode(),
        base64.urlsafe_b64encode(b'["a",1]').decode(),
        base64.urlsafe_b64encode(b'[true,"a"]').decode(),
        base64.urlsafe_b64encode(b'[99999999999999999999,"a"]').decode(),
        base64.urlsafe_b64encode(b'[-1,"a"]').decode(),
        base64.urlsafe_b64encode(b"{}").decode(),
        base64.urlsafe_b64encode(b"[" * 1200).decode(),
    ],
)
def test_cursors_that_nobody_gave(cursor: str) -> None:
    """Are a mistake of the client's, told as one."""
    with pytest.raises(ApiFault) as caught:
        listed(f"after={cursor}")

    assert list(caught.value.errors) == ["after"]


@given(st.text())
def test_any_query_string(text: str) -> None:
    """Is read, or is a 400."""
    statuses = []
    try:
        query = Query(text)
        read_cursor(query, int, str)
        limit_of(query)
        query.instant("start")
        query.text("tags")
        query.check()
    except ApiFault as fault:
        statuses.append(fault.status)

    assert statuses in ([], [400])


def test_the_instants_of_answers_can_be_asked_with() -> None:
    """What an event says of its instant is read back to the millisecond."""
    assert Query(f"start={iso(NOW)}").instant("start") == NOW // 1000 * 1000
