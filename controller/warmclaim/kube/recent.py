"""Uids that are remembered for a while."""

from __future__ import annotations

from warmclaim.seams import Clock


class RecentUids:
    """Those noted in the last `s_max` seconds, and of them the last `uids_max`. 140 bytes each."""

    def __init__(self, clock: Clock, *, s_max: float, uids_max: int) -> None:
        self._clock = clock
        self._s_max = s_max
        self._uids_max = uids_max
        self._noted_s: dict[str, float] = {}

    def __contains__(self, uid: str) -> bool:
        return uid in self._noted_s

    def __len__(self) -> int:
        return len(self._noted_s)

    def note(self, uid: str) -> None:
        """Remember it from now on; what is too old or too much is forgotten, oldest first. O(1),
        and once O(1) for each that is forgotten."""
        noted_s, now_s = self._noted_s, self._clock.monotonic()
        noted_s.pop(uid, None)
        noted_s[uid] = now_s
        while len(noted_s) > self._uids_max or now_s - noted_s[next(iter(noted_s))] > self._s_max:
            del noted_s[next(iter(noted_s))]
