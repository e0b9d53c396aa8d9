"""Notes on claims that were served, when nobody waits for a sandbox: one patch for each, once.

Also what the Go controller left: a choice that did not come true is taken off the claim, and a
sandbox without a launch type is labelled.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from warmclaim.api.claim import Claim
from warmclaim.api.meta import ObjectKey
from warmclaim.api.names import LABEL_LAUNCH_TYPE
from warmclaim.api.resources import CLAIM, SANDBOX
from warmclaim.api.sandbox import Sandbox
from warmclaim.controllers.claim_records import ClaimRecord, ClaimRecords
from warmclaim.domain.claim_marks import FirstTimes, claim_marks, is_only_noted, launch_mark
from warmclaim.domain.eligibility import claim_owner
from warmclaim.errors import (
    ConflictError,
    ForbiddenError,
    NotFoundError,
    NotPermittedError,
    PermanentError,
)
from warmclaim.kube.client import ApiClient
from warmclaim.kube.informer import Change, Informer
from warmclaim.runtime.async_workqueue import AsyncWorkqueue
from warmclaim.runtime.reconciler import DONE, Result
from warmclaim.seams import Channel, Clock
from warmqueue import Lane

_CHANNEL = Channel.REFILL  # nobody waits for it

_log = logging.getLogger("warmclaim.claim")


class ClaimMarksReconciler:
    """Notes what is missing on a claim that is Ready, and on its sandbox. Keys are those of claims.

    `turn` waits until nobody waits for a sandbox, or for long enough since the given moment.
    `notes_times`: when the claim was first seen and first Ready. What the server refuses is not
    tried again until the claim gets another sandbox: it is not worth a loop.
    """

    def __init__(
        self,
        client: ApiClient,
        claims: Informer[Claim],
        sandboxes: Informer[Sandbox],
        records: ClaimRecords,
        turn: Callable[[float], Awaitable[None]],
        clock: Clock,
        *,
        notes_times: bool,
    ) -> None:
        self._client = client
        self._claims = claims
        self._sandboxes = sandboxes
        self._records = records
        self._turn = turn
        self._clock = clock
        self._notes_times = notes_times

    async def reconcile(self, key: ObjectKey) -> Result:
        """Bring the notes on one claim and its sandbox up to date: a write for each that differs.

        Raises what prevented an answer.
        """
        record = self._records.find(key)
        if record is None or not self._is_due(key, record):
            return DONE
        await self._turn(record.seen_s if record.ready_s is None else record.ready_s)
        claim = self._claims.store.get(key)
        if claim is None or claim.metadata.uid != record.uid or not self._is_due(key, record):
            return DONE
        await _unless_refused(key, self._label(claim))
        if claim.is_ready:
            await _unless_refused(key, self._note(claim, record))
            record.marked = claim.published
        return DONE

    def _is_due(self, key: ObjectKey, record: ClaimRecord) -> bool:
        claim = self._claims.store.get(key)
        if claim is None or claim.metadata.is_deleting or not claim.published:
            return False
        if record.marked == claim.published:
            return False
        has_news = claim.is_ready and claim_marks(claim, self._times(record))
        return bool(has_news) or self._unlabelled(claim) is not None

    def _times(self, record: ClaimRecord) -> FirstTimes | None:
        if not self._notes_times:
            return None
        if record.ready_s is None:
            return FirstTimes(trace_context=record.trace_context)
        ahead_s = self._clock.wall() - self._clock.monotonic()
        return FirstTimes(record.seen_s + ahead_s, record.ready_s + ahead_s, record.trace_context)

    def _unlabelled(self, claim: Claim) -> Sandbox | None:
        """The claim's own sandbox, if it lacks its launch type."""
        key = ObjectKey(claim.metadata.namespace, claim.published)
        sandbox = self._sandboxes.store.get(key)
        owner = claim_owner(sandbox) if sandbox else None
        if sandbox is None or owner is None or owner.uid != claim.metadata.uid:
            return None
        return None if launch_mark(claim, sandbox) is None else sandbox

    async def _label(self, claim: Claim) -> None:
        sandbox = self._unlabelled(claim)
        if sandbox is None:
            return
        metadata = sandbox.metadata
        labels = {LABEL_LAUNCH_TYPE: launch_mark(claim, sandbox)}
        patch = {"metadata": {"uid": metadata.uid, "labels": labels}}
        try:
            written = await self._client.merge_patch(SANDBOX, metadata.key, patch, channel=_CHANNEL)
        except NotFoundError:
            self._sandboxes.observe_absent(metadata.key, metadata.uid)
        else:
            self._sandboxes.observe(written)

    async def _note(self, claim: Claim, record: ClaimRecord) -> None:
        changes = claim_marks(claim, self._times(record))
        if not changes:
            return
        metadata = claim.metadata
        patch = {"metadata": {"uid": metadata.uid, **changes}}
        try:
            written = await self._client.merge_patch(CLAIM, metadata.key, patch, channel=_CHANNEL)
        except NotFoundError:
            self._claims.observe_absent(metadata.key, metadata.uid)
        else:
            self._claims.observe(written)


async def _unless_refused(key: ObjectKey, write: Awaitable[None]) -> None:
    try:
        await write
    except NotPermittedError:
        pass  # said once for all claims
    except (ForbiddenError, ConflictError, PermanentError) as error:
        _log.warning("notes on a claim refused: %s", error, extra={"claim": str(key)})


def wake_for_marks(claims: Informer[Claim], queue: AsyncWorkqueue[ObjectKey]) -> None:
    """Have a claim looked at when it has got a sandbox, and the key of one that is gone dropped."""

    def changed(change: Change[Claim]) -> None:
        old, new = change.old, change.new
        if old is not None and new is not None and is_only_noted(old, new):
            return
        claim = new or old
        if claim is not None and (new is None or claim.published):
            queue.add(claim.metadata.key, lane=Lane.HOUSEKEEPING)

    claims.subscribe(changed)
