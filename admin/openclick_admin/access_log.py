"""Replays an access log through the judge's rules and sums up what they say.

Called by `explain_hit`.  Reads the combined format, which Apache and nginx write; only GETs count,
as they do for the sidecar.  A path that begins with /o/ is an open, one with /c/ a click, any other
is what the caller says.

Promises: a line that is none of the format is counted and passed over; the work for a line does not
depend on what a stranger wrote into it; memory does not grow with the file.

Limits: such a log holds no request headers but the user agent, and does not tell which link of
which message was asked for: prefetches by header, bursts, repeats and too early hits are not seen.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from openclick.hits import MAX_HEADER_CHARS, Hit
from openclick.tokens import Kind
from openclick.verdicts import Verdict
from openclick_sidecar.judge import Judge

_QUOTED = r'"((?:[^"\\]|\\.)*)"'
_LINE = re.compile(rf"(\S+) \S+ [^\[]*\[[^\]]*\] {_QUOTED} \d{{3}} \S+ {_QUOTED} {_QUOTED}")
_ESCAPE = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|(.))")
_KINDS = {"/o/": Kind.OPEN, "/c/": Kind.CLICK}
_LATE = 1 << 60
"""An instant long after every submission."""


@dataclass
class Share:
    """How many hits one rule decided on, and the first user agent among them."""

    hits: int
    example: str


@dataclass
class Summary:
    """What a log holds; `shares` by verdict without its evidence, which differs from hit to hit."""

    lines: int = 0
    hits: int = 0
    other_requests: int = 0
    bad_lines: int = 0
    first_bad_line: int = 0
    shares: dict[Verdict, Share] = field(default_factory=dict)

    def add(self, verdict: Verdict, user_agent: str) -> None:
        """Count one hit."""
        self.hits += 1
        key = Verdict(verdict.visitor, verdict.rule, "", verdict.source)
        share = self.shares.setdefault(key, Share(0, user_agent))
        share.hits += 1


def replay(
    lines: Iterable[bytes], judge: Judge, otherwise: Kind, on_read: Callable[[int], object]
) -> Summary:
    """Judge every line; `on_read` is told the bytes of each, for a progress bar."""
    summary = Summary()
    for line in lines:
        summary.lines += 1
        on_read(len(line))
        match = _LINE.match(line.decode("utf-8", "replace"))
        if match is None:
            summary.bad_lines += 1
            summary.first_bad_line = summary.first_bad_line or summary.lines
            continue
        ip, request, _, user_agent = match.groups()
        method, _, path = request.partition(" ")
        if method != "GET":
            summary.other_requests += 1
            continue
        hit = _hit(_KINDS.get(path[:3], otherwise), ip, _unescaped(user_agent))
        summary.add(judge.verdict(hit), hit.user_agent)
    return summary


def _hit(kind: Kind, ip: str, user_agent: str) -> Hit:
    agent = "" if user_agent == "-" else user_agent[:MAX_HEADER_CHARS]
    return Hit(b"", _LATE, kind, bytes(16), bytes(4), 0, "", "", ip, agent, {})


def _unescaped(text: str) -> str:
    """Undo what Apache and nginx do to quotes, backslashes and bytes beyond ASCII."""

    def plain(match: re.Match[str]) -> str:
        return chr(int(match[1], 16)) if match[1] else str(match[2])

    return _ESCAPE.sub(plain, text) if "\\" in text else text
