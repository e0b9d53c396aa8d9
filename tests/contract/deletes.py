"""Cases of delete: preconditions, finalizers, propagation, and what the collector makes of it."""

from __future__ import annotations

from tests.contract.bodies import claim, owner, pod, pool, sandbox
from tests.contract.steps import (
    ANY,
    Act,
    Case,
    case,
    delete,
    get,
    merge,
    must_be,
    patch,
    post,
    put,
)

UNKNOWN = "00000000-0000-4000-8000-000000000000"
HELD = post("pools", pool(finalizers=["example.com/held"]), save="old")
GONE = 404
COLLECTED_S = 20.0
"""How long the collector may take, in seconds; the real one looks at once, but not only at us."""


def preconditions(**conditions: str) -> dict[str, object]:
    return {"preconditions": conditions}


DELETES = (
    case(
        "a delete of a custom object answers with a Status",
        post("pools", pool(), save="old"),
        delete(
            "pools/pool",
            has={
                "kind": "Status",
                "status": "Success",
                "details": {
                    "name": "pool",
                    "group": "extensions.agents.x-k8s.io",
                    "kind": "sandboxwarmpools",
                    "uid": "$old.uid",
                },
            },
        ),
        get("pools/pool", 404, reason="NotFound"),
    ),
    case(
        "a delete of what is not there is not found",
        delete(
            "pools/ghost",
            404,
            reason="NotFound",
            has={"details": {"name": "ghost", "kind": "sandboxwarmpools"}},
        ),
    ),
    case(
        "a delete with the right uid is carried out",
        post("pools", pool(), save="old"),
        delete("pools/pool", body=preconditions(uid="$old.uid")),
        get("pools/pool", 404, reason="NotFound"),
    ),
    case(
        "a delete with another uid is refused",
        post("pools", pool(), save="old"),
        delete("pools/pool", 409, reason="Conflict", body=preconditions(uid=UNKNOWN)),
        get("pools/pool", rv="=old"),
    ),
    case(
        "a delete with the right version is carried out",
        post("pools", pool(), save="old"),
        delete("pools/pool", body=preconditions(resourceVersion="$old.rv")),
        get("pools/pool", 404, reason="NotFound"),
    ),
    case(
        "a delete with a stale version is refused",
        post("pools", pool(), save="old"),
        merge("pools/pool", {"spec": {"replicas": 2}}),
        delete("pools/pool", 409, reason="Conflict", body=preconditions(resourceVersion="$old.rv")),
        delete(
            "pools/pool",
            409,
            reason="Conflict",
            body=preconditions(resourceVersion="$old.rv", uid="$old.uid"),
        ),
        get("pools/pool", has={"spec": {"replicas": 2}}),
    ),
    case(
        "a dry run of a delete deletes nothing",
        post("pools", pool(), save="old"),
        delete("pools/pool", query={"dryRun": "All"}),
        get("pools/pool", rv="=old"),
    ),
    case(
        "a delete of a pod that runs nowhere is at once",
        post("pods", pod(), save="old"),
        delete("pods/pod", has={"kind": "Pod", "metadata": {"uid": "$old.uid"}}),
        get("pods/pod", 404, reason="NotFound"),
    ),
    case(
        "a delete of a collection takes those that match",
        post("pools", pool("a", labels={"in": "yes"})),
        post("pools", pool("b", labels={"in": "no"})),
        post("pools", pool("c", labels={"in": "yes"})),
        delete(
            "pools",
            query={"labelSelector": "in=yes"},
            has={"kind": "SandboxWarmPoolList"},
            names=("a", "c"),
        ),
        get("pools", names=("b",)),
    ),
    case(
        "an unknown propagation policy is refused",
        post("pools", pool(), save="old"),
        delete(
            "pools/pool",
            422,
            reason="Invalid",
            body={"propagationPolicy": "Sometimes"},
            causes=(("FieldValueNotSupported", "propagationPolicy"),),
        ),
        get("pools/pool", rv="=old"),
    ),
    case(
        "a policy in the query counts",
        HELD,
        delete(
            "pools/pool",
            query={"propagationPolicy": "Foreground"},
            has={"metadata": {"finalizers": ["example.com/held", "foregroundDeletion"]}},
        ),
    ),
)

