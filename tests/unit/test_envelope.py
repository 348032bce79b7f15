"""What rows and events quote from a message: clean text, whatever came in."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclick_milter.envelope import (
    MAX_APP_HEADER_CHARS,
    MAX_APP_HEADERS,
    MAX_SUBJECT_CHARS,
    app_headers,
    bare_address,
    clean_text,
    decoded_subject,
    esmtp_parameter,
    first_value,
    sending_domain,
    unsubscribe_urls,
)

PREFIX = "X-Anypost-"
SENDER = "bounces@envelope.example"


def raw(data: bytes) -> str:
    """Return header bytes as pymilter gives them."""
    return data.decode("ascii", "surrogateescape")


HEADER_TEXT = st.binary(max_size=60).map(raw)


# --- text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", "plain"),
        ("  around ", "around"),
        ("folded\n here", "folded here"),
        ("folded\r\n\t here", "folded here"),
        (raw("Grüße".encode()), "Grüße"),
        (raw(b"caf\xe9"), "caf\ufffd"),
        ("a\x00b", "ab"),
    ],
)
def test_clean_text(value: str, text: str) -> None:
    """Unfolded, UTF-8 read as such, the rest replaced, no NUL."""
    assert text == clean_text(value)


@given(st.one_of(HEADER_TEXT, st.text(st.characters())))
def test_clean_text_can_be_stored(value: str) -> None:
    """SQL, JSON and logs take it, lone surrogates of whatever origin included."""
    text = clean_text(value)

    assert text.encode("utf-8").decode("utf-8") == text
    assert "\x00" not in text


@pytest.mark.parametrize(
    ("argument", "address"),
    [
        ("<a@b.example>", "a@b.example"),
        ("a@b.example", "a@b.example"),
        ("<>", ""),
        ("", ""),
        ("<", "<"),
    ],
)
def test_bare_address(argument: str, address: str) -> None:
    """With or without angle brackets."""
    assert address == bare_address(argument)


def test_first_value() -> None:
    """The first of a name, in any case; None where there is none."""
    fields = [("MESSAGE-ID", "<1@x>"), ("Message-Id", "<2@x>")]

    assert first_value(fields, "message-id") == "<1@x>"
    assert first_value(fields, "subject") is None


# --- subject


@pytest.mark.parametrize(
    ("value", "subject"),
    [
        ("Boots", "Boots"),
        ("", ""),
        ("=?utf-8?q?Gr=C3=BC=C3=9Fe?=", "Grüße"),
        ("=?utf-8?B?R3LDvMOfZQ==?=", "Grüße"),
        ("=?utf-8?q?Gr=C3=BC?=\n =?utf-8?q?=C3=9Fe?=", "Grüße"),
        ("Re: =?iso-8859-1?q?Gr=FC=DFe?= an alle", "Re: Grüße an alle"),
        (raw("Grüße".encode()), "Grüße"),
        ("=?nonsense?q?x?=", "=?nonsense?q?x?="),
        ("=?utf-8?q?=FF?=", "=?utf-8?q?=FF?="),
        ("=?utf-8?q?a=00b=0Ac?=", "ab c"),
    ],
)
def test_subject(value: str, subject: str) -> None:
    """Encoded words are decoded; what cannot be is left as it stands."""
    assert subject == decoded_subject([("Subject", value)])


def test_no_subject() -> None:
    """None, not an empty text."""
    assert decoded_subject([("From", "a@b.example")]) is None


@pytest.mark.parametrize(
    "value",
    [
        "=?utf-7?q?+2AA-?=",  # a lone surrogate
        "=?unicode_escape?q?\\ud800?=",
        "=?raw_unicode_escape?q?\\udfff?=",
        "=?idna?q?xn--a?=",
        "=?punycode?q?a-b?=",
        "=?zlib?q?x?=",
        "=?rot13?q?x?=",
        "=?unknown-8bit?q?=FF?=",
        "=?utf-16?q?x?=",
        "=??q?x?=",
        "=?utf-8*en?q?x?=",
        "=?utf-8?q?" + "=41" * 2000 + "?=",
        "=?" * 2000,
        raw(b"\xff" * 5000),
    ],
)
def test_a_hostile_subject_costs_nothing_but_itself(value: str) -> None:
    """Never an exception, which would leave the mail untracked; always text that can be stored."""
    subject = decoded_subject([("Subject", value)])

    assert subject is not None
    assert len(subject) <= MAX_SUBJECT_CHARS
    assert subject.encode("utf-8")


@given(HEADER_TEXT)
def test_any_subject(value: str) -> None:
    """Likewise for any bytes."""
    subject = decoded_subject([("Subject", value)])

    assert subject is not None
    assert subject == subject.encode("utf-8").decode("utf-8")


def test_long_subject_is_cut() -> None:
    """At 998 characters."""
    assert decoded_subject([("Subject", "x" * 5000)]) == "x" * MAX_SUBJECT_CHARS


# --- sending domain


@pytest.mark.parametrize(
    ("value", "domain"),
    [
        ("news@kontor.example", "kontor.example"),
        ("Kontor Nord <news@Kontor.EXAMPLE>", "kontor.example"),
        ("<news@kontor.example> (Kontor)", "kontor.example"),
        ('"a@b" <news@kontor.example>', "kontor.example"),
        ('"odd@local"@kontor.example', "kontor.example"),
        (raw("Käthe <k@bücher.example>".encode()), "xn--bcher-kva.example"),
        ("=?utf-8?q?K=C3=A4the?= <k@kontor.example>", "kontor.example"),
        ("news@sub.kontor.example", "sub.kontor.example"),
        ("Kontor\n <news@kontor.example>", "kontor.example"),
        ("news@kontor.example <news@kontor.example>", "kontor.example"),
        ("[News] <news@kontor.example>", "kontor.example"),
        # none or several addresses: the envelope sender's
        ("", "envelope.example"),
        ("root", "envelope.example"),
        ("undisclosed:;", "envelope.example"),
        ("a@one.example, b@two.example", "envelope.example"),
        ("a@one.example, b@one.example", "envelope.example"),
        # one address without a usable host: nothing
        ("news@a..b", None),
    ],
)
def test_host_of_the_single_from_address(value: str, domain: str | None) -> None:
    """Exactly that host, as an A-label in lower case (DESIGN 3.3)."""
    assert domain == sending_domain([("From", value)], SENDER)


def test_several_from_fields() -> None:
    """Their addresses count together."""
    fields = [("From", "a@one.example"), ("from", "b@two.example")]

    assert sending_domain(fields, SENDER) == "envelope.example"


@pytest.mark.parametrize("sender", ["", "MAILER-DAEMON", "a@", "a@b c"])
def test_no_domain_at_all(sender: str) -> None:
    """A bounce without From belongs to nobody."""
    assert sending_domain([("Subject", "x")], sender) is None


@pytest.mark.parametrize(
    "piece",
    ["(", "<", '"', '"\\', "\\", "[", "a", "a@", "<@", "=?", "a@b.example,", "(a)", '"a" '],
)
def test_a_hostile_from_costs_nothing_but_itself(piece: str) -> None:
    """Never an exception, and no long wait: the time grows with the length, not its square."""
    value = (piece * 10_000)[:10_000]
    begun = time.monotonic()

    domain = sending_domain([("From", value)], SENDER)

    assert domain in ("envelope.example", None)
    assert time.monotonic() - begun < 0.2


def test_a_from_that_is_too_long_is_not_read() -> None:
    """Beyond 10,000 characters it counts as naming nobody."""
    value = "x" * 10_000 + " <news@kontor.example>"

    assert sending_domain([("From", value)], SENDER) == "envelope.example"


@given(st.lists(HEADER_TEXT, max_size=3), st.text(max_size=20))
def test_any_from(values: list[str], sender: str) -> None:
    """A name that domains are looked up by, or None."""
    domain = sending_domain([("From", value) for value in values], sender)

    assert domain is None or domain == domain.lower()


# --- the app's own fields


def test_app_headers() -> None:
    """X- fields, lower case with underscores; the control headers are not among them."""
    fields = [
        ("X-Order-Id", "17"),
        ("x-folded", "a\n b"),
        ("X-Anypost-Tags", "a"),
        ("X-OpenClick-Id", "email_x mac"),
        ("X-PM-Tag", "kept"),
        ("Subject", "x"),
        ("Y-Other", "x"),
        ("X-Long", "y" * 999),
    ]

    assert {
        "x_order_id": "17",
        "x_folded": "a b",
        "x_pm_tag": "kept",
        "x_long": "y" * MAX_APP_HEADER_CHARS,
    } == app_headers(fields, PREFIX, vendors=False)


def test_vendor_headers_are_controls_where_they_are_understood() -> None:
    """What we obey and remove is not the app's own."""
    assert {} == app_headers([("X-PM-Tag", "a")], PREFIX, vendors=True)


