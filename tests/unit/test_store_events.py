"""Verdicts and events in openclick.db: counted once, whatever happens twice."""

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from openclick.store import JudgeCursor, Judgement, Registry, StoreFault, open_store
from openclick.tokens import Kind
from openclick.verdicts import JudgedHit, Verdict, Visitor
from unit.old_store import older_registry
from unit.samples import EMAIL_ID, NOW, a_hit, a_judgement, an_event, log_events

DROPPED = Judgement(a_hit(9), Verdict(Visitor.AUTOMATION, "http-library", "curl/8"), None)


def verdicts(registry: Registry) -> list[tuple[object, ...]]:
    """Return what an admin would find with SQL."""
    with registry._database.reading() as connection:
        rows = connection.execute(
            "SELECT hit_id, visitor, rule, evidence, source, event_id FROM verdicts ORDER BY hit_id"
        ).fetchall()
    return [tuple(row) for row in rows]


def test_cursor_begins_before_everything(registry: Registry) -> None:
    """No file, place 0."""
    assert JudgeCursor("", 0) == registry.events.judge_cursor()


def test_judgements_are_written_with_the_cursor(registry: Registry) -> None:
    """Verdicts of all, events of the counted ones."""
    made = registry.events.record_judgements([a_judgement(1), DROPPED], JudgeCursor("file", 2), NOW)

    assert [a_judgement(1), DROPPED] == made
    assert JudgeCursor("file", 2) == registry.events.judge_cursor()
    assert [an_event(1)] == [logged.event for logged in registry.events.many_after(0, 10)]
    assert [
        (a_hit(1).hit_id, "person", "no-rule", "", "", an_event(1).event_id),
        (a_hit(9).hit_id, "automation", "http-library", "curl/8", "", None),
    ] == verdicts(registry)


def test_a_hit_judged_twice_counts_once(registry: Registry) -> None:
    """A commit of unknown outcome, or a back-up of hits.db, doubles nothing."""
    first = [a_judgement(1), DROPPED]
    registry.events.record_judgements(first, JudgeCursor("file", 2), NOW)

    made = registry.events.record_judgements([*first, a_judgement(3)], JudgeCursor("other", 3), NOW)

    assert [a_judgement(3)] == made
    assert [an_event(1), an_event(3)] == [
        logged.event for logged in registry.events.many_after(0, 10)
    ]
    assert JudgeCursor("other", 3) == registry.events.judge_cursor()


def test_a_hit_twice_in_one_batch_counts_once(registry: Registry) -> None:
    """Journal and table may both hold it."""
    assert [a_judgement(1)] == registry.events.record_judgements(
        [a_judgement(1), a_judgement(1)], JudgeCursor("file", 2), NOW
    )


def test_the_first_verdict_stays(registry: Registry) -> None:
    """New rules do not rewrite what was reported."""
    registry.events.record_judgements([a_judgement(9)], JudgeCursor("file", 1), NOW)

    registry.events.record_judgements([DROPPED], JudgeCursor("file", 2), NOW)

    assert ["person"] == [row[1] for row in verdicts(registry)]


def test_all_or_nothing(registry: Registry) -> None:
    """Where one verdict cannot be written, neither its neighbours nor the cursor are."""
    bad = a_judgement(2, ip=None)

    with pytest.raises(StoreFault):
        registry.events.record_judgements([a_judgement(1), bad], JudgeCursor("file", 2), NOW)

    assert [] == registry.events.many_after(0, 10)
    assert JudgeCursor("", 0) == registry.events.judge_cursor()


def test_evidence_that_no_text_can_hold(registry: Registry) -> None:
    """An admin's rule may quote half a surrogate pair of a header: it is spelled out."""
    verdict = Verdict(Visitor.AUTOMATION, "own", "x-why: \ud800")
    judgement = Judgement(a_hit(1), verdict, None)

    registry.events.record_judgements([judgement], JudgeCursor("file", 1), NOW)

    [judged] = registry.events.many_judged(EMAIL_ID)
    assert judged.verdict.evidence == "x-why: \\ud800"