FINALIZERS = (
    case(
        "a finalizer keeps a deleted object, under deletion",
        HELD,
        delete(
            "pools/pool",
            has={
                "kind": "SandboxWarmPool",
                "metadata": {
                    "deletionTimestamp": ANY,
                    "deletionGracePeriodSeconds": 0,
                    "finalizers": ["example.com/held"],
                    "generation": 2,
                },
            },
            rv=">old",
        ),
        get("pools/pool", has={"metadata": {"deletionTimestamp": ANY, "uid": "$old.uid"}}),
    ),
    case(
        "a second delete of a held object changes nothing",
        HELD,
        delete("pools/pool", save="first"),
        delete(
            "pools/pool",
            has={"metadata": {"deletionTimestamp": "$first.metadata.deletionTimestamp"}},
            rv="=first",
        ),
    ),
    case(
        "the last finalizer gone, the object is gone",
        HELD,
        delete("pools/pool"),
        merge(
            "pools/pool", {"metadata": {"finalizers": None}}, has={"metadata": {"uid": "$old.uid"}}
        ),
        get("pools/pool", 404, reason="NotFound"),
    ),
    case(
        "one of two finalizers gone, the object stays",
        post("pools", pool(finalizers=["x.io/a", "x.io/b"])),
        delete("pools/pool"),
        merge("pools/pool", {"metadata": {"finalizers": ["x.io/b"]}}),
        get("pools/pool", has={"metadata": {"finalizers": ["x.io/b"]}}),
        merge("pools/pool", {"metadata": {"finalizers": []}}),
        get("pools/pool", 404, reason="NotFound"),
    ),
    case(
        "an object under deletion takes no new finalizer",
        HELD,
        delete("pools/pool", save="deleted"),
        merge(
            "pools/pool",
            {"metadata": {"finalizers": ["example.com/held", "x.io/new"]}},
            422,
            reason="Invalid",
            causes=(("FieldValueForbidden", "metadata.finalizers"),),
        ),
        get("pools/pool", rv="=deleted"),
    ),
    case(
        "an object under deletion may be changed",
        HELD,
        delete("pools/pool", save="deleted"),
        merge(
            "pools/pool",
            {"spec": {"replicas": 4}},
            has={"metadata": {"generation": 3, "deletionTimestamp": ANY}},
            rv=">deleted",
        ),
    ),
    case(
        "the time of deletion cannot be taken back",
        HELD,
        delete("pools/pool", save="deleted"),
        merge(
            "pools/pool",
            {"metadata": {"deletionTimestamp": None}},
            has={"metadata": {"deletionTimestamp": "$deleted.metadata.deletionTimestamp"}},
            rv="=deleted",
        ),
    ),
    case(
        "a finalizer removed from a live object deletes nothing",
        HELD,
        merge("pools/pool", {"metadata": {"finalizers": None}}, lacks=("metadata.finalizers",)),
        get("pools/pool", has={"metadata": {"uid": "$old.uid"}}, rv=">old"),
    ),
    case(
        "a test for no deletion fails on an object under deletion",
        HELD,
        patch("pools/pool", must_be("/metadata/deletionTimestamp", None), rv="=old"),
        delete("pools/pool"),
        patch(
            "pools/pool",
            must_be("/metadata/deletionTimestamp", None),
            code=422,
            reason="Invalid",
        ),
    ),
    case(
        "a create beside an object under deletion is refused",
        HELD,
        delete("pools/pool"),
        post("pools", pool(), 409, reason="AlreadyExists"),
    ),
    case(
        "a status may be written under deletion",
        HELD,
        delete("pools/pool", save="deleted"),
        merge(
            "pools/pool/status",
            {"status": {"replicas": 1}},
            has={"status": {"replicas": 1}, "metadata": {"generation": 2}},
            rv=">deleted",
        ),
    ),
    case(
        "an update that leaves out the last finalizer ends the object",
        HELD,
        delete("pools/pool", save="deleted"),
        put("pools/pool", pool(resourceVersion="$deleted.rv")),
        get("pools/pool", 404, reason="NotFound"),
    ),
    case(
        "a pod with a finalizer stays under deletion",
        post("pods", pod(finalizers=["example.com/held"]), save="old"),
        delete(
            "pods/pod",
            has={"metadata": {"deletionTimestamp": ANY, "deletionGracePeriodSeconds": 0}},
            rv=">old",
        ),
        merge("pods/pod", {"metadata": {"finalizers": None}}),
        get("pods/pod", 404, reason="NotFound"),
    ),
)

