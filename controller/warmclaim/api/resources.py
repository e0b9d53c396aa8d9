"""Which kinds exist, at which paths, and the view each is read as."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar
from urllib.parse import quote

from warmclaim.api import names
from warmclaim.api.claim import Claim
from warmclaim.api.crd import CustomResource
from warmclaim.api.meta import ObjectKey
from warmclaim.api.network_policy import NetworkPolicy
from warmclaim.api.pod import Pod, Service
from warmclaim.api.pool import Pool
from warmclaim.api.sandbox import Sandbox
from warmclaim.api.secret import Secret
from warmclaim.api.template import Template
from warmclaim.api.volume_claim import VolumeClaim

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Resource(Generic[T_co]):
    """One kind as the API serves it. `group` is "" for the core group. Keys of a kind that belongs
    to no namespace have "" for it."""

    group: str
    version: str
    plural: str
    kind: str
    view: type[T_co]
    is_namespaced: bool = True

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    def __str__(self) -> str:
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def collection(self, namespace: str | None = None) -> str:
        """Path of all objects, of one namespace or of the cluster."""
        return self._objects(quote(namespace, safe="") if namespace else "")

    def item(self, key: ObjectKey, subresource: str | None = None) -> str:
        """Path of one object.

        Raises ValueError for what is no name of an object. Escaping alone would not do: the API
        server takes `%2F` for a slash, so `x/status` would reach the subresource.
        """
        has_place = names.is_object_name(key.namespace) if self.is_namespaced else not key.namespace
        if not (names.is_object_name(key.name) and has_place):
            raise ValueError(f"no object can be named {str(key)[:256]!r}")
        path = f"{self._objects(key.namespace)}/{key.name}"  # such names need no escaping
        return f"{path}/{subresource}" if subresource else path

    def _objects(self, namespace: str) -> str:
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        inside = f"/namespaces/{namespace}" if namespace else ""
        return f"{root}{inside}/{self.plural}"


SANDBOX = Resource(names.SANDBOX_GROUP, names.VERSION, "sandboxes", "Sandbox", Sandbox)
CLAIM = Resource(names.EXTENSIONS_GROUP, names.VERSION, "sandboxclaims", "SandboxClaim", Claim)
POOL = Resource(names.EXTENSIONS_GROUP, names.VERSION, "sandboxwarmpools", "SandboxWarmPool", Pool)
TEMPLATE = Resource(
    names.EXTENSIONS_GROUP, names.VERSION, "sandboxtemplates", "SandboxTemplate", Template
)
POD = Resource("", "v1", "pods", "Pod", Pod)
SERVICE = Resource("", "v1", "services", "Service", Service)
VOLUME_CLAIM = Resource("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", VolumeClaim)
NETWORK_POLICY = Resource(
    "networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy", NetworkPolicy
)
SECRET = Resource("", "v1", "secrets", "Secret", Secret)
CUSTOM_RESOURCE = Resource(
    "apiextensions.k8s.io",
    "v1",
    "customresourcedefinitions",
    "CustomResourceDefinition",
    CustomResource,
    is_namespaced=False,
)
