"""Sandbox objects made from a template: a pool's member, and a claim's own cold one."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from warmclaim.api import names
from warmclaim.api.claim import Claim
from warmclaim.api.pool import Pool
from warmclaim.api.template import Template
from warmclaim.domain.claim_volumes import merged_volumes
from warmclaim.domain.env_injection import with_env
from warmclaim.domain.owners import owner_reference
from warmclaim.domain.pod_template import keys_note

_POOL_CREATOR = "controller"


@dataclass(frozen=True, slots=True)
class Blueprint:
    """What a template makes of every sandbox: its spec and the hashes that tell versions apart.

    Computed once for each version of a template (`blueprint_of`), since hashing it for every
    sandbox would cost more than the request that creates one. `encoded`: the spec as JSON, of which
    each sandbox gets a copy of its own: 1 us, where `copy.deepcopy` takes 9.
    """

    template_name: str
    spec: Mapping[str, Any]
    encoded: bytes
    hash: str
    pod_template_hash: str

    @property
    def template_ref_hash(self) -> str:
        return names.name_hash(self.template_name)


def blueprint_of(template: Template) -> Blueprint:
    """The blueprint of this version of the template, secure defaults applied."""
    spec: dict[str, Any] = {"podTemplate": copy.deepcopy(template.spec.pod_template)}
    if template.spec.volume_claim_templates:
        spec["volumeClaimTemplates"] = copy.deepcopy(template.spec.volume_claim_templates)
    if template.spec.service is not None:
        spec["service"] = template.spec.service
    pod_template_hash = _json_hash(spec["podTemplate"])
    # Before the hash: an edit of the network policy may change what pods get.
    _apply_secure_defaults(spec["podTemplate"].setdefault("spec", {}), template)
    encoded = msgspec.json.encode(spec)
    return Blueprint(template.metadata.name, spec, encoded, _json_hash(spec), pod_template_hash)


def member_sandbox(
    pool: Pool, blueprint: Blueprint, name: str, *, is_evictable: bool = True
) -> dict[str, Any]:
    """The body of a pool's new member. `is_evictable`: its pod may make room for a scale-down."""
    labels = {
        names.LABEL_WARM_POOL: names.name_hash(pool.metadata.name),
        names.LABEL_TEMPLATE_REF: blueprint.template_ref_hash,
        names.LABEL_POD_TEMPLATE_HASH: blueprint.pod_template_hash,
        names.LABEL_TEMPLATE_HASH: blueprint.hash,
    }
    spec: dict[str, Any] = msgspec.json.decode(blueprint.encoded)
    _pod_metadata(spec, "labels").update(labels)
    if is_evictable:
        _pod_metadata(spec, "annotations").setdefault(names.ANNOTATION_SAFE_TO_EVICT, "true")
    own = {names.LABEL_LAUNCH_TYPE: names.WARM, names.LABEL_CREATED_BY: _POOL_CREATOR}
    owner = owner_reference(pool)
    return _sandbox(pool.metadata.namespace, name, blueprint, {**labels, **own}, owner, spec)


def cold_sandbox(claim: Claim, blueprint: Blueprint, template: Template) -> dict[str, Any]:
    """The body of a sandbox that is made for one claim, under the claim's own name.

    Raises VolumesRejected, and after that EnvRejected, where the template forbids what the claim
    asks for; its additional metadata must have been found good.
    """
    labels = {
        names.LABEL_CLAIM_UID: claim.metadata.uid,
        names.LABEL_TEMPLATE_REF: blueprint.template_ref_hash,
    }
    if created_by := claim.metadata.labels.get(names.LABEL_CREATED_BY):
        labels[names.LABEL_CREATED_BY] = created_by
    spec: dict[str, Any] = msgspec.json.decode(blueprint.encoded)
    extra = claim.spec.additional_pod_metadata
    _pod_metadata(spec, "labels").update({**labels, **extra.labels})
    if extra.annotations:
        _pod_metadata(spec, "annotations").update(extra.annotations)
    policies = template.spec
    own = [msgspec.json.decode(volume) for volume in claim.spec.volume_claim_templates]
    volumes = spec.get("volumeClaimTemplates", [])
    volumes = merged_volumes(volumes, own, policies.volume_claim_templates_policy)
    if volumes:
        spec["volumeClaimTemplates"] = volumes
    pod = spec["podTemplate"]
    pod["spec"] = with_env(pod["spec"], claim.spec.env, policies.env_vars_injection_policy)
    labels[names.LABEL_LAUNCH_TYPE] = names.COLD
    owner = owner_reference(claim)
    namespace, name = claim.metadata.key
    body = _sandbox(namespace, name, blueprint, labels, owner, spec)
    annotations = body["metadata"]["annotations"]
    if note := keys_note(extra):
        annotations[names.ANNOTATION_CLAIM_METADATA] = note
    if trace := claim.metadata.annotations.get(names.ANNOTATION_TRACE_CONTEXT):
        annotations[names.ANNOTATION_TRACE_CONTEXT] = trace
    return body


def _sandbox(
    namespace: str,
    name: str,
    blueprint: Blueprint,
    labels: dict[str, str],
    owner: dict[str, Any],
    spec: dict[str, Any],
) -> dict[str, Any]:
    return {
        "apiVersion": f"{names.SANDBOX_GROUP}/{names.VERSION}",
        "kind": "Sandbox",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": labels,
            # The pod's name is known before it exists; set here it needs no write of its own.
            "annotations": {
                names.ANNOTATION_TEMPLATE_REF: blueprint.template_name,
                names.ANNOTATION_POD_NAME: name,
            },
            "ownerReferences": [owner],
        },
        "spec": spec,
    }


def _apply_secure_defaults(pod_spec: dict[str, Any], template: Template) -> None:
    pod_spec.setdefault("automountServiceAccountToken", False)
    is_managed = template.spec.network_policy_management != "Unmanaged"
    if is_managed and template.spec.own_network_policy is None and not pod_spec.get("dnsPolicy"):
        # The default network policy closes the private ranges, cluster DNS among them.
        pod_spec["dnsPolicy"] = "None"
        pod_spec["dnsConfig"] = {"nameservers": ["8.8.8.8", "1.1.1.1"]}


def _pod_metadata(spec: dict[str, Any], part: str) -> dict[str, str]:
    metadata = spec["podTemplate"].setdefault("metadata", {})
    members: dict[str, str] = metadata.setdefault(part, {})
    return members


def _json_hash(value: object) -> str:
    return names.text_hash(msgspec.json.encode(value, order="deterministic").decode())
