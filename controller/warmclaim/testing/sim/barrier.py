"""S8: no destructive or duplicating step from a view older than the sender's own last answer.

What a process was told is what its requests were answered: of its own writes, and of the reads
that stand in for a lost answer. It must be in the view of every pass that begins afterwards, and
of the rest of the pass that asked; a pass that was under way already may have decided before it.
A view that lacks such an answer *while it still holds on the server* is too old, and these steps
from it are a breach, at the moment of their sending:

* a reservation, or a cold create, for a claim of which the process was told that it owns a
  sandbox (the same one or another), and it does;
* a publication for a claim of which it was told that it shows another name, and it does; a name
  taken back of a sandbox of which it was told that the claim owns it, and it does;
* the create of a pool's member that the process itself was told to have created;
* a reservation of ordinals, on a pool that still carries the sender's own last one, which begins
  inside that one, or follows it before each of its members has existed;
* a delete that names no uid; one of a sandbox at a version before the one at which the process
  was told that a claim owns it, while it does; one of a pool's member at any version; one of a
  sandbox that the process was told the claim shows, and it does, unless it was told in the same
  breath that the claim's time is over, or that is so on the server.

And the reads that must come first: a cold create, a reclaim (the delete of a claim's sandbox at
any version) and a name taken back are sent only in a pass that got the claim from the server.

A process that begins anew was told nothing. What others did meanwhile is no breach: the
compare-and-set of each write answers for that (S1-S7).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from warmclaim.api.names import ANNOTATION_RESERVATION
from warmclaim.api.resources import CLAIM, POOL, SANDBOX
from warmclaim.domain.reservation import Reservation, member_name, parse_reservation
from warmclaim.seams import Response
from warmclaim.testing.json_values import Json
from warmclaim.testing.sim.lifetimes import says_over
from warmclaim.testing.sim.objects import (
    Owner,
    controller_of,
    is_deleting,
    part,
    published_by,
)
from warmclaim.testing.sim.wire import Exchange, Report, Told, told
from warmclaim.testing.store import Commit, ObjectStore, Verb

CLAIMS, POOLS, SANDBOXES = str(CLAIM), str(POOL), str(SANDBOX)

_BATCH_PATH: Final = "/metadata/annotations/" + ANNOTATION_RESERVATION.replace("/", "~1")


class _Stamp(NamedTuple):
    """When something was told: in which pass, and how many had begun by then."""

    work: int
    passes_begun: int

    def counts_for(self, exchange: Exchange) -> bool:
        """Whether the sender's pass must know it."""
        number = exchange.work.number if exchange.work is not None else 0
        return number == self.work or number > self.passes_begun


class _Held(NamedTuple):
    """A claim's sandbox, as the process was told at that version."""

    uid: str
    version: int
    stamp: _Stamp


class _Shown(NamedTuple):
    """The name in a claim's status, "" for none, and whether that says that its time is over."""

    name: str
    is_over: bool
    stamp: _Stamp


@dataclass(slots=True)
class _Knowledge:
    """What one process was told. `held`: sandboxes of a claim's uid, by key. `shown`: what a
    claim's uid shows. `made`: keys of members that it created. `batches`: its own last
    reservation of a pool's uid. `read`: the last pass that got a claim's uid from the server."""

    held: dict[str, dict[str, _Held]] = field(default_factory=dict[str, dict[str, _Held]])
    shown: dict[str, _Shown] = field(default_factory=dict[str, _Shown])
    made: dict[tuple[str, str], _Stamp] = field(default_factory=dict[tuple[str, str], _Stamp])
    batches: dict[str, tuple[Reservation, _Stamp]] = field(
        default_factory=dict[str, tuple[Reservation, _Stamp]]
    )
    read: dict[str, int] = field(default_factory=dict[str, int])


