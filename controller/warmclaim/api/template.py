"""SandboxTemplate (extensions.agents.x-k8s.io/v1beta1): the blueprint of a pool's sandboxes."""

from __future__ import annotations

from typing import Any

import msgspec

from warmclaim.api.meta import ObjectMeta, View, shared_raw


class _PodMetadata(View, frozen=True, gc=False):
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class _PodTemplate(View, frozen=True, gc=False):
    """What a blueprint adds to: it has to be there in these types, or not at all."""

    metadata: _PodMetadata = _PodMetadata()
    spec: dict[str, Any] = {}


class TemplateSpec(View, frozen=True, gc=False):
    """The blueprint is decoded whole: it is read seldom and there are few.

    One from which no sandbox could be made does not decode, so nothing is made from it.
    """

    pod_template: dict[str, Any] = {}
    volume_claim_templates: list[dict[str, Any]] = []
    service: bool | None = None
    network_policy: msgspec.Raw = msgspec.Raw(b"null")
    network_policy_management: str = "Managed"
    env_vars_injection_policy: str = "Disallowed"
    volume_claim_templates_policy: str = "Disallowed"

    def __post_init__(self) -> None:
        msgspec.convert(self.pod_template, _PodTemplate)
        msgspec.structs.force_setattr(self, "network_policy", shared_raw(self.network_policy))

    def pod_metadata(self, part: str) -> dict[str, str]:
        """The pod template's "labels" or "annotations"."""
        metadata: dict[str, dict[str, str] | None] = self.pod_template.get("metadata") or {}
        return metadata.get(part) or {}

    @property
    def own_network_policy(self) -> msgspec.Raw | None:
        """The template's own rules as JSON; None where it has none."""
        return None if bytes(self.network_policy) == b"null" else self.network_policy


class Template(View, frozen=True, gc=False):
    metadata: ObjectMeta
    spec: TemplateSpec = TemplateSpec()
