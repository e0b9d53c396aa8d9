"""What a pool has, counted as its members change, so that no look walks over all of them.

A change of one member costs O(1), and a look costs O(what it tells): a settled pool of thousands
is looked at as quickly as an empty one. Only another blueprint has every member judged anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, KeysView, ValuesView
from dataclasses import dataclass

from warmclaim.api.meta import ObjectKey
from warmclaim.api.names import LABEL_LAUNCH_TYPE, WARM
from warmclaim.api.sandbox import Sandbox
from warmclaim.domain.blueprint import Blueprint
from warmclaim.domain.eligibility import pool_owner
from warmclaim.domain.readiness import Progress, hindrance_of
from warmclaim.domain.refill import Counts, Hindrance, Member
from warmclaim.domain.seal import SealKeys, is_sealed
from warmclaim.domain.staleness import is_stale


@dataclass(frozen=True, slots=True)
class PoolIdentity:
    """Whose members are counted: a pool made again under the name has another uid."""

    namespace: str
    uid: str

    def owns(self, sandbox: Sandbox) -> bool:
        """Whether `sandbox` is a member, by uid alone: that is how it will be deleted, too."""
        owner = pool_owner(sandbox)
        is_its = owner is not None and owner.uid == self.uid
        return is_its and sandbox.metadata.namespace == self.namespace


class PoolLedger:
    """The living members of one pool, those being deleted included. Bounded by them.

    Entered is what `see` is told, in the order in which it happened; telling it twice changes
    nothing. `grace_s`: for how long a member may be not ready, counted from when that was seen.
    """

    def __init__(self, pool: PoolIdentity, grace_s: float) -> None:
        self._pool = pool
        self._grace_s = grace_s
        self._members: dict[ObjectKey, Member] = {}
        self._ready = 0
        self._deleting = 0
        self._blueprint: Blueprint | None = None
        self._stale: dict[ObjectKey, None] = {}
        self._unmarked: dict[ObjectKey, None] = {}
        self._keys: SealKeys | None = None
        self._unsealed_since_s: dict[ObjectKey, float] = {}
        # Not ready, by where they stand with their grace. One grace for all: the first to begin
        # is the first to end, and the order of entry is the order of ends.
        self._since_s: dict[ObjectKey, float] = {}
        self._stuck: dict[ObjectKey, None] = {}
        self._held: dict[Hindrance, dict[ObjectKey, None]] = {why: {} for why in Hindrance}

    def __len__(self) -> int:
        return len(self._members)

    @property
    def counts(self) -> Counts:
        """O(1)."""
        return Counts(len(self._members), self._deleting, self._ready)

    @property
    def members(self) -> ValuesView[Member]:
        """All of them, in no order: walking them is what the rest of this class avoids."""
        return self._members.values()

    @property
    def stale(self) -> list[Member]:
        """Made from another blueprint than was asked for, and not on their way out. O(them)."""
        return [self._members[key] for key in self._stale]

    @property
    def unmarked(self) -> list[Member]:
        """Without the label that says they were launched warm. O(them)."""
        return [self._members[key] for key in self._unmarked]

    def unsealed(self, sure_s: float) -> list[Member]:
        """Those that no key sealed which was known at `sure_s`, after they were seen. O(them)."""
        since_s = self._unsealed_since_s
        return [self._members[key] for key in since_s if since_s[key] < sure_s]

    @property
    def doubtful(self) -> KeysView[ObjectKey]:
        """Those that no key has sealed which is known by now."""
        return self._unsealed_since_s.keys()

    def see(self, key: ObjectKey, sandbox: Sandbox | None, now_s: float) -> None:
        """The name stands for this sandbox now, or for none. O(1)."""
        old = self._members.get(key)
        is_member = sandbox is not None and self._pool.owns(sandbox)
        if sandbox is None or not is_member:
            if old is not None:
                self._leave(key, old)
            return
        new = member_of(sandbox)
        if new == old:
            return
        if old is not None:
            self._count(old, -1)
        self._members[key] = new
        self._count(new, 1)
        _mark(self._stale, key, self._is_stale(sandbox))
        if old is None or old.uid != new.uid:
            self._unsealed_since_s.pop(key, None)
        self._note_seal(key, sandbox, now_s)
        is_marked = sandbox.metadata.labels.get(LABEL_LAUNCH_TYPE) == WARM
        _mark(self._unmarked, key, not (is_marked or new.is_deleting))
        self._time(key, old, new, now_s)

    def judge_by(
        self, blueprint: Blueprint | None, sandboxes: Callable[[], Iterable[Sandbox]]
    ) -> None:
        """From now on members are stale that were made from another blueprint; with None, none is.

        `sandboxes` gives what may be members; it is asked only for another blueprint than last
        time. O(1) for the same, else O(members).
        """
        is_known = blueprint == self._blueprint
        self._blueprint = blueprint  # the object of now: the next look need only see that it is it
        if is_known:
            return
        self._stale.clear()
        for sandbox in sandboxes() if blueprint else ():
            if sandbox.metadata.key in self._members and self._is_stale(sandbox):
                self._stale[sandbox.metadata.key] = None
        for key in self._overdue:
            self._stop_waiting(key)
            self._put_overdue(key, self._members[key])

    def judge_seals(
        self, keys: SealKeys | None, sandboxes: Callable[[], Iterable[Sandbox]], now_s: float
    ) -> None:
        """From now on members are unsealed that none of these keys has sealed; with None, none is.

        `sandboxes` as in `judge_by`. O(1) for the same keys, else O(members).
        """
        if keys == self._keys:
            return
        self._keys = keys
        for sandbox in sandboxes():
            if sandbox.metadata.key in self._members:
                self._note_seal(sandbox.metadata.key, sandbox, now_s)

    def progress(self, now_s: float) -> Progress:
        """Who is stuck, how many are held. O(the stuck, and whose grace has ended since)."""
        while (key := next(iter(self._since_s), None)) is not None:
            left_s = self._since_s[key] + self._grace_s - now_s
            if left_s > 0:
                break
            del self._since_s[key]
            self._put_overdue(key, self._members[key])
        first_s = next(iter(self._since_s.values()), None)
        look_again_s = None if first_s is None else first_s + self._grace_s - now_s
        held = {why: len(keys) for why, keys in self._held.items() if keys}
        return Progress([self._members[key] for key in self._stuck], held, look_again_s)

    @property
    def _overdue(self) -> list[ObjectKey]:
        return [*self._stuck, *(key for keys in self._held.values() for key in keys)]

    def _leave(self, key: ObjectKey, old: Member) -> None:
        del self._members[key]
        self._count(old, -1)
        self._stale.pop(key, None)
        self._unmarked.pop(key, None)
        self._unsealed_since_s.pop(key, None)
        self._stop_waiting(key)

    def _count(self, member: Member, step: int) -> None:
        self._deleting += step * member.is_deleting
        self._ready += step * (member.is_ready and not member.is_deleting)

    def _is_stale(self, sandbox: Sandbox) -> bool:
        blueprint = self._blueprint
        is_staying = blueprint is not None and not sandbox.metadata.is_deleting
        return blueprint is not None and is_staying and is_stale(sandbox, blueprint)

    def _note_seal(self, key: ObjectKey, sandbox: Sandbox, now_s: float) -> None:
        keys = self._keys
        is_staying = keys is not None and not sandbox.metadata.is_deleting
        if keys is not None and is_staying and not is_sealed(keys, sandbox, self._pool.uid):
            self._unsealed_since_s.setdefault(key, now_s)
        else:
            self._unsealed_since_s.pop(key, None)

    def _time(self, key: ObjectKey, old: Member | None, new: Member, now_s: float) -> None:
        if new.is_ready or new.is_deleting:
            self._stop_waiting(key)
            return
        # With the time of the last change: a flap between two events begins the grace anew.
        is_same_wait = old is not None and (old.uid, old.changed) == (new.uid, new.changed)
        if is_same_wait and key in self._since_s:
            return
        is_overdue = is_same_wait and self._is_overdue(key)
        self._stop_waiting(key)
        if is_overdue:
            self._put_overdue(key, new)
        else:
            self._since_s[key] = now_s

    def _is_overdue(self, key: ObjectKey) -> bool:
        return key in self._stuck or any(key in keys for keys in self._held.values())

    def _put_overdue(self, key: ObjectKey, member: Member) -> None:
        """Held is only what is of the blueprint that the pool has now."""
        is_held = member.hindrance is not None and key not in self._stale
        overdue = self._held[member.hindrance] if member.hindrance and is_held else self._stuck
        overdue[key] = None

    def _stop_waiting(self, key: ObjectKey) -> None:
        self._since_s.pop(key, None)
        self._stuck.pop(key, None)
        for keys in self._held.values():
            keys.pop(key, None)


def member_of(sandbox: Sandbox) -> Member:
    """A member as refill sees it. O(its conditions)."""
    metadata, ready = sandbox.metadata, sandbox.ready
    return Member(
        key=metadata.key,
        uid=metadata.uid,
        resource_version=metadata.resource_version,
        created=metadata.creation_timestamp,
        is_ready=sandbox.is_ready,
        is_deleting=metadata.is_deleting,
        hindrance=hindrance_of(sandbox),
        changed=ready.last_transition_time if ready else "",
    )


def _mark(marked: dict[ObjectKey, None], key: ObjectKey, is_so: bool) -> None:
    if is_so:
        marked[key] = None
    else:
        marked.pop(key, None)
