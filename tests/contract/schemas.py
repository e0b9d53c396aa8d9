"""Cases of the four kinds' schemas, of the rules of metadata, and of sizes."""

from __future__ import annotations

from tests.contract.bodies import claim, pool, ready, sandbox, template, with_spec
from tests.contract.steps import Call, Case, case, get, merge, patch, post, replace

KIB = 1024
UNKNOWN = "00000000-0000-4000-8000-000000000000"
VOLUME = {"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"]}}


def refused(path: str, body: object, *causes: tuple[str, str]) -> Call:
    return post(path, body, 422, reason="Invalid", causes=causes)


def bad_metadata(cause: str, field: str, **metadata: object) -> Call:
    body = pool()
    sent = {**body, "metadata": {**body["metadata"], **metadata}}
    return refused("pools", sent, (cause, f"metadata.{field}"))


SCHEMAS = (
    case(
        "defaults are written into what is made",
        post(
            "pools",
            with_spec(pool(), replicas=None, updateStrategy={}),
            has={"spec": {"replicas": 1, "updateStrategy": {"type": "OnReplenish"}}},
        ),
        post(
            "sandboxes",
            sandbox(),
            has={"spec": {"operatingMode": "Running", "shutdownPolicy": "Retain"}},
        ),
        post(
            "templates",
            template(),
            has={
                "spec": {
                    "networkPolicyManagement": "Managed",
                    "envVarsInjectionPolicy": "Disallowed",
                    "volumeClaimTemplatesPolicy": "Disallowed",
                }
            },
        ),
        post(
            "claims",
            with_spec(claim(), lifecycle={"ttlSecondsAfterFinished": 5}),
            has={"spec": {"lifecycle": {"shutdownPolicy": "Retain"}}},
        ),
    ),
    case(
        "no default is written below a missing parent",
        post("pools", pool(), lacks=("spec.updateStrategy",)),
        post("claims", claim(), lacks=("spec.lifecycle",)),
    ),
    case(
        "unknown members are pruned",
        post(
            "pools",
            {**with_spec(pool(), ghost=1), "extra": {"a": 1}},
            lacks=("spec.ghost", "extra"),
        ),
        post("claims", with_spec(claim(), ghost={"a": []}), lacks=("spec.ghost",)),
    ),
    case(
        "an unknown word of an enumeration is refused",
        refused(
            "sandboxes",
            with_spec(sandbox(), operatingMode="Walking"),
            ("FieldValueNotSupported", "spec.operatingMode"),
        ),
        refused(
            "pools",
            with_spec(pool(), updateStrategy={"type": "Never"}),
            ("FieldValueNotSupported", "spec.updateStrategy.type"),
        ),
        refused(
            "claims",
            with_spec(claim(), lifecycle={"shutdownPolicy": "Maybe"}),
            ("FieldValueNotSupported", "spec.lifecycle.shutdownPolicy"),
        ),
        refused(
            "templates",
            with_spec(template(), envVarsInjectionPolicy="Some"),
            ("FieldValueNotSupported", "spec.envVarsInjectionPolicy"),
        ),
    ),
    case(
        "what is required must be there",
        refused(
            "claims",
            with_spec(claim(), warmPoolRef=None),
            ("FieldValueRequired", "spec.warmPoolRef"),
        ),
        refused(
            "claims",
            with_spec(claim(), warmPoolRef={}),
            ("FieldValueRequired", "spec.warmPoolRef.name"),
        ),
        refused(
            "pools",
            with_spec(pool(), sandboxTemplateRef=None),
            ("FieldValueRequired", "spec.sandboxTemplateRef"),
        ),
        refused(
            "sandboxes",
            with_spec(sandbox(), podTemplate={"spec": {}}),
            ("FieldValueRequired", "spec.podTemplate.spec.containers"),
        ),
        refused(
            "templates", {**template(), "spec": {}}, ("FieldValueRequired", "spec.podTemplate")
        ),
    ),
    case(
        "a number below its least is refused",
        refused(
            "claims",
            with_spec(claim(), lifecycle={"ttlSecondsAfterFinished": -1}),
            ("FieldValueInvalid", "spec.lifecycle.ttlSecondsAfterFinished"),
        ),
    ),
    case(
        "zero replicas are none, not the default",
        post("pools", pool(replicas=0), has={"spec": {"replicas": 0}}),
    ),
    case(
        "a value of another type is refused",
        refused("pools", pool(replicas="two"), ("FieldValueTypeInvalid", "spec.replicas")),
        refused("pools", pool(replicas=1.5), ("FieldValueTypeInvalid", "spec.replicas")),
        refused("claims", with_spec(claim(), env={}), ("FieldValueTypeInvalid", "spec.env")),
        refused(
            "claims",
            with_spec(claim(), env=[{"name": "A", "value": 1}]),
            ("FieldValueTypeInvalid", "spec.env[0].value"),
        ),
    ),
    case(
        "a number that does not fit its format is refused",
        refused("pools", pool(replicas=2**40)),
    ),
    case(
        "a text that is no time is refused",
        refused(
            "sandboxes",
            with_spec(sandbox(), shutdownTime="tomorrow"),
            ("FieldValueTypeInvalid", "spec.shutdownTime"),
        ),
    ),
    case(
        "a null for a member with a default is the default",
        post("pools", pool(replicas=None), has={"spec": {"replicas": 1}}),
    ),
    case(
        "all problems are told at once",
        refused(
            "pools",
            {**pool(), "spec": {"replicas": "x", "updateStrategy": {"type": "Y"}}},
            ("FieldValueTypeInvalid", "spec.replicas"),
            ("FieldValueRequired", "spec.sandboxTemplateRef"),
            ("FieldValueNotSupported", "spec.updateStrategy.type"),
        ),
    ),
    case(
        "a status must fit its schema, too",
        post("sandboxes", sandbox()),
        merge(
            "sandboxes/box/status",
            {"status": {"conditions": [ready(status="Perhaps")]}},
            422,
            reason="Invalid",
            causes=(("FieldValueNotSupported", "status.conditions[0].status"),),
        ),
        merge(
            "sandboxes/box/status",
            {"status": {"conditions": [ready(reason="not one word")]}},
            422,
            reason="Invalid",
            causes=(("FieldValueInvalid", "status.conditions[0].reason"),),
        ),
    ),
    case(
        "the volume claim templates of a sandbox are immutable",
        post("sandboxes", with_spec(sandbox(), volumeClaimTemplates=[VOLUME]), save="old"),
        merge(
            "sandboxes/box",
            {"spec": {"volumeClaimTemplates": []}},
            422,
            reason="Invalid",
            causes=(("FieldValueInvalid", "spec"),),
            text="volumeClaimTemplates is immutable",
        ),
        merge("sandboxes/box", {"spec": {"volumeClaimTemplates": None}}, 422, reason="Invalid"),
        merge("sandboxes/box", {"spec": {"operatingMode": "Suspended"}}, rv=">old"),
    ),
    case(
        "volume claim templates may not be added later",
        post("sandboxes", sandbox()),
        merge(
            "sandboxes/box",
            {"spec": {"volumeClaimTemplates": [VOLUME]}},
            422,
            reason="Invalid",
            causes=(("FieldValueInvalid", "spec"),),
        ),
    ),
    case(
        "an old version that is not served is not there",
        get(
            "/apis/agents.x-k8s.io/v1alpha1/namespaces/{ns}/sandboxes",
            404,
            text="404 page not found",
        ),
    ),
)

