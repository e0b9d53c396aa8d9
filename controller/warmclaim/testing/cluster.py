"""The state that all API servers of one cluster share, and the verbs that change it.

Synchronous: each verb either commits at once or raises a Refusal and changes nothing. The HTTP
side (`api`) parses requests for it; nodes, scheduler and garbage collector call it directly.

    cluster = Cluster(clock=clock, rng=rng)
    pod = cluster.create(Target(POD, "default"), {"metadata": {"name": "p"}, "spec": {...}})
    cluster.delete(Target(POD, "default", "p"))
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from warmclaim.seams import Clock, Rng, SystemClock, SystemRng
from warmclaim.testing import (
    bodies,
    defaults,
    deletion,
    object_rules,
    refusals,
    schema_rules,
    updates,
)
from warmclaim.testing import patch as patches
from warmclaim.testing.deletion import Deleted, DeleteOptions
from warmclaim.testing.json_values import Json
from warmclaim.testing.patch import same_json
from warmclaim.testing.refusals import cause
from warmclaim.testing.resources import CRD, NAMESPACE, Kind, Kinds, kind_from_crd
from warmclaim.testing.store import Commit, ObjectStore, TooLargeError, Verb
from warmclaim.testing.target import Target

SYSTEM_NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
__all__ = ["Cluster", "DeleteOptions", "Deleted", "Target"]

_IMMORTAL = ("default", "kube-system", "kube-public")
GENERATE_ATTEMPTS_MAX = 8

# The server's alphabet for generated names: no vowels, so no words.
_NOT_OF_THE_CLIENT = ("resourceVersion", "deletionTimestamp", "deletionGracePeriodSeconds")
_SUFFIX_LETTERS = "bcdfghjklmnpqrstvwxz2456789"


class Cluster:
    """Objects, kinds, time and chance of one cluster.

    `crds` are CustomResourceDefinition objects to begin with. Cost of a write: O(size of what it
    changes) plus one encoding of the object.
    """

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        rng: Rng | None = None,
        store: ObjectStore | None = None,
        crds: Iterable[Json] = (),
    ) -> None:
        self.clock: Clock = clock or SystemClock()
        self.rng: Rng = rng or SystemRng()
        self.store = store or ObjectStore()
        self.kinds = Kinds()
        self._now = (-1, "")
        self.store.observers.append(self._follow_crds)
        for name in SYSTEM_NAMESPACES:
            self.create(Target(NAMESPACE), {"metadata": {"name": name}})
        for crd in crds:
            self.create(Target(CRD), crd)

    # ------------------------------------------------------------------ reads

    def get(self, target: Target, *, at: int | None = None) -> Commit:
        """The object's newest version, or the one at `at`. Refuses with 404."""
        found = self.store.get(target.kind.resource, target.key, at=at)
        if found is None:
            raise refusals.not_found(target.kind.resource, target.name)
        return found

    def now(self, *, plus_s: int = 0) -> str:
        """The wall clock as RFC 3339 text, in whole seconds, as in creationTimestamp."""
        second = int(self.clock.wall()) + plus_s
        if self._now[0] != second:
            self._now = (second, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(second)))
        return self._now[1]

    def new_uid(self) -> str:
        digits = "".join(f"{int(self.rng.random() * 2**44):011x}" for _ in range(3))
        return f"{digits[:8]}-{digits[8:12]}-4{digits[12:15]}-8{digits[15:18]}-{digits[18:30]}"

    # ----------------------------------------------------------------- writes

    def create(self, target: Target, body: Any, *, dry_run: bool = False) -> Commit:
        """Adds an object: 409 AlreadyExists, 404/403 by its namespace, 422 by its schema."""
        kind = target.kind
        body = bodies.sent(target, body)
        metadata = bodies.in_namespace(target, body["metadata"])
        self._require_namespace(target, metadata.get("name", ""))
        target, metadata = self._named(target, metadata)
        metadata = {
            **{n: v for n, v in metadata.items() if n not in _NOT_OF_THE_CLIENT},
            "uid": self.new_uid(),
            "creationTimestamp": self.now(),
        }
        if kind.has_generation:
            metadata["generation"] = 1
        value = {**body, "metadata": metadata}
        if kind.has_status:
            value.pop("status", None)
        value = defaults.completed(kind.resource, value, self.now())
        object_rules.validate(kind, value["metadata"])
        value = schema_rules.admitted(target, value, None)
        schema_rules.validate(target, value, None)
        if body["metadata"].get("resourceVersion", "0") != "0":
            raise refusals.version_on_create()
        if self.store.get(kind.resource, target.key) is not None:
            raise refusals.already_exists(kind.resource, target.name)
        return self._commit(target, kind.converted(value, kind.version), dry_run)

    def replace(self, target: Target, body: Any, *, dry_run: bool = False) -> Commit:
        """PUT: 409 on a stale metadata.resourceVersion or another uid, else as an update.

        Of a kind that a PUT may make, one that is not there is made, whatever version is given.
        """
        kind = target.kind
        body = bodies.replacing(target, body)
        makes = kind.made_by_update and self.store.get(kind.resource, target.key) is None
        uid = "" if makes else self.get(target).object["metadata"]["uid"]
        given = body["metadata"].get("uid")
        if given and given != uid:
            raise refusals.wrong_uid(kind.resource, target.key, target.name, given, uid)
        if makes:
            metadata = {n: v for n, v in body["metadata"].items() if n != "resourceVersion"}
            return self.create(target, {**body, "metadata": metadata}, dry_run=dry_run)
        return self._update(target, self.get(target), body, dry_run)

    def patch(
        self, target: Target, content_type: str, patch: Any, *, dry_run: bool = False
    ) -> Commit:
        """PATCH: 422 if it does not fit or changes the uid, 409 on another resourceVersion."""
        current = self.get(target)
        value = target.kind.converted(current.object, target.in_version)
        patched = patches.applied(content_type, value, patch)
        return self._update(target, current, bodies.patched(target, patched), dry_run)

    def delete(
        self, target: Target, options: DeleteOptions | None = None, *, dry_run: bool = False
    ) -> Deleted:
        """Removes an object, or marks it where finalizers or a grace period hold it.

        409 where a precondition of `options` does not hold.
        """
        options = options or DeleteOptions()
        kind, current = target.kind, self.get(target)
        if kind is NAMESPACE and target.name in _IMMORTAL:
            why = "this namespace may not be deleted"
            raise refusals.forbidden(kind.resource, target.name, why)
        deletion.require_preconditions(kind, target.name, current.object["metadata"], options)
        grace = deletion.grace_s(kind, current.object, options)
        time_ = self.now(plus_s=grace)
        marked = deletion.marked(kind, current.object, options.policy, grace, time_)
        if deletion.is_held(marked):
            return Deleted(self._commit_change(target, current, marked, dry_run), is_gone=False)
        if dry_run:
            return Deleted(current, is_gone=True)
        if kind.graceful_s or "deletionTimestamp" in current.object["metadata"]:
            # The end of a grace period, even of none, is written before the object goes, as there.
            self._store_unless_same(target, current, marked)
        return Deleted(self.store.delete(kind.resource, target.key), is_gone=True)

    def put(self, value: Json) -> Commit:
        """Stores an object as it is, status and all: for fixtures. Adds what is missing of
        namespace, uid, creationTimestamp and generation; refuses nothing, replaces what is there.
        """
        kind = self.kinds.named(value["apiVersion"], value["kind"])
        if kind is None:
            raise KeyError(f"{value['apiVersion']} {value['kind']} is not served")
        given = value["metadata"]
        own: Json = {"namespace": "default"} if kind.namespaced else {}
        own |= {"uid": self.new_uid(), "creationTimestamp": self.now()}
        own |= {"generation": 1} if kind.has_generation else {}
        metadata = {**own, **given}
        key = kind.key(metadata.get("namespace", ""), metadata["name"])
        stored = {**kind.converted(value, kind.version), "metadata": metadata}
        return self.store.put(kind.resource, key, _ordered(kind, stored))

    def finalize_namespace(self, name: str) -> None:
        """Removes a terminating namespace whose content is gone."""
        self.store.delete(NAMESPACE.resource, name)

    # ---------------------------------------------------------------- insides

    def _named(self, target: Target, metadata: Json) -> tuple[Target, Json]:
        """The name of a new object; one is drawn for generateName."""
        name = metadata.get("name") or self._generated_name(target, metadata)
        return replace(target, name=name), {**metadata, "name": name}

    def _generated_name(self, target: Target, metadata: Json) -> str:
        prefix: str = metadata.get("generateName", "")
        kind = target.kind
        if not prefix:
            said = "Required value: name or generateName is required"
            found = cause("FieldValueRequired", said, "metadata.name")
            raise refusals.invalid(kind.kind, kind.group, "", [found])
        for _ in range(GENERATE_ATTEMPTS_MAX):
            drawn = (int(self.rng.random() * len(_SUFFIX_LETTERS)) for _ in range(5))
            name = prefix[:58] + "".join(_SUFFIX_LETTERS[index] for index in drawn)
            if self.store.get(kind.resource, kind.key(target.namespace, name)) is None:
                return name
        raise refusals.already_exists(kind.resource, prefix)

    def _require_namespace(self, target: Target, name: str) -> None:
        if not target.kind.namespaced:
            return
        found = self.store.get(NAMESPACE.resource, target.namespace)
        if found is None:
            raise refusals.not_found(NAMESPACE.resource, target.namespace)
        if "deletionTimestamp" in found.object["metadata"]:
            raise refusals.namespace_terminating(target.kind.resource, name, target.namespace)

    def _update(self, target: Target, current: Commit, body: Json, dry_run: bool) -> Commit:
        kind, given = target.kind, body["metadata"]
        self._require_version(target, given.get("resourceVersion", ""), current)
        # All in the version that the body came in; the old object is seen in that, too.
        old = kind.converted(current.object, target.in_version)
        value = schema_rules.admitted(target, body, old)
        if target.subresource == "status":
            value = updates.of_status(kind, value, old)
        else:
            value = updates.of_main(kind, value, old)
        object_rules.validate(kind, value["metadata"], old["metadata"])
        schema_rules.validate(target, value, old)
        value = updates.with_generation(kind, value, old)
        return self._commit_change(target, current, kind.converted(value, kind.version), dry_run)

    def _require_version(self, target: Target, given: str, current: Commit) -> None:
        kind = target.kind
        if given in ("", "0") and kind.needs_version:
            said = "Invalid value: 0: must be specified for an update"
            found = cause("FieldValueInvalid", said, "metadata.resourceVersion")
            # The one refusal of this kind that names the resource, not the kind.
            raise refusals.invalid(kind.plural, kind.group, target.name, [found])
        if given and not given.isdigit():
            raise refusals.unparsed_version(given)
        if given not in ("", "0", str(current.rv)):
            raise refusals.conflict(kind.resource, target.name)

    def _commit_change(self, target: Target, current: Commit, value: Json, dry_run: bool) -> Commit:
        """Stores an update: nothing if it changes nothing, a removal if nothing holds it."""
        version = current.object["metadata"]["resourceVersion"]
        value = {**value, "metadata": {**value["metadata"], "resourceVersion": version}}
        if same_json(value, current.object):
            return current
        if "deletionTimestamp" in value["metadata"] and not deletion.is_held(value) and not dry_run:
            # Watchers see the object as it was stored last, at the version of its end; this writer
            # sees it as it asked, at the version before.
            gone = self.store.delete(target.kind.resource, target.key)
            return Commit(gone.rv, gone.resource, gone.key, gone.verb, gone.before, value)
        return self._commit(target, value, dry_run)

    def _store_unless_same(self, target: Target, current: Commit, value: Json) -> None:
        if not same_json(value, current.object):
            self.store.put(target.kind.resource, target.key, value)

    def _commit(self, target: Target, value: Json, dry_run: bool) -> Commit:
        kind = target.kind
        value = _ordered(kind, value)
        if dry_run:
            return Commit(self.store.rv, kind.resource, target.key, Verb.MODIFIED, None, value)
        try:
            return self.store.put(kind.resource, target.key, value)
        except TooLargeError as error:
            raise refusals.request_too_large() from error

    def _follow_crds(self, commit: Commit) -> None:
        if commit.resource != CRD.resource:
            return
        kind = kind_from_crd(commit.object)
        if commit.is_live:
            self.kinds.register(kind)
        else:
            self.kinds.remove(kind.group, kind.plural)


def _ordered(kind: Kind, value: Json) -> Json:
    """apiVersion and kind first: `Kind.encoded` relies on it to change the version in place."""
    return {**{"apiVersion": "", "kind": ""}, **value, "apiVersion": kind.api_version()}
