"""The status page as text: its numbers are the store's, and what comes from outside is text."""

import base64
import hashlib
import re
from contextlib import closing
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest

from openclick.figures import Row, rows, window_of_days
from openclick.ids import new_email_id
from openclick.messages import Outcome
from openclick.store import JudgeCursor, Store, open_store
from openclick.store.statistics import Grouping
from openclick.tokens import Kind
from openclick.verdicts import Verdict, Visitor
from openclick_sidecar.metrics import Readings
from openclick_sidecar.status.overview import Overview, look, named, recent
from openclick_sidecar.status.page import HEADERS, Question, page
from support.month import Month
from unit.samples import NOW, a_domain, a_judgement, a_message, a_webhook

READINGS = Readings(NOW / 1_000_000 - 3600, connections=7, hits={"recorded": 12_345, "lost": 0})
MAIL = 300
CURSOR = JudgeCursor("file", 1)
MADE_NOW = new_email_id(NOW - 1, bytes(10))
EVIL = "\"'><script>alert(1)</script>"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Return a store with a month in it."""
    store = open_store(f"sqlite:{tmp_path_factory.mktemp('store')}")
    Month(NOW, MAIL).fill(store)
    return store


def looked(store: Store, **fields: object) -> Overview:
    """Return what is in a store, some of it replaced."""
    overview = look(store, 2**26, NOW)
    return replace(overview, **fields)  # type: ignore[arg-type]


def shown(overview: Overview, question: Question | None = None) -> str:
    """Return the page."""
    return page(overview, READINGS, question or Question()).decode()


def figure(text: str, name: str) -> int:
    """Return the number with an id."""
    found = re.search(rf'<data value="(\d+)" id="{name}">([\d,]+)</data>', text)
    assert found is not None, name
    assert found[1] == found[2].replace(",", "")
    return int(found[1])


def told(text: str) -> str:
    """Return what a reader reads, without the style sheet."""
    bare = re.sub(r"<style>.*?</style>|<[^>]+>", " ", text, flags=re.DOTALL)
    return " ".join(unescape(bare).split())


def test_totals_are_those_of_openclick_stats(store: Store) -> None:
    """The page and the command count alike."""
    with closing(store.statistics()) as statistics:
        (total,) = rows(statistics, window_of_days(NOW, 30), Grouping.ALL)

    text = shown(looked(store))

    assert total.opens.unique > 50 < total.clicks.counted
    assert figure(text, "messages") == total.messages
    assert figure(text, "tracked") == total.tracked
    assert figure(text, "untouched") == total.untouched
    assert figure(text, "opens-unique") == total.opens.unique
    assert figure(text, "opens-counted") == total.opens.counted
    assert figure(text, "clicks-unique") == total.clicks.unique
    assert figure(text, "clicks-counted") == total.clicks.counted


@pytest.mark.parametrize("grouping", [Grouping.DAY, Grouping.DOMAIN])
def test_days_and_domains_add_up_as_the_store_counts_them(store: Store, grouping: Grouping) -> None:
    """Few passes over the store give the same as one question for each."""
    with closing(store.statistics()) as statistics:
        wanted = rows(statistics, window_of_days(NOW, 30), grouping)

    activity = looked(store).activity

    assert activity is not None
    found = (
        activity.days
        if grouping is Grouping.DAY
        else [each.row for each in activity.domains.values()]
    )
    assert list(map(without_unique, found)) == list(map(without_unique, wanted))


def without_unique(row: Row) -> tuple[object, ...]:
    """Return the counts that add up."""
    visits = [(each.people, each.proxies, each.dropped) for each in (row.opens, row.clicks)]
    return row.key, row.copies, row.tracked, *visits


def test_the_last_day_by_the_hour(store: Store) -> None:
    """Twenty-four bars, the present hour the last."""
    activity = looked(store).activity

    assert activity is not None
    assert len(activity.hours) == 24
    assert int(activity.hours[-1].key) == NOW // 3_600_000_000


def test_a_domain_tells_why_mail_is_untouched(store: Store) -> None:
    """Each reason with its number, behind a click that needs no script."""
    with closing(store.statistics()) as statistics:
        reasons = statistics.reasons(window_of_days(NOW, 30), Grouping.DOMAIN)

    text = shown(looked(store))

    cards = dict(re.findall(r'<article data-domain="([^"]+)">(.*?)</article>', text, re.DOTALL))
    assert len(reasons) > 4
    for count in reasons:
        row = f'<li><data value="{count.copies}">{count.copies:,}</data> {count.reason}</li>'
        assert row in cards[count.key]


def test_state_of_domains_and_certificates(store: Store) -> None:
    """Verified or not and why, until when the certificate is good, what ACME said."""
    text = told(shown(looked(store)))

    assert "t.post.nordlicht.example has no CNAME record" in text
    assert "not verified" in text
    assert "certificate expires in 60 d (2026-01-22)" in text
    assert "the CA could not reach port 80." in text


def test_webhooks(store: Store) -> None:
    """Each with its state and how its last attempt ended; no secret, no path of its URL."""
    text = shown(looked(store))

    assert "circuit open" in text
    assert "answered 503" in text
    assert "100 %" in told(text)
    assert "https://hooks.kontor.example" in text
    assert "secret" not in text
    assert "whsec_" not in text


def test_no_recipient_stands_on_the_page(store: Store) -> None:
    """Nor does the address of who opened."""
    text = shown(looked(store))

    assert "@reader.example" not in text
    assert "192.0.2.7" not in text


def test_the_newest_events(store: Store) -> None:
    """Fifty, each with its queue id."""
    events = recent(store)

    text = shown(looked(store))

    assert len(events) == 50
    assert all(event.queue_id for event in events)
    assert [event.queue_id for event in events] == re.findall(
        r"#events\" class=\"mono\">(\w+)<", text
    )


def test_events_of_one_message(store: Store) -> None:
    """By queue id, email id or Message-ID; nothing else is shown."""
    event = recent(store)[0]
    with closing(store.message_reader()) as reader:
        (message,) = reader.many_by_queue_id(event.queue_id)

    by_name = [
        recent(store, named(store, name))
        for name in (event.queue_id, message.message_id or "", f"email_{_uuid(event.email_id)}")
    ]

    assert event in by_name[0]
    assert by_name[0] == by_name[1] == by_name[2]
    assert {each.email_id for each in by_name[0]} == {event.email_id}
    text = shown(looked(store), Question(event.queue_id, by_name[0]))
    assert text.count('class="mono">' + event.queue_id) == len(by_name[0])


def _uuid(raw: bytes) -> str:
    text = raw.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def test_a_message_without_events(store: Store) -> None:
    """Said in words, with the name that was asked for."""
    asked = "<b>&nobody"

    text = shown(looked(store), Question(asked, recent(store, named(store, asked))))

    assert "No event of &lt;b&gt;&amp;nobody." in text
    assert 'value="&lt;b&gt;&amp;nobody"' in text


def test_an_event_whose_row_and_verdict_are_gone(tmp_path: Path) -> None:
    """Retention keeps events for longer: the email id stands for the queue id."""
    store = open_store(f"sqlite:{tmp_path}")
    store.message_log().close()
    with closing(store.registry()) as registry:
        registry.events.record_judgements([a_judgement()], CURSOR, NOW)
        registry.retention.sweep_verdicts(2 * NOW, 100)

    text = shown(looked(store))

    assert "email_0199c0de-0000-7abc-8def-0123456789ab" in text


def test_what_comes_from_outside_is_text(tmp_path: Path) -> None:
    """A user agent, a destination, a name of a webhook, a reason: none becomes an element."""
    store = open_store(f"sqlite:{tmp_path}")
    with closing(store.message_log()) as log:
        log.record([a_message(email_id=MADE_NOW, queue_id=EVIL, sending_domain=EVIL)])
        log.record(
            [a_message(email_id=MADE_NOW, copy=b"next", outcome=Outcome.UNTOUCHED, reason=EVIL)]
        )
    hit = a_judgement(email_id=MADE_NOW, destination=f"https://a.example/{EVIL}")
    judged = replace(hit, verdict=Verdict(Visitor.PROXY, EVIL, EVIL, EVIL))
    with closing(store.registry()) as registry:
        registry.domains.add(a_domain())
        registry.webhooks.add(a_webhook(name=EVIL, url=f"https://{EVIL}/x"))
        registry.events.record_judgements([judged], CURSOR, NOW)

    text = shown(looked(store), Question(EVIL, recent(store)))

    elements = Elements()
    elements.feed(text)
    assert "script" not in elements.names
    assert not [name for name in elements.attributes if name.startswith("on")]
    assert text.count("alert(1)") > 5


class Elements(HTMLParser):
    """Lists the elements and attributes of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.attributes: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.names.append(tag)
        self.attributes += [name for name, _ in attrs]