class Barrier:
    """Hears of writes and of all answers, and observes the store."""

    def __init__(self, store: ObjectStore, report: Report) -> None:
        self._store = store
        self._report = report
        self._known: dict[str, _Knowledge] = {}
        self._ever: set[str] = set()
        self._rules: dict[tuple[str, str], Callable[[Exchange, _Knowledge], None]] = {
            (SANDBOXES, "PATCH"): self._reserving,
            (SANDBOXES, "POST"): self._creating,
            (SANDBOXES, "DELETE"): self._deleting,
            (CLAIMS, "PATCH"): self._publishing,
            (POOLS, "PATCH"): self._batching,
        }

    def on_commit(self, commit: Commit) -> None:
        """Remember which sandboxes have existed."""
        if commit.resource == SANDBOXES and commit.verb is Verb.ADDED:
            self._ever.add(commit.key)

    def sent(self, exchange: Exchange) -> None:
        """Hold a step against what its sender was told."""
        rule = self._rules.get((exchange.place.resource, exchange.request.method))
        if rule is not None:
            rule(exchange, self._of(exchange))

    def answered(self, exchange: Exchange, answer: Response) -> None:
        """Remember what its sender is told."""
        place, method = exchange.place, exchange.request.method
        is_single = bool(place.name) or method == "POST"
        if place.resource not in (SANDBOXES, CLAIMS, POOLS) or not is_single or method == "DELETE":
            return
        found = told(answer)
        if found is None:
            return
        known, stamp = self._of(exchange), _stamp(exchange)
        if place.resource == SANDBOXES:
            self._learn_sandbox(exchange, found, known)
        elif place.resource == CLAIMS:
            known.shown[found.metadata.uid] = _Shown(found.published, found.is_over, stamp)
            if method == "GET" and exchange.work is not None:
                known.read[found.metadata.uid] = exchange.work.number
        elif method == "PATCH" and not place.subresource:
            batch = parse_reservation(found.metadata.annotations.get(ANNOTATION_RESERVATION))
            if batch is not None:
                self._learn_batch(found.metadata.uid, batch, stamp, known)

    # ------------------------------------------------------------- what is told

    def _of(self, exchange: Exchange) -> _Knowledge:
        return self._known.setdefault(exchange.process, _Knowledge())

    def _learn_batch(self, uid: str, batch: Reservation, stamp: _Stamp, known: _Knowledge) -> None:
        before, _ = known.batches.get(uid, (None, None))
        known.batches[uid] = batch, stamp
        if before is None or batch.turn == before.turn:
            return
        # It was in other hands, which may make any of it again: so must its new holder.
        for key in [key for key in known.made if key[0] == uid]:
            del known.made[key]

    def _learn_sandbox(self, exchange: Exchange, found: Told, known: _Knowledge) -> None:
        owner, metadata = found.owner, found.metadata
        if owner is None:
            return
        key = f"{metadata.namespace}/{metadata.name}"
        if owner.kind == CLAIM.kind:
            held = _Held(metadata.uid, int(metadata.resource_version), _stamp(exchange))
            known.held.setdefault(owner.uid, {})[key] = held
        elif exchange.request.method == "POST":
            known.made[owner.uid, key] = _stamp(exchange)

    # ---------------------------------------------------------------- the rules

    def _reserving(self, exchange: Exchange, known: _Knowledge) -> None:
        owner = _new_owner(_operations(exchange))
        if owner is not None and owner.kind == CLAIM.kind:
            self._require_none_held(exchange, known, owner.uid, "reserved")

    def _creating(self, exchange: Exchange, known: _Knowledge) -> None:
        sent = exchange.object
        owner, name = sent.owner, sent.metadata.name
        if owner is None:
            return
        if owner.kind == CLAIM.kind:
            self._require_none_held(exchange, known, owner.uid, "created")
            self._require_read(exchange, known, owner.uid, f"a cold create of {name}")
            return
        made = known.made.get((owner.uid, f"{exchange.place.namespace}/{name}"))
        if made is not None and made.counts_for(exchange):
            self._report("S8", f"{exchange}: {name} is created again after its own creation")

    def _require_none_held(
        self, exchange: Exchange, known: _Knowledge, claim_uid: str, word: str
    ) -> None:
        for key, held in known.held.get(claim_uid, {}).items():
            if held.stamp.counts_for(exchange) and self._is_held(key, held.uid, claim_uid):
                text = f"a sandbox is {word} for a claim that was told to own {key}"
                self._report("S8", f"{exchange}: {text}")

    def _require_read(self, exchange: Exchange, known: _Knowledge, uid: str, word: str) -> None:
        work = exchange.work
        if work is None or known.read.get(uid) != work.number:
            self._report("S8", f"{exchange}: {word} without a read of the claim before it")

    def _deleting(self, exchange: Exchange, known: _Knowledge) -> None:
        wanted = part(exchange.body, "preconditions")
        uid, version = part(wanted, "uid"), part(wanted, "resourceVersion")
        if not uid:
            self._report("S8", f"{exchange}: a delete of whatever has the name")
            return
        sandbox = self._live(SANDBOXES, exchange.place.key, uid)
        owner = controller_of(sandbox)
        if owner is None:
            return
        if owner.kind == POOL.kind:
            if not version:
                self._report("S8", f"{exchange}: a pool's member is deleted at any version")
        elif version:
            held = self._told_held(exchange, known, owner.uid, exchange.place.key)
            if held is not None and held.uid == uid and int(version) < held.version:
                text = f"deleted at version {version}, given to {owner.name} at {held.version}"
                self._report("S8", f"{exchange}: {text}")
        else:
            self._reclaiming(exchange, known, owner)

    def _reclaiming(self, exchange: Exchange, known: _Knowledge, owner: Owner) -> None:
        self._require_read(exchange, known, owner.uid, "a reclaim")
        name = exchange.place.name
        claim = self._live(CLAIMS, f"{exchange.place.namespace}/{owner.name}", owner.uid)
        shown = _told_shown(exchange, known, owner.uid)
        if shown is None or shown.is_over or says_over(claim):
            return
        if shown.name == name == published_by(claim):
            self._report("S8", f"{exchange}: {owner.name} was told to show it")

    def _publishing(self, exchange: Exchange, known: _Knowledge) -> None:
        operations = _operations(exchange)
        uid = str(_tested(operations, "/metadata/uid") or "")
        claim = self._live(CLAIMS, exchange.place.key, uid)
        shows = published_by(claim)
        if not shows:
            return
        name, is_whole = _new_name(operations)
        told_shown = _told_shown(exchange, known, uid)
        if name and name != shows and told_shown is not None and told_shown.name == shows:
            self._report("S8", f"{exchange}: {name} is published, it was told to show {shows}")
        elif is_whole and not name and _takes_back(operations, shows):
            self._require_read(exchange, known, uid, "a name taken back")
            key = f"{exchange.place.namespace}/{shows}"
            held = self._told_held(exchange, known, uid, key)
            if held is not None and self._is_held(key, held.uid, uid):
                self._report("S8", f"{exchange}: {shows} is taken back, it was told to own it")

    def _batching(self, exchange: Exchange, known: _Knowledge) -> None:
        operations = _operations(exchange)
        wanted = parse_reservation(_new_batch(operations))
        pool = self._live(POOLS, exchange.place.key, str(_tested(operations, "/metadata/uid")))
        if wanted is None or pool is None:
            return
        uid = str(pool["metadata"]["uid"])
        own, stamp = known.batches.get(uid, (None, None))
        shown = part(pool, "metadata", "annotations", ANNOTATION_RESERVATION)
        if own is None or stamp is None or own != parse_reservation(shown):
            return
        if not stamp.counts_for(exchange):
            return
        namespace, name = exchange.place.namespace, exchange.place.name
        if wanted.ordinals == own.ordinals and wanted.turn != own.turn:
            return  # taken over again, by who is no longer sure of it: nothing new may be made
        if wanted.first < own.end:
            self._report("S8", f"{exchange}: reserved from {wanted.first} after {own.encode()}")
        unseen = (n for n in own.ordinals if self._has_never_been(namespace, name, uid, n))
        if (ordinal := next(unseen, None)) is not None:
            text = f"reserved after {own.encode()}, of which {ordinal} was not made yet"
            self._report("S8", f"{exchange}: {text}")

    def _has_never_been(self, namespace: str, pool: str, uid: str, ordinal: int) -> bool:
        return f"{namespace}/{member_name(pool, uid, ordinal)}" not in self._ever

    def _told_held(
        self, exchange: Exchange, known: _Knowledge, claim_uid: str, key: str
    ) -> _Held | None:
        held = known.held.get(claim_uid, {}).get(key)
        return held if held is not None and held.stamp.counts_for(exchange) else None

    # ---------------------------------------------------------------- the world

    def _live(self, resource: str, key: str, uid: str) -> Json | None:
        found = self._store.get(resource, key)
        is_same = found is not None and found.object["metadata"]["uid"] == uid
        return found.object if found is not None and is_same else None

    def _is_held(self, key: str, uid: str, claim_uid: str) -> bool:
        sandbox = self._live(SANDBOXES, key, uid)
        owner = controller_of(sandbox)
        if sandbox is None or owner is None or is_deleting(sandbox):
            return False
        return owner.kind == CLAIM.kind and owner.uid == claim_uid


