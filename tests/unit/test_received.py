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
