"""What the sandbox controller does, right by right."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from e2e.least.behaviour import Behaviour, Case, nothing
from e2e.least.rights import Right, right
from e2e.least.scene import PAST, Scene

from warmclaim.api.event import EVENT
from warmclaim.api.names import ANNOTATION_POD_NAME
from warmclaim.api.resources import POD, SANDBOX, SERVICE, VOLUME_CLAIM, Resource
from warmclaim.app.needs import Part
from warmclaim.kube.permissions import Permission
from warmclaim.loadtest.objects import PODS, SANDBOXES

SERVICES, VOLUMES = "services", "persistentvolumeclaims"
_VOLUME: Final = {
    "metadata": {"name": "data"},
    "spec": {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}},
    },
}


def _several_told_once(s: Scene, name: str) -> None:
    s.ready_sandbox(name)
    s.second_pod(name)
    s.wait("several pods told", lambda: s.told(name, "MultiplePods"))
    s.delete(PODS, f"{name}-second")
    s.wait("one pod", lambda: s.unready(name))


def _with_service(s: Scene, name: str) -> None:
    s.ready_sandbox(name, service=True)


def _with_volume(s: Scene, name: str) -> None:
    s.ready_sandbox(name, volumeClaimTemplates=[_VOLUME])


def _ready(s: Scene, name: str) -> None:
    s.ready_sandbox(name)


def _sandbox_spec(s: Scene, name: str, **spec: object) -> None:
    s.change(SANDBOXES, name, {"spec": spec})


def _lose_pod_unseen(s: Scene, name: str) -> None:
    """Its status has been changed since the manager last saw it, so its next write is refused."""
    url = f"{s.path(SANDBOXES, name)}/status"
    s.api.merge(url, {"status": {"podIPs": None, "nodeName": None}})
    s.delete(PODS, name)


POD_MADE = Behaviour(nothing, lambda s, n: s.sandbox(n), lambda s, n: s.there(PODS, n))
READY = Behaviour(nothing, lambda s, n: s.sandbox(n), lambda s, n: s.unready(n))
POD_NOTED = Behaviour(
    nothing, lambda s, n: s.sandbox(n), lambda s, n: s.noted(SANDBOXES, n, ANNOTATION_POD_NAME)
)
SUSPENDED = Behaviour(
    _ready,
    lambda s, n: _sandbox_spec(s, n, operatingMode="Suspended"),
    lambda s, n: s.gone(PODS, n),
)
POD_BACK = Behaviour(_ready, _lose_pod_unseen, lambda s, n: s.there(PODS, n))
EXPIRED = Behaviour(
    _ready,
    lambda s, n: _sandbox_spec(s, n, shutdownTime=PAST, shutdownPolicy="Delete"),
    lambda s, n: s.gone(SANDBOXES, n),
)
POD_LABELLED = Behaviour(_ready, lambda s, n: s.strip(PODS, n), lambda s, n: s.stripped(PODS, n))
SERVED = Behaviour(
    _ready, lambda s, n: _sandbox_spec(s, n, service=True), lambda s, n: s.there(SERVICES, n)
)
UNSERVED = Behaviour(
    _with_service,
    lambda s, n: _sandbox_spec(s, n, service=False),
    lambda s, n: s.gone(SERVICES, n),
)
SERVICE_LABELLED = Behaviour(
    _with_service, lambda s, n: s.strip(SERVICES, n), lambda s, n: s.stripped(SERVICES, n)
)
VOLUME_MADE = Behaviour(
    nothing,
    lambda s, n: s.sandbox(n, volumeClaimTemplates=[_VOLUME]),
    lambda s, n: s.there(VOLUMES, f"data-{n}"),
)
VOLUME_LABELLED = Behaviour(
    _with_volume,
    lambda s, n: s.strip(VOLUMES, f"data-{n}"),
    lambda s, n: s.stripped(VOLUMES, f"data-{n}"),
)
SEVERAL_TOLD = Behaviour(
    _ready, lambda s, n: s.second_pod(n), lambda s, n: s.told(n, "MultiplePods")
)
SEVERAL_COUNTED = Behaviour(
    _several_told_once,
    lambda s, n: s.second_pod(n),
    lambda s, n: s.told(n, "MultiplePods", count=2),
)


def _may(verb: str, kind: Resource[Any], subresource: str = "") -> Right:
    return right(Part.SANDBOXES, verb, kind, subresource)


_case = partial(Case, Part.SANDBOXES)


SANDBOX_CASES = (
    _case(SEVERAL_TOLD, _may("create", EVENT), is_tried_again=False, shuts=True),
    _case(SEVERAL_COUNTED, _may("patch", EVENT), is_tried_again=False, shuts=True),
    _case(POD_MADE, _may("create", POD)),
    _case(READY, _may("patch", SANDBOX, "status")),
    _case(POD_NOTED, _may("patch", SANDBOX)),
    _case(SUSPENDED, _may("delete", POD)),
    _case(EXPIRED, _may("delete", SANDBOX)),
    _case(POD_LABELLED, _may("get", POD)),
    _case(POD_LABELLED, _may("patch", POD)),
    _case(SERVED, _may("create", SERVICE)),
    _case(UNSERVED, _may("delete", SERVICE)),
    _case(SERVICE_LABELLED, _may("get", SERVICE)),
    _case(SERVICE_LABELLED, _may("patch", SERVICE)),
    _case(VOLUME_MADE, _may("create", VOLUME_CLAIM)),
    _case(VOLUME_LABELLED, _may("get", VOLUME_CLAIM)),
    _case(VOLUME_LABELLED, _may("patch", VOLUME_CLAIM)),
    _case(
        POD_MADE,
        right(Part.OWNERS, "update", SANDBOX, "finalizers"),
        refused=Permission("create", str(POD)),
        is_tried_again=False,
    ),
)
SANDBOX_READS = (
    _case(
        POD_BACK,
        _may("get", SANDBOX),
        beside=_may("watch", SANDBOX),
    ),
    _case(POD_MADE, _may("watch", SANDBOX)),
    _case(READY, _may("watch", POD)),
    _case(SERVICE_LABELLED, _may("watch", SERVICE)),
    _case(VOLUME_LABELLED, _may("watch", VOLUME_CLAIM)),
)
