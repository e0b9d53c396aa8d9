"""The four kinds of the agent-sandbox API, field by field, in both of their versions.

`v1beta1` is what is stored and what this program reads. `v1alpha1` differs in few fields; both
are built by the same function, so that a difference is visible as a branch.
"""

from __future__ import annotations

from dataclasses import dataclass

from warmclaim.api import names
from warmclaim.api.schema import blueprint, fields
from warmclaim.api.schema.fields import Schema

STORED = "v1beta1"
DEPRECATED = "v1alpha1"

# On spec: a rule on the field itself would not run when the field is added or removed.
_SAME_VOLUME_CLAIMS = (
    "has(self.volumeClaimTemplates) == has(oldSelf.volumeClaimTemplates) && "
    "(!has(self.volumeClaimTemplates) || "
    "self.volumeClaimTemplates == oldSelf.volumeClaimTemplates)"
)


@dataclass(frozen=True, slots=True)
class Column:
    """One column of `kubectl get`; `type` is string, integer or date."""

    name: str
    type: str
    json_path: str


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a kind. A kind without `status` has no subresources at all.

    `has_scale` makes `kubectl scale` and autoscalers work through spec.replicas,
    status.replicas and status.selector.
    """

    name: str
    spec: Schema
    status: Schema | None
    columns: tuple[Column, ...] = ()
    has_scale: bool = False


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind; `description` is what `kubectl explain` says of it."""

    group: str
    kind: str
    plural: str
    short_name: str
    description: str
    versions: tuple[Version, ...]


def kinds() -> tuple[Kind, ...]:
    """All kinds, built anew: the schemas inside are the caller's to change."""
    return (_sandbox_kind(), _claim_kind(), _template_kind(), _pool_kind())


AGE = Column("Age", "date", ".metadata.creationTimestamp")


def _ready(column: str, field: str) -> Column:
    return Column(column, "string", f'.status.conditions[?(@.type=="Ready")].{field}')


def _sandbox_kind() -> Kind:
    return Kind(
        group=names.SANDBOX_GROUP,
        kind="Sandbox",
        plural="sandboxes",
        short_name="sandbox",
        description="One isolated pod with a stable name, and what belongs to it.",
        versions=(
            Version(
                STORED,
                fields.with_rule(
                    _sandbox_spec(STORED),
                    _SAME_VOLUME_CLAIMS,
                    "volumeClaimTemplates is immutable",
                ),
                _sandbox_status(STORED),
                (_ready("Ready", "status"), _ready("Reason", "reason"), AGE),
            ),
            Version(
                DEPRECATED,
                _sandbox_spec(DEPRECATED),
                _sandbox_status(DEPRECATED),
                has_scale=True,
            ),
        ),
    )


def _sandbox_spec(version: str) -> Schema:
    properties = {
        "podTemplate": blueprint.pod_template(),
        "volumeClaimTemplates": blueprint.volume_claim_templates(
            "PersistentVolumeClaims made for this sandbox alone and mounted into its pod. Fixed "
            "once the sandbox exists."
        ),
        "service": blueprint.service(),
        "shutdownTime": fields.timestamp(
            "When the sandbox expires: its pod and Service are removed then. Unset means never."
        ),
        "shutdownPolicy": fields.string(
            "What becomes of the Sandbox object when it expires: Delete removes it too, Retain "
            "keeps it to be looked at.",
            enum=["Delete", "Retain"],
            default="Retain",
        ),
    }
    if version == STORED:
        properties["operatingMode"] = fields.string(
            "Whether a pod is wanted: Running keeps one, Suspended removes it and keeps the "
            "volumes.",
            enum=["Running", "Suspended"],
            default="Running",
        )
    else:
        properties["replicas"] = fields.int32(
            "How many pods are wanted: 1 to run, 0 to suspend.", default=1, minimum=0, maximum=1
        )
    return fields.object_("What the sandbox should be.", properties, required=["podTemplate"])