def _stamp(exchange: Exchange) -> _Stamp:
    number = exchange.work.number if exchange.work is not None else 0
    return _Stamp(number, exchange.passes_begun)


def _told_shown(exchange: Exchange, known: _Knowledge, claim_uid: str) -> _Shown | None:
    shown = known.shown.get(claim_uid)
    return shown if shown is not None and shown.stamp.counts_for(exchange) else None


def _operations(exchange: Exchange) -> list[Json]:
    """The operations of a JSON Patch; none of another patch."""
    is_json_patch = exchange.request.content_type == "application/json-patch+json"
    return exchange.body if is_json_patch else []


def _values(operations: Iterable[Json], path: str) -> list[Any]:
    """What is set at a path, in order."""
    setting = ("add", "replace")
    return [o.get("value") for o in operations if o["op"] in setting and o["path"] == path]


def _tested(operations: Iterable[Json], path: str) -> Any:
    tests = (o["value"] for o in operations if o["op"] == "test" and o["path"] == path)
    return next(tests, None)


def claimed_by(exchange: Exchange) -> str:
    """The uid of the claim that a reservation or a cold create is for; "" for other requests."""
    method = exchange.request.method
    if exchange.place.resource != SANDBOXES or method not in ("PATCH", "POST"):
        return ""
    owner = exchange.object.owner if method == "POST" else _new_owner(_operations(exchange))
    return owner.uid if owner is not None and owner.kind == CLAIM.kind else ""