def test_app_headers_are_bounded() -> None:
    """The first 25."""
    fields = [(f"X-{number}", "v") for number in range(99)]

    assert [f"x_{number}" for number in range(MAX_APP_HEADERS)] == list(
        app_headers(fields, PREFIX, vendors=False)
    )


# --- List-Unsubscribe and ESMTP


@pytest.mark.parametrize(
    ("value", "urls"),
    [
        ("<https://a.example/u?x=1>", {"https://a.example/u?x=1"}),
        ("<mailto:u@a.example>, <HTTP://a.example/u>", {"HTTP://a.example/u"}),
        (
            "<https://a.example/1>,\n <https://a.example/2>",
            {"https://a.example/1", "https://a.example/2"},
        ),
        ("< https://a.example/1 >", {"https://a.example/1"}),
        (
            "<https://a.example/unsub?u=abcdef\n &t=123>",
            {"https://a.example/unsub?u=abcdef&t=123"},
        ),
        ("<htt\r\n\tps://a.example/ 1>", {"https://a.example/1"}),
        ("<https://>, <\n >", set()),
        ("https://a.example/1", set()),
        ("<mailto:u@a.example>", set()),
        ("<" * 5000, set()),
    ],
)
def test_unsubscribe_urls(value: str, urls: set[str]) -> None:
    """The web targets, as they will be met in the body."""
    assert urls == unsubscribe_urls([("List-Unsubscribe", value)])


@pytest.mark.parametrize("piece", ["<", "<http://a", "< ", "<https://", "<http://a ", "http://"])
def test_a_hostile_list_unsubscribe(piece: str) -> None:
    """As long as Postfix lets a header be, and read in linear time all the same."""
    begun = time.monotonic()

    unsubscribe_urls([("List-Unsubscribe", (piece * 100_000)[:100_000])])

    assert time.monotonic() - begun < 0.5


def test_esmtp_parameter() -> None:
    """By keyword, in any case; a value may hold an equals sign."""
    parameters = ("SIZE=1000", "envid=QQ=314159", "BODY=8BITMIME", "SMTPUTF8")

    assert esmtp_parameter(parameters, "ENVID") == "QQ=314159"
    assert esmtp_parameter(parameters, "SMTPUTF8") == ""
    assert esmtp_parameter(parameters, "RET") is None
