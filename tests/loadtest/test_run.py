"""Whole runs on an embedded API server, with the real manager as users start it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rich.console import Console
from tests.loadtest.world import OURS, World, a_world

from warmclaim.errors import UsageError
from warmclaim.kube.config import connection_to
from warmclaim.loadtest.phases import PhaseRun
from warmclaim.loadtest.process import command_of
from warmclaim.loadtest.profile import Profile, load, parse
from warmclaim.loadtest.progress import shown
from warmclaim.loadtest.result import LIMIT, PhaseResult, RunResult
from warmclaim.loadtest.run import Plan, Show, run
from warmclaim.testing.resources import CRD

NAMESPACE = "warmclaim-loadtest-abc"

Planned = Callable[[Profile], Plan]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with a_world(tmp_path) as found:
        yield found


@pytest.fixture
def planned(world: World) -> Planned:
    """A plan with our controller, by its profile."""
    command = command_of(OURS, str(world.kubeconfig))
    return lambda profile: Plan(profile, world.connection, NAMESPACE, command=command)


def unseen(_: PhaseRun) -> None:
    """Shows nobody how far the run is."""


async def ran(
    plan: Plan, folder: Path, show: Show = unseen
) -> tuple[RunResult, list[dict[str, Any]]]:
    """The result, as it was written, and the lines of its time line."""
    folder.mkdir()  # noqa: ASYNC240
    result = await run(plan, folder, show)
    written = msgspec.json.decode((folder / "summary.json").read_bytes(), type=RunResult)
    assert written == result
    lines = (folder / "events.jsonl").read_bytes().splitlines()
    return result, [msgspec.json.decode(one) for one in lines]


def by_name(result: RunResult) -> dict[str, PhaseResult]:
    return {phase.name: phase for phase in result.phases}


async def test_a_controller_is_run_through_all_phases(
    world: World, planned: Planned, tmp_path: Path
) -> None:
    result, lines = await ran(planned(load("tiny")), tmp_path / "run")
    assert (result.problem, result.breaches, result.serves) == ("", [], "controller")
    phases = by_name(result)
    assert list(phases) == ["deploy", "burst", "steady-state", "scale", "delete"]

    burst = phases["burst"]
    assert (burst.sent, burst.refused, burst.warm, burst.cold) == (6, {}, 6, 0)
    assert burst.client is not None
    assert burst.controller is not None
    assert burst.client.count == burst.controller.count == 6
    assert 0 < burst.client.p50_ms <= burst.client.p90_ms <= burst.client.max_ms
    assert burst.requests_from == "metrics"
    assert burst.requests["patch sandboxclaims/status"] == 6
    assert burst.requests["create sandboxes"] == 6
    assert [one.name for one in burst.milestones] == [
        *("first claim", "last claim answered", "claims ready", "members ready", "1 s passed")
    ]
    assert sum(burst.nodes.values()) == 4 + 6

    trigger, repair = phases["steady-state"].milestones[-2:]
    assert trigger.told["touched"] == 4 + 6
    # What it reads of a sandbox has not changed: at the least the pool is looked at.
    assert trigger.told["passes"] >= 1
    # Here each is looked at, and its status is written.
    assert (repair.name, repair.told["spoilt"]) == ("sandboxes repaired", 4 + 6)
    assert repair.told["passes"] >= 4 + 6
    assert phases["steady-state"].requests["patch sandboxes/status"] == 4 + 6
    assert sum(phases["scale"].nodes.values()) == 2 + 6
    assert phases["delete"].nodes == {}
    assert all(phase.cpu_s is not None and phase.rss_bytes for phase in result.phases)

    ordered = [line["at_s"] for line in lines if line["event"] not in ("claim", "sandbox")]
    assert ordered == sorted(ordered)
    claims = [line for line in lines if line["event"] == "claim"]
    latencies_ms = [round(one["ready_after_s"] * 1000, 3) for one in claims]
    assert max(latencies_ms) == burst.client.max_ms
    assert {(one["launch"], one["pool"]) for one in claims} == {("warm", "pool-0")}
    given = {line["name"]: line["claim"] for line in lines if line["event"] == "sandbox"}
    assert {one["name"]: one["sandbox"] for one in claims} == {
        claim: sandbox for sandbox, claim in given.items() if claim
    }
    assert len(given) == 4 + 6
    assert result.exit_code == 0
    last = [line for line in lines if line["event"] == "sample"][-1]
    assert last["claims_ready"] == 6
    assert world.namespaces() == set()


async def test_the_limit_is_what_the_load_generator_can_do_alone(
    world: World, planned: Planned, tmp_path: Path
) -> None:
    plan = replace(planned(load("tiny")), serves=LIMIT)
    screen = Console(file=StringIO(), force_terminal=True, width=200)
    with shown(screen, "tiny (limit)") as show:
        result, _ = await ran(plan, tmp_path / "run", show)
    assert isinstance(screen.file, StringIO)
    assert "waits for: quiet for 1 s, 6 of 6 claims ready" in screen.file.getvalue()
    assert (result.problem, result.command) == ("", "")
    phases = by_name(result)
    assert list(phases) == ["deploy", "burst", "scale", "delete"]
    assert (phases["burst"].warm, phases["burst"].cpu_s) == (6, None)
    assert result.exit_code is None
    # Filled with what the claims will take, as nobody refills.
    assert sum(phases["deploy"].nodes.values()) == 6
    assert sum(phases["scale"].nodes.values()) == 6 + 2
    assert not (tmp_path / "run" / "controller.log").exists()
    assert world.namespaces() == set()


async def test_a_judge_is_asked_at_the_end_of_each_phase(
    world: World, planned: Planned, tmp_path: Path
) -> None:
    text = b"{name: mine, phases: [{phase: deploy, members_each: 1}, {phase: delete}]}"
    plan = replace(planned(parse(text)), serves=LIMIT)
    folder = tmp_path / "run"
    folder.mkdir()

    def judge(phases: PhaseRun) -> list[str]:
        ended = phases.results[-1]
        return [f"{ended.name} had {sum(ended.nodes.values())} sandboxes"]

    result = await run(plan, folder, unseen, judge)
    assert result.breaches == ["deploy had 1 sandboxes", "delete had 0 sandboxes"]
    assert not result.is_good


async def test_several_pools_are_loaded_at_random_and_scaled(
    world: World, planned: Planned, tmp_path: Path
) -> None:
    text = b"""
