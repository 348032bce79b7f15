"""Verdicts: which visitors count, and what makes two hits one visitor's."""

import pytest

from openclick.verdicts import Verdict, Visitor, visit_of
from unit.samples import a_hit, an_open


@pytest.mark.parametrize(
    ("visitor", "counts"),
    [
        (Visitor.PERSON, True),
        (Visitor.PROXY, True),
        (Visitor.PREFETCH, False),
        (Visitor.AUTOMATION, False),
    ],
)
def test_people_and_proxies_count(visitor: Visitor, counts: bool) -> None:
    """An image proxy fetches because somebody looked; everything else is no reader."""
    assert counts is Verdict(visitor, "some-rule").counts


def test_every_visitor_is_listed_above() -> None:
    """A fifth kind of visitor needs a decision here."""
    assert {"person", "proxy", "prefetch", "automation"} == {visitor.value for visitor in Visitor}


def test_a_visit_has_a_name_of_its_own() -> None:
    """Eight bytes, the same for the same; which hit it was, when, and its headers do not matter."""
    same = a_hit(2, headers={}, received_at=7)
    others = [
        a_hit(ip="192.0.2.8"),
        a_hit(user_agent="\udcff"),
        a_hit(link_index=1),
        a_hit(copy=b"else"),
        a_hit(email_id=b"e" * 16),
        an_open(),
    ]

    assert visit_of(a_hit()) == visit_of(same)
    assert {8} == {len(visit_of(hit)) for hit in others}
    assert len({visit_of(hit) for hit in (same, *others)}) == 7
