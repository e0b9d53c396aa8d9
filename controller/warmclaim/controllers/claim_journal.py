"""The last steps taken for each of the last claims, for whoever asks why.

Nothing is decided by it, and it lives in memory alone. What is kept is bounded twice: by the claims
that live, and by `CLAIMS_MAX`, of which the one that is longest without a step gives way.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Final

from warmclaim.api.claim import Claim
from warmclaim.api.meta import ObjectKey
from warmclaim.api.sandbox import Sandbox
from warmclaim.api.timestamps import rfc3339_nano, seconds_of
from warmclaim.domain.claim_steps import Fact, Step
from warmclaim.kube.informer import Change, Informer
from warmclaim.runtime.controller import EndedPass, PassObserver
from warmclaim.seams import Clock
from warmqueue import PoolKey, WarmDirectory

CLAIMS_MAX: Final = 4_096
STEPS_MAX: Final = 12
TEXT_CHARS_MAX: Final = 256


class _Noted:
    """One step while it may still be repeated."""

    __slots__ = ("count", "facts", "first_s", "last_s", "step")

    def __init__(self, step: str, now_s: float, facts: dict[str, Fact]) -> None:
        self.step, self.facts = step, facts
        self.first_s = self.last_s = now_s
        self.count = 1

    def told(self) -> Step:
        last_at = rfc3339_nano(self.last_s) if self.count > 1 else ""
        return Step(self.step, rfc3339_nano(self.first_s), self.count, last_at, self.facts)


class _Page:
    """What is known of one claim."""

    __slots__ = ("steps", "uid")

    def __init__(self, uid: str) -> None:
        self.uid = uid
        self.steps: deque[_Noted] = deque(maxlen=STEPS_MAX)


class JournalledPasses:
    """A PassObserver that tells `inner`, and the journal of passes that failed."""

    def __init__(self, inner: PassObserver, journal: ClaimJournal) -> None:
        self._inner = inner
        self._journal = journal

    def pass_ended(self, controller: str, ended: EndedPass) -> None:
        """See PassObserver."""
        self._inner.pass_ended(controller, ended)
        if ended.error is not None and isinstance(ended.key, ObjectKey):
            self._journal.failed(ended.key, ended.error)


class ClaimJournal:
    """Notes steps in 2 us each; at most 12 for each of 4,096 claims, 35 MB where all are full and
    9 MB where each was served at once."""

    def __init__(self, claims: Informer[Claim], warm: WarmDirectory, clock: Clock) -> None:
        self._claims = claims.store
        self._warm = warm
        self._clock = clock
        self._pages: OrderedDict[ObjectKey, _Page] = OrderedDict()
        claims.subscribe(self._changed)

    def __len__(self) -> int:
        """Claims of which something is kept."""
        return len(self._pages)

    def note(self, key: ObjectKey, step: str, **facts: Fact) -> None:
        """A step was taken for the claim; one like the last is counted with it, with the newer
        facts. Of a claim that is gone nothing is noted."""
        claim = self._claims.get(key)
        if claim is None:
            return
        page = self._page(key, claim.metadata.uid)
        now_s = self._clock.wall()
        last = page.steps[-1] if page.steps else None
        if last is not None and last.step == step:
            last.last_s, last.facts = now_s, facts
            last.count += 1
        else:
            page.steps.append(_Noted(step, now_s, facts))

    def picked(self, claim: Claim, sandbox: Sandbox) -> None:
        """The sandbox was just taken out of the warm queue for the claim. O(1)."""
        pool = PoolKey(claim.metadata.namespace, claim.spec.warm_pool_ref.name)
        left, now_s = self._warm.statistics(pool), self._clock.wall()
        made_s = seconds_of(sandbox.metadata.creation_timestamp)
        self.note(
            claim.metadata.key,
            "picked",
            sandbox=sandbox.metadata.name,
            node=sandbox.node or "",
            # With the one that was taken: it is no longer counted.
            waiting_on_node=self._warm.waiting_on(pool, sandbox.node) + 1,
            waiting_in_pool=left.waiting + 1,
            ready=str(sandbox.is_ready).lower(),
            age_s=round(now_s - made_s) if made_s is not None else -1,
        )

    def failed(self, key: ObjectKey, error: Exception) -> None:
        """A pass for the claim failed, and is tried again."""
        text = f"{type(error).__name__}: {error}"
        self.note(key, "failed", error=text[:TEXT_CHARS_MAX])

    def claims(self) -> tuple[ObjectKey, ...]:
        """The claims of which something is kept, the one with the newest step last; a copy."""
        return tuple(self._pages)

    def steps_of(self, key: ObjectKey) -> tuple[str, tuple[Step, ...]]:
        """The uid of the claim and its steps, oldest first; "" and none where nothing is known."""
        page = self._pages.get(key)
        return (page.uid, tuple(noted.told() for noted in page.steps)) if page else ("", ())

    def _page(self, key: ObjectKey, uid: str) -> _Page:
        page = self._pages.get(key)
        if page is None or page.uid != uid:
            page = self._pages[key] = _Page(uid)
            if len(self._pages) > CLAIMS_MAX:
                self._pages.popitem(last=False)
        self._pages.move_to_end(key)
        return page

    def _changed(self, change: Change[Claim]) -> None:
        if change.new is None and change.old is not None:
            self._pages.pop(change.old.metadata.key, None)
