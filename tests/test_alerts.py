"""Alerts and panels ask for what is there, in words that exist, and somebody is told what to do."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from prometheus_client import CollectorRegistry
from tests.test_metrics import COMPAT_LABELS
from tests.test_observability import TEXT as DOCUMENTED

from warmclaim.api import names
from warmclaim.app.gauges import TIERS
from warmclaim.cli.commands import app
from warmclaim.domain.eligibility import Refusal
from warmclaim.domain.outcome import Outcome
from warmclaim.telemetry.metrics import Metrics, Stage
from warmqueue import Lane

ROOT = Path(__file__).parents[1]
OBSERVED = ROOT / "config" / "observability"
RUNBOOK = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
OF_THE_SCRAPER = {"job", "instance", "namespace", "service", "exported_namespace"}
WORDS: dict[str, set[str]] = {
    "launch_type": {names.WARM, names.COLD},
    "tier": set(TIERS),
    "stage": {stage.value for stage in Stage},
    "outcome": {outcome.value for outcome in Outcome},
    "reason": {refusal.value for refusal in Refusal},
    "lane": {lane.name.lower() for lane in Lane},
}
UNITS = {"ops", "reqps", "s", "ms", "short", "bytes", "percentunit"}

_GROUPING = re.compile(r"\b(?:by|without|on|ignoring)\s*\(([^)]*)\)")
_SELECTOR = re.compile(r"(?<![\w$.])([a-zA-Z_]\w*)\s*(?:\{([^}]*)\}|(\())?")
_MATCHER = re.compile(r'(\w+)\s*(?:=~|!~|!=|=)\s*"([^"]*)"')
_OPERATORS = {"and", "or", "unless"}


class Asked(NamedTuple):
    """One selector of an expression: a metric, and what its labels shall be."""

    metric: str
    matchers: list[tuple[str, str]]


def asked(expression: str) -> Iterator[Asked]:
    """The selectors in a PromQL expression of the forms that we write."""
    for found in _SELECTOR.finditer(_GROUPING.sub("", expression)):
        name, matchers, parenthesis = found.groups()
        if parenthesis is None and name not in _OPERATORS:
            yield Asked(name, _MATCHER.findall(matchers or ""))


def alerts() -> list[dict[str, Any]]:
    document = yaml.safe_load((OBSERVED / "alerts.yaml").read_text())
    return [rule for group in document["spec"]["groups"] for rule in group["rules"]]


def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((OBSERVED / "dashboard.json").read_text())
    return found


def panels() -> list[dict[str, Any]]:
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def expressions() -> list[str]:
    shown = [target["expr"] for panel in panels() for target in panel["targets"]]
    return [alert["expr"] for alert in alerts()] + shown


def exported() -> set[str]:
    """Every name that a sample of ours can have."""
    found: set[str] = set()
    for family in Metrics(CollectorRegistry()).registry.collect():
        ends = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}
        found |= {family.name + end for end in ends.get(family.type, [""])}
    return found


def labels_of() -> dict[str, set[str]]:
    """The labels of each family, by tests of the code and by the table in the documentation."""
    found = {name: set(labels) for name, labels in COMPAT_LABELS.items()}
    for row in DOCUMENTED.partition("## Metrics")[2].partition("## Who may")[0].splitlines():
        cells = row.split("|")
        for name in re.findall(r"`(warmclaim_\w+)`", cells[1] if len(cells) > 3 else ""):
            found[name] = set(re.findall(r"`(\w+)`", cells[2]))
    return found


def test_expressions_are_taken_apart() -> None:
    expression = (
        'histogram_quantile(0.99, sum by (a, le) (rate(x_bucket{b="c|d", e!~"f"}[5m]))) > 1e3\n'
        "and on (job) max without (g) (y) == 0 or rate(z[$__rate_interval])"
    )
    assert list(asked(expression)) == [
        ("x_bucket", [("b", "c|d"), ("e", "f")]),
        ("y", []),
        ("z", []),
    ]


def test_only_metrics_that_exist_are_asked_for() -> None:
    wanted = {one.metric for expression in expressions() for one in asked(expression)}
    assert len(wanted) > 30
    assert wanted - exported() == {"up"}
    query = dashboard()["templating"]["list"][1]["query"]["query"]
    assert re.findall(r"label_values\((\w+), job\)", query)[0] in exported()


def test_only_labels_and_words_that_exist_are_asked_for() -> None:
    known = labels_of()
    for expression in expressions():
        for metric, matchers in asked(expression):
            family = re.sub("_(bucket|count|sum)$", "", metric)
            labels = known.get(family, set()) | OF_THE_SCRAPER
            assert {label for label, _ in matchers} <= labels, expression
            for label, value in matchers:
                if label in WORDS:
                    assert set(value.split("|")) <= WORDS[label], expression


def test_what_is_grouped_by_is_a_label_of_what_is_grouped() -> None:
    known = labels_of()
    for expression in expressions():
        families = [re.sub("_(bucket|count|sum)$", "", one.metric) for one in asked(expression)]
        labels = set[str]().union(*(known.get(family, set()) for family in families))
        grouped = {
            name.strip() for found in _GROUPING.findall(expression) for name in found.split(",")
        }
        assert grouped - {"le", "pod"} <= labels | OF_THE_SCRAPER, expression


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert["alert"])
def test_an_alert_says_what_it_is_and_where_to_read_what_to_do(alert: dict[str, Any]) -> None:
    assert alert["labels"]["severity"] in {"warning", "critical"}
    assert alert["annotations"]["summary"].strip().endswith(".")
    name = alert["alert"]
    assert alert["annotations"]["runbook"] == f"docs/operations.md#{name.lower()}"
    paragraph = RUNBOOK.partition(f"\n### {name}\n")[2].partition("\n### ")[0]
    assert len(paragraph.split()) > 30


def test_the_runbook_tells_of_no_other_alert_and_of_no_command_that_is_not_there() -> None:
    section = RUNBOOK.partition("\n## Alerts\n")[2].partition("\n## ")[0]
    assert re.findall(r"^### (\w+)$", section, re.M) == [alert["alert"] for alert in alerts()]
    commands = {command.name or command.callback.__name__ for command in app.registered_commands
                if command.callback}  # fmt: skip
    commands |= {str(group.name) for group in app.registered_groups}
    assert set(re.findall(r"`?warmclaim ([a-z]+)", section)) <= commands


def test_each_panel_has_a_unit_an_id_and_a_place_of_its_own() -> None:
    everything = dashboard()["panels"]
    numbers = [panel["id"] for panel in everything]
    assert len(numbers) == len(set(numbers))
    titles = [panel["title"] for panel in everything]
    assert len(titles) == len(set(titles))
    covered: set[tuple[int, int]] = set()
    for panel in everything:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & covered
        assert place["x"] + place["w"] <= 24
        covered |= cells
    for panel in panels():
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
        assert panel["datasource"]["uid"] == "${datasource}"
        assert panel["targets"]
