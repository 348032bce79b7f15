"""The sidecar's numbers in Prometheus' text format; the only importer of prometheus_client.

Called by `status_pages`.  Pure: readings in, text out.  docs/metrics.md lists every name.

The library's own instruments are not used: they would count each hit behind a lock of theirs, and
what is told here is counted already by those who do the work.  It writes the format.

Promises: one sample a line, whatever a label's value holds; a metric without samples is left out,
but what an alert waits for stands there from the start, as 0: Prometheus sees growth only of what
was there before.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.core import Metric as LibraryMetric
from prometheus_client.registry import Collector

from openclick import __version__
from openclick.instants import SECOND, Instant
from openclick.store import Heartbeat
from openclick.tracking_certificates import TrackingCertificate
from openclick.webhooks import Backlog, WebhookStatus
from openclick.work_times import WorkTimes
from openclick_sidecar.store_state import StoreState

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_COUNTER_NAME = re.compile(r"[a-z][a-z_]*\Z")

_WORK_NAME = "openclick_milter_work_seconds"
_WORK_TEXT = "How long the milter worked on messages that it read whole."

Sample = tuple[Mapping[str, object], float]


@dataclass(frozen=True)
class Readings:
    """All numbers of one moment.

    `hits` and `webhook_attempts` by outcome, `verdicts` by visitor and rule, `listening` by
    entrance, address and source, `unreadable_rows` by what was damaged; `now` is when `backlog` was
    read.
    """

    started_at_seconds: float
    requests: Mapping[tuple[str, str, int], int] = field(default_factory=dict)
    refused_tokens: Mapping[str, int] = field(default_factory=dict)
    unreadable_keys: int = 0
    refused_hellos: Mapping[str, int] = field(default_factory=dict)
    refused_connections: Mapping[str, int] = field(default_factory=dict)
    bad_requests: int = 0
    late_connections: int = 0
    connections: int = 0
    listening: Sequence[tuple[str, str, str]] = ()
    hits: Mapping[str, int] = field(default_factory=dict)
    hits_waiting: int = 0
    reading_pauses: int = 0
    verdicts: Mapping[tuple[str, str], int] = field(default_factory=dict)
    unreadable_rows: Mapping[str, int] = field(default_factory=dict)
    webhook_attempts: Mapping[str, int] = field(default_factory=dict)
    backlog: Sequence[Backlog] = ()
    certificates: Mapping[str, int] = field(default_factory=dict)
    next_expiry_at: Instant | None = None
    now: Instant = 0
    state: StoreState = field(default_factory=StoreState)


@dataclass(frozen=True)
class Metric:
    """One metric: its name, its kind ("counter" or "gauge"), what it tells, its samples."""

    name: str
    kind: str
    text: str
    samples: tuple[Sample, ...]


def exposition(readings: Readings) -> bytes:
    """Return all metrics as Prometheus reads them."""
    registry = CollectorRegistry(auto_describe=False)
    beat = readings.state.heartbeat
    work = WorkTimes.of(beat.counters) if beat is not None else None
    registry.register(_Families([one for one in metrics(readings) if one.samples], work))
    return generate_latest(registry)


@dataclass(frozen=True, eq=False)
class _Families(Collector):
    """Metrics as prometheus_client asks for them."""

    metrics: Sequence[Metric]
    work: WorkTimes | None

    def collect(self) -> Iterator[LibraryMetric]:
        """Yield one family a metric."""
        for metric in self.metrics:
            kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
            names = list(metric.samples[0][0])
            family = kind(metric.name, metric.text, labels=names)
            for labels, value in metric.samples:
                family.add_metric([str(labels[name]) for name in names], value)
            yield family
        if self.work is not None and self.work.messages:
            yield HistogramMetricFamily(
                _WORK_NAME,
                _WORK_TEXT,
                buckets=[
                    ("+Inf" if bound == float("inf") else f"{bound:g}", count)
                    for bound, count in self.work.cumulative()
                ],
                sum_value=self.work.sum_seconds,
            )


def metrics(readings: Readings) -> Iterator[Metric]:
    """Yield every metric of the sidecar, and then the milter's."""
    parts = (_sidecar, _webhooks, _https, _domains, _store)
    for name, kind, text, samples in (row for part in parts for row in part(readings)):
        yield Metric(f"openclick_sidecar_{name}", kind, text, tuple(samples))
    if readings.state.heartbeat is not None:
        for name, kind, text, samples in _milter(readings.state.heartbeat):
            yield Metric(f"openclick_milter_{name}", kind, text, tuple(samples))


_Row = tuple[str, str, str, Iterable[Sample]]


