"""Users that may do what parts of a manager need, but for some verbs; and what they asked for."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

from e2e.cluster import ControlPlane
from e2e.controlplane.api import Object
from e2e.controlplane.failures import wait_until

from warmclaim.api.resources import Resource
from warmclaim.app.needs import Need, Part, Place, table
from warmclaim.kube.permissions import Permission
from warmclaim.loadtest.audit_log import AuditEvent
from warmclaim.settings import CONTROLLERS

_GROUP = "rbac.authorization.k8s.io"
_API = f"/apis/{_GROUP}/v1"
_KNOWN_S_MAX = 10.0


class Right(NamedTuple):
    """A permission that a part needs, and where."""

    part: Part
    place: Place
    permission: Permission

    def __str__(self) -> str:
        where = "" if self.place is Place.OBJECTS else f" ({self.place})"
        return f"{self.part}: {self.permission}{where}"


def right(
    part: Part,
    verb: str,
    resource: Resource[Any],
    subresource: str = "",
    place: Place = Place.OBJECTS,
) -> Right:
    """The right to do this to a kind."""
    return Right(part, place, Permission(verb, str(resource), subresource))


def right_of(need: Need) -> Right:
    """What a row of the table grants, whatever the object's name."""
    return Right(need.part, need.place, need.permission)


class User:
    """A static-token user with the rights of some parts, made from the table of permissions, which
    the roles of `config` equal.

    `own`: the namespace for what is needed in a single one. `objects`: where it looks after
    objects; "" for everywhere. Right after its making it may do everything.
    """

    def __init__(
        self,
        cluster: ControlPlane,
        name: str,
        parts: Collection[Part],
        own: str,
        *,
        objects: str = "",
        controllers: frozenset[str] = CONTROLLERS,
    ) -> None:
        self._cluster, self._api, self.name = cluster, cluster.api, name
        self._needs = [need for need in table(controllers) if need.part in parts]
        self._own, self._objects = own, objects
        self._mark = cluster.audit_mark()
        self._lacks: Collection[Right] = {right_of(need) for need in self._needs}
        self.allow()

    @property
    def rights(self) -> set[Right]:
        """All that it may have."""
        return {right_of(need) for need in self._needs}

    def allow(self, lacks: Collection[Right] = ()) -> None:
        """Give it everything but these; returns when the API server's authorizer knows."""
        kept = [need for need in self._needs if right_of(need) not in lacks]
        for namespace in {"", self._objects, self._own}:
            here = [need for need in kept if self._namespace_of(need) == namespace]
            folder = f"{_API}/namespaces/{namespace}" if namespace else _API
            self._apply("Role" if namespace else "ClusterRole", folder, here)
        for need in self._needs:
            if right_of(need) in lacks:
                self._wait_known(need, is_allowed=False)
            elif right_of(need) in self._lacks:
                self._wait_known(need, is_allowed=True)
        self._lacks = lacks

    def was_refused(self, permission: Permission, since: int) -> bool:
        """Whether the API server said no to such a request since the mark."""
        events = self.events(since)
        return any(event.code == 403 and is_of(event, permission) for event in events)

    def events(self, since: int | None = None) -> Iterator[AuditEvent]:
        """What it has asked for, since a mark or since it is there."""
        return self._cluster.audit_events(self._mark if since is None else since, user=self.name)

    def unused(self, rights: Collection[Right]) -> list[str]:
        """Those of them, object by object where they are for named ones, that no request was let
        through by: the audit log since the user is there has none."""
        self._cluster.audit_settle()
        left = [need for need in self._needs if right_of(need) in rights]
        for event in self.events():
            if event.code not in (0, 403):
                left = [need for need in left if not self._is_use(event, need)]
        return sorted(f"{right_of(need)} {need.name}".rstrip() for need in left)

    def _is_use(self, event: AuditEvent, need: Need) -> bool:
        is_there = self._namespace_of(need) in ("", event.namespace)
        return is_there and need.name in ("", event.name) and is_of(event, need.permission)

    def _namespace_of(self, need: Need) -> str:
        if need.place is Place.CLUSTER:
            return ""
        return self._objects if need.place is Place.OBJECTS else self._own

    def _apply(self, kind: str, folder: str, needs: Collection[Need]) -> None:
        rules: list[Object] = [
            {
                "apiGroups": [need.group],
                "resources": [word_of(need.permission)],
                "verbs": [need.permission.verb],
                **({"resourceNames": [need.name]} if need.name else {}),
            }
            for need in needs
        ]
        head: Object = {"apiVersion": f"{_GROUP}/v1", "metadata": {"name": self.name}}
        self._api.apply(
            f"{folder}/{kind.lower()}s/{self.name}", head | {"kind": kind, "rules": rules}
        )
        binding: Object = {
            "kind": f"{kind}Binding",
            "roleRef": {"apiGroup": _GROUP, "kind": kind, "name": self.name},
            "subjects": [{"apiGroup": _GROUP, "kind": "User", "name": self.name}],
        }
        self._api.apply(f"{folder}/{kind.lower()}bindings/{self.name}", head | binding)

    def _wait_known(self, need: Need, *, is_allowed: bool) -> None:
        permission = need.permission
        attributes = {
            "verb": permission.verb,
            "group": need.group,
            "resource": word_of(permission).partition("/")[0],
            "subresource": permission.subresource,
            "name": need.name,
            "namespace": self._namespace_of(need),
        }
        review: Object = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {"user": self.name, "resourceAttributes": attributes},
        }

        def unknown() -> str | None:
            answer = self._api.create("/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
            return None if answer["status"]["allowed"] is is_allowed else str(answer["status"])

        wait_until(f"{permission}: {is_allowed}", unknown, timeout_s=_KNOWN_S_MAX, interval_s=0.005)


def word_of(permission: Permission) -> str:
    """The resource as a role names it: "plural" or "plural/subresource"."""
    plural = permission.resource.partition(".")[0]
    return f"{plural}/{permission.subresource}" if permission.subresource else plural


def is_of(event: AuditEvent, permission: Permission) -> bool:
    """Whether a request needed that permission."""
    resource = f"{event.resource}.{event.api_group}" if event.api_group else event.resource
    asked = Permission(event.verb, resource, event.subresource)
    return asked == permission
