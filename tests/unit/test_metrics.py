"""The numbers as Prometheus reads them: the text format, and every name on its page."""

import re
from pathlib import Path

from openclick.store import Heartbeat
from openclick_sidecar.metrics import Metric, Readings, exposition, metrics
from openclick_sidecar.store_state import StoreState
from unit.full_readings import FULL

PAGE = Path(__file__).resolve().parents[2] / "docs" / "metrics.md"
VERIFIED = "openclick_sidecar_tracking_domain_verified"
KONTOR, TRACK = 'sending_domain="kontor.example"', 'tracking_domain="track.kontor.example"'
_SAMPLE = re.compile(
    r'[a-z_]+(?:\{[a-z_]+="(?:[^"\\\n]|\\.)*"(?:,[a-z_]+="(?:[^"\\\n]|\\.)*")*\})? [0-9.e+-]+'
)


def test_each_reading_is_a_sample() -> None:
    """With its labels, below its HELP and TYPE."""
    text = exposition(FULL).decode()

    samples = {
        name: float(value)
        for line in text.splitlines()
        if not line.startswith("#")
        for name, value in [line.rsplit(" ", 1)]
    }
    for sample in (
        'openclick_sidecar_requests_total{asked_for="click",method="GET",status="302"} 7',
        'openclick_sidecar_requests_total{asked_for="page",method="other",status="405"} 1',
        'openclick_sidecar_refused_tokens_total{reason="does not open"} 3',
        "openclick_sidecar_unreadable_keys 2",
        'openclick_sidecar_refused_connections_total{cap="address"} 2',
        "openclick_sidecar_bad_requests_total 4",
        "openclick_sidecar_late_connections_total 5",
        "openclick_sidecar_connections 6",
        'openclick_sidecar_listening{address="[::]:80",entrance="hits",source="systemd"} 1',
        'openclick_sidecar_hits_total{outcome="recorded"} 8',
        'openclick_sidecar_hits_total{outcome="lost"} 0',
        "openclick_sidecar_hits_waiting 9",
        "openclick_sidecar_reading_pauses_total 10",
        'openclick_sidecar_verdicts_total{rule="no-rule",visitor="person"} 11',
        'openclick_sidecar_unreadable_rows_total{what="hit"} 12',
        'openclick_sidecar_webhook_attempts_total{outcome="tls"} 1',
        'openclick_sidecar_webhook_oldest_event_seconds{webhook="wh_1"} 15',
        'openclick_sidecar_webhook_oldest_event_seconds{webhook="wh_2"} 0',
        'openclick_sidecar_webhook_pending_deliveries{webhook="wh_1"} 14',
        'openclick_sidecar_webhook_active{webhook="wh_1"} 0',
        "openclick_sidecar_start_time_seconds 1763937600.5",
        "openclick_milter_heartbeat_time_seconds 1763937610",
        "openclick_milter_instrumented_total 12",
        "openclick_milter_connection_time_seconds 1763937609",
        'openclick_milter_work_seconds_bucket{le="0.001"} 0',
        'openclick_milter_work_seconds_bucket{le="0.0025"} 10',
        'openclick_milter_work_seconds_bucket{le="0.25"} 12',
        'openclick_milter_work_seconds_bucket{le="+Inf"} 12',
        "openclick_milter_work_seconds_count 12",
        "openclick_milter_work_seconds_sum 0.4",
        f"{VERIFIED}{{{KONTOR},{TRACK}}} 1",
        f'{VERIFIED}{{sending_domain="neu.example",tracking_domain="track.neu.example"}} 0',
        f"openclick_sidecar_certificate_begin_time_seconds{{{TRACK}}} 1763930000",
        f"openclick_sidecar_certificate_expiry_time_seconds{{{TRACK}}} 1763937700",
        'openclick_sidecar_certificate_failed_orders{tracking_domain="track.kontor.example"} 2',
        "openclick_sidecar_store_readable 1",
        'openclick_sidecar_store_file_bytes{file="hits.db"} 4096',
        'openclick_sidecar_store_log_bytes{file="hits.db"} 8192',
        "openclick_sidecar_store_free_bytes 77",
    ):
        name, value = sample.rsplit(" ", 1)
        assert samples[name] == float(value)
    assert "# HELP openclick_sidecar_connections Connections of readers that are open.\n" in text
    assert "# TYPE openclick_sidecar_connections gauge\n" in text


def test_every_line_has_the_format() -> None:
    """HELP, TYPE or a sample; the last line ends too."""
    text = exposition(FULL).decode()

    assert text.endswith("\n")
    for line in text.removesuffix("\n").split("\n"):
        assert re.match(r"# (HELP|TYPE) [a-z_]+ \S", line) or _SAMPLE.fullmatch(line), line


def test_a_label_cannot_break_a_line() -> None:
    """Rules and reasons are texts of ours, but an admin may add rules."""
    odd = Readings(0, refused_tokens={'a "b"\\c\nd 1': 1})

    text = exposition(odd).decode()

    assert '{reason="a \\"b\\"\\\\c\\nd 1"} 1.0\n' in text


def test_without_a_milter_its_metrics_are_left_out() -> None:
    """A zero would say that it did nothing."""
    text = exposition(Readings(0)).decode()

    assert "openclick_milter" not in text
    assert "verdicts_total" not in text


def test_a_milters_odd_counter_is_left_out() -> None:
    """What stands in messages.db is another program's text."""
    beat = Heartbeat(1, "1", 0, 0, {"links": 1, "x y": 2, "X{}": 3, "": 4})

    names = [metric.name for metric in metrics(Readings(0, state=StoreState(beat)))]

    assert ["openclick_milter_links_total"] == [name for name in names if name.endswith("_total")][
        -1:
    ]


def test_every_metric_is_told() -> None:
    """docs/metrics.md lists each with its kind and labels, and no more."""
    rows = re.compile(r"^\| `(openclick_\w+)` \| (\w+) \| ([^|]*) \|", re.MULTILINE)
    told = rows.findall(PAGE.read_text("utf-8"))

    milters = re.compile(r"openclick_milter_\w+_total")
    there = [_row(metric) for metric in metrics(FULL) if not milters.fullmatch(metric.name)]

    apart = ("openclick_milter_NAME_total", "openclick_milter_work_seconds")
    assert there == [row for row in told if row[0] not in apart]
    assert ("openclick_milter_work_seconds", "histogram", "") in told
    assert ("openclick_milter_NAME_total", "counter", "") in told


def _row(metric: Metric) -> tuple[str, str, str]:
    labels = [f"`{label}`" for label in metric.samples[0][0]]
    return metric.name, metric.kind, ", ".join(labels)
