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
from dataclasses import dataclass, replace
from typing import Any

from warmclaim.seams import Clock, Rng, SystemClock, SystemRng
from warmclaim.testing import defaults, deletion, object_rules, refusals
from warmclaim.testing import patch as patches
from warmclaim.testing.deletion import Deleted, DeleteOptions
from warmclaim.testing.json_values import Json, is_object
from warmclaim.testing.patch import same_json
from warmclaim.testing.refusals import cause
from warmclaim.testing.resources import CRD, NAMESPACE, Kind, Kinds, kind_from_crd
from warmclaim.testing.store import Commit, ObjectStore, TooLargeError, Verb

SYSTEM_NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
GENERATE_ATTEMPTS_MAX = 8

# The server's alphabet for generated names: no vowels, so no words.
_NOT_OF_THE_CLIENT = ("resourceVersion", "deletionTimestamp", "deletionGracePeriodSeconds")
_SUFFIX_LETTERS = "bcdfghjklmnpqrstvwxz2456789"


@dataclass(frozen=True, slots=True)
class Target:
    """What a request is about. `version` "" is the stored one; `name` "" all of them."""

    kind: Kind
    namespace: str = ""
    name: str = ""
    version: str = ""
    subresource: str = ""

    @property
    def key(self) -> str:
        return self.kind.key(self.namespace, self.name)

    @property
    def api_version(self) -> str:
        return self.kind.api_version(self.version)


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

    def create(self, target: Target, body: Json, *, dry_run: bool = False) -> Commit:
        """Adds an object: 409 AlreadyExists, 404/403 by its namespace, 422 by its schema."""
        kind = target.kind
        body = self._decoded(target, body)
        metadata = object_rules.tidied(body["metadata"])
        target, metadata = self._located(target, metadata)
        self._require_namespace(target)
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
        value = self._admitted(target, value, None)
        if self.store.get(kind.resource, target.key) is not None:
            raise refusals.already_exists(kind.resource, target.name)
        return self._commit(target, value, dry_run)

    def replace(self, target: Target, body: Json, *, dry_run: bool = False) -> Commit:
        """PUT: 409 on a stale metadata.resourceVersion or another uid, else as an update."""
        current = self.get(target)
        body = self._decoded(target, body)
        given = body["metadata"]
        if (given.get("name") or target.name) != target.name:
            raise refusals.bad_request(
                f"the name of the object ({given['name']}) does not match the name on the URL "
                f"({target.name})"
            )
        uid = current.object["metadata"]["uid"]
        if (given.get("uid") or uid) != uid:
            raise refusals.wrong_uid(target.kind.resource, target.name, given["uid"], uid)
        return self._update(target, current, body, dry_run)

    def patch(
        self, target: Target, content_type: str, patch: Any, *, dry_run: bool = False
    ) -> Commit:
        """PATCH: 422 if it does not fit or changes the uid, 409 on another resourceVersion."""
        current = self.get(target)
        value = target.kind.converted(current.object, target.version or target.kind.version)
        try:
            if content_type == patches.JSON_PATCH:
                patched = patches.json_patch(value, patch)
            elif content_type == patches.MERGE_PATCH:
                patched = patches.merge_patch(value, patch)
            else:
                accepted = (patches.JSON_PATCH, patches.MERGE_PATCH)
                raise refusals.unsupported_media_type(accepted)
        except patches.PatchFailedError as error:
            raise refusals.patch_failed(str(error)) from error
        except patches.MalformedPatchError as error:
            raise refusals.bad_request(str(error)) from error
        except patches.TooManyOperationsError as error:
            raise refusals.too_large_body(str(error)) from error
        return self._update(target, current, self._decoded(target, patched), dry_run)

    def delete(
        self, target: Target, options: DeleteOptions | None = None, *, dry_run: bool = False
    ) -> Deleted:
        """Removes an object, or marks it where finalizers or a grace period hold it.

        409 where a precondition of `options` does not hold.
        """
        options = options or DeleteOptions()
        kind, current = target.kind, self.get(target)
        deletion.require_preconditions(kind, target.name, current.object["metadata"], options)
        grace = deletion.grace_s(kind, current.object, options)
        time_ = self.now(plus_s=grace)
        marked = deletion.marked(kind, current.object, options.policy, grace, time_)
        if deletion.is_held(marked):
            return Deleted(self._commit_change(target, current, marked, dry_run), is_gone=False)
        if dry_run:
            return Deleted(current, is_gone=True)
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

    def _decoded(self, target: Target, body: Any) -> Json:
        """The body of a write, with kind and apiVersion checked against the path."""
        if not is_object(body):
            raise refusals.bad_request("the body of the request must be an object")
        kind = target.kind
        wanted = {"apiVersion": target.api_version, "kind": kind.kind}
        if kind.custom and not body.get("kind"):
            raise refusals.bad_request("Object 'Kind' is missing")
        if (body.get("kind") or kind.kind) != kind.kind:
            raise refusals.bad_request(
                f"{kind.kind} in version {target.version or kind.version!r} cannot be handled as a "
                f"{body['kind']}"
            )
        if (body.get("apiVersion") or target.api_version) != target.api_version:
            raise refusals.bad_request(
                f"the API version in the data ({body['apiVersion']}) does not match the expected "
                f"API version ({target.api_version})"
            )
        empty: Json = {}
        metadata: Any = empty if body.get("metadata") is None else body["metadata"]
        if not is_object(metadata):
            raise refusals.bad_request("metadata must be an object")
        return {**body, **wanted, "metadata": metadata}

    def _located(self, target: Target, metadata: Json) -> tuple[Target, Json]:
        """The namespace and name of a new object; a name is drawn for generateName."""
        if target.kind.namespaced:
            namespace = metadata.get("namespace", target.namespace)
            if namespace != target.namespace:
                raise refusals.bad_request(
                    "the namespace of the provided object does not match the namespace sent on "
                    "the request"
                )
            metadata = {**metadata, "namespace": namespace}
        elif "namespace" in metadata:
            metadata = {n: v for n, v in metadata.items() if n != "namespace"}
        if not metadata.get("name"):
            metadata = {**metadata, "name": self._generated_name(target, metadata)}
        return replace(target, name=metadata["name"]), metadata

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

    def _require_namespace(self, target: Target) -> None:
        if not target.kind.namespaced:
            return
        found = self.store.get(NAMESPACE.resource, target.namespace)
        if found is None:
            raise refusals.not_found(NAMESPACE.resource, target.namespace)
        if "deletionTimestamp" in found.object["metadata"]:
            raise refusals.namespace_terminating(
                target.kind.resource, target.name, target.namespace
            )

    def _update(self, target: Target, current: Commit, body: Json, dry_run: bool) -> Commit:
        kind, old = target.kind, current.object
        given = object_rules.tidied(body["metadata"])
        self._require_version(target, given.get("resourceVersion", ""), old)
        metadata = object_rules.carried_over(kind, given, old["metadata"])
        object_rules.validate(kind, metadata, old["metadata"])
        # Pruned and checked in the version it came in; the old object is seen in that, too.
        value = self._admitted(target, {**body, "metadata": metadata}, old)
        if target.subresource == "status":
            value = _with_status(kind, value, old)
        elif kind.has_status:
            value = _with(value, "status", old.get("status"))
        if kind.has_generation and _spec_differs(kind, value, old):
            raised = {**value["metadata"], "generation": old["metadata"].get("generation", 0) + 1}
            value = {**value, "metadata": raised}
        return self._commit_change(target, current, value, dry_run)

    def _require_version(self, target: Target, given: str, old: Json) -> None:
        kind = target.kind
        if not given and kind.needs_version:
            said = "Invalid value: 0: must be specified for an update"
            found = cause("FieldValueInvalid", said, "metadata.resourceVersion")
            raise refusals.invalid(kind.kind, kind.group, target.name, [found])
        if given and given != old["metadata"]["resourceVersion"]:
            raise refusals.conflict(kind.resource, target.name)

    def _admitted(self, target: Target, value: Json, old: Json | None) -> Json:
        """`value` after its schema, in the stored version."""
        kind = target.kind
        version = target.version or kind.version
        if (structure := kind.structures.get(version)) is not None:
            before = None if old is None else kind.converted(old, version)
            value = structure.admitted(value, before)
            problems = structure.problems(value, before)
            if problems:
                causes = [problem.cause for problem in problems]
                raise refusals.invalid(kind.kind, kind.group, target.name, causes)
        return kind.converted(value, kind.version)

    def _commit_change(self, target: Target, current: Commit, value: Json, dry_run: bool) -> Commit:
        """Stores an update: nothing if it changes nothing, a removal if nothing holds it."""
        version = current.object["metadata"]["resourceVersion"]
        value = {**value, "metadata": {**value["metadata"], "resourceVersion": version}}
        if same_json(value, current.object):
            return current
        if "deletionTimestamp" in value["metadata"] and not deletion.is_held(value) and not dry_run:
            return self.store.delete(target.kind.resource, target.key, value)
        return self._commit(target, value, dry_run)

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


