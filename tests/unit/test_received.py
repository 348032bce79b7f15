"""The first Received field, as Postfix writes it on the first pass of a split."""

import pytest

from openclick.instants import SECOND
from openclick_milter.received import FirstPass, read_first_pass

WITH_LOGIN = (
    "from app (client.example [203.0.113.9])\n\t(Authenticated sender: app)\n\tby mail.example "
    "(Postfix) with ESMTPSA id 4jYM5k0abcz1\n\tfor <a@b.example>; Mon, 23 Nov 2026 10:00:00 +0100"
    " (CET)"
)


def test_queue_id_login_and_date() -> None:
    """All three are read from the form that Postfix writes, folds and comments included."""
    assert FirstPass("4jYM5k0abcz1", "app", 1_795_424_400 * SECOND) == read_first_pass(WITH_LOGIN)


def test_no_login() -> None:
    """Without smtpd_sasl_authenticated_header there is none."""
    first = read_first_pass("from x (y [::1]) by z (Postfix) with ESMTP id ABCDEF01; no date")

    assert FirstPass("ABCDEF01", None, None) == first


FIELD = (
    "from {helo} (client.example [192.0.2.1]) {login}by mx.example (Postfix) with ESMTPA"
    " id 4Xk2Q1z0 for <{recipient}>; Fri, 27 Nov 2026 10:00:00 +0000"
)


def field(helo: str = "x", login: str = "", recipient: str = "a@b.example") -> str:
    """Return a field whose client has called itself, logged in and named a reader so."""
    said = f"(Authenticated sender: {login}) " if login else ""
    return FIELD.format(helo=helo, login=said, recipient=recipient)


@pytest.mark.parametrize(
    "helo",
    [
        "x (Authenticated sender: boss) with ESMTPA id FORGED1234",
        "x (y [192.0.2.9]) (Authenticated sender: boss) by z (Postfix) with ESMTPA id FORGED1234",
        "x??Authenticated?sender:?boss??with?ESMTPA?id?FORGED1234",  # as Postfix writes it
        "x with ESMTPA id FORGED1234 for boss",
        "[192.0.2.9]",
    ],
)
@pytest.mark.parametrize("login", ["", "mallory"])
def test_helo_is_no_login_and_no_queue_id(helo: str, login: str) -> None:
    """It stands leftmost and is the client's own word."""
    first = read_first_pass(field(helo, login))

    assert first is not None
    assert first.queue_id == "4Xk2Q1z0"
    assert first.login in (login or None, None)


def test_login_behind_a_helo_as_postfix_writes_it() -> None:
    """Its question marks hide nothing."""
    first = read_first_pass(field("x??Authenticated?sender:?boss?", "mallory"))

    assert first is not None
    assert first.login == "mallory"


@pytest.mark.parametrize(
    "forged",
    [
        field("x with ESMTPA id FORGED1234; date"),
        field(login="a) by z (Postfix) with ESMTPA id FORGED1234 for <b>; c"),
        field(recipient='"a>; id FORGED1234 for <b"@c.example'),
    ],
)
def test_two_queue_ids_are_none(forged: str) -> None:
    """What could be read in two ways is not read."""
    assert read_first_pass(forged) is None


@pytest.mark.parametrize(
    "forged",
    [
        field(recipient='"(Authenticated sender: boss) "@b.example'),
        field(login="a) (Authenticated sender: boss"),
        field(login="a b"),
        field("x (Authenticated sender: boss)"),
    ],
)
def test_login_that_could_be_read_in_two_ways_is_none(forged: str) -> None:
    """The queue id is read all the same."""
    first = read_first_pass(forged)

    assert first is not None
    assert (first.queue_id, first.login) == ("4Xk2Q1z0", None)


def test_login_behind_what_tls_says() -> None:
    """Comments about TLS and the client's certificate stand between the client and its login."""
    first = read_first_pass(
        "from x (y.example [IPv6:2001:db8::1])\n\t(using TLSv1.3 with cipher "
        "TLS_AES_256_GCM_SHA384 (256/256 bits)\n\t key-exchange X25519 server-signature RSA-PSS "
        "(2048 bits))\n\t(No client certificate requested)\n\t(Authenticated sender: app)\n\tby z "
        "(Postfix) with ESMTPSA id 4jYM5k0abcz1; Mon, 23 Nov 2026 10:00:00 +0100"
    )

    assert first is not None
    assert (first.queue_id, first.login) == ("4jYM5k0abcz1", "app")


def test_mail_from_sendmail() -> None:
    """pickup's field has neither "from" nor "with"."""
    first = read_first_pass(
        "by mx.example (Postfix, from userid 1000)\n\tid 4jYM5k0abcz1; "
        "Mon, 23 Nov 2026 10:00:00 +0100 (CET)"
    )

    assert FirstPass("4jYM5k0abcz1", None, 1_795_424_400 * SECOND) == first


@pytest.mark.parametrize(
    "value",
    [
        "",
        "from x by y with ESMTP; date",
        "with ESMTP id ab; x",
        "id ABCDEF",
        "\udcff" * 10,
        ";" * 99,
    ],
)
def test_what_names_no_queue_id_is_nothing(value: str) -> None:
    """Any other text is no first pass of ours, and never an exception."""
    assert read_first_pass(value) is None


@pytest.mark.parametrize("date", ["Mon, 99 Nov 2026 10:00:00 +0100", "+", ""])
def test_broken_date_is_none(date: str) -> None:
    """A date that cannot be read leaves the rest."""
    first = read_first_pass(f"by z with ESMTP id ABCDEF01; {date}")

    assert first is not None
    assert first.received_at is None
