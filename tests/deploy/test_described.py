"""What deploy/ names exists, and what it has is tested and documented."""

from __future__ import annotations

import json
import re

import pytest

from tests.deploy.described import (
    ALERTS,
    ALERTS_TEST,
    DASHBOARD,
    METRICS,
    alerts,
    documented,
    names_in,
    panels,
    rules,
)
from tests.deploy.prometheus import hurried

VARIABLES = {"$job", "$instance", "$__rate_interval"}


def test_deploy_has_a_query_for_each_alert() -> None:
    assert len(alerts()) == len(rules()) == len(set(alerts())) > 10


@pytest.mark.parametrize("query", rules())
def test_deploy_alert_goes_by_metrics_that_there_are(query: str) -> None:
    assert names_in(query) <= documented() and (names_in(query) or query.startswith("up{"))


@pytest.mark.parametrize("title", panels())
def test_deploy_panel_goes_by_metrics_and_variables_that_there_are(title: str) -> None:
    for query in panels()[title]:
        assert names_in(query) <= documented() and (names_in(query) or query.startswith("count(up{"))
        assert set(re.findall(r"\$\w+", query)) <= VARIABLES


def test_deploy_every_alert_has_a_case_that_fires_it_and_a_line_in_the_docs() -> None:
    tested = set(re.findall(r'alertname="(\w+)"', ALERTS_TEST.read_text()))
    explained = set(re.findall(r"^\| `(Kvs\w+)`", METRICS.read_text(), re.MULTILINE))
    assert tested == set(alerts()) == explained


def test_deploy_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken and max(x for x, _ in cells) < 24
        taken |= cells


def test_deploy_hurried_alerts_have_their_times_divided_and_nothing_else() -> None:
    hurried_rules = hurried(ALERTS.read_text(), 20)
    assert "for: 15s" in ALERTS.read_text() and "for: 1s" in hurried_rules
    assert 'predict_linear(kvs_disk_free_bytes{job="kvs"}[180s], 1080) < 0' in hurried_rules

    def without_times(rules: str) -> str:
        return re.sub(r"\d+[smh]\b|\d+ \* 3600|1080", "", rules)

    assert without_times(hurried_rules) == without_times(ALERTS.read_text())
