"""What is in contrib is told, checked, and agrees with the code."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONTRIB = ROOT / "contrib"
FOLDERS = sorted(path.name for path in CONTRIB.iterdir() if path.is_dir())
METRIC = re.compile(r"\bopenclick_(?:sidecar|milter)_\w+")


def told_metrics() -> set[str]:
    """Return the names that docs/metrics.md tells, which test_metrics.py compares with the code."""
    text = (ROOT / "docs" / "metrics.md").read_text("utf-8")
    counters = re.findall(r"`(\w+)`", text.partition("each of its counters:")[2].split("|")[0])
    return {*METRIC.findall(text), *(f"openclick_milter_{name}_total" for name in counters)}


def dashboard_queries() -> list[str]:
    """Return the PromQL of the dashboard."""
    board = json.loads((CONTRIB / "grafana" / "openclick.json").read_text("utf-8"))
    return [target["expr"] for panel in board["panels"] for target in panel["targets"]]


@pytest.mark.parametrize("folder", FOLDERS)
def test_each_folder_has_its_line(folder: str) -> None:
    """An admin finds in contrib/README.md what each is for."""
    text = (CONTRIB / "README.md").read_text("utf-8")

    rows = re.findall(rf"^\| `{folder}` \| (.+) \|$", text, re.MULTILINE)

    assert len(rows) == 1


@pytest.mark.parametrize("folder", FOLDERS)
def test_each_folder_is_run_by_something(folder: str) -> None:
    """Nothing is there that was never run: a test or the Makefile names it."""
    texts = [path.read_text("utf-8") for path in (ROOT / "tests").rglob("*.py")]
    texts.append((ROOT / "Makefile").read_text("utf-8"))

    named = re.compile(rf"""(?:contrib/{folder}\b|(?i:contrib)"? / "{folder}")""")

    assert [text[:60] for text in texts if named.search(text)] != []


def test_the_dashboard_shows_metrics_that_are_there() -> None:
    """Each name in its queries is one that the sidecar exports."""
    names = {name for query in dashboard_queries() for name in METRIC.findall(query)}

    assert sorted(names - told_metrics()) == []
    assert len(names) > 10


def test_alerts_look_at_metrics_that_are_there() -> None:
    """Likewise; an alert on a name that nobody exports never fires."""
    text = (CONTRIB / "prometheus" / "openclick.rules.yml").read_text("utf-8")

    assert sorted(set(METRIC.findall(text)) - told_metrics()) == []


def test_the_dashboard_can_be_imported_twice() -> None:
    """Panels have numbers of their own and no place of a particular Grafana in them."""
    board = json.loads((CONTRIB / "grafana" / "openclick.json").read_text("utf-8"))

    numbers = [panel["id"] for panel in board["panels"]]
    sources = {panel["datasource"]["uid"] for panel in board["panels"]}

    assert sorted(set(numbers)) == numbers
    assert sources == {"${datasource}"}
