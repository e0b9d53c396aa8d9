"""CustomResourceDefinition objects from the typed kinds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from warmclaim.api.schema.fields import Schema
from warmclaim.api.schema.kinds import STORED, Kind, Version, kinds


@dataclass(frozen=True, slots=True)
class WebhookConversion:
    """Where the API server sends objects to be turned into another version.

    `ca_bundle` is the base64 text of the PEM certificates that the service's certificate is
    checked with; empty leaves it out, for whoever makes the certificate to fill in.
    """

    service: str = "agent-sandbox-webhook-service"
    namespace: str = "agent-sandbox-system"
    path: str = "/convert"
    ca_bundle: str = ""


def crds(conversion: WebhookConversion | None = None) -> dict[str, dict[str, Any]]:
    """All CRD objects by name, fresh; cost about 20 ms.

    Without a conversion v1alpha1 is defined but not served: the server would only rename the
    apiVersion of stored objects, and prune the fields that the other version does not have.
    """
    return {f"{kind.plural}.{kind.group}": _crd(kind, conversion) for kind in kinds()}


def _crd(kind: Kind, conversion: WebhookConversion | None) -> dict[str, Any]:
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{kind.group}"},
        "spec": {
            "group": kind.group,
            "names": {
                "kind": kind.kind,
                "listKind": f"{kind.kind}List",
                "plural": kind.plural,
                "singular": kind.kind.lower(),
                "shortNames": [kind.short_name],
            },
            "scope": "Namespaced",
            "conversion": _conversion(conversion),
            "versions": [
                _version(kind, version, is_served=version.name == STORED or conversion is not None)
                for version in kind.versions
            ],
        },
    }


def _conversion(webhook: WebhookConversion | None) -> dict[str, Any]:
    if webhook is None:
        return {"strategy": "None"}
    service = {"name": webhook.service, "namespace": webhook.namespace, "path": webhook.path}
    client: dict[str, Any] = {"service": service}
    if webhook.ca_bundle:
        client["caBundle"] = webhook.ca_bundle
    return {
        "strategy": "Webhook",
        "webhook": {"clientConfig": client, "conversionReviewVersions": ["v1", "v1beta1"]},
    }


def _version(kind: Kind, version: Version, *, is_served: bool) -> dict[str, Any]:
    is_stored = version.name == STORED
    entry: dict[str, Any] = {
        "name": version.name,
        "served": is_served,
        "storage": is_stored,
        "schema": {"openAPIV3Schema": _root(kind, version)},
    }
    if not is_stored:
        entry["deprecated"] = True
        entry["deprecationWarning"] = (
            f"{kind.group}/{version.name} {kind.kind} is deprecated; "
            f"use {kind.group}/{STORED} {kind.kind} instead"
        )
    if version.columns:
        entry["additionalPrinterColumns"] = [
            {"name": column.name, "type": column.type, "jsonPath": column.json_path}
            for column in version.columns
        ]
    if version.status is not None:
        entry["subresources"] = _subresources(version)
    return entry


def _subresources(version: Version) -> dict[str, Any]:
    subresources: dict[str, Any] = {"status": {}}
    if version.has_scale:
        subresources["scale"] = {
            "specReplicasPath": ".spec.replicas",
            "statusReplicasPath": ".status.replicas",
            "labelSelectorPath": ".status.selector",
        }
    return subresources


def _root(kind: Kind, version: Version) -> Schema:
    properties: dict[str, Schema] = {
        "apiVersion": {"type": "string", "description": "Group and version of this object's form."},
        "kind": {"type": "string", "description": "What this object is."},
        # The server knows metadata and refuses any word about it here, even a description.
        "metadata": {"type": "object"},
        "spec": version.spec,
    }
    if version.status is not None:
        properties["status"] = version.status
    return {
        "type": "object",
        "description": kind.description,
        "properties": properties,
        "required": ["spec"],
    }
