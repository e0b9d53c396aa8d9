"""Alerts and dashboard as Prometheus itself reads them; chart and component give the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from e2e.controlplane import build
from e2e.controlplane.api import Object
from e2e.controlplane.failures import ControlPlaneError
from e2e.controlplane.manifests import CONFIG, composed, run, templated

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

TESTS = Path(__file__).with_name("alerts.test.yaml")
CHART_VALUES = ("metrics.serviceMonitor.enabled=true", "metrics.prometheusRule.enabled=true",
                "metrics.dashboard.enabled=true")  # fmt: skip


def promtool(*arguments: str) -> str:
    return run([str(build.bin_dir(build.PROMETHEUS) / "promtool"), *arguments])


def rules() -> dict[str, Any]:
    spec: dict[str, Any] = yaml.safe_load((CONFIG / "observability/alerts.yaml").read_text())[
        "spec"
    ]
    return spec


def written(path: Path, value: object) -> str:
    path.write_text(json.dumps(value))
    return str(path)


def test_prometheus_takes_the_rules(tmp_path: Path) -> None:
    count = sum(len(group["rules"]) for group in rules()["groups"])
    said = promtool(
        "check", "rules", "--lint=all", "--lint-fatal", written(tmp_path / "r", rules())
    )
    assert f"SUCCESS: {count} rules found" in said


def test_alerts_fire_where_they_should_and_nowhere_else(tmp_path: Path) -> None:
    (tmp_path / "alerts.yaml").write_text(TESTS.read_text())
    written(tmp_path / "rules.yaml", rules())
    assert "SUCCESS" in promtool("test", "rules", str(tmp_path / "alerts.yaml"))


def test_a_rule_that_does_not_fire_fails_its_test(tmp_path: Path) -> None:
    """That the test before can fail."""
    (tmp_path / "alerts.yaml").write_text(TESTS.read_text())
    broken = rules()
    broken["groups"][0]["rules"] = broken["groups"][0]["rules"][:1]
    written(tmp_path / "rules.yaml", broken)
    with pytest.raises(ControlPlaneError):
        promtool("test", "rules", str(tmp_path / "alerts.yaml"))


def test_prometheus_takes_what_the_panels_ask(tmp_path: Path) -> None:
    """As rules that record it, since promtool checks no bare expression."""
    found = json.loads((CONFIG / "observability/dashboard.json").read_text())
    asked = [target["expr"] for panel in found["panels"] for target in panel.get("targets", ())]
    for variable, value in (("$__rate_interval", "5m"), ("$__range", "1h"), ("$job", ".+")):
        asked = [expression.replace(variable, value) for expression in asked]
    assert "$" not in "".join(asked)
    recorded = [{"record": f"panel:{number}", "expr": one} for number, one in enumerate(asked)]
    groups = {"groups": [{"name": "panels", "rules": recorded}]}
    said = promtool("check", "rules", written(tmp_path / "panels", groups))
    assert f"SUCCESS: {len(asked)} rules found" in said


def watching(things: list[Object]) -> dict[str, Object]:
    kinds = {"ServiceMonitor", "PrometheusRule", "ConfigMap"}
    return {thing["kind"]: thing for thing in things if thing["kind"] in kinds}


@pytest.mark.parametrize("overlay", ["everything", "claims-and-pools"])
def test_the_chart_watches_as_the_component_does(overlay: str, tmp_path: Path) -> None:
    mine = watching(composed(tmp_path, f"overlays/{overlay}", "observability"))
    values = ["-f", str(CONFIG / "chart/examples" / f"{overlay}.yaml")]
    chart = watching(templated(*values, "--set", ",".join(CHART_VALUES)))
    assert mine["ConfigMap"]["data"].keys() == chart["ConfigMap"]["data"].keys()
    boards = [json.loads(one["ConfigMap"]["data"]["agent-sandbox.json"]) for one in (mine, chart)]
    assert boards[0] == boards[1]
    for one in (mine, chart):
        assert one["ConfigMap"]["metadata"]["labels"]["grafana_dashboard"] == "1"
    monitors = [one["ServiceMonitor"]["spec"]["endpoints"] for one in (mine, chart)]
    assert monitors[0] == monitors[1]
    ours, theirs = ([rule for group in one["PrometheusRule"]["spec"]["groups"]
                     for rule in group["rules"]] for one in (mine, chart))  # fmt: skip
    assert ours[1:] == theirs[1:]
    # The first names the Service: the chart knows which.
    suffix = "-claims" if overlay == "claims-and-pools" else ""
    service = f"agent-sandbox-controller{suffix}"
    assert ours[0]["expr"].replace("agent-sandbox-controller.*", service) == theirs[0]["expr"]


@pytest.mark.parametrize("overlay", ["everything", "claims-and-pools"])
def test_the_monitor_finds_the_service_of_the_overlay(overlay: str, tmp_path: Path) -> None:
    things = composed(tmp_path, f"overlays/{overlay}", "observability")
    (service,) = [thing for thing in things if thing["kind"] == "Service"]
    wanted = watching(things)["ServiceMonitor"]["spec"]
    labels = service["metadata"]["labels"]
    assert wanted["selector"]["matchLabels"].items() <= labels.items()
    (endpoint,) = wanted["endpoints"]
    assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
