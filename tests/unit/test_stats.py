"""`openclick stats`: counts of messages and hits, by domain, campaign, day and message."""

import json
from collections.abc import Callable
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from openclick.config import toml_value
from openclick.figures import window_of_days
from openclick.ids import format_email_id, new_email_id
from openclick.instants import SECOND, now
from openclick.messages import Labels, Message, Outcome
from openclick.store import Judgement, Store, StoreFault, open_store
from openclick.store.events import JudgeCursor
from openclick.store.statistics import DAY, Grouping, ReasonCount, UniqueCount, Window
from openclick.tokens import Kind
from openclick.verdicts import Verdict, Visitor
from openclick_admin.figures import sparkline
from openclick_admin.main import openclick
from unit.samples import NOW, a_hit, a_message

EVER = Window(0, 10 * NOW)
TODAY = now()
"""The command counts back from today, so the rows of these tests are of today."""
Run = Callable[..., Result]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Return a store with both files and nothing in them."""
    store = open_store(f"sqlite:{tmp_path}")
    store.message_log().close()
    store.registry().close()
    return store


def mail(number: int, **fields: Any) -> Message:
    """Return the row of message `number`."""
    created_at = fields.pop("created_at", NOW)
    email_id = new_email_id(created_at, number.to_bytes(10, "big"))
    return a_message(email_id=email_id, created_at=created_at, **fields)


def untouched(number: int, reason: str, **fields: Any) -> Message:
    """Return the row of a message that went out as it came."""
    return mail(number, outcome=Outcome.UNTOUCHED, reason=reason, **fields)


def submit(store: Store, *messages: Message) -> None:
    """Write rows as the milter does."""
    with closing(store.message_log()) as log:
        log.record(messages)


def judge(store: Store, *hits: tuple[Message, Kind, Visitor], at: int = NOW) -> None:
    """Write verdicts as the judge does."""
    numbers = count(judge_from(store) + 1)
    judgements = [
        Judgement(
            a_hit(next(numbers), email_id=row.email_id, copy=row.copy, kind=kind, received_at=at),
            Verdict(visitor, "rule"),
            None,
        )
        for row, kind, visitor in hits
    ]
    last = int.from_bytes(judgements[-1].hit.hit_id, "big")
    with closing(store.registry()) as registry:
        registry.events.record_judgements(judgements, JudgeCursor("file", last), at)


def judge_from(store: Store) -> int:
    """Return the number of the last hit that was judged."""
    return max(0, store.judge_cursor().position)


@pytest.fixture
def run(tmp_path: Path, store: Store) -> Run:
    """Return the command over that store."""
    path = tmp_path / "openclick.toml"
    path.write_text(f"[store]\nurl = {toml_value(f'sqlite:{tmp_path}')}\n", "utf-8")

    def run_it(*args: str) -> Result:
        runner = CliRunner(env={"COLUMNS": "160"})
        return runner.invoke(openclick, ["--config", str(path), "stats", *args])

    return run_it


class TestCounts:
    """What the store counts."""

    def test_messages_copies_and_tracked(self, store: Store) -> None:
        """Copies of one split message are one message."""
        split = mail(1)
        submit(store, split, mail(1, copy=b"two!"), mail(2), untouched(3, "no HTML part"))

        with closing(store.statistics()) as statistics:
            (total,) = statistics.messages(EVER, Grouping.ALL)

        assert (total.messages, total.copies, total.tracked) == (3, 4, 3)

    def test_reasons_the_most_frequent_first(self, store: Store) -> None:
        """Tracked messages have none."""
        submit(store, mail(1), *(untouched(n, "no HTML part") for n in (2, 3)), untouched(4, "x"))

        with closing(store.statistics()) as statistics:
            assert statistics.reasons(EVER) == [
                ReasonCount("", "no HTML part", 2),
                ReasonCount("", "x", 1),
            ]

    def test_unique_is_once_a_copy_and_never_a_dropped_hit(self, store: Store) -> None:
        """Two opens of one copy are one; a proxy's counts; a scanner's does not."""
        first, second, third = mail(1), mail(2), mail(3)
        submit(store, first, second, third)
        judge(
            store,
            (first, Kind.OPEN, Visitor.PERSON),
            (first, Kind.OPEN, Visitor.PROXY),
            (second, Kind.OPEN, Visitor.PROXY),
            (third, Kind.OPEN, Visitor.AUTOMATION),
            (third, Kind.CLICK, Visitor.PERSON),
        )

        with closing(store.statistics()) as statistics:
            found = statistics.unique(EVER, Grouping.ALL)

        assert found == [UniqueCount("", Kind.CLICK, 1), UniqueCount("", Kind.OPEN, 2)]

    def test_a_hit_counts_for_its_messages_domain_and_campaign(self, store: Store) -> None:
        """The verdict itself knows neither; where the row is gone the key is empty."""
        known = mail(1, sending_domain="a.example", labels=Labels(campaign="spring"))
        gone = mail(2)
        submit(store, known)
        judge(store, (known, Kind.OPEN, Visitor.PERSON), (gone, Kind.CLICK, Visitor.PERSON))

        with closing(store.statistics()) as statistics:
            by_domain = [(each.key, each.hits) for each in statistics.hits(EVER, Grouping.DOMAIN)]
            by_campaign = [each.key for each in statistics.hits(EVER, Grouping.CAMPAIGN)]
            only = statistics.hits(Window(0, 10 * NOW, campaign="spring"), Grouping.ALL)

        assert by_domain == [("", 1), ("a.example", 1)]
        assert by_campaign == ["", "spring"]
        assert [each.hits for each in only] == [1]

    def test_the_window_is_half_open(self, store: Store) -> None:
        """`since` counts, `until` does not: so windows side by side count nothing twice."""
        submit(store, *(mail(n, created_at=NOW + n) for n in range(3)))

        with closing(store.statistics()) as statistics:
            (found,) = statistics.messages(Window(NOW, NOW + 2), Grouping.ALL)

        assert found.messages == 2

    def test_a_copy_that_is_dated_by_its_first_pass_counts(self, store: Store) -> None:
        """The split's email_id may be days older than the row."""
        old = a_message(email_id=new_email_id(NOW - 6 * DAY, bytes(10)), created_at=NOW)
        submit(store, old)

        with closing(store.statistics()) as statistics:
            (found,) = statistics.messages(Window(NOW, NOW + 1), Grouping.ALL)

        assert found.messages == 1

    def test_without_a_milter_there_is_nothing_to_count(self, tmp_path: Path) -> None:
        """A missing messages.db is told by its name."""
        store = open_store(f"sqlite:{tmp_path}")
        store.registry().close()

        with pytest.raises(StoreFault, match=r"messages\.db"):
            store.statistics()


