"""Event (events.k8s.io/v1): what happened to an object, for people who describe it."""

from __future__ import annotations

from typing import NamedTuple

from warmclaim.api.meta import Object, ObjectMeta, View
from warmclaim.api.resources import Resource


class ObjectReference(NamedTuple):
    """The object that an event is about."""

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str
    resource_version: str = ""


class Event(View, frozen=True, gc=False):
    """Only written here, so nothing but its identity is read."""

    metadata: ObjectMeta


EVENT = Resource("events.k8s.io", "v1", "events", "Event", Event)


def reference(resource: Resource[Object], obj: Object) -> ObjectReference:
    """The reference to `obj`, an object of that kind."""
    metadata = obj.metadata
    return ObjectReference(
        resource.api_version,
        resource.kind,
        metadata.namespace,
        metadata.name,
        metadata.uid,
        metadata.resource_version,
    )
