"""Readings of a sidecar in which every number is there, and no two are the same.

Who calls: tests of the metrics, and of what contrib makes of them.
"""

from openclick.instants import SECOND
from openclick.store import FileSize, Heartbeat
from openclick.tracking_certificates import TrackingCertificate
from openclick.webhooks import Backlog, WebhookStatus
from openclick_sidecar.metrics import Readings
from openclick_sidecar.store_state import StoreState
from unit.samples import a_domain

COUNTERS = {
    "instrumented": 12,
    "connected.at": 1_763_937_609 * SECOND,
    "work.le_0.0025": 10,
    "work.le_0.25": 2,
    "work.sum_us": 400_000,
}
CERTIFIED = 1_763_930_000 * SECOND, 1_763_937_700 * SECOND
FULL = Readings(
    started_at_seconds=1_763_937_600.5,
    requests={("click", "GET", 302): 7, ("page", "other", 405): 1},
    refused_tokens={"does not open": 3},
    unreadable_keys=2,
    refused_hellos={"unknown name": 4},
    certificates={"served": 2, "missing": 1},
    next_expiry_at=1_800_000_000_000_000,
    refused_connections={"address": 2},
    bad_requests=4,
    late_connections=5,
    connections=6,
    listening=(("hits", "[::]:80", "systemd"), ("metrics", "127.0.0.1:8026", "settings")),
    hits={"recorded": 8, "lost": 0},
    hits_waiting=9,
    reading_pauses=10,
    verdicts={("person", "no-rule"): 11},
    unreadable_rows={"hit": 12},
    webhook_attempts={"accepted": 13, "tls": 1},
    backlog=(
        Backlog("wh_1", WebhookStatus.CIRCUIT_DISABLED, 14, 1_763_937_590 * SECOND),
        Backlog("wh_2", WebhookStatus.DISABLED, 0, None),
    ),
    now=1_763_937_605 * SECOND,
    state=StoreState(
        Heartbeat(7, "0.1.0", 1_763_937_600 * SECOND, 1_763_937_610 * SECOND, COUNTERS),
        (a_domain(), a_domain(name="neu.example", verified_at=None)),
        (TrackingCertificate("track.kontor.example", True, *CERTIFIED, failures=2),),
        (FileSize("hits.db", 4096, 8192),),
        77,
    ),
)
