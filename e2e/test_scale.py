"""A pool is scaled through its scale subresource: by hand, and by the autoscaler of the cluster."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from e2e.burst.process import ControllerProcess, warmclaim_command
from e2e.burst.rights import grant
from e2e.cluster import WARMCLAIM, ControlPlane
from e2e.controlplane.api import ApiSession, Object
from e2e.controlplane.failures import wait_until

from warmclaim.api.names import LABEL_WARM_POOL, name_hash
from warmclaim.loadtest.objects import (
    EXTENSIONS_API,
    POOL,
    POOLS,
    SANDBOXES,
    TEMPLATES,
    path,
    pool_body,
    template_body,
)

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

AUTOSCALERS = "/apis/autoscaling/v2/namespaces/{}/horizontalpodautoscalers"
SELECTOR = f"{LABEL_WARM_POOL}={name_hash(POOL)}"


@pytest.fixture
def api(control_plane: ControlPlane, namespace: str, tmp_path: Path) -> Iterator[ApiSession]:
    """The admin's session, while the controller runs and a pool of one is full."""
    api = control_plane.api
    grant(api, WARMCLAIM)
    api.create(path(namespace, TEMPLATES), template_body())
    api.create(path(namespace, POOLS), pool_body(1))

    def command(kubeconfig: Path, probe_port: int) -> list[str]:
        return [*warmclaim_command(kubeconfig, probe_port), "--enable-webhook=false"]

    with ControllerProcess(control_plane.kubeconfig(WARMCLAIM), tmp_path, command) as process:
        process.wait_ready()
        wait_until("a full pool", lambda: differs(api, namespace, 1), timeout_s=60)
        yield api


def scale_of(api: ApiSession, namespace: str) -> Object:
    return api.get(path(namespace, POOLS, POOL, "scale"))


def differs(api: ApiSession, namespace: str, size: int) -> str | None:
    """What is missing until the scale shows that size as asked for and as there, and it is true."""
    scale = scale_of(api, namespace)
    members: list[Object] = api.get(path(namespace, SANDBOXES), labelSelector=SELECTOR)["items"]
    shown = (scale["spec"].get("replicas", 0), scale["status"]["replicas"], len(members))
    return None if shown == (size,) * 3 else f"wanted, shown and there: {shown}"


def test_a_scale_tells_the_size_and_how_to_find_members(api: ApiSession, namespace: str) -> None:
    scale = scale_of(api, namespace)
    assert scale["kind"] == "Scale"
    assert scale["status"] == {"replicas": 1, "selector": SELECTOR}


def test_a_patched_scale_is_followed_and_zero_counts_are_left_out(
    api: ApiSession, namespace: str
) -> None:
    for size in (4, 0, 2):
        api.merge(path(namespace, POOLS, POOL, "scale"), {"spec": {"replicas": size}})
        wait_until(f"size {size}", partial(differs, api, namespace, size), timeout_s=60)
        pool = api.get(path(namespace, POOLS, POOL))
        assert pool["status"]["observedGeneration"] == pool["metadata"]["generation"]
        assert pool["status"].get("replicas") == (size or None)


def test_the_autoscaler_moves_a_pool_into_its_bounds(api: ApiSession, namespace: str) -> None:
    """Without metrics it can do nothing else; to do it, it reads the scale and writes it."""
    target = {"apiVersion": EXTENSIONS_API, "kind": "SandboxWarmPool", "name": POOL}
    bounds = {"minReplicas": 3, "maxReplicas": 5}
    autoscaler = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": POOL},
        "spec": {"scaleTargetRef": target, **bounds},
    }
    api.create(AUTOSCALERS.format(namespace), autoscaler)
    wait_until("the least size", lambda: differs(api, namespace, 3), timeout_s=90)
    patch = {"spec": {"minReplicas": 1, "maxReplicas": 2}}
    api.merge(f"{AUTOSCALERS.format(namespace)}/{POOL}", patch)
    wait_until("the largest size", lambda: differs(api, namespace, 2), timeout_s=90)
