"""What the CRDs say, field by field: the API that clients and manifests depend on."""

from __future__ import annotations

import json

import pytest
from tests.crd_schema import ATOMIC, MAP, Schema, at, facts, fields

from warmclaim.api.schema import WebhookConversion, crds

SANDBOX, CLAIM, POOL, TEMPLATE = "Sandbox", "SandboxClaim", "SandboxWarmPool", "SandboxTemplate"
BETA, ALPHA = "v1beta1", "v1alpha1"

BY_KIND = {crd["spec"]["names"]["kind"]: crd for crd in crds().values()}
TEXT = {"type": "string"}
INT32 = {"type": "integer", "format": "int32"}
COUNT = {**INT32, "minimum": 0}
GENERATION = {"type": "integer", "format": "int64", "minimum": 0}
TIME = {"type": "string", "format": "date-time"}
LIST = {"type": "array"}


def word(*words: str, default: str) -> Schema:
    return {"type": "string", "enum": list(words), "default": default}


def version_of(kind: str, version: str) -> Schema:
    entries: list[Schema] = BY_KIND[kind]["spec"]["versions"]
    return next(entry for entry in entries if entry["name"] == version)


def root(kind: str, version: str) -> Schema:
    schema: Schema = version_of(kind, version)["schema"]["openAPIV3Schema"]
    return schema


