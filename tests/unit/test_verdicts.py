"""Verdicts: which visitors count."""

import pytest

from openclick.verdicts import Verdict, Visitor


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
