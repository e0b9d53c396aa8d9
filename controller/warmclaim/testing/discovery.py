"""The documents that say what a server serves: /api, /apis and below, /version. Pure."""

from __future__ import annotations

from warmclaim.testing.json_values import Json
from warmclaim.testing.resources import Kind, Kinds

VERSION: Json = {
    "major": "1",
    "minor": "36",
    "gitVersion": "v1.36.3+warmclaim-embedded",
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "1970-01-01T00:00:00Z",
    "goVersion": "",
    "compiler": "",
    "platform": "",
}
PATH_PARTS_MAX = 3
HEALTH_PATHS = ("/healthz", "/livez", "/readyz")

_VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
# The order is the server's: it differs for kinds that a definition makes.
_CUSTOM_VERBS = ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"]
_SUBRESOURCE_VERBS = ["get", "patch", "update"]


def document(kinds: Kinds, path: str) -> Json | None:
    """The discovery document at `path`, None where there is none."""
    parts = path.strip("/").split("/")
    match parts:
        case [""]:
            roots = [f"/apis/{group}" for group in sorted(kinds.groups())]
            return {"paths": ["/api", "/api/v1", "/apis", *roots, *HEALTH_PATHS, "/version"]}
        case ["version"]:
            return VERSION
        case ["api"]:
            return {"kind": "APIVersions", "versions": ["v1"]}
        case ["apis"]:
            groups = [_group(name, versions) for name, versions in kinds.groups().items()]
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
        case ["api", version]:
            return _resources(kinds, "", version)
        case ["apis", group]:
            versions = kinds.groups().get(group)
            if versions is None:
                return None
            return {"kind": "APIGroup", "apiVersion": "v1", **_group(group, versions)}
        case ["apis", group, version]:
            return _resources(kinds, group, version)
        case _:
            return None


def _group(name: str, versions: list[str]) -> Json:
    listed = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": listed, "preferredVersion": listed[0]}


def _resources(kinds: Kinds, group: str, version: str) -> Json | None:
    served = [kind for kind in kinds if kind.group == group and version in kind.served]
    if not served:
        return None
    listed: list[Json] = []
    for kind in served:
        listed.append(_resource(kind))
        listed.extend(_subresource(kind, name) for name in sorted(kind.subresources))
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": f"{group}/{version}" if group else version,
        "resources": listed,
    }


def _resource(kind: Kind) -> Json:
    return {
        "name": kind.plural,
        "singularName": kind.kind.lower(),
        "namespaced": kind.namespaced,
        "kind": kind.kind,
        "verbs": _CUSTOM_VERBS if kind.custom else _VERBS,
        "shortNames": list(kind.short_names),
    }


def _subresource(kind: Kind, name: str) -> Json:
    shown = {"group": "autoscaling", "version": "v1", "kind": "Scale"} if name == "scale" else {}
    return {
        "name": f"{kind.plural}/{name}",
        "singularName": "",
        "namespaced": kind.namespaced,
        "kind": kind.kind,
        "verbs": _SUBRESOURCE_VERBS,
        **shown,
    }
