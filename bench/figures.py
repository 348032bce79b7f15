"""The figures that OpenClick promises: the table of `make bench`, in the order it is printed.

Who calls: run.  A figure that is changed here is changed in README.md beside it too.
"""

from __future__ import annotations

from bench.api_email import ApiEmail
from bench.api_events import ApiEvents, by_filter
from bench.commits import MilterCommits
from bench.deliveries import DeliveryRate
from bench.endurance import Endurance
from bench.figure import Beside, Figure, Target, between, each_against
from bench.hits import CPU, P99, HitRate, point
from bench.http_load import KEEP_ALIVE, ONE_SHOT
from bench.in_process import Hostile, Instrumenting, growth_of_time
from bench.large_message import LargeMessageCpu, LargeMessageMemory
from bench.latency import Latency
from bench.many_certificates import MANY, ONE, ManyCertificates
from bench.stored_hits import StoredHits
from bench.throughput import Throughput
from bench.tls_hits import FULL, RESUMED, TlsHits
from bench.tls_hits import point as tls_point


def _beside(anchor: str, shape: str, *, newest: bool = False) -> tuple[Beside, ...]:
    """Return what is shown beside a rate: latency, CPU, and the rate on the newest packages."""
    ours, theirs = point("sidecar", shape), point(anchor, shape)
    shown = (
        Beside("p99", ours + P99, theirs + P99, "ms"),
        Beside("CPU a hit", ours + CPU, theirs + CPU, "µs"),
    )
    if not newest:
        return shown
    ours, theirs = point("sidecar, newest", shape), point(f"{anchor}, newest", shape)
    return (
        *shown,
        Beside("on the newest", ours, theirs, "hits/s"),
        Beside("on the newest, CPU a hit", ours + CPU, theirs + CPU, "µs"),
    )