POD_TEMPLATE = fields("metadata", "spec", required="spec")
LABELS = fields("labels", "annotations")
CONDITIONS = {
    "conditions[]": fields(
        "type", "status", "reason", "message", "lastTransitionTime", "observedGeneration",
        required="type status reason message lastTransitionTime",
    ),
    "conditions": LIST,
    "conditions[].reason": {
        **TEXT, "minLength": 1, "maxLength": 1024,
        "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
    },
    "conditions[].status": {**TEXT, "enum": ["True", "False", "Unknown"]},
    "conditions[].message": {**TEXT, "maxLength": 32768},
    "conditions[].lastTransitionTime": TIME,
    "conditions[].observedGeneration": GENERATION,
}  # fmt: skip
STATUS_CONDITIONS = {f"status.{path}": fact for path, fact in CONDITIONS.items()}
BLUEPRINT = {
    "spec.podTemplate": POD_TEMPLATE,
    "spec.podTemplate.metadata": LABELS,
    "spec.podTemplate.metadata.labels": MAP,
    "spec.podTemplate.metadata.annotations": MAP,
    "spec.service": {"type": "boolean"},
}
VOLUME_CLAIMS = {
    "spec.volumeClaimTemplates": ATOMIC,
    "spec.volumeClaimTemplates[]": fields("metadata", "spec", required="spec"),
    "spec.volumeClaimTemplates[].metadata": fields("name", "labels", "annotations"),
    "spec.volumeClaimTemplates[].metadata.name": TEXT,
    "spec.volumeClaimTemplates[].metadata.labels": MAP,
}
SANDBOX_BOTH = {
    **BLUEPRINT, **VOLUME_CLAIMS, **STATUS_CONDITIONS,
    "spec.shutdownTime": TIME,
    "spec.shutdownPolicy": word("Delete", "Retain", default="Retain"),
    "status.serviceFQDN": TEXT,
    "status.service": TEXT,
    "status.selector": TEXT,
    "status.podIPs": LIST,
    "status.podIPs[]": TEXT,
}  # fmt: skip
CLAIM_BOTH = {
    **STATUS_CONDITIONS,
    "spec.lifecycle": fields("shutdownTime", "ttlSecondsAfterFinished", "shutdownPolicy"),
    "spec.lifecycle.shutdownTime": TIME,
    "spec.lifecycle.ttlSecondsAfterFinished": COUNT,
    "spec.lifecycle.shutdownPolicy": word("Delete", "DeleteForeground", "Retain", default="Retain"),
    "spec.additionalPodMetadata": LABELS,
    "spec.additionalPodMetadata.labels": MAP,
    "spec.env": ATOMIC,
    "spec.env[]": fields("name", "value", "containerName", required="name value"),
    "status": fields("conditions", "sandbox"),
    "status.sandbox": fields("name", "podIPs"),
    "status.sandbox.name": TEXT,
    "status.sandbox.podIPs": LIST,
    "status.sandbox.podIPs[]": TEXT,
}
POOL_BOTH = {
    "spec.sandboxTemplateRef": fields("name", required="name"),
    "spec.sandboxTemplateRef.name": TEXT,
    "spec.updateStrategy": fields("type"),
    "spec.updateStrategy.type": word("Recreate", "OnReplenish", default="OnReplenish"),
    "status.replicas": INT32,
    "status.readyReplicas": INT32,
    "status.selector": TEXT,
}
TEMPLATE_BOTH = {
    **BLUEPRINT, **VOLUME_CLAIMS,
    "spec.networkPolicy": fields("ingress", "egress"),
    "spec.networkPolicy.ingress": LIST,
    "spec.networkPolicy.ingress[]": fields("from", "ports"),
    "spec.networkPolicy.egress[]": fields("to", "ports"),
    "spec.networkPolicyManagement": word("Managed", "Unmanaged", default="Managed"),
    "spec.envVarsInjectionPolicy": word(
        "Allowed", "Overrides", "Disallowed", default="Disallowed"
    ),
}  # fmt: skip
SANDBOX_SPEC = ("podTemplate", "volumeClaimTemplates", "service", "shutdownTime", "shutdownPolicy")
SANDBOX_STATUS = ("serviceFQDN", "service", "conditions", "selector", "podIPs")
CLAIM_SPEC = ("lifecycle", "additionalPodMetadata", "env")
POOL_SPEC = ("replicas", "sandboxTemplateRef", "updateStrategy")
POOL_STATUS = ("replicas", "readyReplicas", "selector")
TEMPLATE_SPEC = (
    "podTemplate", "volumeClaimTemplates", "service", "networkPolicy", "networkPolicyManagement",
    "envVarsInjectionPolicy",
)  # fmt: skip
IMMUTABLE = (
    "has(self.volumeClaimTemplates) == has(oldSelf.volumeClaimTemplates) && "
    "(!has(self.volumeClaimTemplates) || "
    "self.volumeClaimTemplates == oldSelf.volumeClaimTemplates)"
)
FACTS: dict[tuple[str, str], dict[str, Schema]] = {
    (SANDBOX, BETA): {
        **SANDBOX_BOTH,
        "spec": {
            **fields(*SANDBOX_SPEC, "operatingMode", required="podTemplate"),
            "x-kubernetes-validations": [
                {"rule": IMMUTABLE, "message": "volumeClaimTemplates is immutable"}
            ],
        },
        "spec.operatingMode": word("Running", "Suspended", default="Running"),
        "status": fields(*SANDBOX_STATUS, "nodeName"),
        "status.nodeName": TEXT,
    },
    (SANDBOX, ALPHA): {
        **SANDBOX_BOTH,
        "spec": fields(*SANDBOX_SPEC, "replicas", required="podTemplate"),
        "spec.replicas": {**COUNT, "maximum": 1, "default": 1},
        "status": fields(*SANDBOX_STATUS, "replicas"),
        "status.replicas": INT32,
    },
    (CLAIM, BETA): {
        **CLAIM_BOTH, **VOLUME_CLAIMS,
        "spec": fields(
            *CLAIM_SPEC, "warmPoolRef", "volumeClaimTemplates", required="warmPoolRef"
        ),
        "spec.warmPoolRef": fields("name", required="name"),
        "spec.warmPoolRef.name": TEXT,
    },
    (CLAIM, ALPHA): {
        **CLAIM_BOTH,
        "spec": fields(
            *CLAIM_SPEC, "sandboxTemplateRef", "warmpool", required="sandboxTemplateRef"
        ),
        "spec.sandboxTemplateRef": fields("name", required="name"),
        "spec.warmpool": {**TEXT, "default": "default"},
    },
    (POOL, BETA): {
        **POOL_BOTH,
        "spec": fields(*POOL_SPEC, required="sandboxTemplateRef"),
        "spec.replicas": {**COUNT, "default": 1},
        "status": fields(*POOL_STATUS, "observedGeneration"),
        "status.observedGeneration": GENERATION,
    },
    (POOL, ALPHA): {
        **POOL_BOTH,
        "spec": fields(*POOL_SPEC, required="replicas sandboxTemplateRef"),
        "spec.replicas": COUNT,
        "status": fields(*POOL_STATUS),
    },
    (TEMPLATE, BETA): {
        **TEMPLATE_BOTH,
        "spec": fields(*TEMPLATE_SPEC, "volumeClaimTemplatesPolicy", required="podTemplate"),
        "spec.volumeClaimTemplatesPolicy": word(
            "Disallowed", "Allowed", "Overrides", default="Disallowed"
        ),
    },
    (TEMPLATE, ALPHA): {
        **TEMPLATE_BOTH,
        "spec": fields(*TEMPLATE_SPEC, required="podTemplate"),
    },
}  # fmt: skip
ROWS = [(*of, path, fact) for of, table in FACTS.items() for path, fact in table.items()]


