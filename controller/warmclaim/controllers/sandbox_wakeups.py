"""Which sandbox is worked after which event, and how urgently."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from warmclaim.api import names
from warmclaim.api.meta import Object, ObjectKey
from warmclaim.api.pod import Pod, Service
from warmclaim.api.sandbox import Sandbox
from warmclaim.api.volume_claim import VolumeClaim
from warmclaim.domain.sandbox_children import sandbox_owner
from warmclaim.domain.sandbox_pod import MIRRORED_LABELS, is_pool_member
from warmclaim.kube.informer import Change, Informer
from warmqueue import Lane

Enqueue: TypeAlias = Callable[[ObjectKey, Lane, float], None]


def lane_of(sandbox: Sandbox) -> Lane:
    """Members of a pool are worked after the sandboxes that somebody waits for."""
    return Lane.REFILL if is_pool_member(sandbox) else Lane.STATUS


@dataclass(frozen=True, slots=True)
class SandboxCaches:
    """What the sandbox controller reads. Pods need the indexes `BY_OWNER_UID` and `BY_NAME_HASH`;
    Pods, Services and volume claims are those with the tracking label."""

    sandboxes: Informer[Sandbox]
    pods: Informer[Pod]
    services: Informer[Service]
    volumes: Informer[VolumeClaim]


class SandboxWakeups:
    """Which sandbox is worked after which event; subscribes itself to the caches.

    A status that changed by somebody else's hand, or by a write of ours that landed late, is
    news: nothing else would mend it. `is_worked` tells whether a sandbox is in a pass just now;
    the answer to that pass's own write is none. `interim_left_s`: for how long what a pod tells on
    the way to Ready may wait for what it tells next.
    """

    def __init__(
        self,
        caches: SandboxCaches,
        enqueue: Enqueue,
        is_worked: Callable[[ObjectKey], bool] = lambda _: True,
        interim_left_s: Callable[[ObjectKey], float] = lambda _: 0.0,
    ) -> None:
        self._interim_left_s = interim_left_s
        self._is_worked = is_worked
        self._sandboxes = caches.sandboxes.store
        self._enqueue = enqueue
        caches.sandboxes.subscribe(self._sandbox_changed)
        caches.pods.subscribe(self._pod_changed)
        caches.services.subscribe(self._service_changed)
        caches.volumes.subscribe(self._volume_changed)

    def _sandbox_changed(self, change: Change[Sandbox]) -> None:
        old, new = change.old, change.new
        if new is None:
            if old is not None:
                self._enqueue(old.metadata.key, Lane.HOUSEKEEPING, 0.0)
        elif old is None or _is_news(old, new) or self._is_foreign_write(change, old, new):
            # After a restart those that look settled yield to the ones that do not.
            is_settled = change.is_initial and new.is_ready
            lane = Lane.HOUSEKEEPING if is_settled else lane_of(new)
            self._enqueue(new.metadata.key, lane, 0.0)

    def _is_foreign_write(self, change: Change[Sandbox], old: Sandbox, new: Sandbox) -> bool:
        """Did somebody else change what the passes write themselves?"""
        is_answer = change.is_own and self._is_worked(new.metadata.key)
        return (old.status != new.status or _pod_name(old) != _pod_name(new)) and not is_answer

    def _pod_changed(self, change: Change[Pod]) -> None:
        if change.is_own or change.is_initial:
            return  # the pass that caused it goes on; every sandbox has an initial event itself
        old, new = change.old, change.new
        is_flip = (old is not None and old.is_ready) != (new is not None and new.is_ready)
        if old is None or new is None or not _is_same_child(old, new):
            self._wake(old, new, is_urgent=is_flip)
        elif old.spec != new.spec or old.status != new.status:
            self._wake(old, new, is_urgent=is_flip, is_interim=_is_on_its_way(old, new))

    def _service_changed(self, change: Change[Service]) -> None:
        if change.is_own or change.is_initial:
            return
        old, new = change.old, change.new
        if old is None or new is None or old.spec != new.spec or not _is_same_child(old, new):
            self._wake(old, new, is_urgent=False)

    def _volume_changed(self, change: Change[VolumeClaim]) -> None:
        old, new = change.old, change.new
        if change.is_own or change.is_initial:
            return
        if old is None or new is None or not _is_same_child(old, new):
            self._wake(old, new, is_urgent=False, named=_named_by)

    def _wake(
        self,
        old: Object | None,
        new: Object | None,
        *,
        is_urgent: bool,
        is_interim: bool = False,
        named: Callable[[ObjectKey], Iterable[ObjectKey]] = lambda key: (key,),
    ) -> None:
        # By name as well: what goes may be what kept a sandbox from its own pod or Service.
        keys: dict[ObjectKey, None] = {}
        for child in (old, new):
            if child is None:
                continue
            keys |= dict.fromkeys(named(child.metadata.key))
            if owner := sandbox_owner(child):
                keys[ObjectKey(child.metadata.namespace, owner.name)] = None
        for key in keys:
            sandbox = self._sandboxes.get(key)
            if sandbox is not None:
                may_wait = is_interim and not sandbox.is_ready
                after_s = self._interim_left_s(key) if may_wait else 0.0
                self._enqueue(key, Lane.STATUS if is_urgent else lane_of(sandbox), after_s)


def _is_news(old: Sandbox, new: Sandbox) -> bool:
    """Did something change that `decide_sandbox` reads, other than by an own write?"""
    before, after = old.metadata, new.metadata
    return (
        (before.uid, before.generation, before.is_deleting, before.owner_references)
        != (after.uid, after.generation, after.is_deleting, after.owner_references)
    ) or any(before.labels.get(key) != after.labels.get(key) for key in MIRRORED_LABELS)


def _pod_name(sandbox: Sandbox) -> str | None:
    return sandbox.metadata.annotations.get(names.ANNOTATION_POD_NAME)


def _named_by(volume: ObjectKey) -> Iterator[ObjectKey]:
    """Sandboxes that might want a volume claim of this name: it ends with theirs after a dash."""
    for at, sign in enumerate(volume.name):
        if sign == "-":
            yield ObjectKey(volume.namespace, volume.name[at + 1 :])


def _is_on_its_way(old: Pod, new: Pod) -> bool:
    """Neither Ready nor ended, before and after: its sandbox would only wait for more."""
    return not any(pod.is_ready or pod.is_ended for pod in (old, new))


def _is_same_child(old: Object, new: Object) -> bool:
    before, after = old.metadata, new.metadata
    return (
        before.uid == after.uid
        and before.is_deleting == after.is_deleting
        and before.owner_references == after.owner_references
        and before.labels == after.labels
        and before.annotations == after.annotations
    )
