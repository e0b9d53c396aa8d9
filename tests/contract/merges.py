"""Cases of merge patch, and of the scale subresource."""

from __future__ import annotations

from tests.contract.bodies import pool, sandbox
from tests.contract.steps import Call, Case, case, get, merge, post, put

UNKNOWN = "00000000-0000-4000-8000-000000000000"
MADE = post("pools", pool(labels={"a": "1"}), save="old")
UNCHANGED = get("pools/pool", has={"spec": {"replicas": 1}}, rv="=old")

MERGE_PATCHES = (
    case(
        "a merge patch merges objects and keeps the rest",
        MADE,
        merge(
            "pools/pool",
            {"metadata": {"labels": {"b": "2"}}, "spec": {"replicas": 2}},
            has={
                "metadata": {"labels": {"a": "1", "b": "2"}, "generation": 2},
                "spec": {"replicas": 2, "sandboxTemplateRef": {"name": "python"}},
            },
            rv=">old",
        ),
    ),
    case(
        "null removes a member",
        post("pools", pool(labels={"a": "1", "b": "2"}), save="old"),
        merge(
            "pools/pool",
            {"metadata": {"labels": {"a": None}}},
            has={"metadata": {"labels": {"b": "2"}}},
            lacks=("metadata.labels.a",),
            rv=">old",
        ),
        merge("pools/pool", {"metadata": {"labels": None}}, lacks=("metadata.labels",)),
        merge("pools/pool", {"metadata": {"annotations": None}}, lacks=("metadata.annotations",)),
    ),
    case(
        "null for what is missing changes nothing",
        MADE,
        merge("pools/pool", {"metadata": {"labels": {"z": None}}, "status": None}, rv="=old"),
    ),
    case(
        "null for a member with a default brings the default back",
        post("pools", pool(replicas=5), save="old"),
        merge("pools/pool", {"spec": {"replicas": None}}, has={"spec": {"replicas": 1}}, rv=">old"),
    ),
    case(
        "arrays are replaced as a whole",
        post("pools", pool(finalizers=["x.io/a", "x.io/b"])),
        merge(
            "pools/pool",
            {"metadata": {"finalizers": ["x.io/b"]}},
            has={"metadata": {"finalizers": ["x.io/b"]}},
        ),
    ),
    case(
        "a merge patch with a stale version conflicts",
        MADE,
        merge("pools/pool", {"spec": {"replicas": 2}}, save="new"),
        merge(
            "pools/pool",
            {"metadata": {"resourceVersion": "$old.rv"}, "spec": {"replicas": 3}},
            409,
            reason="Conflict",
        ),
        merge(
            "pools/pool",
            {"metadata": {"resourceVersion": "$new.rv"}, "spec": {"replicas": 3}},
            rv=">new",
        ),
    ),
    case(
        "a merge patch with a wrong uid is refused",
        MADE,
        merge(
            "pools/pool",
            {"metadata": {"uid": UNKNOWN}, "spec": {"replicas": 3}},
            422,
            reason="Invalid",
            causes=(("FieldValueInvalid", "metadata.uid"),),
        ),
        merge("pools/pool", {"metadata": {"uid": "$old.uid"}, "spec": {"replicas": 3}}),
    ),
    case(
        "a merge patch may not change name or namespace",
        MADE,
        merge("pools/pool", {"metadata": {"name": "other"}}, 400, reason="BadRequest"),
        merge("pools/pool", {"metadata": {"namespace": "other"}}, 400, reason="BadRequest"),
        UNCHANGED,
    ),
    case(
        "a merge patch may not set times",
        MADE,
        merge(
            "pools/pool",
            {"metadata": {"creationTimestamp": "2001-01-01T00:00:00Z", "generation": 9}},
            has={
                "metadata": {
                    "creationTimestamp": "$old.metadata.creationTimestamp",
                    "generation": 1,
                }
            },
            rv="=old",
        ),
    ),
    case(
        "a merge patch of another kind or version is refused",
        MADE,
        merge(
            "pools/pool",
            {"kind": "Other"},
            422,
            reason="Invalid",
            causes=(("FieldValueInvalid", "kind"),),
        ),
        merge(
            "pools/pool",
            {"apiVersion": "other/v1"},
            422,
            reason="Invalid",
            causes=(("FieldValueInvalid", "apiVersion"),),
        ),
    ),
    case(
        "unknown members of a merge patch are pruned",
        MADE,
        merge("pools/pool", {"spec": {"ghost": 1}}, lacks=("spec.ghost",), rv="=old"),
    ),
    case(
        "a patch format that is not served is refused",
        MADE,
        Call(
            method="PATCH",
            path="pools/pool",
            body={"spec": {"replicas": 2}},
            content_type="application/strategic-merge-patch+json",
            code=415,
            reason="UnsupportedMediaType",
        ),
        Call(
            method="PATCH",
            path="pools/pool",
            body={"spec": {"replicas": 2}},
            content_type="application/json",
            code=415,
            reason="UnsupportedMediaType",
        ),
    ),
    case(
        "a merge patch that is no object is refused",
        MADE,
        merge("pools/pool", b"[]", 400, reason="BadRequest"),
        merge("pools/pool", b"{", 400, reason="BadRequest"),
    ),
)

