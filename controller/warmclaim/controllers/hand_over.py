"""The writes of the hand-over, and what each answer means.

No write is ever repeated blindly: after an unknown outcome (timeout, reset, 5xx) or a refusal
that may have several causes (409, 422) the object is read from the API server, the answer enters
the cache, and the claim is decided anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from warmclaim.api.claim import Claim
from warmclaim.api.meta import ObjectKey
from warmclaim.api.names import ANNOTATION_TRACE_CONTEXT
from warmclaim.api.resources import CLAIM, SANDBOX
from warmclaim.api.sandbox import Sandbox
from warmclaim.controllers.keys import object_key
from warmclaim.domain.claim_request import sync_operations
from warmclaim.domain.eligibility import claim_owner, pool_owner
from warmclaim.domain.outcome import Outcome
from warmclaim.domain.patches import Operation, reservation_patch
from warmclaim.errors import (
    AlreadyExistsError,
    ConflictError,
    NotFoundError,
    PermanentError,
    ThrottledError,
    TransientError,
    UnknownOutcomeError,
)
from warmclaim.kube.client import ApiClient
from warmclaim.kube.informer import Informer
from warmclaim.seams import Channel
from warmclaim.telemetry.tracing import NO_TRACE, Trace
from warmqueue import Taken


class HandOver:
    """Carries out what `decide_claim` decided; each method sends one write, and one read where
    the write's answer does not tell what happened."""

    def __init__(
        self,
        client: ApiClient,
        claims: Informer[Claim],
        sandboxes: Informer[Sandbox],
        trace: Trace = NO_TRACE,
    ) -> None:
        self._client = client
        self._claims = claims
        self._sandboxes = sandboxes
        self._trace = trace

    async def read_claim(self, claim: Claim) -> None:
        """Put the API server's own word on the claim into the cache. Raises if it can't be had."""
        try:
            self._claims.observe(await self._client.get(CLAIM, claim.metadata.key))
        except NotFoundError:
            self._claims.observe_absent(claim.metadata.key, claim.metadata.uid)

    async def read_sandbox(self, key: ObjectKey) -> Sandbox | None:
        """The same for a sandbox; None if there is none."""
        before = self._sandboxes.store.get(key)
        try:
            sandbox = await self._client.get(SANDBOX, key)
        except NotFoundError:
            if before is not None:  # by uid: another of that name may have come meanwhile
                self._sandboxes.observe_absent(key, before.metadata.uid)
            return None
        self._sandboxes.observe(sandbox)
        return sandbox

    async def reserve(
        self,
        claim: Claim,
        sandbox: Sandbox,
        taken: Taken,
        *,
        keeps_eviction_mark: bool = False,
        tests_spec: bool = False,
    ) -> Outcome:
        """Change the sandbox's owner to the claim, and end the entry's flight.

        Raises what prevented an answer; then the entry stays in flight, to be read back
        (`read_back`), unless surely nothing was applied.
        """
        operations = reservation_patch(
            sandbox,
            claim,
            keeps_eviction_mark=keeps_eviction_mark,
            trace_context=self._trace.context(),
            tests_spec=tests_spec,
        )
        try:
            # From here on the answer may be lost, also by cancellation: only reading back ends it.
            taken.carry_over()
            reserved = await self._client.json_patch(
                SANDBOX, sandbox.metadata.key, operations, channel=Channel.CLAIMS
            )
        except NotFoundError:
            self._sandboxes.observe_absent(sandbox.metadata.key, sandbox.metadata.uid)
            taken.forget()
            return Outcome.GHOST
        except ConflictError as error:
            outcome = await self.read_back(claim.metadata.uid, taken)
            self._raise_if_denied(outcome, sandbox, error)
            return outcome
        except ThrottledError:
            taken.give_back()
            raise
        except (UnknownOutcomeError, TransientError):
            return await self.read_back(claim.metadata.uid, taken)
        except Exception:
            taken.give_back()  # refused as a whole, or never sent
            raise
        self._sandboxes.observe(reserved)
        return self._settle(claim.metadata.uid, reserved, taken)

    def _raise_if_denied(self, outcome: Outcome, sandbox: Sandbox, error: ConflictError) -> None:
        """A 422 on the very version that the server has is no race: an admission rule or the
        schema says no, and will say so again."""
        now = self._sandboxes.store.get(sandbox.metadata.key)
        is_same = now is not None and now.metadata.version == sandbox.metadata.version
        if outcome is Outcome.CONFLICT and is_same and error.status == 422:
            raise PermanentError(error.status, error.reason, error.message) from error

    async def read_back(self, claim_uid: str, taken: Taken) -> Outcome:
        """Ask the API server who owns the sandbox now, and end the entry's flight accordingly."""
        sandbox = await self.read_sandbox(object_key(taken.entry.key))
        if sandbox is None or sandbox.metadata.uid != taken.entry.uid:
            taken.forget()
            return Outcome.GHOST
        return self._settle(claim_uid, sandbox, taken)

    def _settle(self, claim_uid: str, sandbox: Sandbox, taken: Taken) -> Outcome:
        owner = claim_owner(sandbox)
        if owner is not None and owner.uid == claim_uid:
            taken.settle()
            return Outcome.ADOPTED
        if pool_owner(sandbox) is not None and not sandbox.metadata.is_deleting:
            # Still the pool's: the tests failed on an old view, or the request never arrived.
            taken.give_back()
            return Outcome.CONFLICT
        taken.forget()
        return Outcome.LOST

    async def write_status(
        self, claim: Claim, operations: Sequence[Operation], *, is_patient: bool = True
    ) -> bool:
        """One compare-and-set of the claim's status; False if it was refused or its outcome is
        unknown. Either way the cache then holds what the API server says. One that rests on a read
        of something else than the claim is not patient: its tests do not cover that."""
        try:
            written = await self._client.json_patch(
                CLAIM,
                claim.metadata.key,
                operations,
                subresource="status",
                channel=Channel.CLAIMS,
                is_patient=is_patient,
            )
        except NotFoundError:
            self._claims.observe_absent(claim.metadata.key, claim.metadata.uid)
            return False
        except ThrottledError:
            raise
        except (ConflictError, UnknownOutcomeError, TransientError) as error:
            await self.read_claim(claim)
            now = self._claims.store.get(claim.metadata.key)
            is_same = now is not None and now.metadata.version == claim.metadata.version
            if isinstance(error, ConflictError) and error.status == 422 and is_same:
                raise PermanentError(error.status, error.reason, error.message) from error
            return False
        self._claims.observe(written)
        return True

    async def create(self, namespace: str, body: dict[str, Any], name: str) -> Sandbox | None:
        """Create a sandbox under a given name; None if somebody else holds the name. It carries the
        context of the trace, where there is one and `body` has none.

        Idempotent: a taken name or an unknown outcome is read back. Raises TransientError if the
        outcome stayed unknown and nothing is there (yet).
        """
        if context := self._trace.context():
            annotations = body["metadata"].setdefault("annotations", {})
            annotations.setdefault(ANNOTATION_TRACE_CONTEXT, context)
        try:
            created = await self._client.create(SANDBOX, namespace, body, channel=Channel.CLAIMS)
        except ThrottledError:
            raise
        except (AlreadyExistsError, UnknownOutcomeError, TransientError) as error:
            found = await self.read_sandbox(ObjectKey(namespace, name))
            if found is None:
                raise TransientError(0, "Unknown", f"create of {namespace}/{name}") from error
            return found
        self._sandboxes.observe(created)
        return created

    async def sync_metadata(self, claim: Claim, sandbox: Sandbox) -> None:
        """Write the claim's part of its sandbox's pod metadata. Raises what prevented an answer."""
        metadata = sandbox.metadata
        identity: Operation = {"op": "test", "path": "/metadata/uid", "value": metadata.uid}
        operations = [identity, *sync_operations(claim, sandbox)]
        try:
            written = await self._client.json_patch(
                SANDBOX, metadata.key, operations, channel=Channel.CLAIMS
            )
        except NotFoundError:
            self._sandboxes.observe_absent(metadata.key, metadata.uid)
        except ConflictError:
            await self.read_sandbox(metadata.key)
            raise
        else:
            self._sandboxes.observe(written)

    async def delete_claim(self, claim: Claim, *, is_foreground: bool) -> None:
        """Delete this very claim; in the foreground it stays until its sandbox is gone.

        Raises ConflictError if it was refused and the claim is there all the same.
        """
        key, uid = claim.metadata.key, claim.metadata.uid
        propagation = "Foreground" if is_foreground else None
        try:
            left = await self._client.delete(
                CLAIM, key, uid=uid, propagation=propagation, channel=Channel.CLAIMS
            )
        except NotFoundError:
            left = None
        except ConflictError:
            await self.read_claim(claim)
            now = self._claims.store.get(key)
            if now is not None and now.metadata.uid == uid and not now.metadata.is_deleting:
                raise
            return
        self._claims.observe_deletion(key, uid, left)

    async def reclaim(self, sandbox: Sandbox) -> None:
        """Delete a claim's sandbox; only this very object. Where that was refused, the cache then
        holds what the API server says."""
        key, uid = sandbox.metadata.key, sandbox.metadata.uid
        try:
            left = await self._client.delete(SANDBOX, key, uid=uid, channel=Channel.CLAIMS)
        except NotFoundError:
            left = None
        except ConflictError:
            await self.read_sandbox(key)
            return
        self._sandboxes.observe_deletion(key, uid, left)
