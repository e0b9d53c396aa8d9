"""What a look at a member's seal costs.

`make bench` runs all sizes; an ordinary test run takes the small one, so that the benchmark itself
does not rot. Nothing here asserts a time.
"""

from __future__ import annotations

from time import perf_counter

import msgspec
import pytest
from tests.bench.figures import Figures

from warmclaim.api.names import ANNOTATION_SEAL
from warmclaim.api.pool import Pool
from warmclaim.api.sandbox import Sandbox
from warmclaim.api.template import Template
from warmclaim.domain.blueprint import Blueprint, blueprint_of, member_sandbox
from warmclaim.domain.seal import SealKeys, is_sealed, seal_of
from warmclaim.testing.builders import a_pod_spec, a_pool, a_template, as_view

pytestmark = pytest.mark.bench

VARIABLES = [0, 40]
"""Of the container's environment: pod templates of some 500 and 3,100 bytes."""

MEMBERS, SMOKE_MEMBERS, ROUNDS = 1_000, 20, 5
KEYS = SealKeys(b"c" * 32, b"p" * 32)
POOL = as_view(a_pool(), Pool)


def a_blueprint(variables: int) -> Blueprint:
    pod = a_pod_spec()
    env = [{"name": f"V{number}", "value": "x" * 40} for number in range(variables)]
    pod["containers"][0]["env"] = env
    merge = {"spec": {"podTemplate": {"spec": pod}}}
    return blueprint_of(as_view(a_template(merge=merge), Template))


def a_member(blueprint: Blueprint, number: int, key: bytes) -> Sandbox:
    body = member_sandbox(POOL, blueprint, f"pool-{number}")
    body["metadata"] |= {"uid": f"uid-{number}", "generation": 1}
    bare = msgspec.json.decode(msgspec.json.encode(body), type=Sandbox)
    body["metadata"]["annotations"][ANNOTATION_SEAL] = seal_of(key, bare, POOL.metadata.uid)
    return msgspec.json.decode(msgspec.json.encode(body), type=Sandbox)


def look_us(members: list[Sandbox]) -> float:
    """us for one member, the best of some rounds."""
    best_s = float("inf")
    for _ in range(ROUNDS):
        start = perf_counter()
        assert all(is_sealed(KEYS, member, POOL.metadata.uid) for member in members)
        best_s = min(best_s, perf_counter() - start)
    return best_s / len(members) * 1e6


def test_bench_looks_at_a_seal(request: pytest.FixtureRequest, figures: Figures) -> None:
    count = MEMBERS if "bench" in str(request.config.getoption("markexpr")) else SMOKE_MEMBERS
    print("\n\n| template, bytes | sealed with the current key, us | the previous one, us |")
    print("|----------------:|--------------------------------:|---------------------:|")
    for variables in VARIABLES:
        blueprint = a_blueprint(variables)
        current, previous = (
            look_us([a_member(blueprint, number, key) for number in range(count)])
            for key in (KEYS.current, KEYS.previous)
        )
        size = len(bytes(a_member(blueprint, 0, KEYS.current).spec.pod_template))
        figures.add(f"seal, {variables} variables", current_us=current, previous_us=previous)
        print(f"| {size:15,} | {current:31.1f} | {previous:20.1f} |")