SCALES = (
    case(
        "the scale of a pool shows its replicas",
        post("pools", pool(replicas=3), save="old"),
        get(
            "pools/pool/scale",
            has={
                "kind": "Scale",
                "apiVersion": "autoscaling/v1",
                "metadata": {"name": "pool", "namespace": "{ns}", "uid": "$old.uid"},
                "spec": {"replicas": 3},
                "status": {"replicas": 0},
            },
            rv="=old",
        ),
    ),
    case(
        "the scale shows the status of the pool",
        post("pools", pool(replicas=3)),
        merge("pools/pool/status", {"status": {"replicas": 2, "selector": "a=b"}}),
        get("pools/pool/scale", has={"status": {"replicas": 2, "selector": "a=b"}}),
    ),
    case(
        "a merge patch of the scale sets the replicas",
        post("pools", pool(), save="old"),
        merge("pools/pool/scale", {"spec": {"replicas": 4}}, has={"spec": {"replicas": 4}}),
        get("pools/pool", has={"spec": {"replicas": 4}, "metadata": {"generation": 2}}, rv=">old"),
    ),
    case(
        "a stale scale is refused",
        post("pools", pool(), save="old"),
        merge("pools/pool", {"spec": {"replicas": 2}}),
        put(
            "pools/pool/scale",
            {
                "apiVersion": "autoscaling/v1",
                "kind": "Scale",
                "metadata": {"name": "pool", "namespace": "{ns}", "resourceVersion": "$old.rv"},
                "spec": {"replicas": 3},
            },
            409,
            reason="Conflict",
        ),
    ),
    case(
        "a scale of its own version is taken",
        post("pools", pool(), save="old"),
        put(
            "pools/pool/scale",
            {
                "apiVersion": "autoscaling/v1",
                "kind": "Scale",
                "metadata": {"name": "pool", "namespace": "{ns}", "resourceVersion": "$old.rv"},
                "spec": {"replicas": 3},
            },
            has={"spec": {"replicas": 3}},
            rv=">old",
        ),
    ),
    case(
        "negative replicas are refused by the scale, too",
        post("pools", pool(), save="old"),
        merge(
            "pools/pool/scale",
            {"spec": {"replicas": -1}},
            422,
            reason="Invalid",
            causes=(("FieldValueInvalid", "spec.replicas"),),
        ),
        get("pools/pool", rv="=old"),
    ),
    case(
        "a kind without a scale has none",
        post("sandboxes", sandbox()),
        get("sandboxes/box/scale", 404, reason="NotFound", has={"details": {}}),
        get("pools/ghost/scale", 404, reason="NotFound"),
    ),
)

CASES: tuple[Case, ...] = MERGE_PATCHES + SCALES
