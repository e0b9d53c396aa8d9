"""S1-S7 at every commit, by somebody who is not the controller.

Only commits of the managers are judged. What a third party deleted or edited between a manager's
last read and its write is no breach: the judge remembers who took a sandbox from its claim, and
when, and allows as long as a cache may lag (`LAG_S_MAX`). It reads the committed JSON itself and
shares with the controller only the form of a member's name.

One thing is known and let pass: a create that lands after its answer was given up, and after its
member was made by a second try and is gone again, makes that member once more. No test can be
put into a create, so nothing that a controller does prevents it; such a member is counted as one
made by others, and the pool deletes what is too much.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from warmclaim.api.names import ANNOTATION_RESERVATION
from warmclaim.api.resources import CLAIM, POOL, SANDBOX
from warmclaim.domain.reservation import Reservation, ordinal_of, parse_reservation
from warmclaim.seams import Clock
from warmclaim.testing.json_values import Json
from warmclaim.testing.sim.lifetimes import LAG_S_MAX, Lifetimes, goes_by_itself, says_over
from warmclaim.testing.sim.objects import Owner, controller_of, is_deleting, published_by
from warmclaim.testing.sim.trace import LATE, WORLD, Attribution, is_manager
from warmclaim.testing.store import Commit, ObjectStore, Verb

CLAIMS, POOLS, SANDBOXES = str(CLAIM), str(POOL), str(SANDBOX)


@dataclass(frozen=True, slots=True)
class Breach:
    """A promise that did not hold: which one, what was seen, at which commit and second."""

    promise: str
    text: str
    rv: int = 0
    at_s: float = 0.0

    def __str__(self) -> str:
        return f"{self.promise} at {self.at_s:.3f} s, rv {self.rv}: {self.text}"


class _Loss(NamedTuple):
    claim_uid: str
    at_s: float
    who: str


@dataclass(slots=True)
class _PoolBook:
    """What is known of one pool, by uid.

    `members`: living sandboxes of managers that it owns, by key; `created`: ordinals that a
    commit has confirmed; `lowered`: how many there were when the target was lowered, and never
    more than there were since.
    """

    name: str
    replicas: int = 0
    members: set[str] = field(default_factory=set[str])
    created: set[int] = field(default_factory=set[int])
    batches: list[Reservation] = field(default_factory=list[Reservation])
    lowered: int = 0
    gone_s: float | None = None


class Judge:
    """An observer of the store; `breaches` is what it found."""

    def __init__(self, store: ObjectStore, attribution: Attribution, clock: Clock) -> None:
        self._store = store
        self._attribution = attribution
        self._clock = clock
        self.lifetimes = Lifetimes(clock)
        self.breaches: list[Breach] = []
        self.on_breach: Callable[[Breach], None] = lambda _: None
        self._pools: dict[str, _PoolBook] = {}
        self._lost: dict[str, _Loss] = {}
        self._made_by: dict[str, str] = {}
        self._were_claimed: set[str] = set()  # uids of sandboxes
        self._handlers: dict[str, Callable[[Commit, str], None]] = {
            SANDBOXES: self._sandbox,
            CLAIMS: self._claim,
            POOLS: self._pool,
        }

    def __call__(self, commit: Commit) -> None:
        handler = self._handlers.get(commit.resource)
        if handler is not None:
            handler(commit, self._attribution.who)

    def _breach(self, promise: str, commit: Commit, text: str) -> None:
        who = self._attribution.who
        said = f"{text} ({commit.key}, by {who})"
        found = Breach(promise, said, commit.rv, round(self._clock.monotonic(), 6))
        self.breaches.append(found)
        self.on_breach(found)

    # -------------------------------------------------------------- sandboxes

    def _sandbox(self, commit: Commit, who: str) -> None:
        before = controller_of(commit.before)
        after = controller_of(commit.object) if commit.is_live else None
        uid = commit.object["metadata"]["uid"]
        if commit.verb is Verb.ADDED:
            self._made_by[uid] = "" if self._is_late_again(commit, after, who) else who
        if is_manager(who):
            self._judge_sandbox(commit, before, after)
        self._note_loss(commit, before, after, who)
        is_taken_in = _is_taken_in(commit, before, after) and is_manager(who)
        if is_taken_in:
            self._made_by[uid] = who  # from now on it counts as the pool's own doing
        self._book_member(commit, before, after)
        is_made = commit.verb is Verb.ADDED and is_manager(self._made_by[uid])
        if (is_made or is_taken_in) and after is not None:
            self._judge_ceiling(commit, after)
        if after is not None and after.kind == CLAIM.kind:
            self._were_claimed.add(uid)
        if not commit.is_live:
            self._made_by.pop(uid, None)
            self._were_claimed.discard(uid)

    def _judge_sandbox(self, commit: Commit, before: Owner | None, after: Owner | None) -> None:
        if not commit.is_live or _begins_to_end(commit):
            self._judge_deletion(commit)
        if not commit.is_live:
            return
        if commit.before is None:
            if after is None:
                self._breach("S1", commit, "a sandbox was made without an owner")
        elif before != after:
            self._judge_change_of_owner(commit, before, after)
        if after is not None and after.kind == CLAIM.kind and before != after:
            self._judge_namespace(commit, after)

    def _judge_change_of_owner(
        self, commit: Commit, before: Owner | None, after: Owner | None
    ) -> None:
        if after is not None and _is_taken_in(commit, before, after):
            self._judge_taking_in(commit, after)
            return
        if before is None or before.kind != POOL.kind or after is None or after.kind != CLAIM.kind:
            self._breach("S1", commit, f"the owner went from {before} to {after}")
            return
        book = self._pools.get(before.uid)
        namespace = commit.object["metadata"]["namespace"]
        if book is None or book.name != f"{namespace}/{before.name}":
            self._breach("S7", commit, f"adopted from {before}, which never was a pool here")
        elif self._is_past(book.gone_s):
            self._breach("S7", commit, f"adopted from {before}, which is gone for long")
        if is_deleting(commit.object):
            self._breach("S7", commit, "adopted while it was being deleted")

    def _judge_taking_in(self, commit: Commit, pool: Owner) -> None:
        """A sandbox that was nobody's became a pool's member."""
        metadata = commit.object["metadata"]
        book = self._pools.get(pool.uid)
        if metadata["uid"] in self._were_claimed:
            self._breach("S1", commit, f"{pool.name} took in what a claim had")
        if book is None or book.name != f"{metadata['namespace']}/{pool.name}":
            self._breach("S7", commit, f"taken in by {pool}, which never was a pool here")
        if is_deleting(commit.object):
            self._breach("S7", commit, "taken in while it was being deleted")

    def _judge_namespace(self, commit: Commit, owner: Owner) -> None:
        namespace = commit.object["metadata"]["namespace"]
        for found in self._store.scan(CLAIMS):
            metadata = found.object["metadata"]
            if metadata["uid"] == owner.uid and metadata["namespace"] != namespace:
                self._breach("S5", commit, f"given to a claim in {metadata['namespace']}")

    def _judge_deletion(self, commit: Commit) -> None:
        owner = controller_of(commit.before)
        if owner is None or owner.kind != CLAIM.kind:
            return
        metadata = commit.object["metadata"]
        claim = self._live(CLAIMS, f"{metadata['namespace']}/{owner.name}", owner.uid)
        if claim is None or is_deleting(claim) or self.lifetimes.has_ended(claim):
            return
        if commit.before is not None and goes_by_itself(commit.before):
            return
        if published_by(claim) == metadata["name"]:
            self._breach("S4", commit, f"deleted while {owner.name} has it")

    def _note_loss(
        self, commit: Commit, before: Owner | None, after: Owner | None, who: str
    ) -> None:
        """Remember who ended a claim's sound ownership of a sandbox."""
        if commit.before is None or before is None or before.kind != CLAIM.kind:
            return
        was_sound = not is_deleting(commit.before)
        is_sound = after == before and not is_deleting(commit.object)
        if was_sound and not is_sound:
            # What ends by its own word is as if a third party had taken it.
            taker = WORLD if goes_by_itself(commit.before) else who
            self._lost[commit.key] = _Loss(before.uid, self._clock.monotonic(), taker)

    # ------------------------------------------------------------------ pools

    def _book_member(self, commit: Commit, before: Owner | None, after: Owner | None) -> None:
        if before is not None and before != after:
            self._book(before.uid).members.discard(commit.key)
        is_ours = is_manager(self._made_by.get(commit.object["metadata"]["uid"], ""))
        if after is not None and after.kind == POOL.kind and is_ours:
            self._book(after.uid).members.add(commit.key)
        if before is not None and before != after:
            book = self._book(before.uid)
            book.lowered = min(book.lowered, len(book.members))

    def _judge_ceiling(self, commit: Commit, owner: Owner) -> None:
        if owner.kind != POOL.kind:
            return
        book = self._book(owner.uid)
        if commit.verb is Verb.ADDED:
            ordinal = ordinal_of(owner.name, owner.uid, commit.object["metadata"]["name"])
            reserved = self._reserved_under(book, ordinal)
            if ordinal is not None:
                book.created.add(ordinal)
        else:
            reserved = _taken_in_under(book, commit)
        ceiling = max(book.replicas, reserved, book.lowered)
        if len(book.members) > ceiling:
            text = f"{len(book.members)} members of {owner.name}, {ceiling} allowed"
            again = "" if reserved else ", its ordinal was not reserved or was made before"
            self._breach("S6", commit, text + again)

    def _reserved_under(self, book: _PoolBook, ordinal: int | None) -> int:
        """The target under which an unconfirmed create was reserved, 0 if it was not.

        What one leader has confirmed, another may still have under way as long as it is of the
        pool's last batch.
        """
        if ordinal is None:
            return 0
        batches = book.batches[-1:] if ordinal in book.created else reversed(book.batches)
        return next((batch.replicas for batch in batches if ordinal in batch.ordinals), 0)

    def _is_late_again(self, commit: Commit, owner: Owner | None, who: str) -> bool:
        """Whether a create landed late and its ordinal had been made before."""
        if not who.endswith(LATE) or owner is None or owner.kind != POOL.kind:
            return False
        ordinal = ordinal_of(owner.name, owner.uid, commit.object["metadata"]["name"])
        return ordinal in self._book(owner.uid).created

    def _pool(self, commit: Commit, who: str) -> None:
        metadata = commit.object["metadata"]
        book = self._book(metadata["uid"])
        book.name = commit.key
        if not commit.is_live:
            book.gone_s = self._clock.monotonic()
            return
        replicas = int(commit.object["spec"].get("replicas") or 0)
        if replicas < book.replicas:
            book.lowered = max(len(book.members), book.lowered)
        book.replicas = replicas
        stored = parse_reservation(metadata.get("annotations", {}).get(ANNOTATION_RESERVATION))
        if stored is not None and is_manager(who):
            batch = replace(stored, turn=0)
            if not book.batches or book.batches[-1] != batch:
                book.batches.append(batch)

    def _book(self, uid: str) -> _PoolBook:
        return self._pools.setdefault(uid, _PoolBook(""))

    # ----------------------------------------------------------------- claims

    def _claim(self, commit: Commit, who: str) -> None:
        if is_manager(who):
            self._judge_claim(commit)
        self.lifetimes.on_claim(commit)

    def _judge_claim(self, commit: Commit) -> None:
        if not commit.is_live or _begins_to_end(commit):
            self._judge_end_of_claim(commit)
            return
        if says_over(commit.object) and not says_over(commit.before):
            self._judge_end_of_time(commit)
        old, new = published_by(commit.before), published_by(commit.object)
        if old == new:
            return
        if new == "":
            self._judge_taking_back(commit, old)
        elif old:
            self._breach("S2", commit, f"published {new} over {old}")
        if new:
            self._judge_publication(commit, new)

    def _judge_end_of_time(self, commit: Commit) -> None:
        if not self.lifetimes.was_due(commit.object):
            self._breach("S4", commit, "said to be over, before it was")

    def _judge_end_of_claim(self, commit: Commit) -> None:
        was_ending = commit.before is not None and is_deleting(commit.before)
        if not was_ending and not self.lifetimes.may_go(commit.before or commit.object):
            self._breach("S4", commit, "a claim was deleted, and did not say that it is over")

    def _judge_taking_back(self, commit: Commit, name: str) -> None:
        metadata = commit.object["metadata"]
        sandbox = self._owned(metadata, name)
        if sandbox is not None:
            self._breach("S2", commit, f"took back {name}, which is there")

    def _judge_publication(self, commit: Commit, name: str) -> None:
        metadata = commit.object["metadata"]
        sandbox = self._owned(metadata, name)
        if sandbox is not None and not is_deleting(sandbox):
            return
        loss = self._lost.get(f"{metadata['namespace']}/{name}")
        if loss is None or loss.claim_uid != metadata["uid"]:
            self._breach("S3", commit, f"published {name}, which it never owned")
        elif is_manager(loss.who):
            self._breach("S3", commit, f"published {name}, which {loss.who} took away")
        elif self._is_past(loss.at_s):
            self._breach("S3", commit, f"published {name}, lost at {loss.at_s:.3f} s")

    # ---------------------------------------------------------------- helpers

    def _owned(self, claim: Json, name: str) -> Json | None:
        """The sandbox of that name in the claim's namespace, if the claim owns it."""
        found = self._store.get(SANDBOXES, f"{claim['namespace']}/{name}")
        owner = controller_of(found.object) if found else None
        is_its = owner is not None and owner.kind == CLAIM.kind and owner.uid == claim["uid"]
        return found.object if found is not None and is_its else None

    def _live(self, resource: str, key: str, uid: str) -> Json | None:
        found = self._store.get(resource, key)
        is_same = found is not None and found.object["metadata"]["uid"] == uid
        return found.object if found is not None and is_same else None

    def _is_past(self, moment: float | None) -> bool:
        return moment is not None and self._clock.monotonic() - moment > LAG_S_MAX


def _is_taken_in(commit: Commit, before: Owner | None, after: Owner | None) -> bool:
    is_change = commit.before is not None and commit.is_live
    return is_change and before is None and after is not None and after.kind == POOL.kind


def _taken_in_under(book: _PoolBook, commit: Commit) -> int:
    """The target under which this was reserved, at the version that it had; 0 if it was not."""
    if commit.before is None:
        return 0
    before = commit.before["metadata"]
    named = f"{before['name']}@{before['resourceVersion']}"
    return next((batch.replicas for batch in book.batches if batch.takes_in == named), 0)


def _begins_to_end(commit: Commit) -> bool:
    return (
        is_deleting(commit.object) and commit.before is not None and not is_deleting(commit.before)
    )
