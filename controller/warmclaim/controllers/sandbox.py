"""Sandbox: facts, `decide_sandbox`, act; until there is nothing left to do.

A sandbox that its creator named the pod on and whose pod is Ready within a second costs two
writes: the pod and one status. Everything else is read from caches, into which the answers of
own writes are entered at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar, assert_never

from warmclaim.api import names
from warmclaim.api.meta import Object, ObjectKey
from warmclaim.api.resources import POD, SANDBOX, SERVICE, Resource
from warmclaim.api.sandbox import Sandbox, SandboxStatus
from warmclaim.api.timestamps import rfc3339
from warmclaim.controllers.indexes import BY_OWNER_UID
from warmclaim.controllers.sandbox_wakeups import (
    Enqueue,
    SandboxCaches,
    lane_of,
)
from warmclaim.domain.sandbox_decision import (
    AnnotatePodName,
    CreateChildren,
    Nothing,
    SandboxFacts,
    Wait,
    WriteStatus,
    decide_sandbox,
    not_owned,
)
from warmclaim.domain.sandbox_pod import is_controlled_by, is_pool_member, pod_for
from warmclaim.domain.sandbox_service import service_for
from warmclaim.domain.sandbox_status import Problem, status_patch
from warmclaim.errors import (
    AlreadyExistsError,
    ApiError,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    PermanentError,
    UnknownOutcomeError,
    WarmclaimError,
)
from warmclaim.kube.client import ApiClient
from warmclaim.kube.informer import Informer
from warmclaim.runtime.reconciler import DONE, Result, again
from warmclaim.seams import Channel, Clock
from warmclaim.settings import SandboxSettings
from warmqueue import Lane

T = TypeVar("T", bound=Object)

FIELD_MANAGER = "sandbox-controller"

INTERIM_DELAY_S = 1.0
"""How long news on the way to Ready may wait for the next news, to be written together."""

NAMESAKE_RECHECK_S = 60.0
"""A namesake without the tracking label is not watched: its going is looked for this often."""

# Four are usual at most: status, children, name, status.
_STEPS_MAX = 8
_SERVER_TEXT_CHARS_MAX = 256


@dataclass(slots=True)
class _Pass:
    """What one pass met: `problems` for the status, `error` for the back-off of the key."""

    problems: list[Problem] = field(default_factory=list[Problem])
    error: WarmclaimError | None = None
    has_unwatched: bool = False
    has_read_back: bool = False


class SandboxReconciler:
    """Creates a sandbox's Pod and Service, mirrors their state.

    `turn` is awaited before the pod of a pool's member is created, outside of the pass: it keeps
    neither a worker nor a sandbox that is adopted meanwhile. `enqueue(key, lane, after_s)`.
    """

    def __init__(
        self,
        client: ApiClient,
        caches: SandboxCaches,
        enqueue: Enqueue,
        turn: Callable[[], Awaitable[None]],
        clock: Clock,
        settings: SandboxSettings,
        *,
        interim_delay_s: float = INTERIM_DELAY_S,
    ) -> None:
        self._client = client
        self._caches = caches
        self._turns = _Turns(turn, enqueue)
        self._clock = clock
        self._settings = settings
        self._interim_delay_s = interim_delay_s
        # Since when there is no news, for sandboxes that have a pod and are not Ready.
        self._quiet_since: dict[ObjectKey, float] = {}

    @property
    def remembered(self) -> int:
        """Sandboxes of which something is kept here: bounded by those that are not Ready."""
        return len(self._quiet_since) + len(self._turns)

    async def reconcile(self, key: ObjectKey) -> Result:
        """Bring one sandbox as far as it goes.

        Raises what the API server said where a child was refused, after it stands in the status.
        """
        this = _Pass()
        for _ in range(_STEPS_MAX):
            sandbox = self._caches.sandboxes.store.get(key)
            if sandbox is None:
                self._forget(key)
                return DONE
            decision = decide_sandbox(self._facts(sandbox, this))
            match decision:
                case Nothing():
                    return self._ended(key, this)
                case Wait(after_s):
                    return self._ended(key, this, again(after_s, lane_of(sandbox)))
                case CreateChildren():
                    if not await self._create(sandbox, decision, this):
                        return DONE
                case AnnotatePodName(pod_name):
                    await self._annotate(sandbox, pod_name, this)
                case WriteStatus(status):
                    await self._write_status(sandbox, status, this)
                case _:
                    assert_never(decision)
        # Own writes do not show: with a back-off, or it would write for ever.
        raise ConflictError(409, "Conflict", f"sandbox {key} does not settle")

    def forget_gone(self, key: ObjectKey) -> bool:
        """Whether the sandbox is gone; then nothing is kept of it any more."""
        is_gone = key not in self._caches.sandboxes.store
        if is_gone:
            self._forget(key)
        return is_gone

    def _facts(self, sandbox: Sandbox, this: _Pass) -> SandboxFacts:
        key = sandbox.metadata.key
        owned = self._caches.pods.store.by_index(BY_OWNER_UID, sandbox.metadata.uid)
        pods = [pod for pod in owned if is_controlled_by(sandbox, pod)]
        namesake = self._caches.pods.store.get(key)
        is_alien = namesake is not None and not is_controlled_by(sandbox, namesake)
        return SandboxFacts(
            sandbox=sandbox,
            pods=pods,
            namesake=namesake if is_alien else None,
            service=self._caches.services.store.get(key),
            refusals=this.problems,
            quiet_s=self._quiet_s(sandbox, has_pod=bool(pods)),
            now=rfc3339(self._clock.wall()),
            interim_delay_s=self._interim_delay_s,
            cluster_domain=self._settings.cluster_domain,
        )

    def _quiet_s(self, sandbox: Sandbox, *, has_pod: bool) -> float:
        if sandbox.is_ready or not has_pod:
            self._quiet_since.pop(sandbox.metadata.key, None)
            return 0.0
        now = self._clock.monotonic()
        return now - self._quiet_since.setdefault(sandbox.metadata.key, now)

    def _ended(self, key: ObjectKey, this: _Pass, result: Result = DONE) -> Result:
        if this.error is not None:
            raise this.error
        self._turns.forget(key)
        if this.has_unwatched:
            return again(NAMESAKE_RECHECK_S, Lane.HOUSEKEEPING)
        return result

    def _forget(self, key: ObjectKey) -> None:
        self._quiet_since.pop(key, None)
        self._turns.forget(key)

    async def _create(self, sandbox: Sandbox, wanted: CreateChildren, this: _Pass) -> bool:
        """Create what is wanted at the same time; False if the pod has to wait for its turn."""
        has_turn = not is_pool_member(sandbox) or self._turns.has_come(sandbox.metadata.key)
        async with asyncio.TaskGroup() as children:
            if wanted.pod and has_turn:
                create = self._create_child(POD, pod_for(sandbox), sandbox, self._caches.pods, this)
                children.create_task(create)
            if wanted.service:
                create = self._create_child(
                    SERVICE, service_for(sandbox), sandbox, self._caches.services, this
                )
                children.create_task(create)
        if this.error is not None and not this.problems:
            raise this.error
        if wanted.pod and not has_turn:
            self._turns.ask(sandbox.metadata.key)
            return False
        return True

    async def _create_child(
        self,
        resource: Resource[T],
        body: dict[str, Any],
        sandbox: Sandbox,
        informer: Informer[T],
        this: _Pass,
    ) -> None:
        """Errors are kept, not raised: one child's must not cancel the other's request."""
        kind, key = resource.kind.lower(), sandbox.metadata.key
        channel = _channel_of(sandbox)
        try:
            child = await self._client.create(
                resource, key.namespace, body, channel=channel, field_manager=FIELD_MANAGER
            )
        except (AlreadyExistsError, UnknownOutcomeError) as error:
            found = await self._read_child(resource, key, channel, error, this)
            if found is None:
                return
            child = found
        except (ForbiddenError, PermanentError) as error:
            text = _refusal_text(kind, key.name, error)
            this.problems.append(Problem(text, hides_pod=resource is POD))
            this.error = this.error or error
            return
        except WarmclaimError as error:
            this.error = this.error or error
            return
        if is_controlled_by(sandbox, child) and names.LABEL_NAME_HASH in child.metadata.labels:
            informer.observe(child)
            return
        this.problems.append(not_owned(kind, child, sandbox))
        this.has_unwatched = True

    async def _read_child(
        self,
        resource: Resource[T],
        key: ObjectKey,
        channel: Channel,
        cause: WarmclaimError,
        this: _Pass,
    ) -> T | None:
        """The API server's own word on a child whose create gave no clear answer."""
        try:
            return await self._client.get(resource, key, channel=channel)
        except NotFoundError:
            this.error = this.error or cause  # it was never applied, or is gone again: once more
        except WarmclaimError as error:
            this.error = this.error or error
        return None

    async def _annotate(self, sandbox: Sandbox, pod_name: str, this: _Pass) -> None:
        patch = {
            "metadata": {
                "uid": sandbox.metadata.uid,
                "annotations": {names.ANNOTATION_POD_NAME: pod_name},
            }
        }
        write = self._client.merge_patch(
            SANDBOX, sandbox.metadata.key, patch, channel=_channel_of(sandbox)
        )
        await self._observe(sandbox, write, this)

    async def _write_status(self, sandbox: Sandbox, status: SandboxStatus, this: _Pass) -> None:
        key = sandbox.metadata.key
        write = self._client.json_patch(
            SANDBOX,
            key,
            status_patch(sandbox, status),
            subresource="status",
            channel=_channel_of(sandbox),
        )
        await self._observe(sandbox, write, this)
        if key in self._quiet_since:
            self._quiet_since[key] = self._clock.monotonic()

    async def _observe(self, sandbox: Sandbox, write: Awaitable[Sandbox], this: _Pass) -> None:
        """Enter the answer of a write; where an old view was refused, the present object."""
        key = sandbox.metadata.key
        try:
            written = await write
        except NotFoundError:
            self._caches.sandboxes.observe_absent(key, sandbox.metadata.uid)
            return
        except ConflictError:
            if this.has_read_back:
                raise
            this.has_read_back = True
            await self._read_back(sandbox)
            return
        self._caches.sandboxes.observe(written)

    async def _read_back(self, sandbox: Sandbox) -> None:
        key = sandbox.metadata.key
        try:
            view = await self._client.get(SANDBOX, key, channel=_channel_of(sandbox))
        except NotFoundError:
            self._caches.sandboxes.observe_absent(key, sandbox.metadata.uid)
        else:
            self._caches.sandboxes.observe(view)


