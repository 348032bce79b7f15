"""Tags, topic and campaign: which labels an app may give."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclick.labels import MAX_TAGS, is_campaign, is_topic, sort_tags


def test_tags_keep_the_order_of_first_occurrence() -> None:
    """A repeated tag counts once, where it stood first."""
    assert (("b", "a", "c"), ()) == sort_tags(["b", "a", "b", "c", "a"])


def test_bad_tags_are_dropped_and_named() -> None:
    """One bad label costs none of its neighbours theirs."""
    bad = ("with blank", "", "ümlaut", "a" * 65, "tag\n", "x.y")

    assert (("ok", "A-z_9"), bad) == sort_tags(["ok", *bad, "A-z_9"])


def test_at_most_ten_tags() -> None:
    """The eleventh is dropped and named, like a bad one."""
    tags = [f"t{number}" for number in range(12)]

    assert (tuple(tags[:MAX_TAGS]), ("t10", "t11")) == sort_tags(tags)


def test_a_tag_may_have_64_characters() -> None:
    """The bound is Anypost's."""
    assert (("a" * 64,), ()) == sort_tags(["a" * 64])


@given(st.lists(st.text(max_size=70)))
def test_every_tag_is_kept_or_named_once_or_more(tags: list[str]) -> None:
    """Nothing vanishes: kept and dropped together are what came in."""
    kept, dropped = sort_tags(tags)

    assert set(tags) == set(kept) | set(dropped)
    assert not set(kept) & set(dropped)
    assert len(kept) <= MAX_TAGS


@pytest.mark.parametrize("text", ["news", "news.weekly_2-a", "a" * 64, "0"])
def test_topics(text: str) -> None:
    """Lower case, digits, underscore, full stop, hyphen."""
    assert is_topic(text)


@pytest.mark.parametrize("text", ["", "News", "a" * 65, "a b", "a\n", "ä"])
def test_no_topics(text: str) -> None:
    """Anything else is none."""
    assert not is_topic(text)


@pytest.mark.parametrize("text", ["Nov-2025", "a_b", "A" * 64])
def test_campaigns(text: str) -> None:
    """Letters, digits, underscore, hyphen."""
    assert is_campaign(text)


@pytest.mark.parametrize("text", ["", "nov.2025", "A" * 65, "a b", "a\n"])
def test_no_campaigns(text: str) -> None:
    """Anything else is none."""
    assert not is_campaign(text)