@pytest.mark.parametrize(
    ("kind", "version", "path", "expected"), ROWS, ids=[f"{r[0]}-{r[1]}-{r[2]}" for r in ROWS]
)
def test_a_field_says_exactly_what_the_api_says(
    kind: str, version: str, path: str, expected: Schema
) -> None:
    assert facts(at(root(kind, version), path)) == expected


SCALE = {
    "specReplicasPath": ".spec.replicas",
    "statusReplicasPath": ".status.replicas",
    "labelSelectorPath": ".status.selector",
}
READY = '.status.conditions[?(@.type=="Ready")]'
AGE = ("Age", "date", ".metadata.creationTimestamp")
SANDBOX_COLUMNS = [
    ("Ready", "string", f"{READY}.status"), ("Reason", "string", f"{READY}.reason"), AGE
]  # fmt: skip
CLAIM_COLUMNS = [
    SANDBOX_COLUMNS[0], ("Sandbox", "string", ".status.sandbox.name"), *SANDBOX_COLUMNS[1:]
]  # fmt: skip
POOL_COLUMNS = [
    ("Ready", "integer", ".status.readyReplicas"), ("Desired", "integer", ".spec.replicas"), AGE
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "version", "subresources", "columns"),
    [
        (SANDBOX, BETA, {"status": {}}, SANDBOX_COLUMNS),
        (SANDBOX, ALPHA, {"status": {}, "scale": SCALE}, []),
        (CLAIM, BETA, {"status": {}}, CLAIM_COLUMNS),
        (CLAIM, ALPHA, {"status": {}}, []),
        (POOL, BETA, {"status": {}, "scale": SCALE}, POOL_COLUMNS),
        (POOL, ALPHA, {"status": {}, "scale": SCALE}, POOL_COLUMNS),
        (TEMPLATE, BETA, None, []),
        (TEMPLATE, ALPHA, None, []),
    ],
)
def test_subresources_and_printer_columns(
    kind: str, version: str, subresources: Schema | None, columns: list[tuple[str, str, str]]
) -> None:
    entry = version_of(kind, version)
    shown = entry.get("additionalPrinterColumns", [])
    assert entry.get("subresources") == subresources
    assert [(c["name"], c["type"], c["jsonPath"]) for c in shown] == columns
    has_status = {"status"} if subresources else set[str]()
    assert root(kind, version)["required"] == ["spec"]
    assert set(root(kind, version)["properties"]) == (
        {"apiVersion", "kind", "metadata", "spec"} | has_status
    )


@pytest.mark.parametrize(
    ("kind", "group", "plural", "short"),
    [
        (SANDBOX, "agents.x-k8s.io", "sandboxes", "sandbox"),
        (CLAIM, "extensions.agents.x-k8s.io", "sandboxclaims", "sandboxclaim"),
        (POOL, "extensions.agents.x-k8s.io", "sandboxwarmpools", "swp"),
        (TEMPLATE, "extensions.agents.x-k8s.io", "sandboxtemplates", "sandboxtemplate"),
    ],
)
def test_names_and_versions(kind: str, group: str, plural: str, short: str) -> None:
    spec = BY_KIND[kind]["spec"]
    assert BY_KIND[kind]["metadata"]["name"] == f"{plural}.{group}"
    assert (spec["group"], spec["scope"]) == (group, "Namespaced")
    assert spec["names"] == {
        "kind": kind, "listKind": f"{kind}List", "plural": plural,
        "singular": kind.lower(), "shortNames": [short],
    }  # fmt: skip
    beta, alpha = spec["versions"]
    assert (beta["name"], beta["served"], beta["storage"]) == (BETA, True, True)
    assert (alpha["name"], alpha["storage"], alpha["deprecated"]) == (ALPHA, False, True)
    assert alpha["deprecationWarning"] == (
        f"{group}/v1alpha1 {kind} is deprecated; use {group}/v1beta1 {kind} instead"
    )
    assert "selectableFields" not in json.dumps(spec)


def test_the_old_version_is_served_only_when_a_webhook_converts() -> None:
    webhook = WebhookConversion(ca_bundle="Zm9v")
    for plain, converted in zip(crds().values(), crds(webhook).values(), strict=True):
        assert plain["spec"]["conversion"] == {"strategy": "None"}
        assert [v["served"] for v in plain["spec"]["versions"]] == [True, False]
        assert [v["served"] for v in converted["spec"]["versions"]] == [True, True]
        assert converted["spec"]["conversion"] == {
            "strategy": "Webhook",
            "webhook": {
                "conversionReviewVersions": ["v1", "v1beta1"],
                "clientConfig": {
                    "service": {
                        "name": "agent-sandbox-webhook-service",
                        "namespace": "agent-sandbox-system",
                        "path": "/convert",
                    },
                    "caBundle": "Zm9v",
                },
            },
        }
