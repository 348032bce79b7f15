"""What contrib has for Prometheus and Grafana: each metric it names exists, and promtool agrees."""

import ast
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from openclick.store import Heartbeat
from openclick_sidecar.damage import Damage
from openclick_sidecar.metrics import Readings, exposition, metrics
from openclick_sidecar.store_state import StoreState
from unit.full_readings import FULL

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "contrib" / "prometheus" / "openclick.rules.yml"
DASHBOARD = ROOT / "contrib" / "grafana" / "openclick.json"
METRIC = re.compile(r"\bopenclick_(?:sidecar|milter)_\w+")
PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="needs Debian's prometheus")


def existing() -> set[str]:
    """Return every name that /metrics may have."""
    names = {metric.name for metric in metrics(FULL)}
    text = exposition(FULL).decode()
    names |= {line.split("{")[0].split()[0] for line in text.splitlines() if line[0] != "#"}
    return names | {f"openclick_milter_{name}_total" for name in milter_counters()}


def milter_counters() -> Iterator[str]:
    """Yield the names that the milter's code counts under."""
    for path in (ROOT / "milter" / "openclick_milter").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr == "add"
                and "counters" in ast.unparse(node.func.value)
                and isinstance(node.args[0], ast.Constant)
            ):
                yield str(node.args[0].value)


def run_promtool(*words: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run promtool."""
    assert PROMTOOL is not None
    return subprocess.run(
        [PROMTOOL, *words],
        input=given,
        cwd=RULES.parent,
        capture_output=True,
        timeout=60,
        check=False,
    )


@needs_promtool
def test_promtool_has_nothing_against_the_metrics() -> None:
    """Names, types, units and help are as Prometheus advises."""
    done = run_promtool("check", "metrics", given=exposition(FULL))

    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@needs_promtool
def test_promtool_has_nothing_against_the_alerts() -> None:
    """Each expression can be read."""
    done = run_promtool("check", "rules", RULES.name)

    assert (done.returncode, done.stderr) == (0, b"")


@needs_promtool
def test_alerts_are_raised_when_they_should_be() -> None:
    """And none while all is well."""
    tests = [path.name for path in RULES.parent.glob("*.test.yml")]

    done = run_promtool("test", "rules", *tests)

    assert len(tests) == 2

    assert (done.returncode, b"SUCCESS" in done.stdout) == (0, True), done.stdout


@pytest.mark.parametrize("file", [RULES, DASHBOARD, RULES.with_name("openclick.state.test.yml")])
def test_each_metric_that_is_named_exists(file: Path) -> None:
    """Nobody watches what is not there."""
    named = set(METRIC.findall(file.read_text("utf-8")))

    assert len(named) > 5
    assert named - existing() == set()


def test_each_reason_and_outcome_that_is_asked_for_exists() -> None:
    """A label's value that nothing has would be an alert that never comes."""
    source = "".join(
        path.read_text("utf-8")
        for folder in ("core/openclick", "sidecar/openclick_sidecar")
        for path in (ROOT / folder).rglob("*.py")
    )
    asked = RULES.read_text("utf-8") + json.dumps(json.loads(DASHBOARD.read_text("utf-8")))

    values = re.findall(r'(?:outcome|reason|cap|visitor)=~?\\?"([^"\\]+)\\?"', asked)

    assert len(values) >= 6
    for value in values:
        for each in value.split("|"):
            assert f'"{each}"' in source, each


def test_what_an_alert_waits_for_is_told_from_the_start() -> None:
    """As 0: growth is seen only of what was there before, so the first fault would go unheard."""
    series = re.findall(r"increase\((.+)\[", RULES.read_text("utf-8"))
    fresh = Readings(
        0,
        hits=dict.fromkeys(("recorded", "journaled", "lost"), 0),
        unreadable_rows=Damage().counts(),
        state=StoreState(Heartbeat(7, "0.1.0", 0, 0, {})),
    )

    told = exposition(fresh).decode().splitlines()

    assert len(series) >= 7
    for name in series:
        assert any(line.startswith(name) and line.endswith(" 0.0") for line in told), name


def panels() -> list[dict[str, Any]]:
    """Return the panels that show something."""
    found = json.loads(DASHBOARD.read_text("utf-8"))["panels"]
    return [panel for panel in found if panel["type"] != "row"]


def test_the_dashboard_can_be_imported() -> None:
    """Each panel asks the data source that is chosen, and has a title; none lies on another."""
    cells: set[tuple[int, int]] = set()
    for panel in json.loads(DASHBOARD.read_text("utf-8"))["panels"]:
        place = panel["gridPos"]
        mine = {
            (place["x"] + right, place["y"] + down)
            for right in range(place["w"])
            for down in range(place["h"])
        }
        assert not mine & cells, panel["title"]
        assert max(right for right, _ in mine) < 24
        cells |= mine
    for panel in panels():
        assert panel["title"]
        assert {"${datasource}"} == {each["datasource"]["uid"] for each in panel["targets"]}


@needs_promtool
def test_promtool_reads_every_question_of_the_dashboard(tmp_path: Path) -> None:
    """Its variables filled in, each is an expression."""
    filled = {"$__rate_interval": "5m", "$__range": "1d", "$instance": ".*"}
    asked = [target["expr"] for panel in panels() for target in panel["targets"]]
    for name, value in filled.items():
        asked = [each.replace(name, value) for each in asked]
    rules = [{"record": f"question_{at}", "expr": each} for at, each in enumerate(asked)]
    file = tmp_path / "questions.yml"
    file.write_text(json.dumps({"groups": [{"name": "questions", "rules": rules}]}))

    done = run_promtool("check", "rules", str(file))

    assert len(asked) > 25
    assert (done.returncode, done.stderr) == (0, b"")


def test_each_alert_says_what_it_means() -> None:
    """A summary, a description, and how urgent it is."""
    alerts = RULES.read_text("utf-8").split("- alert: ")[1:]

    assert len(alerts) >= 15
    for alert in alerts:
        assert re.search(r"severity: (critical|warning)\b", alert), alert
        assert "summary: " in alert
        assert "description: " in alert