def _takes_back(operations: Iterable[Json], shown: str) -> bool:
    """Whether a status patch without a name could apply where this one is shown."""
    tests = {o["path"]: o["value"] for o in operations if o["op"] == "test"}
    none = any(tests.get(path, shown) is None for path in ("/status", "/status/sandbox"))
    return not none and tests.get("/status/sandbox/name", shown) == shown


def _new_owner(operations: list[Json]) -> Owner | None:
    owners = next(iter(_values(operations, "/metadata/ownerReferences")), None)
    return controller_of({"metadata": {"ownerReferences": owners}}) if owners else None


def _new_name(operations: list[Json]) -> tuple[str, bool]:
    """The sandbox that a status patch sets, or "", and whether it sets the whole status."""
    whole = _values(operations, "/status")
    if whole:
        return str(part(whole[0], "sandbox", "name") or ""), True
    named = _values(operations, "/status/sandbox")
    return str(part(named[0], "name") or "") if named else "", False


def _new_batch(operations: list[Json]) -> str | None:
    """The reservation of creates that a patch of a pool sets, or None."""
    whole = _values(operations, "/metadata/annotations")
    batch = part(whole[0], ANNOTATION_RESERVATION) if whole else None
    values = _values(operations, _BATCH_PATH)
    text = values[0] if values else batch
    return text if isinstance(text, str) else None