FIGURES = (
    Figure(
        name="instrumenting",
        measured="instrumenting in-process: 50 KB quoted-printable HTML, 30 links",
        anchor="stdlib email + BeautifulSoup on the same mails",
        target=Target(15, at_least=True, stretch=30),
        unit="mails/s of CPU",
        experiment=Instrumenting,
        cases=between("ours", "email"),
    ),
    Figure(
        name="tracked",
        measured="tracked mail through Postfix: 50 KB, 20 sessions, Unix socket",
        anchor="the same Postfix without a milter",
        target=Target(0.60, at_least=True),
        unit="messages/s",
        experiment=Throughput,
        cases=between("tracked", "bare"),
    ),
    Figure(
        name="tracked-opendkim",
        measured="tracked mail through Postfix: 50 KB, 20 sessions, Unix socket",
        anchor="Postfix with OpenDKIM signing instead",
        target=Target(1.1, at_least=True),
        unit="messages/s",
        experiment=Throughput,
        cases=between("tracked", "opendkim"),
    ),
    Figure(
        name="untracked",
        measured="untracked mail: 50 KB, tracking off, or a domain never added",
        anchor="the same Postfix without a milter",
        target=Target(0.80, at_least=True),
        unit="messages/s",
        experiment=Throughput,
        cases=each_against("bare", "off", "stranger"),
    ),
    Figure(
        name="untracked-idle",
        measured="untracked mail: 50 KB, tracking off, or a domain never added",
        anchor="Postfix with a milter in C that does nothing (OpenDKIM without a key)",
        target=Target(0.95, at_least=True),
        unit="messages/s",
        experiment=Throughput,
        cases=each_against("idle", "off", "stranger"),
    ),
    Figure(
        name="latency",
        measured="added latency: one session, 50 KB",
        anchor="the latency that OpenDKIM adds",
        target=Target(1.0, at_least=False),
        unit="ms",
        experiment=Latency,
        cases=between("tracked", "opendkim"),
    ),
    Figure(
        name="large-cpu",
        measured="CPU of the milter for a message of 25 MB with attachments",
        anchor="OpenDKIM's on the same",
        target=Target(1.0, at_least=False),
        unit="ms",
        experiment=LargeMessageCpu,
        cases=between("tracked", "opendkim"),
    ),
    Figure(
        name="large-memory",
        measured="growth of the milter's memory for it",
        anchor="the size of the message",
        target=Target(2.5, at_least=False),
        unit="MiB",
        experiment=LargeMessageMemory,
        cases=between("growth", "message"),
    ),
    Figure(
        name="hostile",
        measured="hostile HTML, MIME and header fields: CPU time at twice the size",
        anchor="at the size itself",
        target=Target(2.3, at_least=False, strictly=True),
        unit="ms",
        experiment=Hostile,
        cases=growth_of_time,
    ),
    Figure(
        name="endurance",
        measured="resident memory after 100,000 messages",
        anchor="after 1,000",
        target=Target(1.05, at_least=False),
        unit="MiB",
        experiment=Endurance,
        cases=between("last", "first"),
    ),
    Figure(
        name="at-rest",
        measured="resident memory at rest, after them",
        anchor="40 MiB",
        target=Target(1.0, at_least=False),
        unit="MiB",
        experiment=Endurance,
        cases=between("last", "bound"),
    ),
    Figure(
        name="hits",
        measured="durable hit: token opened, on disk, answered; 64 keep-alive connections",
        anchor="twisted.web's bare Site, which records nothing",
        target=Target(1.5, at_least=True, stretch=2),
        unit="hits/s",
        experiment=HitRate,
        cases=between(point("sidecar", KEEP_ALIVE), point("site", KEEP_ALIVE)),
        beside=_beside("site", KEEP_ALIVE, newest=True),
    ),
    Figure(
        name="hits-one-shot",
        measured="durable hit: a connection for each, 64 at a time",
        anchor="twisted.web's bare Site, which records nothing",
        target=Target(1.0, at_least=True),
        unit="hits/s",
        experiment=HitRate,
        cases=between(point("sidecar", ONE_SHOT), point("site", ONE_SHOT)),
        beside=_beside("site", ONE_SHOT, newest=True),
    ),
    Figure(
        name="hits-nginx",
        measured="durable hit: 64 keep-alive connections",
        anchor="nginx: empty_gif, access_log on, not synced",
        target=Target(0.15, at_least=True),
        unit="hits/s",
        experiment=HitRate,
        cases=between(point("sidecar", KEEP_ALIVE), point("nginx", KEEP_ALIVE)),
        beside=_beside("nginx", KEEP_ALIVE),
    ),
    Figure(
        name="hits-usual",
        measured="durable hit: 64 keep-alive connections",
        anchor="the usual tracker: Flask on gunicorn, SQLite, a commit a hit",
        target=Target(20, at_least=True),
        unit="hits/s",
        experiment=HitRate,
        cases=between(point("sidecar", KEEP_ALIVE), point("usual", KEEP_ALIVE)),
        beside=_beside("usual", KEEP_ALIVE),
    ),
    Figure(
        name="tls",
        measured="hit by https on a connection of its own, full handshake, ECDSA: CPU",
        anchor="nginx: empty_gif, the same certificate, access_log on, not synced",
        target=Target(2.3, at_least=False),
        unit="µs",
        experiment=TlsHits,
        cases=between(tls_point("sidecar", FULL), tls_point("nginx", FULL)),
    ),
    Figure(
        name="tls-resumed",
        measured="the same with a resumed session: CPU",
        anchor="nginx, resumed",
        target=Target(3.0, at_least=False),
        unit="µs",
        experiment=TlsHits,
        cases=between(tls_point("sidecar", RESUMED), tls_point("nginx", RESUMED)),
    ),
    Figure(
        name="certificates",
        measured="start to the first hit by https, with 1,000 certificates and domains",
        anchor="with one",
        target=Target(1.5, at_least=False),
        unit="s",
        experiment=ManyCertificates,
        cases=between(MANY, ONE),
    ),
    Figure(
        name="commits",
        measured="the milter's commit, p99, beside a saturated sidecar",
        anchor="alone",
        target=Target(2.0, at_least=False),
        unit="ms",
        experiment=MilterCommits,
        cases=between("saturated p99", "alone p99"),
        beside=(Beside("p50", "saturated p50", "alone p50", "ms"),),
    ),
    Figure(
        name="hits-stored",
        measured="CPU a hit, answered and judged, with 1,000,000 stored",
        anchor="with none stored",
        target=Target(1.2, at_least=False),
        unit="µs",
        experiment=StoredHits,
        cases=between("stored", "none"),
    ),
    Figure(
        name="webhooks",
        measured="events delivered to one local endpoint, in batches",
        anchor="durable hits taken in, keep-alive",
        target=Target(2.0, at_least=True),
        unit="a second",
        experiment=DeliveryRate,
        cases=between("alone", "hits"),
    ),
    Figure(
        name="webhooks-hanging",
        measured="events delivered to a healthy endpoint while another one hangs",
        anchor="without the other one",
        target=Target(0.9, at_least=True),
        unit="events/s",
        experiment=DeliveryRate,
        cases=between("beside", "alone"),
    ),
    Figure(
        name="api-email",
        measured="email requests through the HTTP API: 50 KB, tracked, 10 connections",
        anchor="the same messages by smtplib straight to Postfix",
        target=Target(0.5, at_least=True),
        unit="messages/s",
        experiment=ApiEmail,
        cases=between("api", "smtplib"),
    ),
    Figure(
        name="api-events",
        measured="a page of 100 events by each filter with 1,000,000 stored",
        anchor="with 10,000 stored",
        target=Target(2.0, at_least=False),
        unit="µs",
        experiment=ApiEvents,
        cases=by_filter,
    ),
)
