"""What deploy/ asks of Prometheus."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.cluster import ROOT

PROMETHEUS = ROOT / "deploy/prometheus"
ALERTS = PROMETHEUS / "alerts.yml"
ALERTS_TEST = PROMETHEUS / "alerts_test.yml"
DASHBOARD = ROOT / "deploy/grafana/dashboard.json"
OF_TLS = {"KvsCertificateExpires"}
"""The alerts that only nodes with certificates can give."""
METRICS = ROOT / "docs/metrics.md"


def alerts() -> list[str]:
    return re.findall(r"^ +- alert: (\w+)$", ALERTS.read_text(), re.MULTILINE)


def rules() -> list[str]:
    """The queries of the alerts."""
    return re.findall(r"^ +expr: (.+)$", ALERTS.read_text(), re.MULTILINE)


def panels() -> dict[str, list[str]]:
    """The queries of the dashboard, by the title of their panel."""
    dashboard = json.loads(DASHBOARD.read_text())
    return {
        panel["title"]: [target["expr"] for target in panel["targets"]]
        for panel in dashboard["panels"]
        if panel["type"] != "row"
    }


def names_in(text: str) -> set[str]:
    """The metrics of a node that are named there; a histogram by its family."""
    return {re.sub(r"_(bucket|sum|count)$", "", name) for name in re.findall(r"\b(?:kvs|process)_[a-z_]+\b", text)}


def documented(path: Path = METRICS) -> set[str]:
    return set(re.findall(r"^\| `((?:kvs|process)_\w+)", path.read_text(), re.MULTILINE))
