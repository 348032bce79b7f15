"""What the public listener has done since it was started, for the metrics.

Written by `channel` and `site` on the reactor's thread, read by `metrics`.  Pure data.

Promises: every label has few values, whatever strangers send: methods that mean nothing here are
one, and so are all paths that are no token's.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class HitCounters:
    """Counts.

    `requests` by what was asked for ("click", "open", "page"), method ("other" for those that mean
    nothing here) and status of the answer; `refused_tokens` by the reason; `refused_hellos` are TLS
    connections without a certificate to show, by the reason; `bad_requests` are those that were no
    request; `late_connections` those that were cut at their deadline.
    """

    requests: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    refused_tokens: Counter[str] = field(default_factory=Counter)
    refused_hellos: Counter[str] = field(default_factory=Counter)
    bad_requests: int = 0
    late_connections: int = 0
