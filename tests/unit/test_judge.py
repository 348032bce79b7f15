"""The judge: people from machines, by the rules that come with OpenClick (reference/bots.md)."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclick.hits import Hit
from openclick.ids import email_id_instant
from openclick.instants import SECOND
from openclick.tokens import Kind
from openclick.verdicts import Verdict, Visitor
from openclick_sidecar.judge import NO_RULE, REPEAT_LIMIT, Circumstances, Judge
from openclick_sidecar.rules import packaged_rules, parse_rules
from unit.samples import EMAIL_ID, a_hit, an_open

JUDGE = Judge(packaged_rules())
STRICT = Judge(packaged_rules(), Circumstances(missing_fields=True))
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
GOOGLE = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
GMAIL_PREFETCH = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/42.0.2311.135 Safari/537.36 Edge/12.246 Mozilla/5.0"
)
APPLE_MAIL = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)"
)
PEOPLE = [
    FIREFOX,
    APPLE_MAIL,  # ends there: no image proxy
    (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like "
        "Gecko) Version/18.6 Mobile/15E148 Safari/604.1"
    ),
    (
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
        "Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0"
    ),
    "Mozilla/5.0 (Windows NT 10.0; WOW64; rv:140.0) Gecko/20100101 Thunderbird/140.4.0",
    "Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.17928; Pro)",
    "okhttp/4.9.0",  # apps follow links with it for people
    "MobileMail/1 CFNetwork/1410.0.3 Darwin/22.6.0",
    "Javascript lover's browser",
    "MAUI WAP Browser",  # feature phones by MediaTek
    "NOKIA-6133",
    (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 11_3 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like "
        "Gecko) Mobile/15E216 Blackboard/3.6.0"
    ),
    "Safari%20Technology%20Preview/12603.1.6 CFNetwork/807.0.4 Darwin/16.0.0 (x86_64)",
    (
        "Mozilla/5.0 (Linux; Android 4.2.1; Nexus 5) AppleWebKit/535.19 (KHTML, like Gecko; "
        "googleweblight) Chrome/38.0.1025.166 Mobile Safari/535.19"
    ),
    (
        "Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 6.1; Embedded Web Browser from: "
        "http://bsalsa.com/)"
    ),
]
PROXIES = [
    ("google", GOOGLE),
    ("yahoo", "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html"),
    ("apple", "Mozilla/5.0"),
    ("fastmail", f"{FIREFOX} FastmailUA/1.0"),
    ("hey", "hey.com/imageproxy (https://hey.com/image-proxy)"),
    ("rambler", "Mozilla/5.0 (compatible; RamblerMail/6.0 (incompatible; ImageProxy/6.0))"),
    ("seznam", "SeznamEmailProxy/2.0.174"),
    ("ukr.net", "Mozilla/5.0 (via secureurl.fwdcdn.com)"),
    ("startpage", "StartpagePrivateImageProxy/2.0"),
    ("yandex", "YandexImageResizer/2.0"),
    ("mail.ru", "Mozilla/5.0 (compatible; Linux x86_64; Mail.RU_Bot/Img/2.0)"),
    ("shortwave", "Shortwave Image Fetcher"),
    ("github", "github-camo (2c0ab95a)"),
    ("slack", "Slack-ImgProxy (+https://api.slack.com/robots)"),
    ("generic", "ExampleMail-ImageProxy/2.0"),
]
MACHINES = [
    ("gmail-content-sampling", GMAIL_PREFETCH[: -len(" Mozilla/5.0")] + " Gmail-content-sampling"),
    ("preview", "Mozilla/5.0 (Windows NT 6.1; WOW64) BingPreview/1.0b"),
    ("preview", "Mozilla/5.0 (Windows NT 6.1; WOW64) SkypeUriPreview Preview/0.5"),
    ("whatsapp-preview", "WhatsApp/2.23.20.0"),
    ("preview", "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)"),
    ("preview", "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)"),
    ("link-scanner", "BarracudaCentral/0.1"),
    ("link-scanner", "AppEngine-Google; (+http://code.google.com/appengine; virustotalcloud)"),
    (
        "link-scanner",
        "Expanse, a Palo Alto Networks company, searches across the global IPv4 space",
    ),
    ("crawler", "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"),
    ("http-library", "curl/8.14.1"),
    ("http-library", "python-requests/2.32"),
    ("http-library", "Go-http-client/2.0"),
    ("http-library", "Java/17.0.1"),
    ("http-library-inside", "Go 1.1 package http"),
    ("headless-browser", f"{FIREFOX} HeadlessChrome/120.0"),
    ("headless-browser", "Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 6.1; PTST 2.386)"),
    ("crawler-list", "Blackboard Safeassign"),
    ("says-robot", f"{FIREFOX} Example-Pinger/1.0"),
    ("says-address", f"{FIREFOX} (https://shots.example/)"),
    ("says-address", "Mozilla/5.0 (Windows NT 6.1; noc@kontor.example) Chrome/58.0 Safari/537.36"),
    ("no-system", "Kontorette v4.1.0 (polite; beta)"),
    ("no-system", "kontor-worker/2.0"),
    ("no-system", "Kontor Link Validity"),
    ("compatible-stranger", "Mozilla/5.0 (X11; Linux) Chrome/9 Safari/537.36 (compatible; Kontor)"),
    ("no-user-agent", ""),
]


def by_agent(user_agent: str, of: Hit) -> Verdict:
    """Return the verdict on a hit with this user agent."""
    kind = an_open if of.destination == "" else a_hit
    return JUDGE.verdict(kind(user_agent=user_agent, headers={}))


@pytest.mark.parametrize("user_agent", PEOPLE)
@pytest.mark.parametrize("hit", [a_hit(), an_open()], ids=["click", "open"])
def test_people(user_agent: str, hit: Hit) -> None:
    """Nothing speaks against them; of a mail client its rule tells why."""
    verdict = by_agent(user_agent, hit)

    assert (Visitor.PERSON, "") == (verdict.visitor, verdict.source)
    assert verdict.rule in (NO_RULE, "mail-client")


@pytest.mark.parametrize(("source", "user_agent"), PROXIES)
def test_an_image_proxy_opens(source: str, user_agent: str) -> None:
    """It counts, with its owner's name: somebody may have looked."""
    verdict = by_agent(user_agent, an_open())

    assert (Visitor.PROXY, source, True) == (verdict.visitor, verdict.source, verdict.counts)
    assert verdict.evidence.startswith("user agent: ")