def _sandbox_status(version: str) -> Schema:
    properties = {
        "serviceFQDN": fields.string("DNS name of the headless Service inside the cluster."),
        "service": fields.string("Name of the headless Service."),
        "conditions": blueprint.conditions("Ready, Suspended, PodScheduled and Finished"),
        "selector": fields.string("Label selector that finds the sandbox's pod, as text."),
        "podIPs": blueprint.pod_ips(),
    }
    if version == STORED:
        properties["nodeName"] = fields.string("The node on which the pod runs.")
    else:
        properties["replicas"] = fields.int32("How many pods there are: 0 or 1.")
    return fields.object_("What the sandbox was last seen to be.", properties)


def _claim_kind() -> Kind:
    sandbox_column = Column("Sandbox", "string", ".status.sandbox.name")
    return Kind(
        group=names.EXTENSIONS_GROUP,
        kind="SandboxClaim",
        plural="sandboxclaims",
        short_name="sandboxclaim",
        description="A request for one sandbox, from a warm pool if it has one to give.",
        versions=(
            Version(
                STORED,
                _claim_spec(STORED),
                _claim_status(),
                (_ready("Ready", "status"), sandbox_column, _ready("Reason", "reason"), AGE),
            ),
            Version(DEPRECATED, _claim_spec(DEPRECATED), _claim_status()),
        ),
    )


def _claim_spec(version: str) -> Schema:
    properties = {
        "lifecycle": _claim_lifecycle(),
        "additionalPodMetadata": blueprint.labels_and_annotations(
            "Labels and annotations that the sandbox's pod gets beside those of the template. A "
            "key that the template sets to another value is an error."
        ),
        "env": fields.array(
            "Environment variables to add to the sandbox. A claim that has any is never served "
            "from the pool, as the variables of a running pod cannot change.",
            fields.object_(
                "One environment variable.",
                {
                    "name": fields.string("Name of the variable."),
                    "value": fields.string("Value of the variable."),
                    "containerName": fields.string(
                        "The container that gets it; unset means the first one."
                    ),
                },
                required=["name", "value"],
            ),
            atomic=True,
        ),
    }
    if version == STORED:
        required = "warmPoolRef"
        properties[required] = blueprint.reference(
            "The pool to take a sandbox from; its template also says how to make one when the "
            "pool has none.",
            "SandboxWarmPool",
        )
        properties["volumeClaimTemplates"] = blueprint.volume_claim_templates(
            "PersistentVolumeClaims to add to the sandbox. A claim that has any is never served "
            "from the pool."
        )
    else:
        required = "sandboxTemplateRef"
        properties[required] = blueprint.reference(
            "The template of the wanted sandbox.", "SandboxTemplate"
        )
        properties["warmpool"] = fields.string(
            "The pool to take from: its name; default for any that has the same template; none "
            "for a sandbox made anew.",
            default="default",
        )
    return fields.object_("What is asked for.", properties, required=[required])


def _claim_lifecycle() -> Schema:
    return fields.object_(
        "When the claim ends and what happens then.",
        {
            "shutdownTime": fields.timestamp(
                "When the claim expires. It is not passed on to the sandbox. Unset means never."
            ),
            "ttlSecondsAfterFinished": fields.int32(
                "How long the claim stays after its pod has finished, counted from the moment the "
                "Finished condition became true. Unset means for ever.",
                minimum=0,
            ),
            "shutdownPolicy": fields.string(
                "What happens to an expired claim: Delete removes it and with it the sandbox, "
                "DeleteForeground lets it stay until the sandbox is gone, Retain removes the "
                "sandbox and keeps the claim to be looked at.",
                enum=["Delete", "DeleteForeground", "Retain"],
                default="Retain",
            ),
        },
    )