name: mine
phases:
  - {phase: deploy, pools: 3, members_each: 2}
  - {phase: sustained, rate_per_s: 100, duration_s: 0.1, until: [{condition: ready, of: claims}]}
  - {phase: scale, members_each: 4, until: [{condition: ready, of: members}]}
"""
    profile = parse(text)
    result, _ = await ran(planned(profile), tmp_path / "run")
    assert result.problem == ""
    phases = by_name(result)
    count = profile.claims_by_pool().total()
    assert phases["sustained"].sent == count > 3
    assert phases["sustained"].warm + phases["sustained"].cold == count
    assert sum(phases["scale"].nodes.values()) == 3 * 4 + count
    assert world.namespaces() == set()


async def test_what_does_not_come_in_time_is_said_and_what_was_found_is_kept(
    world: World, planned: Planned, tmp_path: Path
) -> None:
    text = b"""
name: mine
phases:
  - {phase: deploy, members_each: 1}
  - phase: scale
    members_each: 1200
    until: [{condition: ready, of: members, timeout_s: 0.5}]
  - {phase: delete}
"""
    result, _ = await ran(planned(parse(text)), tmp_path / "run")
    assert result.problem.startswith("phase scale: members ready: not within 0.5 s: pool pool-0: ")
    assert list(by_name(result)) == ["deploy", "scale"]
    assert world.namespaces() == set()


async def test_a_controller_that_ends_ends_the_run(world: World, tmp_path: Path) -> None:
    command = command_of("sh -c 'sleep 1; echo had enough; exit 1'", "")
    plan = Plan(load("tiny"), world.connection, NAMESPACE, command=command)
    result, _ = await ran(plan, tmp_path / "run")
    assert result.problem == "phase deploy: the controller ended with exit code 1: had enough"
    assert world.namespaces() == set()


async def test_what_fails_before_the_first_phase_is_the_users_to_change(
    world: World, planned: Planned, tmp_path: Path
) -> None:
    plan = planned(load("tiny"))
    missing = replace(plan, command=command_of("/none/such {kubeconfig}", ""))
    with pytest.raises(UsageError, match="--controller /none/such: No such file or directory"):
        await run(missing, tmp_path, unseen)
    ending = replace(plan, command=command_of("python3 -c 'print(4)' {health}", ""))
    with pytest.raises(UsageError, match="the controller ended with exit code 0: 4"):
        await run(ending, tmp_path, unseen)
    nowhere = connection_to("http://127.0.0.1:9", credentials=None)
    with pytest.raises(UsageError, match=r"127\.0\.0\.1:9"):
        await run(replace(plan, connection=nowhere, command=None), tmp_path, unseen)
    for commit in list(world.server.cluster.store.scan(CRD.resource)):
        world.server.cluster.store.delete(CRD.resource, commit.key)
    with pytest.raises(UsageError, match=r"sandboxtemplates.*warmclaim crds"):
        await run(replace(plan, command=None), tmp_path, unseen)
    assert world.namespaces() == set()
