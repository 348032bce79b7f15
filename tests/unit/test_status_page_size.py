"""The status page is small whatever the store holds, and says what it leaves out."""

import re
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from openclick.domains import VerificationFailure
from openclick.events import EventType
from openclick.figures import Engagement, Row
from openclick.store import RecentEvent, WebhookFigures, open_store
from openclick.store.statistics import ReasonCount
from openclick.store.webhook_figures import LastAttempt
from openclick.tracking_certificates import TrackingCertificate
from openclick.webhooks import Backlog, WebhookStatus
from openclick_sidecar.metrics import Readings
from openclick_sidecar.status.overview import Activity, DomainActivity, Overview, look
from openclick_sidecar.status.page import Question, page
from openclick_sidecar.status.room import Room, clip
from support.month import Month
from unit.samples import NOW, a_domain

MOST_BYTES = 50_000
READINGS = Readings(NOW / 1_000_000 - 3600, connections=7, hits={"recorded": 12_345, "lost": 1})
MANY = 10**9
LONG = "<&\"'>ü" * 400
_TAGS = re.compile(r"<[^>]+>")


def rendered(overview: Overview, question: Question | None = None) -> bytes:
    """Return the page."""
    return page(overview, READINGS, question or Question())


def a_month(tmp_path: Path, mails: int) -> Overview:
    """Return a month of a mail server with three domains."""
    store = open_store(f"sqlite:{tmp_path}")
    Month(NOW, mails).fill(store)
    return look(store, 2**26, NOW)


def name(number: int) -> str:
    """Return a domain name as long as they may be (RFC 1035, 2.3.4)."""
    return f"{number:03}.{'a' * 63}.{'b' * 63}.{'c' * 63}.{'d' * 45}.example"


