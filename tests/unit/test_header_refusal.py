"""What the header alone decides, so that Postfix need not hand the body over."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclick_milter.instrument import (
    Limits,
    Request,
    Untouched,
    instrument,
    refused_by_header,
)
from openclick_milter.reasons import Reason

BOTH = Request(opens=True, clicks=True)
TYPES = (
    "text/html",
    "text/html; charset=utf-16",
    "text/plain",
    "multipart/mixed; boundary=b",
    "multipart/signed; boundary=b",
    "multipart/encrypted; boundary=b",
    "multipart/digest; boundary=b",
    "multipart/mixed; boundary=b; boundary=c",
    "application/pkcs7-mime",
    "message/rfc822",
    "text/x-amp-html",
    "nonsense",
    "",
)
DISPOSITIONS = ("", "inline", "attachment; filename=a.html", "unheard-of")
HTML = b'<html><body><a href="https://a.example/">a</a></body></html>\r\n'
BODIES = (HTML, b"", b"--b\r\nContent-Type: text/html\r\n\r\n" + HTML + b"\r\n--b--\r\n")


class Minter:
    """Makes URLs without a key."""

    def link_urls(self, links: Sequence[tuple[int, str]]) -> list[str | None]:
        return [f"https://t.example/c/{index}" for index, _ in links]

    def image_url(self) -> str:
        return "https://t.example/o/0"

    def is_own(self, url: str) -> bool:
        return url.startswith("https://t.example/")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ([("Content-Type", "text/plain")], Reason.NO_HTML),
        ([], Reason.NO_HTML),
        ([("Content-Type", "multipart/signed; boundary=b")], Reason.SIGNED),
        ([("Content-Type", "application/pkcs7-mime")], Reason.SMIME),
        ([("DKIM-Signature", "v=1"), ("Content-Type", "text/html")], Reason.DKIM_SIGNED),
        ([("Content-Type", "text/html"), ("content-type", "text/plain")], Reason.DUPLICATE_HEADER),
        ([("Content-Type", "text/html"), ("Content-Disposition", "attachment")], Reason.NO_HTML),
        ([("Content-Type", "text/html")], ""),
        ([("Content-Type", "multipart/alternative; boundary=b")], ""),
    ],
)
def test_refusal(fields: list[tuple[str, str]], reason: str) -> None:
    """Text alone, signed, encrypted and ambiguous mail is let go before its body is read."""
    assert reason == refused_by_header(fields, BOTH, Limits())


def test_nothing_asked() -> None:
    """With both features off there is nothing to read a body for."""
    asked = Request(opens=False, clicks=False)

    assert Reason.NOTHING_ASKED == refused_by_header(
        [("Content-Type", "text/html")], asked, Limits()
    )


@pytest.mark.parametrize(("spare", "reason"), [(0, ""), (-1, Reason.HEADER_TOO_LONG)])
def test_header_size(spare: int, reason: str) -> None:
    """All fields count as they travel, name, colon, blank, value and CRLF; at the bound it fits."""
    fields = [("Content-Type", "text/html"), ("X-A", "ä\n b"), ("X-B", "\udcff")]
    limits = Limits(max_top_header_bytes=25 + 12 + 8 + spare)

    assert reason == refused_by_header(fields, BOTH, limits)


def test_a_long_to_and_a_long_cc_pass() -> None:
    """Two fields as long as Postfix lets them be, and what else ordinary mail has."""
    long = "a@reader.example,\n " * 5300
    fields = [("To", long), ("Cc", long), ("Content-Type", "text/html")]
    fields += [("Received", "from a by b with ESMTPS id 4jYM5k0abcz; date")] * 50

    assert not refused_by_header(fields, BOTH, Limits())
    assert Reason.HEADER_TOO_LONG == refused_by_header([("Bcc", long)] * 5, BOTH, Limits())


@given(
    kind=st.sampled_from(TYPES),
    disposition=st.sampled_from(DISPOSITIONS),
    signed=st.booleans(),
    body=st.sampled_from(BODIES),
)
def test_the_body_would_have_changed_nothing(
    kind: str, disposition: str, signed: bool, body: bytes
) -> None:
    """A message refused by its header is untouched with the same reason when it is read whole."""
    fields = [("Content-Type", kind)] if kind else []
    fields += [("Content-Disposition", disposition)] if disposition else []
    fields += [("DKIM-Signature", "v=1")] if signed else []

    early = refused_by_header(fields, BOTH, Limits())
    late = instrument(fields, body, BOTH, Minter(), Limits(), lambda: None)

    assert not early or late == Untouched(early)
