"""docs/observability.md names what there is, and nothing else."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from prometheus_client import CollectorRegistry

from warmclaim.telemetry.metrics import Metrics
from warmclaim.telemetry.tracing import SPAN_NAMES

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs/observability.md").read_text(encoding="utf-8")
ROOMS = ("controllers", "app")
DOMAIN = sorted((ROOT / "controller/warmclaim/domain").glob("*.py"))
# Methods that tell an event, and where among their arguments the reason stands.
_REASON_AT = {"normal": 2, "warning": 2, "_warn": 1}


def sources() -> Iterator[str]:
    for room in ROOMS:
        for path in sorted((ROOT / "controller/warmclaim" / room).glob("*.py")):
            yield path.read_text(encoding="utf-8")


def told_reasons() -> set[str]:
    """Reasons that stand as words in a call that tells an event."""
    found: set[str] = set()
    for source in sources():
        for node in ast.walk(ast.parse(source)):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            at = _REASON_AT.get(node.func.attr)
            if at is None or len(node.args) <= at:
                continue
            reason = node.args[at]
            if isinstance(reason, ast.Constant) and isinstance(reason.value, str):
                found.add(reason.value)
    return found


def test_every_metric_of_our_own_is_in_the_table_and_none_that_is_not() -> None:
    exported = {
        family.name + ("_total" if family.type == "counter" else "")
        for family in Metrics(CollectorRegistry()).registry.collect()
    }
    table = TEXT.partition("## Metrics")[2].partition("## Events")[0]
    named = set(re.findall(r"`(warmclaim_[a-z_]+)`", table))
    assert named == {name for name in exported if name.startswith("warmclaim_")}


def test_every_reason_of_an_event_is_in_the_table_and_none_that_is_not() -> None:
    table = TEXT.partition("## Events")[2].partition("## Spans")[0]
    rows = [row.split("|") for row in table.splitlines() if re.match(r"\| .*(Normal|Warning)", row)]
    named = {reason for row in rows for reason in re.findall(r"`(\w+)`", row[3])}
    reasons = told_reasons()
    assert {"SandboxAdopted", "TemplateNotFound", "NetworkPolicyInvalid"} <= reasons
    assert reasons <= named
    everything = "\n".join([*sources(), *(p.read_text() for p in DOMAIN)])
    assert [reason for reason in named if f'"{reason}"' not in everything] == []


def test_every_span_of_a_pass_is_named() -> None:
    assert [name for name in SPAN_NAMES.values() if name not in TEXT] == []