def _with_status(kind: Kind, value: Json, old: Json) -> Json:
    """A write to the status subresource: of a custom object only the status is taken; of a
    built-in one also metadata, without the owners."""
    if kind.custom:
        return _with(old, "status", value.get("status"))
    owners = old["metadata"].get("ownerReferences")
    metadata = _with(value["metadata"], "ownerReferences", owners)
    return _with({**old, "metadata": metadata}, "status", value.get("status"))


def _with(value: Json, name: str, member: Any) -> Json:
    """`value` with that member, or without it if None; `value` itself where that is so already."""
    if value.get(name) is member and (member is not None or name not in value):
        return value
    if member is None:
        return {n: v for n, v in value.items() if n != name}
    return {**value, name: member}


def _spec_differs(kind: Kind, new: Json, old: Json) -> bool:
    """Whether the generation moves: any change outside metadata and a separate status."""
    if not kind.custom:
        return not same_json(new.get("spec"), old.get("spec"))
    ignored = {"metadata", "status"} if kind.has_status else {"metadata"}
    names = (new.keys() | old.keys()) - ignored
    return not all(same_json(new.get(n), old.get(n)) for n in names)


def _ordered(kind: Kind, value: Json) -> Json:
    """apiVersion and kind first: `Kind.encoded` relies on it to change the version in place."""
    return {**{"apiVersion": "", "kind": ""}, **value, "apiVersion": kind.api_version()}