def _sidecar(now: Readings) -> Iterator[_Row]:
    yield "info", "gauge", "The version that runs.", [({"version": __version__}, 1)]
    yield "start_time_seconds", "gauge", "When it was started.", _one(now.started_at_seconds)
    yield (
        *("requests_total", "counter", "Requests that were answered."),
        [
            ({"asked_for": asked_for, "method": method, "status": status}, count)
            for (asked_for, method, status), count in sorted(now.requests.items())
        ],
    )
    yield (
        *("bad_requests_total", "counter", "What was no request that could be answered."),
        _one(now.bad_requests),
    )
    yield (
        *("refused_tokens_total", "counter", "Tokens that did not open."),
        _by("reason", {"no keys": 0} | dict(now.refused_tokens)),
    )
    yield (
        *("unreadable_keys", "gauge", "Keys whose links do not open: their files are at fault."),
        _one(now.unreadable_keys),
    )
    yield (
        *("refused_hellos_total", "counter", "TLS connections for which there was no certificate."),
        _by("reason", {"no usable certificate": 0} | dict(now.refused_hellos)),
    )
    yield (
        *("listening", "gauge", "1 for each address at which it listens."),
        [
            ({"entrance": entrance, "address": address, "source": source}, 1)
            for entrance, address, source in now.listening
        ],
    )
    yield "connections", "gauge", "Connections of readers that are open.", _one(now.connections)
    yield (
        *("refused_connections_total", "counter", "Connections turned away at accept."),
        _by("cap", {"total": 0} | dict(now.refused_connections)),
    )
    yield (
        *("late_connections_total", "counter", "Connections cut at their deadline."),
        _one(now.late_connections),
    )
    yield "hits_total", "counter", "Hits by what became of them.", _by("outcome", now.hits)
    yield "hits_waiting", "gauge", "Hits that wait for the disk.", _one(now.hits_waiting)
    yield (
        *("reading_pauses_total", "counter", "How often reading stopped for too many of them."),
        _one(now.reading_pauses),
    )
    yield (
        *("verdicts_total", "counter", "Hits that were judged."),
        [
            ({"visitor": visitor, "rule": rule}, count)
            for (visitor, rule), count in sorted(now.verdicts.items())
        ],
    )
    yield (
        *("unreadable_rows_total", "counter", "Rows of the store that were not as written."),
        _by("what", now.unreadable_rows),
    )


def _webhooks(now: Readings) -> Iterator[_Row]:
    yield (
        *("webhook_attempts_total", "counter", "POSTs of deliveries by what came of them."),
        _by("outcome", now.webhook_attempts),
    )
    yield (
        *("webhook_oldest_event_seconds", "gauge", "Age of the oldest undelivered event."),
        [
            ({"webhook": one.webhook_id}, _age_seconds(one.oldest_event_at, now.now))
            for one in now.backlog
        ],
    )
    yield (
        *("webhook_pending_deliveries", "gauge", "Deliveries that wait for an attempt."),
        [({"webhook": one.webhook_id}, one.pending_deliveries) for one in now.backlog],
    )
    yield (
        *("webhook_active", "gauge", "1 where it gets events, 0 where its circuit is open."),
        [
            ({"webhook": one.webhook_id}, int(one.status is WebhookStatus.ACTIVE))
            for one in now.backlog
            if one.status is not WebhookStatus.DISABLED
        ],
    )


def _domains(now: Readings) -> Iterator[_Row]:
    yield (
        *("tracking_domain_verified", "gauge", "1 where its mail may be tracked, 0 where not."),
        [
            (
                {"sending_domain": one.name, "tracking_domain": one.tracking_domain},
                int(one.is_verified),
            )
            for one in now.state.domains
            if one.opens_enabled or one.clicks_enabled
        ],
    )
    yield (
        *("certificate_begin_time_seconds", "gauge", "From when on a certificate is good."),
        _of_certificates(now, lambda one: one.not_before_at),
    )
    yield (
        *("certificate_expiry_time_seconds", "gauge", "Until when a certificate is good."),
        _of_certificates(now, lambda one: one.not_after_at),
    )
    yield (
        *("certificate_failed_orders", "gauge", "Orders of a certificate that failed in a row."),
        [({"tracking_domain": one.name}, one.failures) for one in now.state.certificates],
    )


def _of_certificates(
    now: Readings, instant: Callable[[TrackingCertificate], Instant | None]
) -> list[Sample]:
    found = ((one.name, instant(one)) for one in now.state.certificates)
    return [({"tracking_domain": name}, at / SECOND) for name, at in found if at is not None]


def _store(now: Readings) -> Iterator[_Row]:
    files = now.state.files
    yield "store_readable", "gauge", "1 where it can be read.", _one(not now.state.faults)
    yield (
        *("store_file_bytes", "gauge", "How large the store's files are."),
        [({"file": one.name}, one.size_bytes) for one in files],
    )
    yield (
        *("store_log_bytes", "gauge", "How large their write-ahead logs are."),
        [({"file": one.name}, one.log_bytes) for one in files],
    )
    free = now.state.free_bytes
    yield (
        *("store_free_bytes", "gauge", "What is free on the store's file system."),
        [] if free is None else _one(free),
    )


def _age_seconds(since: Instant | None, now: Instant) -> float:
    return 0.0 if since is None else max(0, now - since) / SECOND


def _https(now: Readings) -> Iterator[_Row]:
    yield (
        *("certificates", "gauge", "Tracking domains by what their certificates are good for."),
        _by("status", now.certificates),
    )
    if now.next_expiry_at is not None:
        yield (
            *("next_certificate_expiry_time_seconds", "gauge", "When the first of them expires."),
            _one(now.next_expiry_at / SECOND),
        )


def _milter(heartbeat: Heartbeat) -> Iterator[_Row]:
    info = {"version": heartbeat.version, "pid": heartbeat.pid}
    yield "info", "gauge", "The version that ran at the last heartbeat.", [(info, 1)]
    yield (
        *("start_time_seconds", "gauge", "When the milter was started."),
        _one(heartbeat.started_at / SECOND),
    )
    yield (
        *("heartbeat_time_seconds", "gauge", "Its last sign of life; one comes every 10 s."),
        _one(heartbeat.beat_at / SECOND),
    )
    if heartbeat.connected_at is not None:
        yield (
            *("connection_time_seconds", "gauge", "When Postfix last opened a connection."),
            _one(heartbeat.connected_at / SECOND),
        )
    for name, count in sorted(({"faults": 0} | heartbeat.counters).items()):
        if _COUNTER_NAME.match(name):
            yield f"{name}_total", "counter", f"The milter's counter {name}.", _one(count)


def _one(value: float) -> list[Sample]:
    return [({}, value)]


def _by(label: str, counts: Mapping[str, int]) -> list[Sample]:
    return [({label: value}, count) for value, count in sorted(counts.items())]
