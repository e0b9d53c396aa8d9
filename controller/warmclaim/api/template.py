"""SandboxTemplate (extensions.agents.x-k8s.io/v1beta1): the blueprint of a pool's sandboxes."""

from __future__ import annotations

from typing import Any

import msgspec

from warmclaim.api.meta import ObjectMeta, View


class TemplateSpec(View, frozen=True, gc=False):
    """The blueprint is decoded whole: it is read seldom and there are few."""

    pod_template: dict[str, Any] = {}
    volume_claim_templates: list[dict[str, Any]] = []
    service: bool | None = None
    network_policy: msgspec.Raw | None = None
    network_policy_management: str = "Managed"


class Template(View, frozen=True, gc=False):
    metadata: ObjectMeta
    spec: TemplateSpec = TemplateSpec()