def a_row(key: str, count: int = MANY) -> Row:
    """Return a row with as large numbers as one likes."""
    seen = Engagement(count, count, count, count)
    return Row(key, count, count, count // 3, seen, replace(seen))


def a_webhook(number: int, label: str = LONG) -> WebhookFigures:
    """Return a webhook that fails, with all that can be told of one."""
    return WebhookFigures(
        webhook_id=f"wh_{number}",
        name=label,
        url=f"https://{label}/x",
        status=WebhookStatus.CIRCUIT_DISABLED if number % 2 else WebhookStatus.ACTIVE,
        status_reason=label,
        attempts=MANY,
        accepted=MANY - 1,
        retries=MANY,
        abandoned=MANY,
        last_attempt=LastAttempt(NOW, accepted=False, status_code=503, error=label),
        backlog=Backlog(f"wh_{number}", WebhookStatus.ACTIVE, MANY, 1),
    )


def an_event(number: int) -> RecentEvent:
    """Return a click whose every text is long."""
    return RecentEvent(
        event_id=f"evt_{number}",
        type=EventType.CLICKED,
        occurred_at=1,
        email_id=bytes(16),
        sending_domain=name(number),
        destination=f"https://{LONG}",
        visitor=LONG,
        rule=LONG,
        source=LONG,
        queue_id=LONG,
    )


def the_worst(domains: int, webhooks: int) -> Overview:
    """Return an overview in which everything is as large as it can be."""
    names = [name(number) for number in range(domains)]
    failure = VerificationFailure("points_elsewhere", LONG)
    reasons = tuple(ReasonCount("", LONG, MANY) for _ in range(100))
    each_day = tuple(a_row(str(NOW // 86_400_000_000 - 29 + day)) for day in range(30))
    each_hour = tuple(a_row(str(NOW // 3_600_000_000 - 23 + hour)) for hour in range(24))
    activity = DomainActivity(a_row(""), reasons, (MANY,) * 30)
    return Overview(
        at=NOW,
        domains=tuple(a_domain(domain_id=each, name=each, failure=failure) for each in names),
        certificates={
            f"track.{each}": TrackingCertificate(
                f"track.{each}", not_after_at=1, failures=MANY, failure_message=LONG
            )
            for each in names
        },
        webhooks=tuple(map(a_webhook, range(webhooks))),
        activity=Activity(a_row(""), dict.fromkeys(names, activity), each_day, each_hour),
        events=tuple(map(an_event, range(50))),
        faults=(LONG,) * 10,
    )


@pytest.mark.parametrize("mails", [0, 300, 1200])
def test_a_usual_month_is_shown_whole(tmp_path: Path, mails: int) -> None:
    """With every domain, webhook and finding, and fifty events."""
    overview = a_month(tmp_path, mails)

    made = rendered(overview)

    assert len(made) < MOST_BYTES
    assert " more: " not in _TAGS.sub("", made.decode())


@pytest.mark.parametrize(
    ("domains", "webhooks"), [(0, 0), (1, 1), (30, 3), (3, 300), (1000, 0), (1000, 300)]
)
@pytest.mark.parametrize("asked", ["", "x", '"' * 998, "ü" * 998], ids=["no", "x", "quotes", "ü"])
def test_the_worst_month(domains: int, webhooks: int, asked: str) -> None:
    """Long names and sentences, large numbers, many of all: below the bound, whatever is asked."""
    overview = the_worst(domains, webhooks)
    question = Question(asked, overview.events or (), fault=LONG)

    assert len(rendered(overview, question)) < MOST_BYTES
    assert len(rendered(overview, Question(asked, (), fault=LONG))) < MOST_BYTES


def a_large_server(tmp_path: Path, webhooks: int = 3) -> tuple[Overview, list[str]]:
    """Return a month of a server with a hundred domains, and their names, the busiest first."""
    names = [f"news{number}.kontor.example" for number in range(100)]
    counted = {
        each: DomainActivity(a_row("", 5000 - number), (), (7,) * 30)
        for number, each in enumerate(names)
    }
    overview = a_month(tmp_path, 1200)
    assert overview.activity is not None
    overview = replace(
        overview,
        domains=tuple(a_domain(domain_id=each, name=each) for each in names),
        activity=replace(overview.activity, domains=counted),
        webhooks=tuple(a_webhook(number, f"hook{number}") for number in range(webhooks)),
    )
    return overview, names


def test_many_domains(tmp_path: Path) -> None:
    """The busiest are told of by a card each, many by a line, the rest by a number."""
    overview, names = a_large_server(tmp_path)

    text = rendered(overview).decode()

    cards = re.findall(r'<article data-domain="([^"]+)"', text)
    table = re.search(r'<table class="list domains">.*?</table>', text, re.DOTALL)
    assert table is not None
    lines = re.findall(r"<tr><td>([^<]+)<", table[0])
    assert cards == names[:6]
    assert lines == names[6 : 6 + len(lines)]
    assert len(lines) > 5
    assert f"{100 - 6 - len(lines)} more: <code>openclick domain list</code>" in text


def test_many_of_all(tmp_path: Path) -> None:
    """Of each list there is a part, with how much is left out and which command has it all."""
    overview, _ = a_large_server(tmp_path, webhooks=100)

    made = rendered(overview)

    text = made.decode()
    assert len(made) < MOST_BYTES
    assert text.count('<li class="') > 5
    assert text.count("<article data-domain=") > 3
    assert text.count("<b>hook") > 5
    assert text.count('class="dot') > 15
    for command in ("doctor", "domain list", "webhook list", "events"):
        assert re.search(rf"[\d,]+ more: <code>openclick {command}</code>", text), command


def test_webhooks_whose_events_wait_come_first() -> None:
    """They are never among those that are left out for others that do well."""
    overview = the_worst(0, 300)
    assert overview.webhooks is not None
    overview = replace(
        overview, webhooks=tuple(a_webhook(each, f"hook{each}") for each in (2, 4, 1))
    )

    text = rendered(overview).decode()

    assert re.findall(r"<td><b>(\w+)</b>", text) == ["hook1", "hook2", "hook4"]


def test_room() -> None:
    """Entries in their order, as long as they fit; a share bounds one list alone."""
    room = Room(10)

    first = room.fit(["abc", "def", "ghi"], lambda text: text, 6)
    second = room.fit(["ü", "xyz", "a"], lambda text: text)

    assert (first.shown, first.left_out) == (["abc", "def"], ["ghi"])
    assert (second.shown, second.left_out) == (["ü"], ["xyz", "a"])
    assert room.bytes_left == 2


@pytest.mark.parametrize(("text", "cut"), [("", ""), ("abc", "abc"), ("abcd", "ab…")])
def test_clip(text: str, cut: str) -> None:
    """What is as long as it may be stays whole."""
    assert clip(text, 3) == cut


def test_an_empty_store(tmp_path: Path) -> None:
    """Nothing is said to be left out where there is nothing."""
    store = open_store(f"sqlite:{tmp_path}")
    with closing(store.registry()):
        store.message_log().close()

    made = rendered(look(store, 2**26, NOW))

    assert len(made) < MOST_BYTES
    assert b" more: " not in made
