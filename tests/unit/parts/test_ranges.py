"""The parts of a message as ranges: where each lies, and which is never entered."""

from __future__ import annotations

import pytest

from openclick_milter.parts import Part, find_parts
from openclick_milter.reasons import Reason, Unreadable
from unit.parts.listed_parts import LIMITS, MIXED, contents, is_entered


def test_message_of_one_part() -> None:
    """A message that is no multipart is one part, all of its body."""
    fields = [("Content-Type", "text/html; charset=UTF-8"), ("Content-Transfer-Encoding", " 8BIT ")]

    assert find_parts(fields, b"<p>\r\n", LIMITS) == [
        Part(0, 0, 0, 5, "text/html", "utf-8", "8bit", "")
    ]


def test_message_without_content_type() -> None:
    """Without a Content-Type a message is plain text (RFC 2045, 5.2)."""
    (part,) = find_parts([], b"x", LIMITS)

    assert part.content_type == "text/plain"


def test_alternative_in_mixed() -> None:
    """Nested parts come in the order of the message, with exact ranges."""
    body = (
        b"preamble\r\n--b\r\nContent-Type: multipart/alternative;\r\n boundary=bb\r\n\r\n"
        b"--bb\r\n\r\ntext\r\n--bb  \r\nContent-Type: text/html\r\n\r\n<p>\r\n\r\n--bb--\r\n"
        b"between\r\n--b\r\nContent-Type: image/png\r\n\r\nPNG\r\n--b--\t\r\nepilogue\r\n"
    )

    parts = find_parts(MIXED, body, LIMITS)

    assert [
        (0, 0, "multipart/mixed"),
        (1, 1, "multipart/alternative"),
        (2, 2, "text/plain"),
        (3, 2, "text/html"),
        (4, 1, "image/png"),
    ] == [(part.number, part.depth, part.content_type) for part in parts]
    assert [b"text", b"<p>\r\n", b"PNG"] == [
        body[part.start : part.end] for part in parts if not is_entered(part)
    ]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"--b\r\n\r\nx\r\n--b--", [b"x"]),
        (b"--b\n\nx\n--b--\n", [b"x"]),
        (b"--b\n\nx\r\n--b--\n", [b"x"]),
        (b"--b\r\n\r\n--b--", [b""]),
        (b"--b\r\nX: y\r\n--b--", [b""]),
        (b"--b\r\nX: y\r\n\r\n--b--", [b""]),
        (b"--b\r\nX: y\r\n\r\n\r\n--b--", [b""]),
        (b"--b\r\n\r\n\r\n\r\n--b--", [b"\r\n"]),
        (
            b"--b\r\n\r\nx --b\r\n--bb\r\n--b-\r\n--b--x\r\n--b--",
            [b"x --b\r\n--bb\r\n--b-\r\n--b--x"],
        ),
        (b"--b\r\n\r\nx\r\n--b--\r\n--b\r\n\r\nnot a part\r\n--b--", [b"x"]),
    ],
)
def test_boundary_lines(body: bytes, expected: list[bytes]) -> None:
    """The line end before a boundary line belongs to it; what only begins like one is content."""
    assert expected == [content for _, content in contents(MIXED, body)]


def test_boundary_of_the_message_wins() -> None:
    """A boundary line of the message ends a nested multipart that lacks its own end."""
    body = (
        b"--b\r\nContent-Type: multipart/mixed; boundary=bb\r\n\r\n--bb\r\n\r\nx\r\n--b\r\n\r\ny"
        b"\r\n--bb--\r\n--b--"
    )

    with pytest.raises(Unreadable, match=Reason.NO_END_BOUNDARY):
        find_parts(MIXED, body, LIMITS)


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (b"Content-Disposition: attachment", Reason.ATTACHMENT),
        (b"Content-Disposition: ATTACHMENT; filename=x.html", Reason.ATTACHMENT),
        (b"Content-Disposition: x-unknown", Reason.ATTACHMENT),
        (b"Content-Disposition: inline; filename=x.html", ""),
        (b"Content-Disposition:", ""),
    ],
)
def test_attachment(header: bytes, reason: str) -> None:
    """An attachment is left, whatever its type; an inline part is not."""
    body = b"--b\r\nContent-Type: text/html\r\n" + header + b"\r\n\r\n<p>\r\n--b--"

    assert reason == find_parts(MIXED, body, LIMITS)[1].left


@pytest.mark.parametrize(
    ("content_type", "reason"),
    [
        ("multipart/signed; boundary=b", Reason.SIGNED),
        ("MULTIPART/Encrypted; boundary=b", Reason.ENCRYPTED),
        ("multipart/digest; boundary=b", Reason.ENCLOSED),
        ("application/pkcs7-mime; smime-type=signed-data", Reason.SMIME),
        ("application/x-pkcs7-mime", Reason.SMIME),
    ],
)
def test_part_that_is_never_entered(content_type: str, reason: str) -> None:
    """What is signed, encrypted or a digest is one closed part, at the top and nested."""
    inner = b"--b\r\nContent-Type: text/html\r\n\r\n<p>\r\n--b--"
    outer = [("Content-Type", "multipart/mixed; boundary=o")]
    nested = b"--o\r\nContent-Type: %b\r\n\r\n%b\r\n--o--" % (content_type.encode(), inner)

    (top,) = find_parts([("Content-Type", content_type)], inner, LIMITS)
    _, below = find_parts(outer, nested, LIMITS)

    assert (reason, reason) == (top.left, below.left)
    assert nested[below.start : below.end] == inner


def test_enclosed_message() -> None:
    """A message in a message is a leaf: what stands in it is not listed."""
    body = b"--b\r\nContent-Type: message/rfc822\r\n\r\nContent-Type: text/html\r\n\r\n<p>\r\n--b--"

    assert ["message/rfc822"] == [name for name, _ in contents(MIXED, body)]
