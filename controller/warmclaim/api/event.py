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


class Regarding(View, frozen=True, gc=False):
    """What an event is about, as it is stored."""

    uid: str = ""


class EventSeries(View, frozen=True, gc=False):
    count: int = 1


class ToldEvent(View, frozen=True, gc=False):
    """An event as a reader of events sees it."""

    metadata: ObjectMeta
    event_time: str | None = None
    type: str = ""
    reason: str = ""
    note: str = ""
    regarding: Regarding = Regarding()
    series: EventSeries | None = None


EVENT = Resource("events.k8s.io", "v1", "events", "Event", Event)
TOLD_EVENT = Resource("events.k8s.io", "v1", "events", "Event", ToldEvent)


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
