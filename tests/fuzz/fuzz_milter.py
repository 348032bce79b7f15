"""Feeds the milter's pure core with whatever breaks it (atheris, coverage-guided).

    make fuzz TARGET=links SECONDS=600      one target: links, parts or instrument
    python tests/fuzz/fuzz_milter.py links -max_total_time=600 CORPUS

Run by hand and before releases, not by `make test`. Each line that libFuzzer prints tells the
coverage ("cov"), which must grow at first: otherwise nothing was tried. A find is a case for the
unit tests: add it there, with the bytes as they are.

Invariants: no exception but those the docstrings name; offsets lie inside the input and in order;
`undo` gives the original back; what is instrumented twice has the same links.
"""

import sys
from collections.abc import Sequence

import atheris

with atheris.instrument_imports(include=["openclick_milter"]):
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
    provider = atheris.FuzzedDataProvider(data)
    fields = _fields(provider)
    body = provider.ConsumeBytes(len(data))
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
    provider = atheris.FuzzedDataProvider(data)
    fields = _fields(provider)
    flags = provider.ConsumeIntInRange(0, 7)
    request = Request(
        opens=bool(flags & 1), clicks=bool(flags & 2), conditional_comments=bool(flags & 4)
    )
    body = provider.ConsumeBytes(len(data))
    minter = Minter()
    result = instrument(fields, body, request, minter, LIMITS, lambda: None)
    if not isinstance(result, Instrumented):
        return
    assert undo(result.body, result.edits) == body
    assert _applied(body, result.edits) == result.body
    again = instrument(fields, result.body, request, minter, LIMITS, lambda: None)
    if isinstance(again, Instrumented):
        assert not any(link.tracked for link in again.links if OWN in link.destination)


def _fields(provider: atheris.FuzzedDataProvider) -> list[tuple[str, str]]:
    kind = TYPES[provider.ConsumeIntInRange(0, len(TYPES) - 1)]
    encoding = ENCODINGS[provider.ConsumeIntInRange(0, len(ENCODINGS) - 1)]
    fields = [("Content-Type", kind)]
    if encoding:
        fields.append(("Content-Transfer-Encoding", encoding))
    return fields


def _applied(body: bytes, edits: tuple[Edit, ...]) -> bytes:
    """Make the edits by the book: original bytes between them, replacements in their place."""
    pieces, position = [], 0
    for edit in edits:
        assert body[edit.start : edit.start + len(edit.original)] == edit.original, edit
        pieces += [body[position : edit.start], edit.replacement]
        position = edit.start + len(edit.original)
    return b"".join([*pieces, body[position:]])


TARGETS = {"links": links, "parts": parts, "instrument": whole}


def main() -> None:
    """Fuzz the target that the first argument names; the rest is libFuzzer's."""
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        sys.exit(f"usage: fuzz_milter.py {'|'.join(TARGETS)} [libFuzzer options] [CORPUS]")
    target = TARGETS[sys.argv.pop(1)]
    atheris.Setup(sys.argv, target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
