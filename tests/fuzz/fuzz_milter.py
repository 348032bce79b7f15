"""Feeds the milter's pure core with whatever breaks it (atheris, coverage-guided).

    make fuzz TARGET=links SECONDS=600      one target: links, parts, instrument, message or tree
    python tests/fuzz/fuzz_milter.py links -max_total_time=600 -dict=tests/fuzz/mail.dict CORPUS

Run by hand and before releases, not by `make test`. It starts from real mail (`_seeds`) and knows
the words of MIME and HTML (`mail.dict`); without either it never found its way past the first
checks. Each line that libFuzzer prints tells the coverage ("cov"), which must grow: otherwise
nothing was tried. A find is a case for the unit tests: add it there, with the bytes as they are.

For `parts` and `instrument` an input's first three bytes choose content type, transfer encoding and
options; the rest is the body. For `message` the first byte is the options, the rest a whole message
with its header; for `tree` an input is a series of decisions (`whole_messages`).

Invariants: no exception but those the docstrings name; offsets lie inside the input and in order;
`undo` gives the original back; what is instrumented twice has the same links.
"""

import itertools
import sys
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path

import atheris

from support import messages

with atheris.instrument_imports(include=["openclick_milter"]):
    from whole_messages import ALL_FLAGS, built, check_message

    from openclick_milter.instrument import (
        Edit,
        Instrumented,
        Limits,
        Request,
        instrument,
        undo,
    )
    from openclick_milter.links import scan
    from openclick_milter.parts import find_parts
    from openclick_milter.reasons import Unreadable

LIMITS = Limits(max_parts=50, max_depth=6, max_header_bytes=4096, max_message_bytes=1_000_000)
TYPES = (
    "text/html",
    "text/html; charset=iso-8859-1",
    "multipart/alternative; boundary=b",
    'multipart/mixed; boundary="b b"',
    "multipart/related; boundary=b; type=x",
    "text/plain",
)
ENCODINGS = ("", "7bit", "8bit", "quoted-printable", "base64", "binary")
OWN = "https://t.example/"
_CHOICES = 3
_ALL_OPTIONS = 7


class Minter:
    """Makes URLs that can be recognised without a key."""

    def link_urls(self, links: Sequence[tuple[int, str]]) -> list[str | None]:
        """Number the links."""
        return [None if len(target) > 500 else f"{OWN}c/{index}" for index, target in links]

    def image_url(self) -> str:
        """Name the image."""
        return f"{OWN}o/i"

    def is_own(self, url: str) -> bool:
        """Recognise what was made here."""
        return url.startswith((f"{OWN}c/", f"{OWN}o/"))


def links(data: bytes) -> None:
    """Scan bytes as HTML, with and without conditional comments."""
    for conditional in (False, True):
        found = scan(data, conditional_comments=conditional)
        position = 0
        for link in found.links:
            assert position <= link.start <= link.end <= len(data), (link, position)
            position = link.end
        for place in (found.after_body_start, found.last_body_end, found.last_html_end):
            assert place is None or 0 <= place <= len(data), place


def parts(data: bytes) -> None:
    """Find the parts of bytes as a body, under one of several types."""
    fields, _, body = _message(data)
    try:
        found = find_parts(fields, body, LIMITS, lambda: None)
    except Unreadable:
        return
    position = 0
    for part, following in zip(found, [*found[1:], None], strict=True):
        assert 0 <= part.start <= part.end <= len(body), part
        if following is not None and following.depth > part.depth:
            assert part.start <= following.start <= following.end <= part.end, (part, following)
            continue  # it holds what follows
        assert position <= part.start, (part, position)
        position = part.end