METADATA = (
    case(
        "a name with other than small letters, digits, dashes and dots is refused",
        *(
            refused("pools", pool(name), ("FieldValueInvalid", "metadata.name"))
            for name in ("Upper", "under_score", "-dash", "dash-", "a..b", "é")
        ),
        post("pools", pool("a.b-c.1")),
    ),
    case(
        "a name of up to 253 bytes is taken",
        post("pools", pool("a" * 253)),
        refused("pools", pool("a" * 254), ("FieldValueInvalid", "metadata.name")),
    ),
    case(
        "label values are up to 63 letters",
        post("pools", pool("a", labels={"a": "b" * 63, "e": "", "x.io/y": "Z_1.2"})),
        bad_metadata("FieldValueInvalid", "labels", labels={"a": "b" * 64}),
        bad_metadata("FieldValueInvalid", "labels", labels={"a": "has space"}),
        bad_metadata("FieldValueInvalid", "labels", labels={"a b": "c"}),
        refused(
            "pools",
            pool(labels={"x.io/": "c"}),
            ("FieldValueInvalid", "metadata.labels"),
        ),
    ),
    case(
        "labels must be texts",
        post("pools", pool(labels={"a": 1}), 400, reason="BadRequest"),
        post("pools", pool(annotations={"a": {}}), 400, reason="BadRequest"),
    ),
    case(
        "annotations of up to 256 KiB are taken",
        post("pools", pool("a", annotations={"a": "x" * (255 * KIB)})),
        bad_metadata("FieldValueTooLong", "annotations", annotations={"a": "x" * 300_000}),
    ),
    case(
        "annotations that grow beyond 256 KiB are refused",
        post("pools", pool(annotations={"a": "x" * (200 * KIB)}), save="old"),
        merge(
            "pools/pool",
            {"metadata": {"annotations": {"b": "x" * (100 * KIB)}}},
            422,
            reason="Invalid",
            causes=(("FieldValueTooLong", "metadata.annotations"),),
        ),
        get("pools/pool", rv="=old"),
    ),
    case(
        "owners must be named in full",
        bad_metadata(
            "FieldValueInvalid",
            "ownerReferences.uid",
            ownerReferences=[{"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": ""}],
        ),
        bad_metadata(
            "FieldValueInvalid",
            "ownerReferences.name",
            ownerReferences=[{"apiVersion": "v1", "kind": "Pod", "name": "", "uid": "u"}],
        ),
    ),
    case(
        "there is one controlling owner at most",
        bad_metadata(
            "FieldValueInvalid",
            "ownerReferences",
            ownerReferences=[
                {"apiVersion": "v1", "kind": "Pod", "name": n, "uid": n, "controller": True}
                for n in ("a", "b")
            ],
        ),
    ),
    case(
        "a finalizer is a qualified name",
        bad_metadata("FieldValueInvalid", "finalizers", finalizers=["not a name"]),
    ),
)

SIZES = (
    case(
        "an object of 1.4 MB is taken",
        post("claims", with_spec(claim(), env=[{"name": "A", "value": "x" * 1_400_000}])),
    ),
    case(
        "an object of 2 MB is refused for good, with a code that looks passing",
        post(
            "claims",
            with_spec(claim(), env=[{"name": "A", "value": "x" * 2_000_000}]),
            500,
            text="etcdserver: request is too large",
        ),
        get("claims/claim", 404, reason="NotFound"),
    ),
    case(
        "a body beyond 3 MiB is not read",
        post(
            "claims",
            with_spec(claim(), env=[{"name": "A", "value": "x" * 3_200_000}]),
            413,
            reason="RequestEntityTooLarge",
        ),
    ),
    case(
        "a patch of too many operations is refused",
        post("pools", pool(), save="old"),
        patch(
            "pools/pool",
            *(replace("/spec/replicas", 1) for _ in range(10_001)),
            code=413,
            reason="RequestEntityTooLarge",
        ),
        get("pools/pool", rv="=old"),
    ),
)

CASES: tuple[Case, ...] = SCHEMAS + METADATA + SIZES
