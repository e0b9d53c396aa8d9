"""What a claim asks for beyond a plain sandbox, and whether it may have it.

All of it is judged before a sandbox is reserved, so that nothing is taken that cannot be used.
Environment variables and volume claims cannot be given to a pod that runs: such a claim gets a
sandbox of its own. Metadata can.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from warmclaim.api import names
from warmclaim.api.claim import Claim
from warmclaim.api.conditions import ClaimReason
from warmclaim.api.sandbox import Sandbox
from warmclaim.api.template import Template
from warmclaim.domain.blueprint import Blueprint, cold_sandbox
from warmclaim.domain.claim_volumes import VolumesRejected, merged_volumes
from warmclaim.domain.env_injection import EnvRejected
from warmclaim.domain.pod_metadata import why_conflicting, why_invalid
from warmclaim.domain.pod_template import (
    PodMetadataChange,
    change_operations,
    escaped,
    given_keys,
    keys_note,
    pod_metadata_of,
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """The claim's own fault: the reason and the text of its Ready condition."""

    reason: ClaimReason
    text: str


def needs_own_sandbox(claim: Claim) -> bool:
    """Does it ask for what no warm sandbox can have?"""
    return bool(claim.spec.env or claim.spec.volume_claim_templates)


def asks_for_more(claim: Claim) -> bool:
    """Does it ask for anything but a plain sandbox? Most do not, and cost nothing here."""
    return needs_own_sandbox(claim) or claim.spec.has_pod_metadata


def why_refused(
    claim: Claim, template: Template | None, blueprint: Blueprint | None, domains: frozenset[str]
) -> Refusal | None:
    """Why it cannot have what it asks for; None if it can, or no template says so yet."""
    if not asks_for_more(claim):
        return None
    extra = claim.spec.additional_pod_metadata
    if problem := why_invalid(extra, domains):
        return Refusal(ClaimReason.INVALID_METADATA, f"invalid additionalPodMetadata: {problem}")
    if template is None or blueprint is None:
        return None
    # Of several faults the API names volumes before metadata, and metadata before variables.
    conflict = why_conflicting(extra, _metadata_of(template))
    try:
        if needs_own_sandbox(claim):
            cold_sandbox(claim, blueprint, template)
    except VolumesRejected as error:
        return Refusal(ClaimReason.VOLUME_CLAIM_TEMPLATES, str(error))
    except EnvRejected as error:
        if conflict is None:
            return Refusal(ClaimReason.ENV_REJECTED, str(error))
    return Refusal(ClaimReason.INVALID_METADATA, conflict) if conflict else None


def why_unusable(template: Template) -> Refusal | None:
    """Why nothing can be made of the template for a claim that asks for no volumes itself."""
    try:
        merged_volumes(template.spec.volume_claim_templates, (), "")
    except VolumesRejected as error:
        return Refusal(ClaimReason.VOLUME_CLAIM_TEMPLATES, str(error))
    return None


def why_unfit(claim: Claim, sandbox: Sandbox, domains: frozenset[str]) -> Refusal | None:
    """The same for a claim that has its sandbox: the metadata it asks for by now."""
    extra = claim.spec.additional_pod_metadata
    if not claim.spec.has_pod_metadata:
        return None
    if problem := why_invalid(extra, domains):
        return Refusal(ClaimReason.INVALID_METADATA, f"invalid additionalPodMetadata: {problem}")
    found, given = pod_metadata_of(sandbox), given_keys(sandbox)
    fixed = {
        "labels": _but(found["labels"], given.labels),
        "annotations": _but(found["annotations"], given.annotations),
    }
    problem = why_conflicting(extra, fixed)
    return Refusal(ClaimReason.INVALID_METADATA, problem) if problem else None


def sync_operations(claim: Claim, sandbox: Sandbox) -> list[dict[str, Any]]:
    """Bring the claim's part of the pod metadata up to date; the template's part was fixed when
    the sandbox was given. None for a claim that asks for nothing and did not before."""
    note = keys_note(claim.spec.additional_pod_metadata)
    noted = sandbox.metadata.annotations.get(names.ANNOTATION_CLAIM_METADATA, "")
    if not note and not noted:
        return []
    given, extra = given_keys(sandbox), claim.spec.additional_pod_metadata
    change = PodMetadataChange(
        extra.labels,
        extra.annotations,
        no_labels=given.labels - extra.labels.keys(),
        no_annotations=given.annotations - extra.annotations.keys(),
    )
    operations = change_operations(sandbox, change)
    if note != noted:
        path = f"/metadata/annotations/{escaped(names.ANNOTATION_CLAIM_METADATA)}"
        has_annotations = bool(sandbox.metadata.annotations)
        if not note:
            operations.append({"op": "remove", "path": path})
        elif has_annotations:
            operations.append({"op": "add", "path": path, "value": note})
        else:
            value = {names.ANNOTATION_CLAIM_METADATA: note}
            operations.append({"op": "add", "path": "/metadata/annotations", "value": value})
    return operations


def _but(members: Mapping[str, str], keys: frozenset[str]) -> dict[str, str]:
    return {key: text for key, text in members.items() if key not in keys}


def _metadata_of(template: Template) -> dict[str, Mapping[str, str]]:
    return {part: template.spec.pod_metadata(part) for part in ("labels", "annotations")}
