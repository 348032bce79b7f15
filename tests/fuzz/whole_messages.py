"""Builds whole messages out of a fuzzer's bytes, and checks what the milter makes of one.

Called by `fuzz_milter`. `built` reads its input as decisions: which fields, with which values and
folds, how parts nest, which boundary is told and which is used. So that structure is varied which
random bytes hardly ever form; `check_message` takes bytes of any kind.

Invariants: no exception; what is quoted for rows and events is clean text; taking control headers
out changes no other field; what a header alone refuses the whole message refuses with the same
reason; edits can be undone, and leave the same parts, for the standard library's reader too.
"""

import json
from collections.abc import Sequence
from email import message_from_bytes
from itertools import chain
from typing import Protocol

from openclick_milter import envelope
from openclick_milter.controls import read_controls
from openclick_milter.instrument import (
    Instrumented,
    Limits,
    Minter,
    Request,
    Untouched,
    instrument,
    refused_by_header,
    undo,
)
from openclick_milter.offline import remove_fields, split_message
from openclick_milter.parts import find_parts, parse_content_type
from openclick_milter.received import read_first_pass

PREFIX = "X-Anypost-"
_OPENS, _CLICKS, _CONDITIONAL, _SIGNED_OK, _VENDORS = (1 << bit for bit in range(5))
ALL_FLAGS = (1 << 5) - 1
_MAX_DEPTH = 4

_NAMES = (
    *(b"Content-Type", b"Content-Transfer-Encoding", b"Content-Disposition", b"MIME-Version"),
    *(b"From", b"Subject", b"Message-ID", b"Received", b"List-Unsubscribe", b"DKIM-Signature"),
    *(b"X-Anypost-Track-Opens", b"X-Anypost-Tags", b"X-Anypost-Topic", b"X-Anypost-Campaign"),
    *(b"X-PM-Tag", b"X-Mailgun-Variables", b"X-MC-Track", b"X-OpenClick-Id", b"X-Own"),
)
_VALUES = (
    *(b"quoted-printable", b"base64", b"8bit", b"inline", b"attachment; filename=a.html"),
    *(b"News <news@kontor.example>", b"<a@b.example>, (c (d) e) <f@[::1]>", b'"a, b" <a@b>'),
    *(b"=?utf-8?q?Caf=C3=A9?=", b"=?utf-7?b?2D3cqQ?=", b"=?x?q?=?=", b"<https://a.example/u\t>"),
    *(b"yes", b"one, two", b"v=1; h=From:X-Anypost-Tags; b=", b"\xc3\xa9\xff", b""),
    b"from a (b [192.0.2.1]) by c (Postfix) with ESMTPA id 4Xk2Q1z0; Tue, 04 Nov 2025 10:00:00 +0",
)
_TYPES = (
    *(b"text/html", b"text/plain", b"TEXT/HTML", b"multipart/mixed", b"multipart/alternative"),
    *(b"multipart/related", b"multipart/signed", b"multipart/digest", b"message/rfc822"),
    *(b"application/pdf", b"text", b"multipart/", b"text/x-amp-html", b""),
)
_PARAMETERS = (
    *(b"charset=utf-8", b'charset="iso-8859-1"', b"charset*=utf-8''utf-16", b"charset=utf-7"),
    *(b"boundary*0=in; boundary*1=ner", b"boundary*=utf-8'en'inner", b"(a comment) type=x"),
    *(b'name="a\\"b; boundary=x"', b"delsp=yes", b"=", b"charset", b'title="'),
)
_BOUNDARIES = (b"b", b"b b", b"inner", b"=_b", b"b'()+_,-./:=?", b"x" * 71)
_CONTENTS = (
    b'<html><body><p><a href="https://a.example/?b=1&amp;c">A</a></p></body></html>',
    b'<body><a href="https://a.example/=\nb">A</a><!-- <a href="http://c.example/">',
    b'<a href=3D"https://a.example/?b=3D1&amp;c">A</a>=\n</body>',
    b"PGEgaHJlZj0iaHR0cDovL2EuZXhhbXBsZS8iPkE8L2E+PC9ib2R5Pg==",
    b"-----BEGIN PGP MESSAGE-----",
    b"",
)


class Picks(Protocol):
    """What of atheris.FuzzedDataProvider is used here."""

    def ConsumeIntInRange(self, low: int, high: int) -> int:  # noqa: N802 - atheris' name
        """Return a number from `low` to `high`."""

    def ConsumeBytes(self, count: int) -> bytes:  # noqa: N802
        """Return at most `count` bytes."""


def built(pick: Picks) -> tuple[bytes, int]:
    """Return a message and option bits."""
    flags = pick.ConsumeIntInRange(0, ALL_FLAGS)
    raw = _entity(pick, 0)
    return raw.replace(b"\n", b"\r\n") if pick.ConsumeIntInRange(0, 3) else raw, flags


def check_message(raw: bytes, flags: int, minter: Minter, limits: Limits) -> None:
    """Do with a message all that the milter does but speak to Postfix."""
    fields, body = split_message(raw)
    assert raw.endswith(body)
    _check_controls(raw, fields, bool(flags & _VENDORS))
    _check_quotes(fields)
    request = Request(
        opens=bool(flags & _OPENS),
        clicks=bool(flags & _CLICKS),
        unsubscribe_urls=envelope.unsubscribe_urls(fields),
        conditional_comments=bool(flags & _CONDITIONAL),
        signed_ok=bool(flags & _SIGNED_OK),
    )
    refusal = refused_by_header(fields, request, limits)
    result = instrument(fields, body, request, minter, limits, lambda: None)
    if refusal:
        assert Untouched(refusal) == result, (refusal, result)
    if isinstance(result, Instrumented):
        assert undo(result.body, result.edits) == body
        before, after = (_shape(fields, content, limits) for content in (body, result.body))
        assert before == after, (before, after)
        head = raw[: len(raw) - len(body)]
        assert _types(raw) == _types(head + result.body)