class _Turns:
    """Who waits to create something for a pool, and whose turn has come.

    One task waits for all: when the gate opens, everybody who asked until then goes through. A
    turn stays until `forget`, so a create that fails is tried again by the back-off of its key: to
    ask for another turn ends a pass without an error, and each back-off would be a first one.
    """

    def __init__(self, turn: Callable[[], Awaitable[None]], enqueue: Enqueue) -> None:
        self._turn = turn
        self._enqueue = enqueue
        self._asked: dict[ObjectKey, None] = {}
        self._granted: set[ObjectKey] = set()
        self._task: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._asked) + len(self._granted)

    def has_come(self, key: ObjectKey) -> bool:
        """Has its turn come?"""
        return key in self._granted

    def ask(self, key: ObjectKey) -> None:
        """Have the key worked again when its turn has come."""
        self._asked[key] = None
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._wait(), name="sandbox-turns")

    def forget(self, key: ObjectKey) -> None:
        """Nothing is to be created for it."""
        self._asked.pop(key, None)
        self._granted.discard(key)

    async def _wait(self) -> None:
        try:
            await self._turn()
        finally:
            # Also after a failure: to yield is a courtesy, a pod never created is a fault.
            asked, self._asked = self._asked, {}
            for key in asked:
                self._granted.add(key)
                self._enqueue(key, Lane.REFILL, 0.0)


def _channel_of(sandbox: Sandbox) -> Channel:
    return Channel.REFILL if is_pool_member(sandbox) else Channel.CLAIMS


def _refusal_text(kind: str, name: str, error: ApiError) -> str:
    text = error.message[:_SERVER_TEXT_CHARS_MAX]
    return f'{kind} "{name}" was refused ({error.status} {error.reason}): {text}'
