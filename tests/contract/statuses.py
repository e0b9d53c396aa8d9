"""Cases of the status subresource, of leases and of events."""

from __future__ import annotations

from tests.contract.bodies import an_object, lease, pod, pool, template, with_spec
from tests.contract.steps import ANY, Case, case, get, merge, post, put

UNKNOWN = "00000000-0000-4000-8000-000000000000"
STATUS = {"replicas": 3, "readyReplicas": 2, "selector": "a=b"}

STATUSES = (
    case(
        "a write of the object leaves its status alone",
        post("pools", pool()),
        merge("pools/pool/status", {"status": STATUS}, has={"status": STATUS}, save="old"),
        merge("pools/pool", {"status": {"replicas": 9}}, has={"status": STATUS}, rv="=old"),
        put(
            "pools/pool",
            pool(replicas=2, resourceVersion="$old.rv"),
            has={"status": STATUS, "spec": {"replicas": 2}},
            rv=">old",
        ),
    ),
    case(
        "a write of the status leaves spec, metadata and generation alone",
        post("pools", pool(labels={"a": "1"}), save="old"),
        merge(
            "pools/pool/status",
            {
                "metadata": {"labels": {"b": "2"}, "annotations": {"c": "3"}},
                "spec": {"replicas": 9},
                "status": STATUS,
            },
            has={
                "metadata": {"labels": {"a": "1"}, "generation": 1},
                "spec": {"replicas": 1},
                "status": STATUS,
            },
            lacks=("metadata.labels.b", "metadata.annotations"),
            rv=">old",
        ),
    ),
    case(
        "a write of the status with a stale version is refused",
        post("pools", pool(), save="old"),
        merge("pools/pool", {"spec": {"replicas": 2}}),
        merge(
            "pools/pool/status",
            {"metadata": {"resourceVersion": "$old.rv"}, "status": STATUS},
            409,
            reason="Conflict",
        ),
        get("pools/pool/status", lacks=("status",), has={"spec": {"replicas": 2}}),
    ),
    case(
        "a status may be replaced as a whole",
        post("pools", pool()),
        merge("pools/pool/status", {"status": STATUS}, save="old"),
        put(
            "pools/pool/status",
            {**pool(resourceVersion="$old.rv"), "status": {"replicas": 1}},
            has={"status": {"replicas": 1}},
            lacks=("status.selector",),
            rv=">old",
        ),
    ),
    case(
        "a status that says the same keeps the version",
        post("pools", pool()),
        merge("pools/pool/status", {"status": STATUS}, save="old"),
        merge("pools/pool/status", {"status": STATUS}, rv="=old"),
    ),
    case(
        "a status may be removed",
        post("pools", pool()),
        merge("pools/pool/status", {"status": STATUS}, save="old"),
        merge("pools/pool/status", {"status": None}, lacks=("status",), rv=">old"),
    ),
    case(
        "the status of nothing is not found",
        get("pools/ghost/status", 404, reason="NotFound"),
        merge("pools/ghost/status", {"status": {}}, 404, reason="NotFound"),
    ),
    case(
        "a template has no status to write",
        post("templates", template()),
        get("templates/python/status", 404, reason="NotFound", has={"details": {}}),
        merge("templates/python/status", {"status": {}}, 404, reason="NotFound"),
    ),
    case(
        "the status of a pod takes metadata along, but no owners",
        post("pods", pod(), save="old"),
        merge(
            "pods/pod/status",
            {"metadata": {"labels": {"a": "1"}}, "status": {"message": "hello"}},
            has={"metadata": {"labels": {"a": "1"}}, "status": {"message": "hello"}},
            rv=">old",
        ),
    ),
    case(
        "the status of a pod leaves its spec alone",
        post("pods", pod()),
        merge(
            "pods/pod/status",
            {"spec": {"activeDeadlineSeconds": 5}, "status": {"reason": "Told"}},
            has={"status": {"reason": "Told"}},
            lacks=("spec.activeDeadlineSeconds",),
        ),
    ),
)

LEASES = (
    case(
        "a lease is taken once",
        post("leases", lease(), save="mine"),
        post("leases", lease(holder="you"), 409, reason="AlreadyExists"),
        get("leases/lease", has={"spec": {"holderIdentity": "me"}}, rv="=mine"),
    ),
    case(
        "of two renewals from the same view one is refused",
        post("leases", lease(), save="seen"),
        put("leases/lease", lease(holder="you", resourceVersion="$seen.rv"), rv=">seen"),
        put(
            "leases/lease",
            lease(holder="me", resourceVersion="$seen.rv"),
            409,
            reason="Conflict",
            has={"details": {"name": "lease", "group": "coordination.k8s.io", "kind": "leases"}},
        ),
        get("leases/lease", has={"spec": {"holderIdentity": "you"}}),
    ),
    case(
        "an update of a lease that is not there makes it, whatever version it names",
        put("leases/lease", lease(), 201, has={"metadata": {"uid": ANY}}, save="made"),
        put("leases/other", lease("other", resourceVersion="1"), 201, rv=">made"),
        put("leases/third", lease("third", uid=UNKNOWN), 409, reason="Conflict"),
        get("leases/third", 404, reason="NotFound"),
    ),
    case(
        "an update of a lease needs a version",
        post("leases", lease()),
        put(
            "leases/lease",
            lease(holder="you"),
            422,
            reason="Invalid",
            causes=(("FieldValueInvalid", "metadata.resourceVersion"),),
        ),
    ),
    case(
        "the times of a lease keep their six digits",
        post(
            "leases",
            with_spec(lease(), renewTime="2026-01-01T00:00:00.000000Z"),
            has={"spec": {"renewTime": "2026-01-01T00:00:00.000000Z"}},
        ),
    ),
    case(
        "a lease has no generation",
        post("leases", lease(), lacks=("metadata.generation",)),
    ),
)

EVENTS = (
    case(
        "an event is made and made again as a series",
        post(
            "events",
            an_object(
                "events.k8s.io/v1",
                "Event",
                "told.1",
                {},
                eventTime="2026-01-01T00:00:00.000000Z",
                reportingController="warmclaim",
                reportingInstance="warmclaim-1",
                action="Adopting",
                reason="Adopted",
                type="Normal",
                note="hello",
                regarding={"kind": "SandboxClaim", "name": "c", "namespace": "{ns}"},
            ),
            has={"note": "hello", "reason": "Adopted", "metadata": {"uid": ANY}},
        ),
        merge(
            "events/told.1",
            {"series": {"count": 2, "lastObservedTime": "2026-01-01T00:00:01.000000Z"}},
            has={"series": {"count": 2}},
        ),
    ),
)

CASES: tuple[Case, ...] = STATUSES + LEASES + EVENTS
