"""Sandbox: facts, `decide_sandbox`, act; until there is nothing left to do.

A sandbox that its creator named the pod on and whose pod is Ready within a second costs two
writes: the pod and one status. Everything else is read from caches, into which the answers of
own writes are entered at once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar, assert_never

from warmclaim.api import names
from warmclaim.api.conditions import READY, find
from warmclaim.api.meta import Object, ObjectKey
from warmclaim.api.pod import Pod, Service
from warmclaim.api.resources import POD, SANDBOX, SERVICE, VOLUME_CLAIM
from warmclaim.api.sandbox import Sandbox, SandboxStatus
from warmclaim.api.volume_claim import VolumeClaim
from warmclaim.controllers.claim_telemetry import Events
from warmclaim.controllers.giving_way import GivingWay
from warmclaim.controllers.indexes import BY_NAME_HASH, BY_OWNER_UID
from warmclaim.controllers.sandbox_children import Children, Pass, channel_of
from warmclaim.controllers.sandbox_wakeups import Enqueue, SandboxCaches, lane_of
from warmclaim.domain.sandbox_children import (
    Child,
    Step,
    child_of,
    is_controlled_by,
    sandbox_owner,
)
from warmclaim.domain.sandbox_decision import (
    AnnotatePodName,
    ChangeChildren,
    DeleteSandbox,
    Nothing,
    SandboxDecision,
    TakeTurn,
    Wait,
    WriteStatus,
    decide_sandbox,
)
from warmclaim.domain.sandbox_facts import SandboxFacts, tracked_pod_name
from warmclaim.domain.sandbox_pod import pod_change
from warmclaim.domain.sandbox_status import (
    MULTIPLE_PODS,
    differs_by_status_only,
    status_patch,
)
from warmclaim.domain.sandbox_volumes import volume_names
from warmclaim.errors import ConflictError, NotFoundError
from warmclaim.kube.client import ApiClient
from warmclaim.runtime.reconciler import DONE, Result, again
from warmclaim.seams import Clock
from warmclaim.settings import SandboxSettings
from warmqueue import Lane

T = TypeVar("T", bound=Object)

INTERIM_DELAY_S = 1.0
"""How long news on the way to Ready may wait for the next news, to be written together."""

UNWATCHED_RECHECK_S = 60.0
"""What lacks the tracking label is not watched, and of some others no event leads here: whether
they still stand in the way is looked for this often."""

# Nine are usual at most: Ready back, volumes, theirs, pod, its, name, status, metadata, look.
_STEPS_MAX = 12


class SandboxReconciler:
    """Creates a sandbox's volumes, Pod and Service, mirrors their state, ends them in time.

    `turn` is awaited before anything is created for a pool's member and before a pod's metadata is
    changed, outside of the pass: it keeps neither a worker nor a sandbox that is adopted meanwhile.
    `has_turns`: whether it would return at once. `enqueue(key, lane, after_s)`.
    """

    def __init__(
        self,
        client: ApiClient,
        caches: SandboxCaches,
        events: Events,
        enqueue: Enqueue,
        turn: Callable[[], Awaitable[None]],
        clock: Clock,
        settings: SandboxSettings,
        *,
        has_turns: Callable[[], bool] = lambda: False,
        interim_delay_s: float = INTERIM_DELAY_S,
    ) -> None:
        self._client = client
        self._caches = caches
        self._children = Children(client, caches)
        self._events = events
        self._giving_way = GivingWay(turn, has_turns, enqueue)
        self._clock = clock
        self._settings = settings
        self._interim_delay_s = interim_delay_s
        self.looked: Callable[[ObjectKey], None] = lambda _: None
        """What woke the key until now is seen by the look that follows; its queue's, if any."""
        self.is_wanted: Callable[[ObjectKey], bool] = lambda _: True
        """Whether anything has woken the key since it was `looked` at; its queue's, if any."""
        # Since when there is no news, for sandboxes that have a pod and are not Ready.
        self._quiet_since: dict[ObjectKey, float] = {}
        # Since when a pod's metadata differs from what it should be; only with a write-behind.
        self._drifting_since: dict[ObjectKey, float] = {}

    @property
    def remembered(self) -> int:
        """Sandboxes of which something is kept here: bounded by those that are not Ready, and
        those whose pod is about to be changed."""
        return len(self._quiet_since) + len(self._drifting_since) + len(self._giving_way)

    async def reconcile(self, key: ObjectKey) -> Result:
        """Bring one sandbox as far as it goes.

        Raises what the API server said where a child was refused, after it stands in the status.
        """
        this = Pass()
        for _ in range(_STEPS_MAX):
            sandbox = self._caches.sandboxes.store.get(key)
            if sandbox is None:
                self._forget(key)
                return DONE
            if this.is_fresh:
                self.looked(key)
            decision = decide_sandbox(self._facts(sandbox, this))
            result = await self._act(sandbox, decision, this)
            if result is not None:
                return result
        # Own writes do not show: with a back-off, or it would write for ever.
        raise ConflictError(409, "Conflict", f"sandbox {key} does not settle")

    async def _act(self, sandbox: Sandbox, decision: SandboxDecision, this: Pass) -> Result | None:
        """Carry a decision out; None if the sandbox is to be looked at again."""
        match decision:
            case Nothing():
                return self._ended(sandbox, this)
            case Wait(after_s):
                return self._ended(sandbox, this, again(after_s, lane_of(sandbox)))
            case TakeTurn():
                self._giving_way.ask(sandbox.metadata.key)
                return DONE
            case ChangeChildren(steps):
                return await self._change(sandbox, steps, this)
            case AnnotatePodName(pod_name):
                await self._annotate(sandbox, pod_name, this)
            case WriteStatus(status, is_last):
                is_told = await self._write_status(sandbox, status, this)
                if is_last and is_told and not self.is_wanted(sandbox.metadata.key):
                    return self._ended(sandbox, this)
            case DeleteSandbox():
                return await self._delete(sandbox, this)
            case _:
                assert_never(decision)
        return None

    async def _change(self, sandbox: Sandbox, steps: Sequence[Step], this: Pass) -> Result | None:
        await self._children.carry_out(sandbox, steps, this)
        if this.error is not None and not this.problems:
            raise this.error
        return None

    def interim_left_s(self, key: ObjectKey) -> float:
        """For how long what its pod tells on the way to Ready may still wait; 0 where none may."""
        since_s = self._quiet_since.get(key)
        if since_s is None:
            return 0.0
        return max(since_s + self._interim_delay_s - self._clock.monotonic(), 0.0)

    def forget_gone(self, key: ObjectKey) -> bool:
        """Whether the sandbox is gone; then nothing is kept of it any more."""
        is_gone = key not in self._caches.sandboxes.store
        if is_gone:
            self._forget(key)
        return is_gone

    def _facts(self, sandbox: Sandbox, this: Pass) -> SandboxFacts:
        meta = sandbox.metadata
        pods = self._pods(sandbox, this)
        named = (tracked_pod_name(sandbox), meta.name)
        namesakes = [self._found(Pod, sandbox, child_of(POD, name), this) for name in named]
        volumes = {
            name: found
            for name in volume_names(sandbox)
            if (found := self._found(VolumeClaim, sandbox, child_of(VOLUME_CLAIM, name), this))
        }
        namesake = next((p for p in namesakes if p and not is_controlled_by(sandbox, p)), None)
        rival = "" if pods else self._rival(sandbox)
        # Events of these do not lead to this sandbox.
        this.is_blind = bool(rival or (namesake and namesake.metadata.name != meta.name))
        return SandboxFacts(
            sandbox=sandbox,
            wall_s=self._clock.wall(),
            pods=pods,
            namesake=namesake,
            rival=rival,
            service=self._found(Service, sandbox, child_of(SERVICE, meta.name), this),
            volumes=volumes,
            tried=this.tried,
            asked=frozenset(this.asked),
            has_turn=self._giving_way.has_turn(meta.key),
            quiet_s=self._quiet_s(sandbox, has_pod=bool(pods)),
            drift_s=self._drift_s(sandbox, pods),
            interim_delay_s=self._interim_delay_s,
            write_behind_s=self._settings.write_behind_s,
            cluster_domain=self._settings.cluster_domain,
        )

    def _pods(self, sandbox: Sandbox, this: Pass) -> list[Pod]:
        """Its own, with those that were found without their label."""
        cached = self._caches.pods.store.by_index(BY_OWNER_UID, sandbox.metadata.uid)
        found = [pod for pod in this.found.values() if isinstance(pod, Pod)]
        pods = {pod.metadata.name: pod for pod in (*cached, *found)}
        return [pod for pod in pods.values() if is_controlled_by(sandbox, pod)]

    def _rival(self, sandbox: Sandbox) -> str:
        """Another sandbox whose pod the Service of one of the two would reach; "" for none."""
        namespace = sandbox.metadata.namespace
        hashed = names.name_hash(sandbox.metadata.name)
        for pod in self._caches.pods.store.by_index(BY_NAME_HASH, f"{namespace}/{hashed}"):
            owner = sandbox_owner(pod)
            if owner is not None and owner.name != sandbox.metadata.name:
                other = self._caches.sandboxes.store.get(ObjectKey(namespace, owner.name))
                if sandbox.spec.service or (other is not None and other.spec.service):
                    return owner.name
        return ""

    def _found(self, view: type[T], sandbox: Sandbox, child: Child, this: Pass) -> T | None:
        found = self._children.find(sandbox, child, this)
        return found if isinstance(found, view) else None

    def _quiet_s(self, sandbox: Sandbox, *, has_pod: bool) -> float:
        if sandbox.is_ready or not has_pod:
            self._quiet_since.pop(sandbox.metadata.key, None)
            return 0.0
        now = self._clock.monotonic()
        return now - self._quiet_since.setdefault(sandbox.metadata.key, now)

    def _drift_s(self, sandbox: Sandbox, pods: list[Pod]) -> float:
        if not self._settings.write_behind_s:
            return 0.0
        if not any(pod_change(sandbox, pod) for pod in pods):
            self._drifting_since.pop(sandbox.metadata.key, None)
            return 0.0
        now = self._clock.monotonic()
        return now - self._drifting_since.setdefault(sandbox.metadata.key, now)

    def _ended(self, sandbox: Sandbox, this: Pass, result: Result = DONE) -> Result:
        if this.error is not None:
            raise this.error
        self._giving_way.forget(sandbox.metadata.key)
        is_blind = this.found or this.is_blind
        if is_blind and (result.after_s is None or result.after_s > UNWATCHED_RECHECK_S):
            return again(UNWATCHED_RECHECK_S, Lane.HOUSEKEEPING)
        return result

    def _forget(self, key: ObjectKey) -> None:
        self._quiet_since.pop(key, None)
        self._drifting_since.pop(key, None)
        self._giving_way.forget(key)

    async def _annotate(self, sandbox: Sandbox, pod_name: str | None, this: Pass) -> None:
        patch = {
            "metadata": {
                "uid": sandbox.metadata.uid,
                "annotations": {names.ANNOTATION_POD_NAME: pod_name},
            }
        }
        write = self._client.merge_patch(
            SANDBOX, sandbox.metadata.key, patch, channel=channel_of(sandbox)
        )
        await self._observe(sandbox, write, this)

    async def _write_status(self, sandbox: Sandbox, status: SandboxStatus, this: Pass) -> bool:
        """True if that was stored and nothing else of the sandbox is new, nor known by now: what
        another controller of this process reads wakes no key that is being worked."""
        key = sandbox.metadata.key
        write = self._client.json_patch(
            SANDBOX,
            key,
            status_patch(sandbox, status),
            subresource="status",
            channel=channel_of(sandbox),
        )
        is_written = await self._observe(sandbox, write, this)
        if is_written:
            self._tell(sandbox, status)
        if key in self._quiet_since:
            self._quiet_since[key] = self._clock.monotonic()
        now = self._caches.sandboxes.store.get(key)
        if not is_written or now is None or not differs_by_status_only(sandbox, now, status):
            return False
        if now.is_ready:
            self._quiet_since.pop(key, None)
        return True

    def _tell(self, sandbox: Sandbox, status: SandboxStatus) -> None:
        """One event for each time that a sandbox comes to have several pods."""
        old, new = sandbox.ready, find(status.conditions, READY)
        if new is None or new.reason != MULTIPLE_PODS:
            return
        if old is None or old.reason != MULTIPLE_PODS:
            self._events.warning(SANDBOX, sandbox, MULTIPLE_PODS, "Reconciling", new.message)

    async def _delete(self, sandbox: Sandbox, this: Pass) -> Result | None:
        """Delete this very version: whoever has just moved its time keeps it."""
        meta = sandbox.metadata
        try:
            left = await self._client.delete(
                SANDBOX,
                meta.key,
                uid=meta.uid,
                resource_version=meta.resource_version,
                channel=channel_of(sandbox),
            )
        except NotFoundError:
            left = None
        except ConflictError as error:
            await self._look_again(sandbox, error, this)
            return None
        self._caches.sandboxes.observe_deletion(meta.key, meta.uid, left)
        return self._ended(sandbox, this)

    async def _observe(self, sandbox: Sandbox, write: Awaitable[Sandbox], this: Pass) -> bool:
        """Enter the answer of a write; where an old view was refused, the present object. True if
        it was written."""
        meta = sandbox.metadata
        try:
            written = await write
        except NotFoundError:
            self._caches.sandboxes.observe_absent(meta.key, meta.uid)
            return False
        except ConflictError as error:
            await self._look_again(sandbox, error, this)
            return False
        self._caches.sandboxes.observe(written)
        return True

    async def _look_again(self, sandbox: Sandbox, refusal: ConflictError, this: Pass) -> None:
        """Read the sandbox that was not as it was thought to be; only once in a pass."""
        if this.has_read_back:
            raise refusal
        this.has_read_back = True
        key = sandbox.metadata.key
        try:
            view = await self._client.get(SANDBOX, key, channel=channel_of(sandbox))
        except NotFoundError:
            self._caches.sandboxes.observe_absent(key, sandbox.metadata.uid)
        else:
            self._caches.sandboxes.observe(view)