def test_clicks_near_an_instant(registry: Registry) -> None:
    """Judged ones of one message, dropped or not, both ends included; at most so many; no open."""
    judgements = [
        *(a_judgement(number, link_index=number) for number in range(1, 6)),
        Judgement(a_hit(6, received_at=NOW + 3), Verdict(Visitor.AUTOMATION, "burst"), None),
        a_judgement(7, received_at=NOW + 3, kind=Kind.OPEN),
        a_judgement(8, received_at=NOW + 3, email_id=bytes(16)),
    ]
    registry.events.record_judgements(judgements, JudgeCursor("file", 8), NOW)

    found = registry.events.clicks_near(EMAIL_ID, NOW + 2, NOW + 4, 10)

    assert {(0, NOW + 2, 2), (0, NOW + 3, 3), (0, NOW + 3, 0), (0, NOW + 4, 4)} == {
        (click.position, click.received_at, click.link_index) for click in found
    }
    assert 3 == len(registry.events.clicks_near(EMAIL_ID, NOW + 2, NOW + 4, 3))


def test_reading_the_log(registry: Registry) -> None:
    """Forwards for those who follow, backwards for those who look."""
    log_events(registry, range(1, 6))

    assert [3, 4] == [logged.seq for logged in registry.events.many_after(2, 2)]
    assert [5, 4, 3] == [logged.seq for logged in registry.events.many_newest(3)]


# --- What was judged


def test_what_was_judged_of_a_message(registry: Registry) -> None:
    """Every hit, dropped ones too, oldest first; another message's not."""
    later = a_judgement(3, received_at=NOW + 100)
    other = a_judgement(4, email_id=b"o" * 16)
    registry.events.record_judgements([later, DROPPED, other], JudgeCursor("file", 3), NOW + 7)

    found = registry.events.many_judged(EMAIL_ID)

    hit = DROPPED.hit
    assert found == [
        JudgedHit(
            *(hit.hit_id, hit.received_at, NOW + 7, hit.kind, hit.email_id, hit.copy),
            *(hit.link_index, hit.ip, hit.user_agent, DROPPED.verdict, None),
        ),
        registry.events.maybe_judged(later.hit.hit_id),
    ]
    assert found[1].event_id == an_event(3).event_id


def test_a_hit_that_was_not_judged(registry: Registry) -> None:
    """None, rather than an error."""
    assert registry.events.maybe_judged(b"x" * 16) is None
    assert registry.events.many_judged(b"x" * 16) == []


@pytest.mark.parametrize(
    ("fields", "visits"),
    [
        ({}, 3),
        ({"ip": "192.0.2.8"}, 0),
        ({"user_agent": "else"}, 0),
        ({"link_index": 1}, 0),
        ({"copy": b"else"}, 0),
        ({"email_id": b"o" * 16}, 0),
        ({"kind": Kind.OPEN}, 0),
    ],
)
def test_visits(registry: Registry, fields: dict[str, Any], visits: int) -> None:
    """The same token by the same address and user agent; anything else is another's."""
    made = [a_judgement(n) for n in (1, 2, 3)]
    registry.events.record_judgements(made, JudgeCursor("file", 3), NOW)

    assert visits == registry.events.count_visits(a_hit(9, **fields), NOW, 100)


def test_visits_within_a_time(registry: Registry) -> None:
    """From an instant up to the hit's own, and no further than asked."""
    registry.events.record_judgements(
        [a_judgement(n) for n in range(1, 10)], JudgeCursor("file", 9), NOW
    )

    assert registry.events.count_visits(a_hit(5), NOW + 2, 100) == 4
    assert registry.events.count_visits(a_hit(9), NOW, 3) == 3


def test_verdicts_of_an_older_openclick(tmp_path: Path) -> None:
    """They stay, without user agent; nothing of them counts as a visit."""
    with older_registry(tmp_path, 1) as connection:
        connection.execute(
            "INSERT INTO verdicts (hit_id, judged_at, received_at, kind, email_id, copy, "
            "link_index, ip, visitor, rule, evidence, source) "
            "VALUES (x'01', ?, ?, 'c', ?, x'00', 0, '192.0.2.7', 'person', 'no-rule', '', '')",
            (NOW, NOW, EMAIL_ID),
        )
    store = open_store(f"sqlite:{tmp_path}")

    with closing(store.registry()) as registry:
        (judged,) = registry.events.many_judged(EMAIL_ID)
        visits = registry.events.count_visits(a_hit(2), NOW, 100)

    assert ("", "no-rule", 0) == (judged.user_agent, judged.verdict.rule, visits)