def _check_controls(raw: bytes, fields: Sequence[tuple[str, str]], vendors: bool) -> None:
    controls = read_controls(fields, PREFIX, vendors=vendors)
    wanted = {(removal.name.lower(), removal.occurrence) for removal in controls.removals}
    counts: dict[str, int] = {}
    kept = []
    for name, value in fields:
        lowered = name.lower()
        counts[lowered] = counts.get(lowered, 0) + 1
        if (lowered, counts[lowered]) not in wanted:
            kept.append((name, value))
    left = remove_fields(raw, controls.removals)
    # What comes first now may look like an mbox line, or the body like a field: Postfix, which has
    # read them before, does not look again.
    if kept and not left.lower().startswith((b"from ", b">")):
        assert split_message(left)[0] == kept, (kept, left)


def _check_quotes(fields: Sequence[tuple[str, str]]) -> None:
    """Have everything quoted that a row quotes: it must fit SQL, JSON and the log."""
    names = ("from", "subject", "message-id", "received", "x-openclick-id")
    values = {name: envelope.first_value(fields, name) for name in names}
    quoted = [
        *(value for value in values.values() if value is not None),
        envelope.decoded_subject(fields) or "",
        envelope.sending_domain(fields, "a@kontor.example") or "",
        *envelope.unsubscribe_urls(fields),
        *chain(*envelope.app_headers(fields, PREFIX, vendors=True).items()),
    ]
    json.dumps(quoted, ensure_ascii=False).encode("utf-8")
    assert not any("\0" in text for text in quoted), quoted
    read_first_pass(values["received"] or "")
    for name, value in fields:
        if name.lower() == "content-type":
            parse_content_type(value)


def _shape(
    fields: Sequence[tuple[str, str]], body: bytes, limits: Limits
) -> list[tuple[int, int, str, str, str, str]]:
    """Return what a message is made of, without where it lies."""
    return [
        (part.number, part.depth, part.content_type, part.charset, part.encoding, part.left)
        for part in find_parts(fields, body, limits, lambda: None)
    ]


def _types(raw: bytes) -> list[str]:
    """Return the content types of a message's parts as the standard library sees them."""
    return [part.get_content_type() for part in message_from_bytes(raw).walk()]


def _entity(pick: Picks, depth: int) -> bytes:
    """Build one entity: fields, most often a blank line, and what they announce."""
    boundary = _one(pick, _BOUNDARIES)
    fields = [_content_type(pick, boundary)] if pick.ConsumeIntInRange(0, 7) else []
    while len(fields) < 8 and pick.ConsumeIntInRange(0, 2 + depth) == 1:
        fields.insert(pick.ConsumeIntInRange(0, len(fields)), _field(pick))
    blank = b"\n" if pick.ConsumeIntInRange(0, 15) else b""
    content = _multipart if depth < _MAX_DEPTH and pick.ConsumeIntInRange(0, 1) else _leaf
    return b"".join(fields) + blank + content(pick, boundary, depth)


def _multipart(pick: Picks, boundary: bytes, depth: int) -> bytes:
    if not pick.ConsumeIntInRange(0, 15):
        boundary = _one(pick, _BOUNDARIES)
    opening = b"--" + boundary + _one(pick, (b"\n", b"\n", b"\n", b" \t\n", b"x\n", b"\r"))
    pieces = [_one(pick, (b"", b"", b"preamble\n"))]
    for _ in range(pick.ConsumeIntInRange(0, 3)):
        pieces += [opening, _entity(pick, depth + 1), b"\n"]
    closing = b"--" + boundary + b"--"
    pieces.append(_one(pick, (closing, closing + b"\n", closing + b"\nepilogue\n", b"")))
    return b"".join(pieces)


def _leaf(pick: Picks, _boundary: bytes, _depth: int) -> bytes:
    if pick.ConsumeIntInRange(0, 3):
        return _one(pick, _CONTENTS)
    return pick.ConsumeBytes(pick.ConsumeIntInRange(0, 60))


def _content_type(pick: Picks, boundary: bytes) -> bytes:
    parameters = [b'boundary="%b"' % boundary if b" " in boundary else b"boundary=" + boundary]
    while len(parameters) < 4 and pick.ConsumeIntInRange(0, 2) == 1:
        parameters.insert(pick.ConsumeIntInRange(0, len(parameters)), _value(pick, _PARAMETERS))
    joint = _one(pick, (b"; ", b";\n\t", b";", b" ; "))
    return b"Content-Type: " + joint.join((_one(pick, _TYPES), *parameters)) + b"\n"


def _field(pick: Picks) -> bytes:
    name = _value(pick, _NAMES)
    value = _value(pick, _VALUES)
    if not pick.ConsumeIntInRange(0, 7):
        place = pick.ConsumeIntInRange(0, len(value))
        value = value[:place] + _one(pick, (b"\n ", b"\n\t", b"\r", b"\0")) + value[place:]
    return name + _one(pick, (b": ", b": ", b":", b" :\t")) + value + b"\n"


def _value(pick: Picks, usual: Sequence[bytes]) -> bytes:
    """Return one of the usual values, or bytes of any kind."""
    if pick.ConsumeIntInRange(0, 7):
        return _one(pick, usual)
    return pick.ConsumeBytes(pick.ConsumeIntInRange(0, 20))


def _one(pick: Picks, choices: Sequence[bytes]) -> bytes:
    return choices[pick.ConsumeIntInRange(0, len(choices) - 1)]