@pytest.mark.parametrize(("source", "user_agent"), PROXIES)
def test_an_image_proxy_never_clicks(source: str, user_agent: str) -> None:
    """What looks where a link leads in its name is no reader."""
    verdict = by_agent(user_agent, a_hit())

    rule = "apple-mail-privacy-click" if source == "apple" else "image-proxy-click"
    assert (Visitor.AUTOMATION, rule) == (verdict.visitor, verdict.rule)


@pytest.mark.parametrize(("rule", "user_agent"), MACHINES)
@pytest.mark.parametrize("hit", [a_hit(), an_open()], ids=["click", "open"])
def test_machines_that_say_so(rule: str, user_agent: str, hit: Hit) -> None:
    """Scanners, previews, crawlers, libraries: dropped, with the rule's name."""
    verdict = by_agent(user_agent, hit)

    assert (Visitor.AUTOMATION, rule, False) == (verdict.visitor, verdict.rule, verdict.counts)


def test_gmails_second_fetcher() -> None:
    """At arrival, before anybody looks: the exact string, and no other browser's."""
    assert Verdict(Visitor.PREFETCH, "gmail-prefetch", f"user agent: {GMAIL_PREFETCH}") == by_agent(
        GMAIL_PREFETCH, an_open()
    )
    assert by_agent(GMAIL_PREFETCH[: -len(" Mozilla/5.0")], an_open()).counts


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("sec-purpose", "prefetch"),
        ("sec-purpose", "prefetch;prerender"),
        ("sec-purpose", "prefetch;anonymous-client-ip"),
        ("purpose", "prefetch"),
        ("purpose", "Prefetch"),
        ("x-moz", "prefetch"),
        ("x-purpose", "preview"),
        ("x-purpose", "prefetch"),
    ],
)
@pytest.mark.parametrize("make", [a_hit, an_open], ids=["click", "open"])
def test_prefetch_headers(make: type[Hit], header: str, value: str) -> None:
    """A browser fetched ahead of its reader; the evidence names the field."""
    verdict = JUDGE.verdict(make(headers={header: value}))

    assert Visitor.PREFETCH is verdict.visitor
    assert verdict.evidence.startswith(f"{header}: ")