def test_the_policy_allows_the_style_sheet_alone(store: Store) -> None:
    """By its hash; no style attribute, no event handler, nothing that is loaded."""
    text = shown(looked(store))
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()

    policy = HEADERS["Content-Security-Policy"]
    elements = Elements()
    elements.feed(text)

    assert policy.startswith("default-src 'none'; ")
    assert f"style-src 'sha256-{digest}';" in policy
    assert "unsafe" not in policy
    assert not {"style", "src", "srcset"} & set(elements.attributes)
    assert not {"script", "iframe", "object", "img"} & set(elements.names)
    assert "url(" not in style[1]
    assert "@import" not in style[1]


def test_a_store_with_nothing_in_it(tmp_path: Path) -> None:
    """A fresh installation says what is still to be done."""
    store = open_store(f"sqlite:{tmp_path}")
    store.registry().close()
    store.message_log().close()

    text = told(shown(looked(store)))

    assert "No sending domain is added" in text
    assert "openclick webhook add" in text
    assert "It has never run on this store" in text


def test_a_store_that_cannot_be_read(tmp_path: Path) -> None:
    """The page comes all the same, and says why."""
    text = told(shown(looked(open_store(f"sqlite:{tmp_path}"))))

    assert "openclick.db" in text
    assert "faults" in text


