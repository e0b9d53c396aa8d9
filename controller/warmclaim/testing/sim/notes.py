"""S14: what a manager notes on a claim, it notes after the claim was Ready, and once.

Judged at the moment of sending: the claim has shown Ready before, ever; and the sender was not told
already that just this is noted, in a view that its pass must have and that still holds.
"""

from __future__ import annotations

from typing import Any, Final

from warmclaim.api.names import ANNOTATION_CONTROLLER_OBSERVED, ANNOTATION_FIRST_READY
from warmclaim.api.resources import CLAIM
from warmclaim.seams import Response
from warmclaim.testing.json_values import Json
from warmclaim.testing.sim.objects import part, ready_of
from warmclaim.testing.sim.wire import Exchange, Report, told
from warmclaim.testing.store import Commit, ObjectStore

_CLAIMS: Final = str(CLAIM)
_NOTES: Final = (ANNOTATION_CONTROLLER_OBSERVED, ANNOTATION_FIRST_READY)


class Notes:
    """Hears of writes and answers, and observes the store."""

    def __init__(self, store: ObjectStore, report: Report) -> None:
        self._store = store
        self._report = report
        self._were_ready: set[str] = set()
        # By process and uid: the notes that it was told of, and how many passes had begun by then.
        self._told: dict[tuple[str, str], tuple[frozenset[str], int]] = {}

    def on_commit(self, commit: Commit) -> None:
        """Remember who was ever Ready."""
        if commit.resource == _CLAIMS and ready_of(commit.object).status == "True":
            self._were_ready.add(commit.object["metadata"]["uid"])

    def sent(self, exchange: Exchange) -> None:
        """Hold a patch of a claim's metadata against what its sender knows."""
        place = exchange.place
        is_patch = exchange.request.method == "PATCH" and place.resource == _CLAIMS
        if not is_patch or place.subresource:
            return
        body = exchange.body
        noted, uid = _noted(body), part(body, "metadata", "uid")
        if not noted:
            return
        found = self._store.get(_CLAIMS, place.key)
        if found is None or found.object["metadata"]["uid"] != uid:
            return  # whatever it was, it is gone
        if uid not in self._were_ready:
            self._report("S14", f"{exchange}: {sorted(noted)} before the claim was Ready")
        known, passes_begun = self._told.get((exchange.process, uid), (frozenset[str](), 0))
        number = exchange.work.number if exchange.work is not None else 0
        again = noted & known & _noted(found.object)
        if again and number > passes_begun:
            self._report("S14", f"{exchange}: {sorted(again)} again")

    def answered(self, exchange: Exchange, answer: Response) -> None:
        """Remember what a process was told of a claim's notes."""
        if exchange.place.resource != _CLAIMS or exchange.request.method != "PATCH":
            return
        found = told(answer)
        if found is not None:
            noted = frozenset(name for name in _NOTES if name in found.metadata.annotations)
            key = exchange.process, found.metadata.uid
            self._told[key] = noted, exchange.passes_begun


def _noted(claim: Json) -> frozenset[str]:
    annotations: Any = part(claim, "metadata", "annotations")
    return frozenset(name for name in _NOTES if part(annotations, name) is not None)