def whole(data: bytes) -> None:
    """Instrument bytes as a message."""
    fields, flags, body = _message(data)
    request = Request(
        opens=bool(flags & 1), clicks=bool(flags & 2), conditional_comments=bool(flags & 4)
    )
    minter = Minter()
    result = instrument(fields, body, request, minter, LIMITS, lambda: None)
    if not isinstance(result, Instrumented):
        return
    assert undo(result.body, result.edits) == body
    assert _applied(body, result.edits) == result.body
    again = instrument(fields, result.body, request, minter, LIMITS, lambda: None)
    if isinstance(again, Instrumented):
        assert not any(link.tracked for link in again.links if OWN in link.destination)


def message(data: bytes) -> None:
    """Take bytes as a whole message."""
    check_message(data[1:], data[0] if data else 0, Minter(), LIMITS)


def tree(data: bytes) -> None:
    """Take bytes as decisions about a message."""
    raw, flags = built(atheris.FuzzedDataProvider(data))
    check_message(raw, flags, Minter(), LIMITS)


def _message(data: bytes) -> tuple[list[tuple[str, str]], int, bytes]:
    """Return (header fields, option bits, body) of an input."""
    kind, encoding, flags = data[:_CHOICES].ljust(_CHOICES, b"\0")
    fields = [("Content-Type", TYPES[kind % len(TYPES)])]
    if name := ENCODINGS[encoding % len(ENCODINGS)]:
        fields.append(("Content-Transfer-Encoding", name))
    return fields, flags, data[_CHOICES:]


def _applied(body: bytes, edits: tuple[Edit, ...]) -> bytes:
    """Make the edits by the book: original bytes between them, replacements in their place."""
    pieces, position = [], 0
    for edit in edits:
        assert body[edit.start : edit.start + len(edit.original)] == edit.original, edit
        pieces += [body[position : edit.start], edit.replacement]
        position = edit.start + len(edit.original)
    return b"".join([*pieces, body[position:]])


def _seeds(target: str) -> Iterator[bytes]:
    """Yield the inputs to begin with: real mail in every transfer encoding."""
    if target == "links":
        yield messages.NEWSLETTER_HTML.encode()
        return
    if target in ("message", "tree"):
        yield from _whole_seeds(target)
        return
    html = messages.html_only(encoding="quoted-printable").partition(b"\r\n\r\n")[2]
    for encoding in range(len(ENCODINGS)):
        yield bytes((0, encoding, _ALL_OPTIONS)) + html
    for kind, boundary in itertools.product((2, 3, 4), ("b", "b b")):
        for name in ("7bit", "8bit", "quoted-printable", "base64"):
            leaf = messages.text_part("html", messages.NEWSLETTER_HTML, name, "utf-8")
            nested = messages.multipart("alternative", "inner", leaf)
            body = f"--{boundary}\r\n".encode().join((b"", leaf + b"\r\n", nested + b"\r\n"))
            yield bytes((kind, 0, _ALL_OPTIONS)) + body + f"--{boundary}--\r\n".encode()


def _whole_seeds(target: str) -> Iterator[bytes]:
    """Yield whole mails; decisions begin at zero, and long enough to make something of."""
    if target == "tree":
        yield from (bytes(size) for size in (64, 512, 4096))
        return
    html = messages.html_only(headers={"X-Anypost-Tags": "one, two", "X-Own": "=?utf-8?q?=C3=A9?="})
    for raw in (html, messages.newsletter(), messages.related(), messages.with_attachment()):
        yield bytes((ALL_FLAGS,)) + raw


TARGETS = {
    "links": links,
    "parts": parts,
    "instrument": whole,
    "message": message,
    "tree": tree,
}


def main() -> None:
    """Fuzz the target that the first argument names; the rest is libFuzzer's, the corpus last."""
    if len(sys.argv) < 3 or sys.argv[1] not in TARGETS:
        sys.exit(f"usage: fuzz_milter.py {'|'.join(TARGETS)} [libFuzzer options] CORPUS")
    name = sys.argv.pop(1)
    for seed in _seeds(name):
        Path(sys.argv[-1], sha256(seed).hexdigest()).write_bytes(seed)
    atheris.Setup(sys.argv, TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
