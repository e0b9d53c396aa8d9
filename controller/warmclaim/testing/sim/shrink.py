"""Delta debugging: from a run that fails to the few actions and faults that make it fail.

A candidate counts as the same failure if it breaks the same promise. What is drawn is drawn by
key, so most of the rest stays as it was when a part is left out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import msgspec

from warmclaim.testing.sim.case import Action, Case, Fault
from warmclaim.testing.sim.simulation import Outcome, run_case

SHRINK_S_MAX: Final = 60.0

T = TypeVar("T")


class Shrinker:
    """Shrinks one failing run, for at most `limit_s` seconds. `runs` counts the tries."""

    def __init__(
        self,
        promise: str,
        *,
        limit_s: float = SHRINK_S_MAX,
        run: Callable[[Case], Outcome] = run_case,
    ) -> None:
        self._promise = promise
        self._run = run
        self._until = time.monotonic() + limit_s
        self.runs = 0

    def shrink(self, outcome: Outcome) -> Case:
        """The smallest case found that breaks the same promise."""
        case = msgspec.structs.replace(outcome.case, faults=outcome.struck)
        if not self.fails(case):
            return outcome.case
        case = self._without_order(case)
        size = _size(case) + 1
        while _size(case) < size and not self._is_late():
            size = _size(case)
            case = self._fewer_faults(self._fewer_actions(case))
        # What it was drawn from says nothing more.
        options = msgspec.structs.replace(case.options, rates={}, acts={})
        return msgspec.structs.replace(case, options=options)

    def fails(self, case: Case) -> bool:
        """Whether this case breaks the promise."""
        self.runs += 1
        try:
            breach = self._run(case).breach
        except Exception:
            return False
        return breach is not None and breach.promise == self._promise

    def _without_order(self, case: Case) -> Case:
        """Ready tasks first come, first served, if it fails so as well."""
        plain = msgspec.structs.replace(case.options, shuffled=False)
        tried = msgspec.structs.replace(case, options=plain)
        return tried if case.options.shuffled and self.fails(tried) else case

    def _fewer_actions(self, case: Case) -> Case:
        def fails(actions: Sequence[Action]) -> bool:
            return self.fails(msgspec.structs.replace(case, actions=tuple(actions)))

        return msgspec.structs.replace(case, actions=tuple(self._fewer(case.actions, fails)))

    def _fewer_faults(self, case: Case) -> Case:
        def fails(faults: Sequence[tuple[str, Fault]]) -> bool:
            return self.fails(msgspec.structs.replace(case, faults=dict(faults)))

        items = list((case.faults or {}).items())
        return msgspec.structs.replace(case, faults=dict(self._fewer(items, fails)))

    def _fewer(self, items: Sequence[T], fails: Callable[[Sequence[T]], bool]) -> Sequence[T]:
        """Zeller's ddmin, complements only: leave out one of n parts while that still fails."""
        if items and fails(()):
            return ()
        parts = 2
        while len(items) >= 2 and not self._is_late():
            step = -(-len(items) // parts)
            for start in range(0, len(items), step):
                rest = [*items[:start], *items[start + step :]]
                if fails(rest):
                    items, parts = rest, max(parts - 1, 2)
                    break
                if self._is_late():
                    return items
            else:
                if parts >= len(items):
                    break
                parts = min(parts * 2, len(items))
        return items

    def _is_late(self) -> bool:
        return time.monotonic() > self._until


def _size(case: Case) -> int:
    return len(case.actions) + len(case.faults or ())