POLICIES = (
    case(
        "foreground deletion waits for the collector",
        HELD,
        delete(
            "pools/pool",
            body={"propagationPolicy": "Foreground"},
            has={"metadata": {"finalizers": ["example.com/held", "foregroundDeletion"]}},
        ),
    ),
    case(
        "orphaning waits for the collector",
        HELD,
        delete(
            "pools/pool",
            body={"propagationPolicy": "Orphan"},
            has={"metadata": {"finalizers": ["example.com/held", "orphan"]}},
        ),
    ),
    case(
        "a dependent goes when its owner has gone",
        Act("collect"),
        post("claims", claim(), save="claim"),
        post("sandboxes", sandbox(ownerReferences=[owner("SandboxClaim", "claim")])),
        post("sandboxes", sandbox("free")),
        delete("claims/claim"),
        get("sandboxes/box", GONE, reason="NotFound", within_s=COLLECTED_S),
        get("sandboxes", names=("free",)),
    ),
    case(
        "a dependent of an owner that never was goes",
        Act("collect"),
        post("claims", claim(), save="claim"),
        post(
            "sandboxes",
            sandbox(ownerReferences=[{**owner("SandboxClaim", "claim"), "uid": UNKNOWN}]),
        ),
        get("sandboxes/box", GONE, reason="NotFound", within_s=COLLECTED_S),
        get("claims/claim", rv="=claim"),
    ),
    case(
        "a dependent with another owner left stays, and forgets the one that has gone",
        Act("collect"),
        post("claims", claim("a"), save="a"),
        post("claims", claim("b"), save="b"),
        post(
            "sandboxes",
            sandbox(ownerReferences=[owner("SandboxClaim", "a"), owner("SandboxClaim", "b")]),
        ),
        delete("claims/a"),
        get(
            "sandboxes/box",
            has={"metadata": {"ownerReferences": [{"name": "b", "uid": "$b.uid"}]}},
            within_s=COLLECTED_S,
        ),
    ),
    case(
        "an orphaned dependent stays without its owner",
        Act("collect"),
        post("claims", claim(), save="claim"),
        post("sandboxes", sandbox(ownerReferences=[owner("SandboxClaim", "claim")])),
        delete("claims/claim", body={"propagationPolicy": "Orphan"}),
        get("claims/claim", GONE, reason="NotFound", within_s=COLLECTED_S),
        get("sandboxes/box", lacks=("metadata.ownerReferences",)),
    ),
    case(
        "foreground deletion takes the dependents first",
        Act("collect"),
        post("claims", claim(), save="claim"),
        post(
            "sandboxes",
            sandbox(
                finalizers=["example.com/held"],
                ownerReferences=[
                    owner("SandboxClaim", "claim", controller=True, blockOwnerDeletion=True)
                ],
            ),
        ),
        delete("claims/claim", body={"propagationPolicy": "Foreground"}),
        get("sandboxes/box", has={"metadata": {"deletionTimestamp": ANY}}, within_s=COLLECTED_S),
        get("claims/claim", has={"metadata": {"finalizers": ["foregroundDeletion"]}}),
        merge("sandboxes/box", {"metadata": {"finalizers": None}}),
        get("claims/claim", GONE, reason="NotFound", within_s=COLLECTED_S),
        get("sandboxes/box", GONE, reason="NotFound"),
    ),
)

ENDING = "/apis/extensions.agents.x-k8s.io/v1beta1/namespaces/{ns}-ending/sandboxwarmpools"
NAMESPACES = (
    case(
        "a namespace under deletion takes nothing new, and goes when it is empty",
        Act("collect"),
        post("/api/v1/namespaces", {"metadata": {"name": "{ns}-ending"}}),
        post(ENDING, pool(finalizers=["example.com/held"])),
        delete("/api/v1/namespaces/{ns}-ending", has={"status": {"phase": "Terminating"}}),
        post(
            ENDING,
            pool("late"),
            403,
            reason="Forbidden",
            causes=(("NamespaceTerminating", "metadata.namespace"),),
        ),
        get(f"{ENDING}/pool", has={"metadata": {"deletionTimestamp": ANY}}, within_s=COLLECTED_S),
        merge(f"{ENDING}/pool", {"metadata": {"finalizers": None}}),
        get("/api/v1/namespaces/{ns}-ending", GONE, reason="NotFound", within_s=COLLECTED_S),
    ),
)

CASES: tuple[Case, ...] = DELETES + FINALIZERS + POLICIES + NAMESPACES
