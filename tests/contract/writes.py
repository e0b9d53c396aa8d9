"""Cases of create and update: what the server sets, what it refuses, when versions move."""

from __future__ import annotations

from tests.contract.bodies import (
    changed,
    claim,
    config_map,
    pod,
    pool,
    sandbox,
    template,
)
from tests.contract.steps import ANY, Case, case, delete, get, merge, post, put

OF_ANOTHER_NAMESPACE = pool(namespace="elsewhere")
UNKNOWN = "00000000-0000-4000-8000-000000000000"
STATUS = {"replicas": 3, "readyReplicas": 2, "selector": "a=b"}

CREATES = (
    case(
        "a create sets uid, version, generation and time",
        post(
            "pools",
            pool(),
            has={
                "apiVersion": "extensions.agents.x-k8s.io/v1beta1",
                "kind": "SandboxWarmPool",
                "metadata": {
                    "name": "pool",
                    "namespace": "{ns}",
                    "uid": ANY,
                    "resourceVersion": ANY,
                    "creationTimestamp": ANY,
                    "generation": 1,
                },
            },
            save="made",
        ),
        get("pools/pool", has={"metadata": {"uid": "$made.uid"}}, rv="=made"),
    ),
    case(
        "what only the server may set is not taken from the client",
        post(
            "pools",
            pool(
                uid=UNKNOWN,
                generation=7,
                creationTimestamp="2001-01-01T00:00:00Z",
                deletionTimestamp="2001-01-01T00:00:00Z",
                deletionGracePeriodSeconds=5,
                selfLink="/x",
            ),
            has={"metadata": {"generation": 1}},
            lacks=(
                "metadata.deletionTimestamp",
                "metadata.deletionGracePeriodSeconds",
                "metadata.selfLink",
            ),
            save="made",
        ),
        merge("pools/pool", {"metadata": {"uid": UNKNOWN}}, 422, reason="Invalid"),
    ),
    case(
        "a create with a resourceVersion is refused",
        post("pools", pool(resourceVersion="1"), 500, text="resourceVersion should not be set"),
        get("pools/pool", 404, reason="NotFound"),
    ),
    case(
        "a second object of the same name is refused",
        post("pools", pool(), save="first"),
        post(
            "pools",
            pool(replicas=9),
            409,
            reason="AlreadyExists",
            has={
                "details": {
                    "name": "pool",
                    "group": "extensions.agents.x-k8s.io",
                    "kind": "sandboxwarmpools",
                }
            },
        ),
        get("pools/pool", has={"spec": {"replicas": 1}}, rv="=first"),
    ),
    case(
        "the same name in another kind is no conflict",
        post("pools", pool("same")),
        post("claims", claim("same")),
        post("templates", template("same")),
        post("sandboxes", sandbox("same")),
    ),
    case(
        "a deleted name may be used again, with another uid",
        post("pools", pool(), save="first"),
        delete("pools/pool"),
        post("pools", pool(), save="second", rv=">first"),
        merge("pools/pool", {"metadata": {"uid": "$first.uid"}}, 422, reason="Invalid"),
    ),
    case(
        "a generated name is the prefix and five letters",
        post("pools", pool("", generateName="warm-"), save="made", text='"name":"warm-'),
        get("pools/$made.name", has={"metadata": {"generateName": "warm-"}}, rv="=made"),
        post("pools", pool("", generateName="warm-"), rv=">made"),
    ),
    case(
        "a name goes before generateName",
        post("pools", pool("named", generateName="warm-"), has={"metadata": {"name": "named"}}),
    ),
    case(
        "a create without any name is refused",
        post(
            "pools",
            pool(""),
            422,
            reason="Invalid",
            causes=(("FieldValueRequired", "metadata.name"),),
        ),
    ),
    case(
        "a generated name of a too long prefix is cut",
        post(
            "pools", pool("", generateName="a" * 70), has={"metadata": {"generateName": "a" * 70}}
        ),
    ),
    case(
        "the namespace of the body must be that of the path",
        post("pools", OF_ANOTHER_NAMESPACE, 400, reason="BadRequest"),
    ),
    case(
        "a create in a namespace that is not there is refused",
        post(
            "/apis/extensions.agents.x-k8s.io/v1beta1/namespaces/ghost/sandboxwarmpools",
            pool(),
            404,
            reason="NotFound",
            has={"details": {"name": "ghost", "kind": "namespaces"}},
        ),
        post(
            "/api/v1/namespaces/ghost/configmaps",
            config_map(),
            404,
            reason="NotFound",
            has={"details": {"name": "ghost", "kind": "namespaces"}},
        ),
    ),
    case(
        "a create of all namespaces is refused",
        post(
            "/apis/extensions.agents.x-k8s.io/v1beta1/sandboxwarmpools",
            pool(),
            404,
            text="404 page not found",
        ),
        post("/api/v1/configmaps", config_map(), 405, reason="MethodNotAllowed"),
    ),
    case(
        "a dry run answers as the create would, and makes nothing",
        post("pools", pool(), query={"dryRun": "All"}, has={"metadata": {"uid": ANY}}),
        get("pools/pool", 404, reason="NotFound"),
    ),
    case(
        "a dry run is of all stages or none",
        post(
            "pools",
            pool(),
            422,
            reason="Invalid",
            query={"dryRun": "Some"},
            causes=(("FieldValueNotSupported", "dryRun"),),
        ),
        get("pools/pool", 404, reason="NotFound"),
    ),
    case(
        "the status of a create is dropped",
        post("pools", {**pool(), "status": STATUS}, lacks=("status",)),
        post("sandboxes", {**sandbox(), "status": {"nodeName": "n"}}, lacks=("status",)),
    ),
    case(
        "the status of a created pod is the server's",
        post(
            "pods",
            {**pod(), "status": {"phase": "Running", "podIP": "10.1.1.1"}},
            has={"status": {"phase": "Pending"}},
            lacks=("status.podIP",),
        ),
    ),
)

