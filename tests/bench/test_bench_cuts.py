"""What each of the four cuts of the reconcile pass saves, beside the same pass without it.

`make bench` runs the sizes; an ordinary test run takes small ones, so that the benchmark itself
does not rot. Requests and virtual time are exact; processor time is of one run after the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from time import process_time
from typing import Any

import pytest
from tests.bench.figures import Figures
from tests.controllers.app_world import AppWorld, virtual
from tests.sandbox_objects import sandbox_body

import warmclaim.app.build
import warmclaim.controllers.sandbox
from warmclaim.api import names
from warmclaim.api.meta import ObjectKey
from warmclaim.api.pod import Pod
from warmclaim.api.pool import Pool
from warmclaim.api.resources import POD, SANDBOX, TEMPLATE
from warmclaim.api.sandbox import Sandbox
from warmclaim.api.template import Template
from warmclaim.controllers.blueprints import Blueprints
from warmclaim.controllers.sandbox import SandboxReconciler
from warmclaim.controllers.sandbox_children import Children, Pass
from warmclaim.domain.blueprint import blueprint_of
from warmclaim.domain.sandbox_children import Step
from warmclaim.kube.client import ApiClient
from warmclaim.kube.informer import Informer
from warmclaim.runtime.reconciler import Result
from warmclaim.seams import Request, SystemClock, SystemRng
from warmclaim.testing.api import FakeApiServer
from warmclaim.testing.builders import a_pod, a_pool, a_template, as_view
from warmclaim.testing.builders import a_sandbox as a_stored_sandbox
from warmclaim.testing.cluster import Cluster
from warmclaim.testing.transport import InProcessTransport

pytestmark = pytest.mark.bench

SANDBOX_ONLY = {"controllers": frozenset({"sandbox"})}
REQUEST_S = 0.01
"""What a write takes in the first table: virtual time, so any other gives the same ratio."""
VOLUMES = ("home", "cache", "data")


def test_bench_children_together(monkeypatch: pytest.MonkeyPatch, figures: Figures) -> None:
    """A sandbox with three volumes, a Service and a pod, on a server that takes 10 ms a write."""
    with_ms = _children_ms()
    with monkeypatch.context() as without:
        without.setattr(warmclaim.controllers.sandbox, "Children", OneAfterTheOther)
        without_ms = _children_ms()
    _told(figures, "independent children together", "ms to the last child", with_ms, without_ms)


def _children_ms() -> float:
    took: list[float] = []

    async def scenario(world: AppWorld) -> None:
        async def slow(_: Request) -> None:
            await world.clock.sleep(REQUEST_S)

        world.faults.before = slow
        claims: list[dict[str, Any]] = [
            {"metadata": {"name": name}, "spec": {"accessModes": ["ReadWriteOnce"]}}
            for name in VOLUMES
        ]
        began_s = world.clock.monotonic()
        await world.hand.create(
            SANDBOX, "default", sandbox_body(service=True, volumeClaimTemplates=claims)
        )
        await world.until(lambda: world.exists(POD, "sb"), within_s=5)
        took.append((world.clock.monotonic() - began_s) * 1e3)
        assert len([line for line in world.writes() if line.startswith("create")]) == 5

    virtual(scenario, **SANDBOX_ONLY)
    return took[0]


class OneAfterTheOther(Children):
    """Without the cut."""

    async def carry_out(self, sandbox: Sandbox, steps: Sequence[Step], this: Pass) -> None:
        for step in steps:
            await super().carry_out(sandbox, [step], this)


def test_bench_a_narrow_watch(request: pytest.FixtureRequest, figures: Figures) -> None:
    """Reading the pods of a cluster that has four others for each pod of a sandbox."""
    count = 1_000 if _is_chosen(request) else 20
    cluster = Cluster()
    for number in range(count):
        cluster.put(a_pod(f"mine-{number}"))
        for other in range(4):
            cluster.put(a_pod(f"other-{number}-{other}", merge=_NO_LABELS))
    with_ms, mine = _read_ms(cluster, names.LABEL_NAME_HASH)
    without_ms, everybodys = _read_ms(cluster, None)
    assert (mine, everybodys) == (count, 5 * count)
    title = f"a watch narrowed by label, {count:,} pods of {5 * count:,}"
    _told(figures, title, "ms of processor", with_ms, without_ms)


_NO_LABELS: dict[str, Any] = {"metadata": {"labels": {names.LABEL_NAME_HASH: None, "app": "web"}}}


def _read_ms(cluster: Cluster, label_selector: str | None) -> tuple[float, int]:
    async def read() -> tuple[float, int]:
        clock = SystemClock()
        client = ApiClient(InProcessTransport(FakeApiServer(cluster)), clock=clock)
        pods: Informer[Pod] = Informer(
            client, POD, clock=clock, rng=SystemRng(), label_selector=label_selector
        )
        began_s = process_time()
        task = asyncio.create_task(pods.run())
        await pods.wait_synced()
        took_ms = (process_time() - began_s) * 1e3
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return took_ms, len(pods.store)

    return asyncio.run(read())


def test_bench_memoised_blueprints(request: pytest.FixtureRequest, figures: Figures) -> None:
    """What a template makes of a sandbox, for each look at a pool and each pick."""
    looks = 2_000 if _is_chosen(request) else 5
    template, pool = as_view(a_template(), Template), as_view(a_pool(), Pool)
    client = ApiClient(InProcessTransport(FakeApiServer()), clock=SystemClock())
    templates: Informer[Template] = Informer(client, TEMPLATE, clock=SystemClock(), rng=SystemRng())
    templates.replace([template], "1", unreadable=(), is_reset=True)
    blueprints = Blueprints(templates)
    assert blueprints.of(pool) == blueprint_of(template)
    with_us = _us(lambda: blueprints.of(pool), looks)
    without_us = _us(lambda: blueprint_of(template), looks)
    _told(figures, "memoised blueprints", "us a look", with_us, without_us)


def _us(look: Callable[[], object], looks: int) -> float:
    began_s = process_time()
    for _ in range(looks):
        look()
    return (process_time() - began_s) / looks * 1e6


def test_bench_nothing_to_write(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, figures: Figures
) -> None:
    """Settled sandboxes of which each has a pass, as after a restart."""
    count = 200 if _is_chosen(request) else 3
    with_writes = _writes_of_a_restart(count)
    with monkeypatch.context() as without:
        without.setattr(warmclaim.app.build, "SandboxReconciler", AlwaysWrites)
        without_writes = _writes_of_a_restart(count)
    assert with_writes == 0
    title = f"nothing differs, nothing written, {count:,} sandboxes"
    _told(figures, title, "writes", with_writes, without_writes)


def _writes_of_a_restart(count: int) -> int:
    found: list[int] = []

    async def scenario(world: AppWorld) -> None:
        for number in range(count):
            world.put(a_stored_sandbox(f"w{number}"), a_pod(f"w{number}"))
        await world.run_for(30)  # whatever the stored ones lacked is there
        before = len(world.writes("again"))
        faults, app = world.another("again", **SANDBOX_ONLY)
        assert faults is not world.faults
        stop = asyncio.Event()
        task = asyncio.create_task(app.run(stop))
        await world.run_for(30)
        stop.set()
        await task
        found.append(len(world.writes("again")) - before)

    virtual(scenario, **SANDBOX_ONLY)
    return found[0]


class AlwaysWrites(SandboxReconciler):
    """Without the cut: the status is written at the end of each pass, whatever stands there."""

    async def reconcile(self, key: ObjectKey) -> Result:
        result = await super().reconcile(key)
        sandbox = self._caches.sandboxes.store.get(key)
        if sandbox is not None and sandbox.status is not None:
            await self._write_status(sandbox, sandbox.status, Pass())
        return result


def _told(figures: Figures, title: str, unit: str, with_it: float, without: float) -> None:
    figures.add(f"cut: {title}", with_it=with_it, without=without)
    ratio = f"{without / with_it:,.1f} x" if with_it else "all of them"
    print(f"\n{title}: {with_it:,.2f} {unit}, without it {without:,.2f}; {ratio}")


def _is_chosen(request: pytest.FixtureRequest) -> bool:
    marks: object = request.config.getoption("markexpr")
    return "bench" in str(marks)
