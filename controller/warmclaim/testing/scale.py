"""The `scale` subresource: an autoscaling/v1 Scale over an object's own fields."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from warmclaim.seams import Request
from warmclaim.testing import patch as patches
from warmclaim.testing import refusals
from warmclaim.testing.cluster import Cluster, Target
from warmclaim.testing.json_values import Json, is_object
from warmclaim.testing.resources import Scale

_META = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")


def encoded(target: Target, value: Json) -> bytes:
    return msgspec.json.encode(_scale_of(_declared(target), value))


def write(
    cluster: Cluster, target: Target, request: Request, given: Any, *, dry_run: bool
) -> bytes:
    """Carries out a PUT or PATCH of a Scale and returns the new one.

    Refuses as an update of the object would, and (400) what is no Scale.
    """
    declared = _declared(target)
    current = cluster.get(target)
    try:
        if request.method == "PATCH":
            old = _scale_of(declared, current.object)
            is_json_patch = request.content_type == patches.JSON_PATCH
            apply = patches.json_patch if is_json_patch else patches.merge_patch
            given = apply(old, given)
        replicas = given["spec"].get("replicas", 0)
        version = given.get("metadata", {}).get("resourceVersion")
    except patches.PatchFailedError as error:
        raise refusals.patch_failed() from error
    except (KeyError, TypeError, AttributeError) as error:
        raise refusals.bad_request(f"not a Scale: {error!r}") from error
    if not isinstance(replicas, int):
        raise refusals.bad_request("the replicas of a Scale are a number")
    change: Any = replicas
    for name in reversed(declared.spec):
        change = {name: change}
    if version:
        change["metadata"] = {"resourceVersion": version}
    main = Target(target.kind, target.namespace, target.name, target.version)
    commit = cluster.patch(main, patches.MERGE_PATCH, change, dry_run=dry_run)
    return msgspec.json.encode(_scale_of(declared, commit.object))


def _declared(target: Target) -> Scale:
    if target.kind.scale is None:
        raise refusals.no_such_resource()
    return target.kind.scale


def _scale_of(declared: Scale, value: Json) -> Json:
    replicas = _at(value, declared.spec)
    status: Json = {"replicas": _at(value, declared.status) or 0}
    if declared.selector and (selector := _at(value, declared.selector)):
        status["selector"] = selector
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {n: value["metadata"][n] for n in _META if n in value["metadata"]},
        "spec": {"replicas": replicas} if replicas else {},
        "status": status,
    }


def _at(value: Any, path: Sequence[str]) -> Any:
    for name in path:
        value = value.get(name) if is_object(value) else None
    return value