UPDATES = (
    case(
        "an update raises version and generation and keeps uid and time",
        post("pools", pool(), save="old"),
        put(
            "pools/pool",
            pool(replicas=2, resourceVersion="$old.rv"),
            has={
                "metadata": {
                    "uid": "$old.uid",
                    "creationTimestamp": "$old.metadata.creationTimestamp",
                    "generation": 2,
                },
                "spec": {"replicas": 2},
            },
            rv=">old",
        ),
    ),
    case(
        "an update with a stale version is refused and changes nothing",
        post("pools", pool(), save="old"),
        merge("pools/pool", {"spec": {"replicas": 2}}, save="new"),
        put(
            "pools/pool",
            pool(replicas=3, resourceVersion="$old.rv"),
            409,
            reason="Conflict",
            has={"details": {"name": "pool", "kind": "sandboxwarmpools"}},
        ),
        get("pools/pool", has={"spec": {"replicas": 2}}, rv="=new"),
    ),
    case(
        "an update of a custom object needs a version",
        post("pools", pool(), save="old"),
        put(
            "pools/pool",
            pool(replicas=2),
            422,
            reason="Invalid",
            causes=(("FieldValueInvalid", "metadata.resourceVersion"),),
        ),
        get("pools/pool", rv="=old"),
    ),
    case(
        "an update of a config map needs no version",
        post("configmaps", config_map(), save="old"),
        put("configmaps/map", changed(config_map(), data={"key": "other"}), rv=">old"),
    ),
    case(
        "an update that changes nothing keeps the version",
        post("pools", pool(), save="old"),
        put(
            "pools/pool",
            pool(resourceVersion="$old.rv"),
            has={"metadata": {"generation": 1}},
            rv="=old",
        ),
        merge("pools/pool", {"spec": {"replicas": 1}}, rv="=old"),
        merge("pools/pool", {}, rv="=old"),
    ),
    case(
        "a change of labels moves the version and not the generation",
        post("pools", pool(), save="old"),
        merge(
            "pools/pool",
            {"metadata": {"labels": {"a": "b"}}},
            has={"metadata": {"generation": 1, "labels": {"a": "b"}}},
            rv=">old",
        ),
    ),
    case(
        "an update with another uid is refused",
        post("pools", pool(), save="old"),
        put(
            "pools/pool",
            pool(resourceVersion="$old.rv", uid=UNKNOWN),
            409,
            reason="Conflict",
        ),
        get("pools/pool", rv="=old"),
    ),
    case(
        "an update with the uid of before is taken",
        post("pools", pool(), save="old"),
        put("pools/pool", pool(replicas=2, resourceVersion="$old.rv", uid="$old.uid"), rv=">old"),
    ),
    case(
        "an update of nothing is not found",
        put("pools/ghost", pool("ghost", resourceVersion="1"), 404, reason="NotFound"),
        merge("pools/ghost", {}, 404, reason="NotFound"),
    ),
    case(
        "the name of the body must be that of the path",
        post("pools", pool(), save="old"),
        put("pools/pool", pool("other", resourceVersion="$old.rv"), 400, reason="BadRequest"),
    ),
    case(
        "an update takes back neither time nor generation",
        post("pools", pool(), save="old"),
        put(
            "pools/pool",
            pool(resourceVersion="$old.rv", generation=9, creationTimestamp="2001-01-01T00:00:00Z"),
            has={
                "metadata": {
                    "generation": 1,
                    "creationTimestamp": "$old.metadata.creationTimestamp",
                }
            },
            rv="=old",
        ),
    ),
    case(
        "a dry run of an update changes nothing",
        post("pools", pool(), save="old"),
        merge(
            "pools/pool",
            {"spec": {"replicas": 5}},
            query={"dryRun": "All"},
            has={"spec": {"replicas": 5}},
        ),
        get("pools/pool", has={"spec": {"replicas": 1}}, rv="=old"),
    ),
    case(
        "an update replaces labels as a whole",
        post("pools", pool(labels={"a": "1", "b": "2"}), save="old"),
        put(
            "pools/pool",
            pool(resourceVersion="$old.rv", labels={"b": "2"}),
            has={"metadata": {"labels": {"b": "2"}}},
            lacks=("metadata.labels.a",),
            rv=">old",
        ),
    ),
)

CASES: tuple[Case, ...] = CREATES + UPDATES
