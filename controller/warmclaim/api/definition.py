"""CustomResourceDefinition (apiextensions.k8s.io/v1): in which versions its objects are stored."""

from __future__ import annotations

from typing import Final

from warmclaim.api.crd import Conversion
from warmclaim.api.meta import ObjectMeta, View
from warmclaim.api.resources import CUSTOM_RESOURCE, Resource


class DefinitionSpec(View, frozen=True, gc=False):
    """The schemas, some 400 kB, are not decoded."""

    conversion: Conversion = Conversion()


class DefinitionStatus(View, frozen=True, gc=False):
    """`stored_versions`: all in which any object may be stored."""

    stored_versions: tuple[str, ...] = ()


class Definition(View, frozen=True, gc=False):
    """A definition, for who looks at it but serves no conversion (`api.crd`)."""

    metadata: ObjectMeta
    spec: DefinitionSpec = DefinitionSpec()
    status: DefinitionStatus = DefinitionStatus()


DEFINITION: Final = Resource(
    CUSTOM_RESOURCE.group,
    CUSTOM_RESOURCE.version,
    CUSTOM_RESOURCE.plural,
    CUSTOM_RESOURCE.kind,
    Definition,
    is_namespaced=False,
)
