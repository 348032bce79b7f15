"""Finds bursts: several distinct links of one copy hit within a second from one network.

Pure.  Called by `judging` with the clicks around those to be judged; `openclick explain` tells what
it found.  A scanner opens every link of a mail at once; no reader opens three in a second.

Promises: every click of a burst is found, the first ones too, as long as the clicks handed in reach
a second beyond those asked about on both sides; the work grows with the number of clicks times its
logarithm, however many belong to one message.

Limits: a scanner that spreads its clicks over networks or over time makes no burst.
"""

from __future__ import annotations

import socket
from collections import Counter, defaultdict
from collections.abc import Iterable
from functools import lru_cache

from openclick.hits import Click
from openclick.instants import SECOND

LINKS = 3
"""So many distinct links make a burst."""
WINDOW = SECOND
"""Within so many microseconds."""

_V4_MAPPED = b"\0" * 10 + b"\xff\xff"


def bursts(clicks: Iterable[Click]) -> dict[int, str]:
    """Return the evidence for each click, by position, that belongs to a burst."""
    groups: defaultdict[tuple[bytes, bytes, str], list[Click]] = defaultdict(list)
    for click in clicks:
        groups[click.email_id, click.copy, network(click.ip)].append(click)
    found: dict[int, str] = {}
    for (_, _, source), group in groups.items():
        if len(group) >= LINKS:
            group.sort(key=lambda click: click.received_at)
            for first, last in _runs(group):
                evidence = _evidence(group[first : last + 1], source)
                found.update((click.position, evidence) for click in group[first : last + 1])
    return found


def _runs(group: list[Click]) -> list[tuple[int, int]]:
    """Return the ends of each run of clicks that windows with enough links cover together."""
    runs: list[tuple[int, int]] = []
    links: Counter[int] = Counter()
    start = 0
    for end, click in enumerate(group):
        links[click.link_index] += 1
        while click.received_at - group[start].received_at > WINDOW:
            links[group[start].link_index] -= 1
            if not links[group[start].link_index]:
                del links[group[start].link_index]
            start += 1
        if len(links) < LINKS:
            continue
        if runs and start <= runs[-1][1]:
            runs[-1] = runs[-1][0], end
        else:
            runs.append((start, end))
    return runs


def _evidence(run: list[Click], source: str) -> str:
    links = len({click.link_index for click in run})
    seconds = (run[-1].received_at - run[0].received_at) / SECOND
    return f"{links} links of one copy within {seconds:.2f} s from {source}"


@lru_cache(10_000)
def network(ip: str) -> str:
    """Return the /24 of an IPv4 address, the /64 of an IPv6 one; what is neither as it is."""
    try:
        packed = socket.inet_pton(socket.AF_INET6 if ":" in ip else socket.AF_INET, ip)
    except (OSError, ValueError):
        return ip
    packed = packed.removeprefix(_V4_MAPPED)
    if len(packed) == 4:
        return f"{socket.inet_ntop(socket.AF_INET, packed[:3] + bytes(1))}/24"
    return f"{socket.inet_ntop(socket.AF_INET6, packed[:8] + bytes(8))}/64"
