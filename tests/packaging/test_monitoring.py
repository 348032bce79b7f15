"""Prometheus itself takes contrib's rules and the dashboard's queries."""

import json
import subprocess
from pathlib import Path

PROMETHEUS = Path(__file__).resolve().parents[2] / "contrib/prometheus"
GRAFANA = PROMETHEUS.parent / "grafana"


def promtool(*argv: str) -> str:
    """Run promtool; return what it says, and fail where its status does."""
    done = subprocess.run(["promtool", *argv], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def test_the_alert_rules_are_sound() -> None:
    """Each is read without a complaint."""
    rules = PROMETHEUS / "openclick.rules.yml"

    said = promtool("check", "rules", str(rules))

    assert f"{rules.read_text('utf-8').count('alert:')} rules found" in said


def test_the_alerts_fire_where_they_must() -> None:
    """And nowhere else: their own test beside them plays good and bad numbers to them."""
    said = promtool("test", "rules", str(PROMETHEUS / "openclick.rules.test.yml"))

    assert "SUCCESS" in said


def test_the_dashboards_queries_are_sound(tmp_path: Path) -> None:
    """As PromQL, once Grafana has put its variables in; here each is made a rule to be read."""
    board = json.loads((GRAFANA / "openclick.json").read_text("utf-8"))
    queries = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    filled = [
        query.replace("$__rate_interval", "5m").replace("$__range", "1d") for query in queries
    ]
    rules = [{"record": f"q{number}", "expr": query} for number, query in enumerate(filled)]
    path = tmp_path / "queries.json"  # YAML takes JSON
    path.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}), "utf-8")

    said = promtool("check", "rules", str(path))

    assert f"{len(queries)} rules found" in said