class TestCommand:
    """What the command shows."""

    def test_totals_as_json(self, store: Store, run: Run) -> None:
        """Every figure, the reasons, and each day of the window, empty ones too."""
        first = mail(1, created_at=TODAY)
        submit(store, first, untouched(2, "no HTML part", created_at=TODAY))
        judge(
            store,
            (first, Kind.OPEN, Visitor.PERSON),
            (first, Kind.OPEN, Visitor.PROXY),
            (first, Kind.CLICK, Visitor.PREFETCH),
            at=TODAY,
        )

        told = json.loads(run("--json", "--days", "7").stdout)

        assert (told["messages"], told["tracked"], told["untouched"]) == (2, 1, 1)
        assert told["opens"] == {"unique": 1, "people": 1, "proxies": 1, "dropped": 0}
        assert told["clicks"] == {"unique": 0, "people": 0, "proxies": 0, "dropped": 1}
        assert told["untouched_by_reason"] == [{"reason": "no HTML part", "copies": 1}]
        assert [day["messages"] for day in told["days"]] == [0, 0, 0, 0, 0, 0, 2]

    def test_totals_for_people(self, store: Store, run: Run) -> None:
        """A line a figure, with its bars by day; then why messages were untouched."""
        submit(store, mail(1, created_at=TODAY), untouched(2, "no HTML part", created_at=TODAY))

        told = run("--days", "2").stdout

        lines = {line.split("  ")[0].strip(): line for line in told.splitlines()}
        assert lines["messages"].split() == ["messages", "2", "█"]
        assert lines["no HTML part"].split() == ["no", "HTML", "part", "1"]

    @pytest.mark.parametrize(
        ("by", "keys"),
        [
            ("domain", ["a.example", "b.example"]),
            ("campaign", ["(none)", "spring"]),
            ("message", [format_email_id(mail(n, created_at=TODAY).email_id) for n in (1, 2)]),
        ],
    )
    def test_one_row_for_each(self, store: Store, run: Run, by: str, keys: list[str]) -> None:
        """By whatever is asked for."""
        submit(
            store,
            mail(1, created_at=TODAY, sending_domain="a.example", labels=Labels()),
            mail(
                2,
                created_at=TODAY,
                sending_domain="b.example",
                labels=Labels(campaign="spring"),
            ),
        )

        told = run("--by", by).stdout

        assert [line.split()[0] for line in told.splitlines()[1:]] == keys

    def test_by_day_is_of_utc(self, store: Store, run: Run) -> None:
        """Each day of the window has a row, the last of them today's."""
        submit(store, mail(1, created_at=TODAY))

        told = json.loads(run("--by", "day", "--days", "3", "--json").stdout)

        assert [day["messages"] for day in told] == [0, 0, 1]

    def test_nothing_is_said_in_a_sentence(self, run: Run) -> None:
        """With where to look."""
        assert "openclick domain list" in run().stdout


def test_a_window_ends_with_the_day() -> None:
    """One day is today from midnight to midnight, UTC."""
    window = window_of_days(5 * DAY + 3 * SECOND, 1)

    assert (window.since, window.until) == (5 * DAY, 6 * DAY)


@pytest.mark.parametrize(
    ("numbers", "bars"),
    [([], ""), ([0, 0], "  "), ([1, 1], "██"), ([0, 1, 4, 8, 800], " ▁▁▁█"), ([1, 4, 8], "▁▄█")],
)
def test_sparkline(numbers: list[int], bars: str) -> None:
    """The highest is full, a zero is a blank, and everything else can be seen."""
    assert sparkline(numbers) == bars
