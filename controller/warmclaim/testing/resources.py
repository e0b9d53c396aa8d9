"""Which kinds an API server serves: the built-in ones, and those that CRD objects define."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, TypeAlias

import msgspec

from warmclaim.testing.json_values import Json
from warmclaim.testing.schema import Structure
from warmclaim.testing.store import Commit

Converter: TypeAlias = Callable[[Json, str], Json]
"""Takes an object and a version; returns the object in that version, without changing its input."""


@dataclass(frozen=True, slots=True)
class Scale:
    """Where a kind keeps what its `scale` subresource shows; each a tuple of field names."""

    spec: tuple[str, ...]
    status: tuple[str, ...]
    selector: tuple[str, ...] = ()


def same_but_version(group: str) -> Converter:
    """Conversion strategy None: only apiVersion differs."""

    def convert(value: Json, version: str) -> Json:
        return {**value, "apiVersion": f"{group}/{version}" if group else version}

    return convert


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of object. `group` is "" for the core group; `version` is the stored one.

    `graceful_s`: how long a delete leaves the object terminating by default (pods).
    `needs_version`: a PUT must carry metadata.resourceVersion.
    `made_by_update`: a PUT makes what is not there.
    `returns_deleted`: a DELETE answers with the object rather than with a Status.
    """

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True
    versions: tuple[str, ...] = ()
    short_names: tuple[str, ...] = ()
    subresources: frozenset[str] = frozenset()
    scale: Scale | None = None
    custom: bool = False
    has_generation: bool = False
    needs_version: bool = False
    made_by_update: bool = False
    returns_deleted: bool = False
    graceful_s: int = 0
    selectable: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    structures: Mapping[str, Structure] = field(default_factory=dict[str, Structure])
    convert: Converter | None = None

    @property
    def resource(self) -> str:
        """ "pods", "sandboxes.agents.x-k8s.io": how messages and the store name it."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def served(self) -> tuple[str, ...]:
        return self.versions or (self.version,)

    @property
    def has_status(self) -> bool:
        return "status" in self.subresources

    def api_version(self, version: str = "") -> str:
        version = version or self.version
        return f"{self.group}/{version}" if self.group else version

    def key(self, namespace: str, name: str) -> str:
        """The store's key of an object."""
        return f"{namespace}/{name}" if self.namespaced else name

    def head(self, version: str = "") -> bytes:
        """How the JSON of every object of this kind begins, up to its third member."""
        return f'{{"apiVersion":"{self.api_version(version)}","kind":"{self.kind}",'.encode()

    def converted(self, value: Json, version: str) -> Json:
        """The object in `version`, from whatever served version it is in."""
        if value["apiVersion"] == self.api_version(version):
            return value
        return (self.convert or same_but_version(self.group))(value, version)

    def encoded(self, commit: Commit, version: str) -> bytes:
        """The committed object as JSON in `version`."""
        if version == self.version:
            return commit.encoded
        if self.convert is None:
            return self.head(version) + commit.encoded[len(self.head()) :]
        return msgspec.json.encode(self.convert(commit.object, version))


_NAMES = {"metadata.name": ("metadata", "name"), "metadata.namespace": ("metadata", "namespace")}
_POD_FIELDS = {
    "spec.nodeName": ("spec", "nodeName"),
    "spec.restartPolicy": ("spec", "restartPolicy"),
    "spec.schedulerName": ("spec", "schedulerName"),
    "spec.serviceAccountName": ("spec", "serviceAccountName"),
    "status.phase": ("status", "phase"),
    "status.podIP": ("status", "podIP"),
}
_STATUS = frozenset({"status"})

CRD = Kind(
    "apiextensions.k8s.io",
    "v1",
    "customresourcedefinitions",
    "CustomResourceDefinition",
    namespaced=False,
    short_names=("crd", "crds"),
    subresources=_STATUS,
    has_generation=True,
    needs_version=True,
)
NAMESPACE = Kind(
    "",
    "v1",
    "namespaces",
    "Namespace",
    namespaced=False,
    short_names=("ns",),
    subresources=frozenset({"status", "finalize"}),
)
NODE = Kind("", "v1", "nodes", "Node", namespaced=False, short_names=("no",), subresources=_STATUS)
POD = Kind(
    "",
    "v1",
    "pods",
    "Pod",
    short_names=("po",),
    subresources=_STATUS,
    has_generation=True,
    returns_deleted=True,
    graceful_s=30,
    selectable=_POD_FIELDS,
)
SERVICE = Kind(
    "",
    "v1",
    "services",
    "Service",
    short_names=("svc",),
    subresources=_STATUS,
    returns_deleted=True,
)
PVC = Kind(
    "",
    "v1",
    "persistentvolumeclaims",
    "PersistentVolumeClaim",
    short_names=("pvc",),
    subresources=_STATUS,
    returns_deleted=True,
)
SECRET = Kind("", "v1", "secrets", "Secret")
CONFIG_MAP = Kind("", "v1", "configmaps", "ConfigMap", short_names=("cm",))
EVENT = Kind("events.k8s.io", "v1", "events", "Event", short_names=("ev",))
LEASE = Kind(
    "coordination.k8s.io", "v1", "leases", "Lease", needs_version=True, made_by_update=True
)
NETWORK_POLICY = Kind(
    "networking.k8s.io",
    "v1",
    "networkpolicies",
    "NetworkPolicy",
    short_names=("netpol",),
    has_generation=True,
)
BUILT_IN = (
    NAMESPACE,
    NODE,
    POD,
    SERVICE,
    PVC,
    SECRET,
    CONFIG_MAP,
    EVENT,
    LEASE,
    NETWORK_POLICY,
    CRD,
)


