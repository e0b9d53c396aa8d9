"""From the path of a request to what it is about. Pure."""

from __future__ import annotations

from urllib.parse import unquote

from warmclaim.testing import refusals
from warmclaim.testing.cluster import Target
from warmclaim.testing.resources import Kinds

_OF_NAMESPACES = ("status", "finalize")


def target_of(kinds: Kinds, path: str) -> Target:
    """The kind, namespace, name and subresource that a path under /api or /apis names.

    Refuses (404) a path that leads to nothing, in the words of the real server.
    """
    parts = path.strip("/").split("/")
    if "%" in path:
        parts = [unquote(part) for part in parts]
    if parts[0] == "api" and len(parts) >= 3:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[0] == "apis" and len(parts) >= 4:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        raise refusals.no_such_path()
    namespace = ""
    if rest[0] == "namespaces" and len(rest) >= 3 and rest[2] not in _OF_NAMESPACES:
        namespace, rest = rest[1], rest[2:]
    kind = kinds.at(group, version, rest[0])
    if kind is None:
        served = not group or version in kinds.groups().get(group, ())
        raise refusals.no_such_resource() if served else refusals.no_such_path()
    name = rest[1] if len(rest) > 1 else ""
    subresource = rest[2] if len(rest) > 2 else ""
    if len(rest) > 3 or (subresource and subresource not in kind.subresources):
        raise refusals.no_such_resource()
    if bool(namespace) > kind.namespaced or (name and kind.namespaced and not namespace):
        raise refusals.no_such_resource()
    return Target(kind, namespace, name, version, subresource)
