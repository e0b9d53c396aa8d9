"""From the path of a request to what it is about. Pure."""

from __future__ import annotations

from urllib.parse import unquote

from warmclaim.testing import refusals
from warmclaim.testing.resources import Kind, Kinds
from warmclaim.testing.target import Target

_OF_NAMESPACES = ("status", "finalize")


def target_of(kinds: Kinds, path: str) -> Target:
    """The kind, namespace, name and subresource that a path under /api or /apis names.

    Refuses (404) a path that leads to nothing, in the words of the real server.
    """
    # Unescaped before it is cut, as there: an escaped slash cuts, too.
    parts = (unquote(path) if "%" in path else path).strip("/").split("/")
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
        raise _unknown(kinds, group, version)
    name = rest[1] if len(rest) > 1 else ""
    subresource = rest[2] if len(rest) > 2 else ""
    _require_scope(kind, namespace, name)
    if len(rest) > 3 or (subresource and subresource not in kind.subresources):
        raise (
            refusals.not_found(kind.resource, name) if kind.custom else refusals.no_such_resource()
        )
    return Target(kind, namespace, name, version, subresource)


def _unknown(kinds: Kinds, group: str, version: str) -> refusals.Refusal:
    """Groups of built-in kinds answer with a Status, all others with a page of text."""
    served = [kind for kind in kinds if kind.group == group and version in kind.served]
    is_built_in = not group or any(not kind.custom for kind in served)
    return refusals.no_such_resource() if is_built_in else refusals.no_such_path()


def _require_scope(kind: Kind, namespace: str, name: str) -> None:
    if bool(namespace) > kind.namespaced or (name and kind.namespaced and not namespace):
        raise refusals.no_such_path() if kind.custom else refusals.no_such_resource()