class Kinds:
    """The kinds that are served, by path and by name."""

    def __init__(self, kinds: Iterable[Kind] = BUILT_IN) -> None:
        self._by_path: dict[tuple[str, str, str], Kind] = {}
        self._by_kind: dict[tuple[str, str], Kind] = {}
        for kind in kinds:
            self.register(kind)

    def __iter__(self) -> Iterator[Kind]:
        return iter(self._by_kind.values())

    def register(self, kind: Kind) -> None:
        """Serves `kind`, in place of an earlier one of the same group and plural."""
        self.remove(kind.group, kind.plural)
        self._by_kind[kind.group, kind.kind] = kind
        for version in kind.served:
            self._by_path[kind.group, version, kind.plural] = kind

    def remove(self, group: str, plural: str) -> None:
        """Stops serving; no error if it was not served."""
        for path in [p for p in self._by_path if p[0] == group and p[2] == plural]:
            self._by_kind.pop((group, self._by_path.pop(path).kind), None)

    def at(self, group: str, version: str, plural: str) -> Kind | None:
        """The kind behind a path, None if nothing is served there."""
        return self._by_path.get((group, version, plural))

    def named(self, api_version: str, kind: str) -> Kind | None:
        """The kind that an object's or owner reference's words mean, whatever its version."""
        group, _, _ = api_version.rpartition("/")
        return self._by_kind.get((group, kind))

    def groups(self) -> dict[str, list[str]]:
        """Group to its served versions, preferred one first; without the core group."""
        groups: dict[str, list[str]] = {}
        for kind in self:
            versions = groups.setdefault(kind.group, [])
            versions.extend(v for v in kind.served if v not in versions)
        groups.pop("", None)
        return groups


def kind_from_crd(crd: Json) -> Kind:
    """The kind that a CustomResourceDefinition defines.

    Raises KeyError for one without names or a stored version, ValueError for a CEL rule that the
    schema cannot follow.
    """
    spec = crd["spec"]
    names = spec["names"]
    served = [v for v in spec["versions"] if v.get("served", True)]
    stored = next(v for v in spec["versions"] if v.get("storage"))
    # Preferred is the stored version here; the real order (GA, beta, alpha) gives the same.
    served.sort(key=lambda v: v["name"] != stored["name"])
    subresources = stored.get("subresources", {})
    return Kind(
        spec["group"],
        stored["name"],
        names["plural"],
        names["kind"],
        namespaced=spec.get("scope", "Namespaced") == "Namespaced",
        versions=tuple(v["name"] for v in served),
        short_names=tuple(names.get("shortNames", ())),
        subresources=frozenset(subresources),
        scale=_scale(subresources.get("scale")),
        custom=True,
        has_generation=True,
        needs_version=True,
        structures=_structures(served),
    )


def selectable_fields(kind: Kind) -> Mapping[str, tuple[str, ...]]:
    """Field selectors that a list of this kind accepts, and where each looks."""
    return {**_NAMES, **kind.selectable}


def _scale(declared: Mapping[str, Any] | None) -> Scale | None:
    if declared is None:
        return None

    def parts(key: str) -> tuple[str, ...]:
        return tuple(part for part in declared.get(key, "").split(".") if part)

    return Scale(parts("specReplicasPath"), parts("statusReplicasPath"), parts("labelSelectorPath"))


def _structures(versions: Iterable[Json]) -> dict[str, Structure]:
    return {
        v["name"]: _compiled(msgspec.json.encode(v["schema"]["openAPIV3Schema"]))
        for v in versions
        if v.get("schema", {}).get("openAPIV3Schema")
    }


@lru_cache(maxsize=64)
def _compiled(schema: bytes) -> Structure:
    """By content: a simulation starts thousands of servers with the same definitions."""
    return Structure.compiled(msgspec.json.decode(schema), is_root=True)