def _claim_status() -> Schema:
    return fields.object_(
        "What the claim got.",
        {
            "conditions": blueprint.conditions("Ready and Finished"),
            "sandbox": fields.object_(
                "The sandbox that serves the claim.",
                {
                    "name": fields.string("Its name, in the same namespace."),
                    "podIPs": blueprint.pod_ips(),
                },
            ),
        },
    )


def _pool_kind() -> Kind:
    columns = (
        Column("Ready", "integer", ".status.readyReplicas"),
        Column("Desired", "integer", ".spec.replicas"),
        AGE,
    )
    return Kind(
        group=names.EXTENSIONS_GROUP,
        kind="SandboxWarmPool",
        plural="sandboxwarmpools",
        short_name="swp",
        description="A stock of sandboxes that run already and wait for claims.",
        versions=tuple(
            Version(name, _pool_spec(name), _pool_status(name), columns, has_scale=True)
            for name in (STORED, DEPRECATED)
        ),
    )


def _pool_spec(version: str) -> Schema:
    is_stored = version == STORED
    return fields.object_(
        "What the pool should hold.",
        {
            "replicas": fields.int32(
                "How many unclaimed sandboxes to keep. A claimed one no longer counts and is "
                "replaced.",
                default=1 if is_stored else None,
                minimum=0,
            ),
            "sandboxTemplateRef": blueprint.reference(
                "The template that the pool's sandboxes are made from.", "SandboxTemplate"
            ),
            "updateStrategy": fields.object_(
                "What to do with waiting sandboxes when their template changes.",
                {
                    "type": fields.string(
                        "Recreate replaces them at once; OnReplenish lets them be claimed and "
                        "makes only new ones from the changed template.",
                        enum=["Recreate", "OnReplenish"],
                        default="OnReplenish",
                    )
                },
            ),
        },
        required=["sandboxTemplateRef"] if is_stored else ["replicas", "sandboxTemplateRef"],
    )


def _pool_status(version: str) -> Schema:
    properties = {
        "replicas": fields.int32("How many unclaimed sandboxes there are; absent when 0."),
        "readyReplicas": fields.int32("How many of them are ready; absent when 0."),
        "selector": fields.string("Label selector that finds the pool's sandboxes, as text."),
    }
    if version == STORED:
        properties["observedGeneration"] = fields.generation(
            "The pool's metadata.generation that this status answers."
        )
    return fields.object_("What the pool was last seen to hold.", properties)


def _template_kind() -> Kind:
    return Kind(
        group=names.EXTENSIONS_GROUP,
        kind="SandboxTemplate",
        plural="sandboxtemplates",
        short_name="sandboxtemplate",
        description="A blueprint that pools and claims make sandboxes from.",
        versions=tuple(Version(name, _template_spec(name), None) for name in (STORED, DEPRECATED)),
    )


def _template_spec(version: str) -> Schema:
    properties = {
        "podTemplate": blueprint.pod_template(),
        "volumeClaimTemplates": blueprint.volume_claim_templates(
            "PersistentVolumeClaims that each sandbox of this template gets for itself alone."
        ),
        "service": blueprint.service(),
        "networkPolicy": blueprint.network_policy(),
        "networkPolicyManagement": fields.string(
            "Who looks after the NetworkPolicy: Managed has the controller keep one for this "
            "template, Unmanaged leaves it to you.",
            enum=["Managed", "Unmanaged"],
            default="Managed",
        ),
        "envVarsInjectionPolicy": fields.string(
            "Whether claims may add environment variables: Allowed for new names only, Overrides "
            "also for names the template has, Disallowed for none.",
            enum=["Allowed", "Overrides", "Disallowed"],
            default="Disallowed",
        ),
    }
    if version == STORED:
        properties["volumeClaimTemplatesPolicy"] = fields.string(
            "Whether claims may add volume claims: Allowed for new names only, Overrides also for "
            "names the template has, Disallowed for none.",
            enum=["Disallowed", "Allowed", "Overrides"],
            default="Disallowed",
        )
    return fields.object_("The blueprint.", properties, required=["podTemplate"])
