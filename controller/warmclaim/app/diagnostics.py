"""What this process can say of single claims, as JSON for `warmclaim explain`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from warmclaim.api.claim import Claim
from warmclaim.api.meta import ObjectKey
from warmclaim.api.names import is_object_name
from warmclaim.controllers.claim_journal import ClaimJournal
from warmclaim.domain.claim_steps import ClaimSteps
from warmclaim.kube.store import Store
from warmqueue import WaitingLine

PATH: Final = "/debug/claims/"


class ClaimDiagnostics:
    """Answers for one claim; asks nobody. A standby has nothing to tell but that it is one."""

    def __init__(
        self,
        claims: Store[Claim],
        journal: ClaimJournal,
        waiting: WaitingLine[ObjectKey],
        unsealed_of: Callable[[ObjectKey], Sequence[str]],
        identity: str,
        is_leading: Callable[[], bool],
    ) -> None:
        self._claims = claims
        self._journal = journal
        self._unsealed_of = unsealed_of
        self._waiting = waiting
        self._identity = identity
        self._is_leading = is_leading

    def answer(self, path: str) -> bytes | None:
        """The body for `/debug/claims/NAMESPACE/NAME`; None for any other path. O(claims that wait
        in the line of its pool, and members that are refused for want of a seal)."""
        namespace, slash, name = path.removeprefix(PATH).partition("/")
        if not path.startswith(PATH) or not slash:
            return None
        if not is_object_name(namespace) or not is_object_name(name):
            return None
        key = ObjectKey(namespace, name)
        uid, steps = self._journal.steps_of(key)
        ahead = self._waiting.position(key)
        claim = self._claims.get(key)
        pool = ObjectKey(namespace, claim.spec.warm_pool_ref.name) if claim else None
        unsealed = tuple(self._unsealed_of(pool)) if pool else ()
        told = ClaimSteps(self._identity, self._is_leading(), uid, steps, ahead, unsealed)
        return msgspec.json.encode(told)
