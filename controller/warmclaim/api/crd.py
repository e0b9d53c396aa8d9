"""CustomResourceDefinition (apiextensions.k8s.io/v1): how its objects are converted."""

from __future__ import annotations

from warmclaim.api.meta import ObjectMeta, View


class ServiceReference(View, frozen=True, gc=False):
    """A Service of the cluster. The API server fills in the port 443."""

    namespace: str = ""
    name: str = ""
    path: str | None = None
    port: int | None = None


class ClientConfig(View, frozen=True, gc=False):
    """Where the API server sends objects, and (base64 of PEM) whom it trusts there."""

    service: ServiceReference | None = None
    ca_bundle: str = ""
    url: str | None = None


class Webhook(View, frozen=True, gc=False):
    client_config: ClientConfig | None = None


class Conversion(View, frozen=True, gc=False):
    """`strategy`: None or Webhook."""

    strategy: str = "None"
    webhook: Webhook | None = None


class CustomResourceSpec(View, frozen=True, gc=False):
    """The rest, some 400 kB of schema, is not decoded."""

    conversion: Conversion = Conversion()


class CustomResource(View, frozen=True, gc=False):
    """A definition."""

    metadata: ObjectMeta
    spec: CustomResourceSpec = CustomResourceSpec()
