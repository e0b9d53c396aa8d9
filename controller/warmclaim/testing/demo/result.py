"""All that a run of the demo found. Pure; as JSON it is a contract with scripts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import msgspec

from warmclaim.testing.demo.figures import Latency, Spread
from warmclaim.testing.demo.history import Rows
from warmclaim.testing.demo.lifetime import Ending
from warmclaim.testing.demo.scenario import Scenario


@dataclass(frozen=True, slots=True)
class Writes:
    """Requests of one sort that the manager sent, from the API server's record. `resource` is as
    in an audit log, with its subresource: "sandboxclaims/status"."""

    verb: str
    resource: str
    count: int


@dataclass(frozen=True, slots=True)
class Result:
    """One run. Times are seconds, `latency_ms` is from a claim's POST to Ready on the watch,
    `post_ms` from the POST to its answer: what the API server alone makes of it just now.

    The writes and `manager_cpu_s` are of the time from the first claim until the pool was full
    again: they have the refill in them. `manager_cpu_s` is None where the system does not tell.
    `ending` is that of the claim with a lifetime, None where it did not end in time. `history`:
    what it tells of the claims when they are gone, None where it cannot be asked.
    """

    scenario: Scenario
    fill_s: float
    burst_s: float
    refill_s: float | None
    latency_ms: Latency | None
    post_ms: Latency | None
    served: int
    warm: int
    before: Spread
    handed_out: Spread
    after: Spread
    writes: tuple[Writes, ...]
    manager_cpu_s: float | None
    ending: Ending | None
    history: Rows | None
    problems: tuple[str, ...]

    @property
    def is_good(self) -> bool:
        """Every claim was served, and nothing was given twice."""
        return not self.problems

    @property
    def writes_per_claim(self) -> float:
        return sum(writes.count for writes in self.writes) / self.scenario.burst


def encoded(result: Result) -> bytes:
    """The result as one indented JSON object, its end included."""
    scenario = result.scenario
    document: dict[str, Any] = {
        "ok": result.is_good,
        "problems": result.problems,
        "scenario": scenario,
        "claims": {
            "sent": scenario.burst,
            "served": result.served,
            "warm": result.warm,
            "cold": result.served - result.warm,
        },
        "latency_ms": result.latency_ms,
        "post_ms": result.post_ms,
        "pool": {
            "fill_s": result.fill_s,
            "burst_s": result.burst_s,
            "refill_s": result.refill_s,
        },
        "sandboxes_per_node": {
            "warm_before": result.before,
            "handed_out": result.handed_out,
            "warm_after": result.after,
        },
        "writes_per_claim": {
            "total": result.writes_per_claim,
            "by": [
                {
                    "verb": writes.verb,
                    "resource": writes.resource,
                    "per_claim": writes.count / scenario.burst,
                }
                for writes in result.writes
            ],
        },
        "manager": {"cpu_s": result.manager_cpu_s},
        "after_shutdown_time_ms": result.ending,
        "history": result.history,
    }
    return msgspec.json.format(msgspec.json.encode(_rounded(msgspec.to_builtins(document)))) + b"\n"


def _rounded(value: Any) -> Any:
    """Floats to a thousandth: what lies below is noise."""
    if isinstance(value, float):
        return round(value, 3)
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [_rounded(item) for item in cast("list[object]", value)]
    return value
