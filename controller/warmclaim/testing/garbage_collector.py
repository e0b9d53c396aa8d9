"""What the cluster cleans up by itself: objects whose owners are gone, terminating namespaces.

    async with GarbageCollector(cluster, delay_s=(0.0, 0.5)):
        ...

Owners are told apart by uid, never by name: an object is collected when every owner it names is
gone, or is another object of the same name. Foreground deletion waits for the dependents that
block it; orphaning cuts them loose.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple, ParamSpec

from warmclaim.testing.actors import Actor
from warmclaim.testing.cluster import Cluster, Target
from warmclaim.testing.deletion import FOREGROUND, ORPHAN, DeleteOptions
from warmclaim.testing.json_values import Json
from warmclaim.testing.patch import MERGE_PATCH
from warmclaim.testing.resources import NAMESPACE
from warmclaim.testing.store import Commit

P = ParamSpec("P")

NOT_SERVED_RETRY_S = 1.0
NOT_SERVED_RETRY_S_MAX = 64.0


class _Place(NamedTuple):
    """Where an object is in the store."""

    resource: str
    key: str


class GarbageCollector(Actor):
    """Deletes what has lost its owners, `delay_s` (a range, drawn each time) after it has.

    Also empties terminating namespaces and removes them. Cost of a commit: O(its owners); of an
    owner's end: O(its dependents).
    """

    def __init__(self, cluster: Cluster, *, delay_s: tuple[float, float] = (0.0, 0.0)) -> None:
        super().__init__(cluster)
        self.delay_s = delay_s
        # Dicts, not sets: the order in which things are deleted must not depend on hashes.
        self._dependents: dict[str, dict[_Place, None]] = {}
        self._owners: dict[_Place, tuple[str, ...]] = {}

    def begin(self) -> None:
        for kind in self.cluster.kinds:
            for commit in self.cluster.store.scan(kind.resource):
                self.observe(commit)

    def observe(self, commit: Commit) -> None:
        place = _Place(commit.resource, commit.key)
        metadata = commit.object["metadata"]
        owners = metadata.get("ownerReferences", ()) if commit.is_live else ()
        uids = tuple(owner["uid"] for owner in owners)
        if uids != self._owners.get(place, ()):
            self._book(place, uids)
            if uids:
                self._later(self._collect, place)
        for owner in commit.before["metadata"].get("ownerReferences", ()) if commit.before else ():
            if owner["uid"] not in uids:
                self._later(self._continue_foreground, commit, owner)
        if not commit.is_live:
            self._on_end(commit)
        elif "deletionTimestamp" in metadata:
            self._on_deletion(commit, place)

    def _book(self, place: _Place, uids: tuple[str, ...]) -> None:
        for uid in self._owners.pop(place, ()):
            dependents = self._dependents[uid]
            dependents.pop(place, None)
            if not dependents:
                del self._dependents[uid]
        for uid in uids:
            self._dependents.setdefault(uid, {})[place] = None
        if uids:
            self._owners[place] = uids

    def _on_end(self, commit: Commit) -> None:
        for place in self._dependents.get(commit.object["metadata"]["uid"], ()):
            self._later(self._collect, place)
        namespace = commit.object["metadata"].get("namespace")
        if namespace and self._is_terminating(namespace):
            self._later(self._empty_namespace, namespace)

    def _on_deletion(self, commit: Commit, place: _Place) -> None:
        finalizers = commit.object["metadata"].get("finalizers", ())
        if FOREGROUND in finalizers:
            self._later(self._delete_dependents, place)
        if ORPHAN in finalizers:
            self._later(self._orphan_dependents, place)
        if commit.resource == NAMESPACE.resource:
            self._later(self._empty_namespace, commit.key)

    def _later(self, work: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
        self.plan(partial(work, *args, **kwargs), after_s=self.drawn(self.delay_s))

    # ----------------------------------------------------------------- acting

    def _collect(self, place: _Place, retry_s: float = NOT_SERVED_RETRY_S) -> None:
        """Deletes the object at `place` if none of its owners exists; drops references to those
        that do not exist if some do. While a kind of them is not served, it looks again later."""
        found = self.cluster.store.get(*place)
        if found is None:
            return
        metadata = found.object["metadata"]
        owners = metadata.get("ownerReferences", ())
        existing = [o for o in owners if self._exists(o, metadata.get("namespace", ""))]
        if any(not self._is_served(named) for named in (found.object, *owners)):
            again_s = min(retry_s * 2, NOT_SERVED_RETRY_S_MAX)
            self.plan(partial(self._collect, place, again_s), after_s=retry_s)
            return
        if not owners or len(existing) == len(owners):
            return
        if existing:
            self._patch(found, {"ownerReferences": existing})
            return
        options = DeleteOptions(metadata["uid"], metadata["resourceVersion"])
        self.cluster.delete(self._target(found), options)

    def _is_served(self, named: Json) -> bool:
        return self.cluster.kinds.named(named["apiVersion"], named["kind"]) is not None

    def _exists(self, owner: Json, namespace: str) -> bool:
        kind = self.cluster.kinds.named(owner["apiVersion"], owner["kind"])
        if kind is None:
            # An unknown kind may only be not served yet: nothing is concluded from it.
            return True
        found = self.cluster.store.get(kind.resource, kind.key(namespace, owner["name"]))
        return found is not None and found.object["metadata"]["uid"] == owner["uid"]

    def _delete_dependents(self, place: _Place) -> None:
        found = self.cluster.store.get(*place)
        if found is None or self._must_wait(found, self._delete_dependents):
            return
        uid = found.object["metadata"]["uid"]
        is_blocked = False
        for dependent, reference in list(self._dependents_of(uid)):
            metadata = dependent.object["metadata"]
            is_blocked = is_blocked or bool(reference.get("blockOwnerDeletion"))
            if "deletionTimestamp" not in metadata:
                options = DeleteOptions(uid=metadata["uid"], policy="Foreground")
                self.cluster.delete(self._target(dependent), options)
        still_blocked = is_blocked and any(
            reference.get("blockOwnerDeletion") for _, reference in self._dependents_of(uid)
        )
        if not still_blocked:
            self._drop_finalizer(place, FOREGROUND)

    def _continue_foreground(self, commit: Commit, owner: Json) -> None:
        kind = self.cluster.kinds.named(owner["apiVersion"], owner["kind"])
        if kind is None:
            again = partial(self._continue_foreground, commit, owner)
            self.plan(again, after_s=NOT_SERVED_RETRY_S)
            return
        namespace = commit.object["metadata"].get("namespace", "")
        place = _Place(kind.resource, kind.key(namespace, owner["name"]))
        found = self.cluster.store.get(*place)
        if found is not None and FOREGROUND in found.object["metadata"].get("finalizers", ()):
            self._delete_dependents(place)

    def _orphan_dependents(self, place: _Place) -> None:
        found = self.cluster.store.get(*place)
        if found is None or self._must_wait(found, self._orphan_dependents):
            return
        uid = found.object["metadata"]["uid"]
        for dependent, _ in list(self._dependents_of(uid)):
            owners = dependent.object["metadata"]["ownerReferences"]
            left = [owner for owner in owners if owner["uid"] != uid]
            self._patch(dependent, {"ownerReferences": left or None})
        self._drop_finalizer(place, ORPHAN)

    def _must_wait(self, owner: Commit, work: Callable[[_Place], None]) -> bool:
        """Whether the owner or one of its dependents cannot be reached; then it is tried later."""
        dependents = (found for found, _ in self._dependents_of(owner.object["metadata"]["uid"]))
        if all(self._is_served(found.object) for found in (owner, *dependents)):
            return False
        place = _Place(owner.resource, owner.key)
        self.plan(partial(work, place), after_s=NOT_SERVED_RETRY_S)
        return True

    def _dependents_of(self, uid: str) -> Iterator[tuple[Commit, Json]]:
        """Objects that name this owner, each with its reference to it."""
        for place in tuple(self._dependents.get(uid, ())):
            found = self.cluster.store.get(*place)
            owners = found.object["metadata"].get("ownerReferences", ()) if found else ()
            for owner in owners:
                if owner["uid"] == uid and found is not None:
                    yield found, owner

    def _drop_finalizer(self, place: _Place, finalizer: str) -> None:
        found = self.cluster.store.get(*place)
        finalizers = found.object["metadata"].get("finalizers", ()) if found else ()
        if found is not None and finalizer in finalizers:
            left = [word for word in finalizers if word != finalizer]
            self._patch(found, {"finalizers": left or None})

    def _patch(self, found: Commit, metadata: Json) -> None:
        self.cluster.patch(self._target(found), MERGE_PATCH, {"metadata": metadata})

    def _target(self, found: Commit) -> Target:
        metadata = found.object["metadata"]
        kind = self.cluster.kinds.named(found.object["apiVersion"], found.object["kind"])
        assert kind is not None, f"{found} is of a kind that is no longer served"
        return Target(kind, metadata.get("namespace", ""), metadata["name"])

    # ------------------------------------------------------------- namespaces

    def _is_terminating(self, name: str) -> bool:
        found = self.cluster.store.get(NAMESPACE.resource, name)
        return found is not None and "deletionTimestamp" in found.object["metadata"]

    def _empty_namespace(self, name: str) -> None:
        if not self._is_terminating(name):
            return
        is_empty = True
        for kind in self.cluster.kinds:
            if not kind.namespaced:
                continue
            for commit in list(self.cluster.store.scan(kind.resource, prefix=f"{name}/")):
                if "deletionTimestamp" not in commit.object["metadata"]:
                    self.cluster.delete(self._target(commit))
                is_empty = is_empty and self.cluster.store.get(kind.resource, commit.key) is None
        if is_empty:
            self.cluster.finalize_namespace(name)