def test_headers_of_a_reader() -> None:
    """Navigation marks are no prefetch."""
    headers = {"sec-fetch-mode": "navigate", "sec-fetch-user": "?1", "accept": "text/html"}

    assert JUDGE.verdict(a_hit(headers=headers)).counts


def test_an_image_proxy_comes_before_a_prefetch() -> None:
    """Image proxies are asked first (DESIGN 6): Apple's has both marks, and counts as a proxy."""
    verdict = JUDGE.verdict(an_open(user_agent="Mozilla/5.0", headers={"purpose": "prefetch"}))

    assert (Visitor.PROXY, "apple") == (verdict.visitor, verdict.source)


def test_rules_are_asked_in_the_files_order() -> None:
    """A field's rule that stands above a user agent's decides, and the other way round."""
    field = '[[rule]]\nname = "field"\nvisitor = "prefetch"\nheader = "purpose"\ncontains = "x"\n'
    agent = '[[rule]]\nname = "agent"\nvisitor = "automation"\ncontains = "Firefox"\n'
    hit = a_hit(headers={"purpose": "x"})

    assert Judge(parse_rules(field + agent).rules).verdict(hit).rule == "field"
    assert Judge(parse_rules(agent + field).rules).verdict(hit).rule == "agent"


def test_remembered_agents_change_nothing() -> None:
    """The second verdict on a user agent is the first; a click's is not an open's."""
    judge = Judge(packaged_rules())
    hits = [an_open(user_agent=GOOGLE), a_hit(user_agent=GOOGLE)] * 2

    rules = [judge.verdict(hit).rule for hit in hits]

    assert ["google-image-proxy", "image-proxy-click"] * 2 == rules


def test_without_rules_everybody_is_a_person() -> None:
    """An admin may hand in an empty file."""
    assert Verdict(Visitor.PERSON, NO_RULE) == Judge(()).verdict(a_hit(user_agent=""))


# --- What a hit did


CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/{}.0.0.0 Safari/537.36"
)
SAFARI = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS {} like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/{}.0 Mobile/15E148 Safari/604.1"
)
MSIE = "Mozilla/5.0 (compatible; MSIE 10.0; Windows NT 6.2)"
BROWSER = {"accept-language": "de", "sec-fetch-mode": "navigate"}
SENT_AT = email_id_instant(EMAIL_ID)


def after(seconds: float, **fields: Any) -> Hit:
    """Return a click so long after its message was submitted."""
    return a_hit(received_at=SENT_AT + round(seconds * SECOND), **fields)


def test_a_burst() -> None:
    """It drops clicks of what would be a reader, and leaves opens alone."""
    verdict = JUDGE.verdict(a_hit(), "3 links")

    assert Verdict(Visitor.AUTOMATION, "burst", "3 links") == verdict
    assert JUDGE.verdict(an_open(), "3 links").counts


def test_a_machine_that_says_so_needs_no_burst() -> None:
    """The more telling rule stands in the verdict."""
    assert JUDGE.verdict(a_hit(user_agent="curl/8"), "3 links").rule == "http-library"


def test_a_burst_of_a_mail_client() -> None:
    """That its user agent is a reader's does not make a burst one."""
    judge = Judge(parse_rules('[[rule]]\nname="r"\nvisitor="person"\nexact="x"\n').rules)

    assert judge.verdict(a_hit(user_agent="x"), "3 links").rule == "burst"


