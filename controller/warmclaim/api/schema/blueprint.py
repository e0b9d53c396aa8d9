"""Fields that several kinds share: what a sandbox is made of, and how a status is reported."""

from __future__ import annotations

from warmclaim.api.schema import fields
from warmclaim.api.schema.core_types import core_type
from warmclaim.api.schema.fields import Schema


def labels_and_annotations(description: str) -> Schema:
    """Metadata a user may give to an object that a controller makes."""
    return fields.object_(
        description,
        {
            "labels": fields.string_map("Labels to set."),
            "annotations": fields.string_map("Annotations to set."),
        },
    )


def pod_template() -> Schema:
    """The pod a sandbox runs."""
    return fields.object_(
        "The pod that a sandbox runs.",
        {
            "metadata": labels_and_annotations(
                "Labels and annotations of the pod. Keys that the sandbox controllers reserve for "
                "themselves are ignored."
            ),
            "spec": fields.described("The pod's own specification.", core_type("PodSpec")),
        },
        required=["spec"],
    )


def volume_claim_templates(description: str) -> Schema:
    """The PersistentVolumeClaims a sandbox gets for itself alone."""
    claim = fields.object_(
        "One PersistentVolumeClaim to make.",
        {
            "metadata": fields.object_(
                "Name, labels and annotations of the PersistentVolumeClaim.",
                {
                    "name": fields.string(
                        "First part of the claim's name, the sandbox's name being the second; also "
                        "the name of the volume in the pod."
                    ),
                    "labels": fields.string_map("Labels to set."),
                    "annotations": fields.string_map("Annotations to set."),
                },
            ),
            "spec": fields.described(
                "The PersistentVolumeClaim's own specification.",
                core_type("PersistentVolumeClaimSpec"),
            ),
        },
        required=["spec"],
    )
    return fields.array(description, claim, atomic=True)


def service() -> Schema:
    """Whether a sandbox has a headless Service."""
    return fields.boolean(
        "Whether the sandbox has a headless Service: true makes one, false removes the one it "
        "owns, unset leaves things as they are."
    )


def network_policy() -> Schema:
    """The traffic that sandboxes of a template may have."""
    return fields.object_(
        "Which traffic the sandboxes of this template may receive and send, as rules of a "
        "NetworkPolicy that selects their pods.",
        {
            "ingress": fields.array(
                "Traffic that may come in.", core_type("NetworkPolicyIngressRule")
            ),
            "egress": fields.array(
                "Traffic that may go out.", core_type("NetworkPolicyEgressRule")
            ),
        },
    )


def reference(description: str, kind: str) -> Schema:
    """Another object of the same namespace, by name."""
    return fields.object_(
        description,
        {"name": fields.string(f"Name of a {kind} in the same namespace.")},
        required=["name"],
    )


def pod_ips() -> Schema:
    """Addresses of the pod."""
    return fields.array(
        "Addresses of the pod: one, or one of each family in a dual-stack cluster.",
        {"type": "string"},
    )


def conditions(types: str) -> Schema:
    """Conditions, as Kubernetes has them everywhere; `types` says which ones there are.

    The list carries no map key, so a merge patch replaces it whole.
    """
    condition = fields.object_(
        "One observed aspect of the object.",
        {
            "type": fields.string(
                "Which aspect; written in CamelCase, a prefix with a slash names its owner.",
                pattern=(
                    r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?"
                    r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$"
                ),
                max_length=316,
            ),
            "status": fields.string(
                "Whether it holds, as far as is known.", enum=["True", "False", "Unknown"]
            ),
            "reason": fields.string(
                "One word for programs: what caused the latest change.",
                pattern="^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
                min_length=1,
                max_length=1024,
            ),
            "message": fields.string("A sentence for people; may be empty.", max_length=32768),
            "lastTransitionTime": fields.timestamp("When status last took another value."),
            "observedGeneration": fields.generation(
                "The metadata.generation this was said about; if it is lower than the object's, "
                "the condition is out of date."
            ),
        },
        required=["type", "status", "reason", "message", "lastTransitionTime"],
    )
    return fields.array(f"What was last observed: {types}.", condition)
