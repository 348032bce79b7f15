"""Control headers: what an app asks for, and what is taken out (DESIGN 3.2)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclick.messages import Labels
from openclick.policy import Toggles
from openclick_milter.controls import Controls, Removal, is_control, read_controls

PREFIX = "X-Anypost-"
ANY_FIELD = st.tuples(
    st.one_of(
        st.sampled_from(["Subject", "DKIM-Signature", "X-Anypost-", "X-Anypost-Other"]),
        st.sampled_from(["Track-Opens", "TRACK-CLICKS", "tags", "Topic", "Campaign"]).map(
            PREFIX.__add__
        ),
    ),
    st.one_of(
        st.text(st.characters(), max_size=20), st.sampled_from(["yes", "no", "h=x-anypost-tags"])
    ),
)


def read(*fields: tuple[str, str], prefix: str = PREFIX) -> Controls:
    """Read the controls of a header."""
    return read_controls(fields, prefix)


def test_no_control_header() -> None:
    """Nothing asked, nothing removed."""
    assert Controls(Toggles(), Labels(), (), ()) == read(("Subject", "x"), ("X-Other", "yes"))


@pytest.mark.parametrize("word", ["true", "yes", "on", "1", "TRUE", "Yes", " on ", "1\n"])
def test_yes(word: str) -> None:
    """Four words, any case, blanks around."""
    assert Toggles(opens=True) == read(("X-Anypost-Track-Opens", word)).toggles


@pytest.mark.parametrize("word", ["false", "no", "off", "0", "False", "OFF\n "])
def test_no(word: str) -> None:
    """And four more."""
    assert Toggles(clicks=False) == read(("X-Anypost-Track-Clicks", word)).toggles


@pytest.mark.parametrize("word", ["", "maybe", "2", "yes please", "tru\ne", "\udcff", "да"])
def test_anything_else_counts_as_absent_and_is_named(word: str) -> None:
    """The domain's default holds, the log says why, and the field is removed all the same."""
    controls = read(("X-Anypost-Track-Opens", word))

    assert Toggles() == controls.toggles
    assert (Removal("X-Anypost-Track-Opens", 1),) == controls.removals
    (complaint,) = controls.complaints
    assert complaint.startswith("X-Anypost-Track-Opens: ")
    assert complaint.endswith(" is neither true nor false: ignored")


def test_the_last_occurrence_wins() -> None:
    """A later agent corrects an earlier one; a void one is absent, and corrects nothing."""
    controls = read(
        ("X-Anypost-Track-Opens", "yes"),
        ("x-anypost-track-opens", "no"),
        ("X-Anypost-Track-Opens", "perhaps"),
    )

    assert Toggles(opens=False) == controls.toggles


def test_names_in_any_case() -> None:
    """Field names have no case, and neither has the prefix."""
    assert (
        Toggles(True, True)
        == read(("X-ANYPOST-TRACK-OPENS", "1"), ("x-anypost-track-clicks", "1")).toggles
    )
    assert Toggles(True) == read(("x-anypost-track-opens", "1"), prefix="x-AnyPost-").toggles


def test_another_prefix() -> None:
    """The setting replaces the model's."""
    controls = read(("X-Mail-Track-Opens", "1"), ("X-Anypost-Track-Clicks", "1"), prefix="X-Mail-")

    assert Toggles(opens=True) == controls.toggles
    assert (Removal("X-Mail-Track-Opens", 1),) == controls.removals


def test_tags() -> None:
    """Comma lists, repeatable, folded; each tag once, in order."""
    controls = read(
        ("X-Anypost-Tags", "autumn,\n boots ,, jackets"), ("X-Anypost-Tags", "boots,news")
    )

    assert ("autumn", "boots", "jackets", "news") == controls.labels.tags
    assert () == controls.complaints


def test_bad_tags_are_named() -> None:
    """The good ones stay."""
    controls = read(("X-Anypost-Tags", "good,two words,ümlaut"))

    assert ("good",) == controls.labels.tags
    assert ("tag dropped: 'two words'", "tag dropped: 'ümlaut'") == controls.complaints


def test_topic_and_campaign() -> None:
    """One word each; the last usable one."""
    controls = read(
        ("X-Anypost-Topic", "news"),
        ("X-Anypost-Topic", "news.weekly"),
        ("X-Anypost-Topic", "NOT THIS"),
        ("X-Anypost-Campaign", "Nov-2025"),
    )

    assert Labels((), "news.weekly", "Nov-2025") == controls.labels
    assert ("X-Anypost-Topic: 'NOT THIS' is no such label: dropped",) == controls.complaints


