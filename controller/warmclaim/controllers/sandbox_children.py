"""Carries out steps on what a sandbox consists of, and enters the answers into the caches.

Whatever a step meets stays in the pass: errors are kept, not raised, since one child's must not
cancel the other's request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, assert_never

from warmclaim.api import names
from warmclaim.api.meta import Object, ObjectKey
from warmclaim.api.resources import POD, SERVICE, VOLUME_CLAIM, Resource
from warmclaim.api.sandbox import Sandbox
from warmclaim.controllers.sandbox_wakeups import SandboxCaches
from warmclaim.domain.sandbox_children import (
    Child,
    CreateChild,
    DeleteChild,
    PatchChild,
    Problem,
    ReadChild,
    Step,
)
from warmclaim.domain.sandbox_pod import is_pool_member
from warmclaim.domain.wording import refusal_note
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
from warmclaim.seams import Channel

FIELD_MANAGER: Final = "sandbox-controller"
_SERVER_TEXT_CHARS_MAX: Final = 256


@dataclass(slots=True)
class Pass:
    """What one pass met. `error` is for the back-off of the key; `tried`, `asked` as in
    SandboxFacts. `found`: what the API server has and no cache shows, for want of the label.
    `is_blind`: something stands in the way whose going no event tells this sandbox."""

    tried: dict[Child, Problem | None] = field(default_factory=dict[Child, Problem | None])
    found: dict[Child, Object] = field(default_factory=dict[Child, Object])
    asked: set[Child] = field(default_factory=set[Child])
    error: WarmclaimError | None = None
    has_read_back: bool = False
    is_blind: bool = False

    @property
    def is_fresh(self) -> bool:
        """Whether nothing that it met keeps it from anything: another pass would do the same."""
        return not (self.tried or self.found or self.asked or self.error)

    @property
    def problems(self) -> list[Problem]:
        """What the sandbox's user shall know of."""
        return [problem for problem in self.tried.values() if problem is not None]


class Children:
    """The pods, Services and volume claims of sandboxes."""

    def __init__(self, client: ApiClient, caches: SandboxCaches) -> None:
        self._client = client
        self._informers: dict[str, Informer[Any]] = {
            POD.plural: caches.pods,
            SERVICE.plural: caches.services,
            VOLUME_CLAIM.plural: caches.volumes,
        }

    def find(self, sandbox: Sandbox, child: Child, this: Pass) -> Object | None:
        """The child as it is known: by what was read in this pass, else by the cache."""
        key = ObjectKey(sandbox.metadata.namespace, child.name)
        return this.found.get(child) or self._informers[child.plural].store.get(key)

    async def carry_out(self, sandbox: Sandbox, steps: Sequence[Step], this: Pass) -> None:
        """All steps at the same time."""
        async with asyncio.TaskGroup() as tasks:
            for step in steps:
                tasks.create_task(self._carry_out(sandbox, step, this))

    async def _carry_out(self, sandbox: Sandbox, step: Step, this: Pass) -> None:
        key = ObjectKey(sandbox.metadata.namespace, step.child.name)
        channel = channel_of(sandbox)
        try:
            match step:
                case CreateChild(resource, child, body):
                    made = await self._client.create(
                        resource, key.namespace, body, channel=channel, field_manager=FIELD_MANAGER
                    )
                    self._enter(child, made, this)
                case PatchChild(resource, child, patch):
                    made = await self._client.merge_patch(
                        resource, key, patch, channel=Channel.REFILL
                    )
                    self._enter(child, made, this)
                case DeleteChild(resource, child, uid):
                    left = await self._client.delete(resource, key, uid=uid, channel=channel)
                    this.tried[child] = None  # it may stay for a while, asked once is enough
                    if left is None:
                        this.found.pop(child, None)
                        self._informers[child.plural].observe_absent(key, uid)
                    else:
                        self._enter(child, left, this)
                case ReadChild(resource, _):
                    await self._read(resource, key, channel, step.child, this)
                case _:
                    assert_never(step)
        except (AlreadyExistsError, ConflictError, NotFoundError, UnknownOutcomeError) as error:
            await self._look_after(sandbox, step, error, this)
        except (ForbiddenError, PermanentError) as error:
            self._refused(step, error, this)
        except WarmclaimError as error:
            this.error = this.error or error

    async def _look_after(
        self, sandbox: Sandbox, step: Step, cause: WarmclaimError, this: Pass
    ) -> None:
        """After an answer that shows an old view, or none at all: the API server's own word."""
        if isinstance(cause, UnknownOutcomeError) and not isinstance(step, CreateChild):
            this.error = this.error or cause  # the watch tells whether it was applied
            return
        key = ObjectKey(sandbox.metadata.namespace, step.child.name)
        is_again, before = step.child in this.asked, self.find(sandbox, step.child, this)
        try:
            await self._read(step.resource, key, channel_of(sandbox), step.child, this)
        except (ForbiddenError, PermanentError) as error:
            self._refused(step, error, this)
        except WarmclaimError as error:
            this.error = this.error or error
        else:
            after = self.find(sandbox, step.child, this)
            if isinstance(cause, ConflictError) and cause.status == 422 and _is_same(before, after):
                self._refused(step, cause, this)  # nobody else wrote: it is the change itself
            elif is_again or (isinstance(step, CreateChild) and after is None):
                this.error = this.error or cause  # never applied, or gone again: once more

    async def _read(
        self, resource: Resource[Any], key: ObjectKey, channel: Channel, child: Child, this: Pass
    ) -> None:
        this.asked.add(child)
        informer = self._informers[child.plural]
        before = informer.store.get(key)
        try:
            found = await self._client.get(resource, key, channel=channel)
        except NotFoundError:
            this.found.pop(child, None)
            if before is not None:  # by uid: the answer may be older than what has come meanwhile
                informer.observe_absent(key, before.metadata.uid)
        else:
            self._enter(child, found, this)

    def _enter(self, child: Child, found: Object, this: Pass) -> None:
        if names.LABEL_NAME_HASH in found.metadata.labels:
            this.found.pop(child, None)
            self._informers[child.plural].observe(found)
        else:
            this.found[child] = found

    def _refused(self, step: Step, error: ApiError, this: Pass) -> None:
        text = error.message[:_SERVER_TEXT_CHARS_MAX]
        text = refusal_note(str(step.child), error.status, error.reason, text)
        this.tried[step.child] = Problem(text, hides_pod=step.resource is POD)
        this.error = this.error or error


def _is_same(before: Object | None, after: Object | None) -> bool:
    return before is not None and after is not None and before.metadata == after.metadata


def channel_of(sandbox: Sandbox) -> Channel:
    """A pool's own connections, so that a refill takes none from claims."""
    return Channel.REFILL if is_pool_member(sandbox) else Channel.CLAIMS