def test_many_domains(tmp_path: Path) -> None:
    """Those with mail come first, by cards; each of the others has a line."""
    store = open_store(f"sqlite:{tmp_path}")
    with closing(store.message_log()) as log:
        log.record([a_message(email_id=MADE_NOW, sending_domain="z.example")])
    with closing(store.registry()) as registry:
        for number in range(50):
            name = f"d{number}.example"
            registry.domains.add(a_domain(domain_id=name, name=name))
        registry.domains.add(a_domain(name="z.example"))

    text = shown(looked(store))

    cards = re.findall(r'data-domain="([^"]+)"', text)
    assert cards == ["z.example"]
    assert len(re.findall(r"<td>d\d+\.example</td>", text)) == 50


@pytest.mark.parametrize("kind", list(Kind))
def test_a_hit_of_a_domain_that_is_removed_still_counts(tmp_path: Path, kind: Kind) -> None:
    """Its card says that it is not added."""
    store = open_store(f"sqlite:{tmp_path}")
    with closing(store.message_log()) as log:
        log.record([a_message(created_at=NOW - 1)])
    with closing(store.registry()) as registry:
        hit = a_judgement(kind=kind, received_at=NOW - 1)
        registry.events.record_judgements([hit], CURSOR, NOW)

    text = shown(looked(store))

    assert 'data-domain="kontor.example"' in text
    assert "not added" in text
    assert figure(text, f"{'opens' if kind is Kind.OPEN else 'clicks'}-counted") == 1