def test_a_complaint_is_short() -> None:
    """Whatever somebody writes into a header, the log stays readable."""
    (complaint,) = read(("X-Anypost-Topic", "x y" * 10_000)).complaints

    assert len(complaint) < 200


def test_complaints_are_few() -> None:
    """One mail does not fill the log: ten, and how many more there are."""
    controls = read(("X-Anypost-Tags", "a b," * 5000))

    assert 11 == len(controls.complaints)
    assert controls.complaints[-1] == "4990 more such complaints"


def test_removals_go_from_the_last_to_the_first() -> None:
    """Deleting one must not change the place of those that are still to go."""
    controls = read(
        ("X-Anypost-Tags", "a"),
        ("Subject", "x"),
        ("x-anypost-tags", "b"),
        ("X-Anypost-Topic", "t"),
        ("X-Anypost-Tags", "c"),
    )

    assert (
        Removal("X-Anypost-Tags", 3),
        Removal("X-Anypost-Topic", 1),
        Removal("x-anypost-tags", 2),
        Removal("X-Anypost-Tags", 1),
    ) == controls.removals


@pytest.mark.parametrize(
    "signature",
    [
        "v=1; a=rsa-sha256; d=kontor.example; h=from:subject:x-anypost-tags; b=abc",
        "v=1; h = From : X-Anypost-Tags ; b=",
        "v=1;\n\th=from:\n\t X-ANYPOST-TAGS:to;\n\tb=abc",
    ],
)
def test_a_signed_control_header_stays(signature: str) -> None:
    """Removing what an existing DKIM signature covers would break it; it is obeyed all the same."""
    controls = read(
        ("DKIM-Signature", signature), ("X-Anypost-Tags", "a"), ("X-Anypost-Topic", "t")
    )

    assert (Removal("X-Anypost-Topic", 1),) == controls.removals
    assert Labels(("a",), "t") == controls.labels


def test_a_signature_that_covers_others() -> None:
    """bh= is not h=."""
    controls = read(
        ("DKIM-Signature", "v=1; bh=x-anypost-tags; h=from; b=x"), ("X-Anypost-Tags", "a")
    )

    assert (Removal("X-Anypost-Tags", 1),) == controls.removals


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("X-Anypost-Track-Opens", True),
        ("x-anypost-CAMPAIGN", True),
        ("X-Anypost-Other", False),
        ("X-Anypost-", False),
        ("X-Anypost-Tags-More", False),
        ("Tags", False),
        ("x-openclick-ID", True),
        ("X-PM-TrackOpens", False),
    ],
)
def test_what_is_a_control_header(name: str, expected: bool) -> None:
    """Five names behind the prefix, and our id's; what else an app writes there is its own."""
    assert expected is is_control(name, PREFIX, vendors=False)


def test_ours_win_over_vendor_headers() -> None:
    """Where both are there; alone each of them speaks, and all are removed."""
    fields = [
        ("X-PM-TrackOpens", "true"),
        ("X-Anypost-Track-Opens", "no"),
        ("X-Mailgun-Track-Clicks", "yes"),
        ("X-PM-Tag", "theirs"),
        ("X-Anypost-Tags", "ours"),
    ]

    controls = read_controls(fields, PREFIX, vendors=True)

    assert Toggles(opens=False, clicks=True) == controls.toggles
    assert ("ours", "theirs") == controls.labels.tags
    assert {name for name, _ in fields} == {removal.name for removal in controls.removals}


def test_vendor_headers_mean_nothing_by_default() -> None:
    """Neither obeyed nor removed."""
    assert Controls(Toggles(), Labels(), (), ()) == read(("X-PM-TrackOpens", "true"))


@given(st.lists(ANY_FIELD, max_size=8))
def test_every_control_header_goes_and_nothing_else(fields: list[tuple[str, str]]) -> None:
    """Carried out one by one, the removals leave what is no control header or is signed."""
    controls = read_controls(fields, PREFIX)
    left = list(fields)

    for removal in controls.removals:
        same = [n for n, (name, _) in enumerate(left) if name.lower() == removal.name.lower()]
        assert left.pop(same[removal.occurrence - 1])[0] == removal.name

    signed = any(n == "DKIM-Signature" and v == "h=x-anypost-tags" for n, v in fields)
    assert left == [
        field
        for field in fields
        if not is_control(field[0], PREFIX, vendors=False)
        or (signed and field[0].lower() == "x-anypost-tags")
    ]
