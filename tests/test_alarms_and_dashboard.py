"""deploy/metrics: what Prometheus and Grafana are told of the bot is so."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

RUNBOOK = "docs/operate.md"
PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(not PROMTOOL, reason="no promtool; install Debian's package prometheus")


@pytest.fixture
def folder(repository: Path) -> Path:
    return repository / "deploy/metrics"


@pytest.fixture
def alerts(folder: Path) -> list[dict[str, Any]]:
    groups = yaml.safe_load((folder / "alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


@pytest.fixture
def dashboard(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "grafana/dashboard.json").read_text())
    return found


def promtool(*arguments: str) -> str:
    assert PROMTOOL
    done = subprocess.run([PROMTOOL, *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@needs_promtool
def test_prometheus_accepts_its_configuration_and_the_alarms(folder: Path) -> None:
    said = promtool("check", "config", "--lint=all", "--lint-fatal", str(folder / "prometheus.yml"))

    assert re.search(r"SUCCESS: 1[0-9] rules found", said)


@needs_promtool
def test_every_alarm_is_raised_when_it_should_and_only_then(repository: Path) -> None:
    assert "SUCCESS" in promtool("test", "rules", str(repository / "tests/alerts.yml"))


def test_every_alarm_has_such_a_test(alerts: list[dict[str, Any]], repository: Path) -> None:
    tests = (repository / "tests/alerts.yml").read_text()

    assert [rule["alert"] for rule in alerts if rule["alert"] not in tests] == []


def test_every_alarm_says_what_is_so_and_where_to_read_on(
    alerts: list[dict[str, Any]], repository: Path
) -> None:
    anchors = explained(repository)

    for rule in alerts:
        assert rule["annotations"]["summary"].endswith((".", "%"))
        assert rule["annotations"]["runbook"] == f"docs/operate.md#{rule['alert'].lower()}"
        assert rule["alert"].lower() in anchors
        assert rule["labels"]["severity"] in {"critical", "warning"}


def test_no_alarm_is_explained_that_there_is_not(alerts: list[dict[str, Any]], repository: Path) -> None:
    assert explained(repository) == {rule["alert"].lower() for rule in alerts}


def explained(repository: Path) -> set[str]:
    """The anchors of the alarms that the operator's document explains."""
    chapter = re.split(r"^## ", (repository / RUNBOOK).read_text(), flags=re.MULTILINE)
    alarms = next(text for text in chapter if text.startswith("What each alarm means\n"))
    return {line[4:].lower() for line in alarms.splitlines() if line.startswith("### ")}


def test_every_panel_is_of_a_row_and_stands_in_nobodys_place(dashboard: dict[str, Any]) -> None:
    taken: dict[tuple[int, int], str] = {}
    assert dashboard["panels"][0]["type"] == "row"
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24, panel["title"]
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert (x, y) not in taken, (panel["title"], taken[x, y])
                taken[x, y] = panel["title"]
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids))


def test_every_panel_asks_the_prometheus_that_is_provisioned(dashboard: dict[str, Any], folder: Path) -> None:
    source = yaml.safe_load((folder / "grafana/datasource.yml").read_text())["datasources"][0]

    panels = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
    assert len(panels) > 20
    for panel in panels:
        assert panel["datasource"] == {"type": source["type"], "uid": source["uid"]}
        assert all(target["datasource"] == panel["datasource"] for target in panel["targets"])
        assert panel["targets"]
        assert panel["fieldConfig"]
