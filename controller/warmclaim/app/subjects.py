"""What a traced pass is about, from the caches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from warmclaim.api.meta import ObjectKey
from warmclaim.app.caches import Caches
from warmclaim.controllers.indexes import BY_OWNER_UID
from warmclaim.kube.informer import Informer
from warmclaim.telemetry.tracing import Find, Subject

_INFORMERS: Final[dict[str, Callable[[Caches], Informer[Any]]]] = {
    "sandboxclaim": lambda caches: caches.claims,
    "sandboxtemplate": lambda caches: caches.templates,
}


def finder(caches: Caches, controller: str) -> Find:
    """How a controller's object is found; asked only where spans are made. O(pods of a sandbox)."""
    informer = _INFORMERS.get(controller)

    def find(key: ObjectKey) -> Subject | None:
        if controller == "sandbox":
            return _sandbox(caches, key)
        found = informer(caches).store.get(key) if informer else None
        return Subject(found.metadata.labels, found.metadata.annotations) if found else None

    return find


def _sandbox(caches: Caches, key: ObjectKey) -> Subject | None:
    sandbox = caches.sandboxes.store.get(key)
    if sandbox is None:
        return None
    pods = caches.pods.store.by_index(BY_OWNER_UID, sandbox.metadata.uid)
    seen = tuple((pod.metadata.name, pod.status.phase) for pod in pods)
    return Subject(sandbox.metadata.labels, sandbox.metadata.annotations, seen)
