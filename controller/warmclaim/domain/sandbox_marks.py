"""What a sandbox's marks say of it, in the words that metrics use."""

from __future__ import annotations

from warmclaim.api import names
from warmclaim.api.sandbox import Sandbox
from warmclaim.domain.sandbox_pod import normalised_created_by

_OWNERS = {"SandboxClaim", "SandboxWarmPool"}


def launch_type_of(sandbox: Sandbox) -> str:
    """`warm` or `cold`, by the label; what has none was made for somebody."""
    is_warm = sandbox.metadata.labels.get(names.LABEL_LAUNCH_TYPE) == names.WARM
    return names.WARM if is_warm else names.COLD


def gauge_labels(sandbox: Sandbox) -> tuple[str, ...]:
    """The label values of `agent_sandboxes`: namespace, ready_condition, expired, launch_type,
    sandbox_template, owned_by, created_by."""
    meta, ready = sandbox.metadata, sandbox.ready
    owner = meta.controller_owner()
    return (
        meta.namespace,
        "true" if sandbox.is_ready else "false",
        "true" if ready is not None and ready.reason == "SandboxExpired" else "false",
        launch_type_of(sandbox),
        meta.annotations.get(names.ANNOTATION_TEMPLATE_REF) or "unknown",
        owner.kind if owner is not None and owner.kind in _OWNERS else "None",
        normalised_created_by(meta.labels.get(names.LABEL_CREATED_BY, "")),
    )
