"""What this process can say of single claims, as JSON for `warmclaim explain`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from warmclaim.api.meta import ObjectKey
from warmclaim.api.names import is_object_name
from warmclaim.controllers.claim_journal import ClaimJournal
from warmclaim.domain.claim_steps import ClaimSteps
from warmqueue import WaitingLine

PATH: Final = "/debug/claims/"


class ClaimDiagnostics:
    """Answers for one claim; asks nobody. A standby has nothing to tell but that it is one."""

    def __init__(
        self,
        journal: ClaimJournal,
        waiting: WaitingLine[ObjectKey],
        identity: str,
        is_leading: Callable[[], bool],
    ) -> None:
        self._journal = journal
        self._waiting = waiting
        self._identity = identity
        self._is_leading = is_leading

    def answer(self, path: str) -> bytes | None:
        """The body for `/debug/claims/NAMESPACE/NAME`; None for any other path. O(claims that wait
        in the line of its pool)."""
        namespace, slash, name = path.removeprefix(PATH).partition("/")
        if not path.startswith(PATH) or not slash:
            return None
        if not is_object_name(namespace) or not is_object_name(name):
            return None
        key = ObjectKey(namespace, name)
        uid, steps = self._journal.steps_of(key)
        ahead = self._waiting.position(key)
        told = ClaimSteps(self._identity, self._is_leading(), uid, steps, ahead)
        return msgspec.json.encode(told)