@pytest.mark.parametrize(
    ("rule", "user_agent", "headers"),
    [
        ("too-soon-outdated-browser", CHROME.format(96), BROWSER),
        ("too-soon-outdated-browser", CHROME.format(57), BROWSER),
        (
            "too-soon-outdated-browser",
            "Mozilla/5.0 (compatible; MSIE 10.0; Windows NT 6.2)",
            BROWSER,
        ),
        ("too-soon-no-language", CHROME.format(142), {"sec-fetch-mode": "navigate"}),
        ("too-soon-no-language", SAFARI.format("15_0", 15), {}),
        ("too-soon-no-language", FIREFOX, {}),
        ("too-soon-no-sec-fetch", CHROME.format(142), {"accept-language": "de"}),
        ("too-soon-no-sec-fetch", FIREFOX, {"accept-language": "de"}),
        ("too-soon-no-sec-fetch", SAFARI.format("18_6", 18), {"accept-language": "de"}),
    ],
)
def test_too_soon_with_another_sign(rule: str, user_agent: str, headers: dict[str, str]) -> None:
    """Within half a minute of the submission; later the same is a reader."""
    early = STRICT.verdict(after(30, user_agent=user_agent, headers=headers))
    late = STRICT.verdict(after(31, user_agent=user_agent, headers=headers))

    assert (Visitor.AUTOMATION, rule) == (early.visitor, early.rule)
    assert late.counts


def test_a_missing_field_is_a_sign_only_on_request() -> None:
    """An image proxy that does not say what it is looks just so: it must count."""
    hit = after(1, user_agent=FIREFOX, headers={})

    assert JUDGE.verdict(hit).counts
    assert not STRICT.verdict(hit).counts


@pytest.mark.parametrize(
    ("user_agent", "headers"),
    [
        (CHROME.format(142), BROWSER),
        (CHROME.format(109).replace("NT 10.0", "NT 6.1"), BROWSER),  # Windows 7's last
        (FIREFOX, BROWSER),
        (SAFARI.format("15_0", 15), {"accept-language": "de"}),  # sends no Sec-Fetch yet
        (
            CHROME.format(79).replace("Windows NT 10.0; Win64; x64", "Linux; Android 9; SM-G9"),
            BROWSER,
        ),
        (CHROME.format(142).replace("x64)", "x64; wv)"), {}),  # an app's view of the web
        (APPLE_MAIL, {}),
        ("Mozilla/5.0 (Windows NT 10.0; rv:140.0) Gecko/20100101 Thunderbird/140.4.0", {}),
        ("okhttp/4.9.0", {}),
    ],
)
def test_too_soon_alone(user_agent: str, headers: dict[str, str]) -> None:
    """Readers can be quick: who asked for a link waits for it."""
    assert STRICT.verdict(after(0, user_agent=user_agent, headers=headers)).counts


def test_a_clock_set_back_is_not_too_soon() -> None:
    """A hit from before its submission says nothing about the time between."""
    assert JUDGE.verdict(after(-1, user_agent=CHROME.format(57), headers=BROWSER)).counts


def test_repeats() -> None:
    """Twenty within an hour are a reader's, the rest is a program's; whose it was is forgotten."""
    proxied = JUDGE.verdict(an_open(user_agent=GOOGLE))

    assert proxied == JUDGE.repeat_verdict(proxied, REPEAT_LIMIT)
    dropped = JUDGE.repeat_verdict(proxied, REPEAT_LIMIT + 1)
    assert (Visitor.AUTOMATION, "repeat", "") == (dropped.visitor, dropped.rule, dropped.source)
    assert "more than 20 times in an hour" in dropped.evidence


def test_heys_brand_in_the_client_hints() -> None:
    """A proxy whose user agent is a browser's; the brands of browsers are none."""
    hey = JUDGE.verdict(an_open(headers={"sec-ch-ua": '"Chromium";v="120", "HEY";v="1"'}))
    chrome = JUDGE.verdict(
        an_open(headers={"sec-ch-ua": '"Chromium";v="120", "Not?A_Brand";v="8"'})
    )

    assert (Visitor.PROXY, "hey") == (hey.visitor, hey.source)
    assert Visitor.PERSON is chrome.visitor


@given(st.text(max_size=512), st.sampled_from(Kind))
def test_any_user_agent_gets_a_verdict(user_agent: str, kind: Kind) -> None:
    """A stranger's text raises nothing, and its verdict quotes no more than it."""
    verdict = JUDGE.verdict(a_hit(kind=kind, user_agent=user_agent))

    assert len(verdict.evidence) <= 600
