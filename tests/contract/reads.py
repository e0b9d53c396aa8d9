"""Cases of get and list: versions, selectors, pages."""

from __future__ import annotations

import base64
import json

from tests.contract.bodies import claim, config_map, pod, pool
from tests.contract.steps import (
    ANY,
    Act,
    Call,
    Case,
    Step,
    case,
    delete,
    get,
    merge,
    post,
)


def token(rv: int, after: str) -> str:
    """A continue token as the server makes it: the list at `rv`, after the name `after`."""
    content = json.dumps({"v": "meta.k8s.io/v1", "rv": rv, "start": f"{after}\0"})
    return base64.urlsafe_b64encode(content.encode()).decode().rstrip("=")


# Made up, since a real server keeps what it has paged for a while, whatever etcd has forgotten.
OLD_TOKEN = token(1, "a")
WAIT_S = 3.0
"""How long a server waits for a version it has not seen, before it says so; in seconds."""


def pools(*names: str, **labels: str) -> tuple[Step, ...]:
    return tuple(post("pools", pool(name, labels=labels), save=name) for name in names)


def listed(*names: str, path: str = "pools", **query: object) -> Call:
    return get(path, query=query, names=names)


GETS = (
    case(
        "what is not there is not found",
        get(
            "pools/ghost",
            404,
            reason="NotFound",
            has={
                "kind": "Status",
                "apiVersion": "v1",
                "status": "Failure",
                "message": 'sandboxwarmpools.extensions.agents.x-k8s.io "ghost" not found',
                "details": {"name": "ghost", "kind": "sandboxwarmpools"},
            },
        ),
    ),
    case(
        "a get may name a version that is to be reached",
        *pools("a"),
        get("pools/a", query={"resourceVersion": "0"}, within_s=5.0, rv="=a"),
        get("pools/a", query={"resourceVersion": "$a.rv"}, rv="=a"),
    ),
    case(
        "a get of a version that is not there yet is refused after three seconds",
        *pools("a"),
        get(
            "pools/a",
            504,
            reason="Timeout",
            query={"resourceVersion": "999999999"},
            has={"details": {"retryAfterSeconds": 1}},
            causes=(("ResourceVersionTooLarge", ""),),
            headers={"retry-after": "1"},
            takes_s=WAIT_S,
        ),
    ),
    case(
        "a get of a version that is no number is refused",
        *pools("a"),
        get("pools/a", 500, query={"resourceVersion": "abc"}, text="strconv.ParseUint"),
    ),
)

LISTS = (
    case(
        "a list is in order of name and has a version of its own",
        *pools("b", "a", "c"),
        get(
            "pools",
            has={
                "kind": "SandboxWarmPoolList",
                "apiVersion": "extensions.agents.x-k8s.io/v1beta1",
                "metadata": {"resourceVersion": ANY},
            },
            names=("a", "b", "c"),
            rv=">=c",
        ),
    ),
    case("a list of nothing is empty, not missing", get("pools", has={"items": []})),
    case(
        "a list of a namespace that is not there is empty",
        get(
            "/apis/extensions.agents.x-k8s.io/v1beta1/namespaces/ghost/sandboxwarmpools",
            has={"items": []},
        ),
    ),
    case(
        "items of a custom kind name their kind, those of a built-in one do not",
        *pools("a"),
        get("pools", has={"items": [{"kind": "SandboxWarmPool", "metadata": {"name": "a"}}]}),
        post("pods", pod()),
        get("pods", has={"kind": "PodList"}, names=("pod",), lacks=("items.kind",)),
    ),
    case(
        "a list from the cache may be had at once",
        *pools("a", "b"),
        get("pools", query={"resourceVersion": "0"}, names=("a", "b"), within_s=5.0),
    ),
    case(
        "a list is not older than the version it names",
        *pools("a", "b"),
        listed("a", "b", resourceVersion="$b.rv", resourceVersionMatch="NotOlderThan"),
        listed("a", "b", resourceVersion="$b.rv"),
    ),
    case(
        "an exact list shows what was",
        *pools("a", "b"),
        delete("pools/a"),
        merge("pools/b", {"spec": {"replicas": 7}}),
        get(
            "pools",
            query={"resourceVersion": "$b.rv", "resourceVersionMatch": "Exact"},
            names=("a", "b"),
            rv="=b",
            has={"items": [{"spec": {"replicas": 1}}, {"spec": {"replicas": 1}}]},
        ),
        listed("a", resourceVersion="$a.rv", resourceVersionMatch="Exact"),
    ),
    case(
        "an exact list of a version that is compacted away has expired",
        *pools("a"),
        merge("pools/a", {"spec": {"replicas": 2}}),
        Act("compact"),
        get(
            "pools",
            410,
            reason="Expired",
            query={"resourceVersion": "1", "resourceVersionMatch": "Exact"},
        ),
    ),
    case(
        "a list of a version that is not there yet is refused after three seconds",
        get(
            "pools",
            504,
            reason="Timeout",
            query={"resourceVersion": "999999999", "resourceVersionMatch": "NotOlderThan"},
            has={"details": {"retryAfterSeconds": 1}},
            causes=(("ResourceVersionTooLarge", ""),),
            takes_s=WAIT_S,
        ),
    ),
    case(
        "a match without a version is refused",
        get(
            "pools",
            422,
            reason="Invalid",
            query={"resourceVersionMatch": "Exact"},
            causes=(("FieldValueForbidden", "resourceVersionMatch"),),
        ),
    ),
    case(
        "an exact match of version 0 is refused",
        get(
            "pools",
            422,
            reason="Invalid",
            query={"resourceVersion": "0", "resourceVersionMatch": "Exact"},
            causes=(("FieldValueForbidden", "resourceVersionMatch"),),
        ),
    ),
    case(
        "an unknown match is refused",
        get(
            "pools",
            422,
            reason="Invalid",
            query={"resourceVersion": "1", "resourceVersionMatch": "Nearly"},
            causes=(("FieldValueNotSupported", "resourceVersionMatch"),),
        ),
    ),
    case(
        "a list of a version that is no number is refused",
        get("pools", 400, reason="BadRequest", query={"resourceVersion": "abc"}),
    ),
)

SELECTORS = (
    case(
        "labels select",
        *pools("a", "b", app="x", tier="1"),
        *pools("c", app="y"),
        *pools("d"),
        listed("a", "b", labelSelector="app=x"),
        listed("a", "b", labelSelector="app==x,tier=1"),
        listed("c", "d", labelSelector="app!=x"),
        listed("a", "b", "c", labelSelector="app in (x, y)"),
        listed("d", labelSelector="app notin (x,y)"),
        listed("a", "b", "c", labelSelector="app"),
        listed("d", labelSelector="!app"),
        listed(labelSelector="app=z"),
        listed("c", labelSelector="app,app!=x,!tier"),
    ),
    case(
        "labels compare as numbers",
        *pools("a", size="5"),
        *pools("b", size="50"),
        listed("b", labelSelector="size>10"),
        listed("a", labelSelector="size<10"),
    ),
    case(
        "a label selector that cannot be read is refused",
        get("pools", 400, reason="BadRequest", query={"labelSelector": "a in b"}),
        get("pools", 400, reason="BadRequest", query={"labelSelector": "=x"}),
    ),
    case(
        "names and namespaces select",
        *pools("a", "b"),
        listed("a", fieldSelector="metadata.name=a"),
        listed("b", fieldSelector="metadata.name!=a"),
        listed("a", "b", fieldSelector="metadata.namespace={ns}"),
        listed(fieldSelector="metadata.name=a,metadata.name=b"),
    ),
    case(
        "a field that is not selectable is refused",
        get("pools", 400, reason="BadRequest", query={"fieldSelector": "spec.replicas=1"}),
        get("pods", 400, reason="BadRequest", query={"fieldSelector": "spec.ghost=1"}),
        get("pools", 400, reason="BadRequest", query={"fieldSelector": "metadata.name"}),
    ),
    case(
        "pods are selected by phase and node",
        post("pods", pod("a")),
        post("pods", pod("b")),
        listed("a", "b", path="pods", fieldSelector="status.phase=Pending"),
        listed(path="pods", fieldSelector="status.phase=Running"),
        listed("a", "b", path="pods", fieldSelector="spec.nodeName="),
        listed("b", path="pods", fieldSelector="metadata.name=b,spec.nodeName="),
    ),
    case(
        "selectors of labels and fields count together",
        *pools("a", "b", app="x"),
        listed("b", labelSelector="app=x", fieldSelector="metadata.name=b"),
    ),
    case(
        "a list of all namespaces finds ours",
        post("claims", claim("a", labels={"contract": "all-namespaces"})),
        listed(
            "a",
            path="/apis/extensions.agents.x-k8s.io/v1beta1/sandboxclaims",
            labelSelector="contract=all-namespaces",
        ),
    ),
)

PAGES = (
    case(
        "pages go on where the last one ended, at one version",
        *pools("a", "b", "c", "d", "e"),
        get(
            "pools",
            query={"limit": 2},
            names=("a", "b"),
            has={"metadata": {"continue": ANY, "remainingItemCount": 3}},
            save="first",
        ),
        *pools("f"),
        delete("pools/d"),
        get(
            "pools",
            query={"limit": 2, "continue": "$first.continue"},
            names=("c", "d"),
            has={"metadata": {"continue": ANY, "remainingItemCount": 1}},
            rv="=first",
            save="second",
        ),
        get(
            "pools",
            query={"limit": 2, "continue": "$second.continue"},
            names=("e",),
            has={"metadata": {"continue": ""}},
            lacks=("metadata.remainingItemCount",),
            rv="=first",
        ),
    ),
    case(
        "a page that holds all goes nowhere",
        *pools("a", "b"),
        get("pools", query={"limit": 2}, names=("a", "b"), has={"metadata": {"continue": ""}}),
        get("pools", query={"limit": 9}, names=("a", "b"), has={"metadata": {"continue": ""}}),
    ),
    case(
        "with a selector nobody counts what remains",
        *pools("a", "b", "c", app="x"),
        get(
            "pools",
            query={"limit": 1, "labelSelector": "app=x"},
            names=("a",),
            has={"metadata": {"continue": ANY}},
            lacks=("metadata.remainingItemCount",),
        ),
    ),
    case(
        "a continue token that is none is refused",
        get("pools", 400, reason="BadRequest", query={"limit": 1, "continue": "nonsense"}),
    ),
    case(
        "a continue token with a version is refused",
        *pools("a", "b"),
        get("pools", query={"limit": 1}, save="first"),
        get(
            "pools",
            400,
            reason="BadRequest",
            query={"limit": 1, "continue": "$first.continue", "resourceVersion": "$a.rv"},
        ),
    ),
    case(
        "a continue token whose version is compacted away has expired, and comes with another",
        *pools("a", "b", "c"),
        delete("pools/b"),
        Act("compact"),
        get(
            "pools",
            410,
            reason="Expired",
            query={"limit": 1, "continue": OLD_TOKEN},
            has={"metadata": {"continue": ANY}},
            save="expired",
        ),
        get("pools", query={"continue": "$expired.continue"}, names=("c",)),
    ),
    case(
        "a limit that is no number is refused",
        get("pools", 400, reason="BadRequest", query={"limit": "many"}),
    ),
    case(
        "config maps come in pages, too",
        post("configmaps", config_map("y", labels={"mine": "yes"})),
        post("configmaps", config_map("z", labels={"mine": "yes"})),
        get(
            "configmaps",
            query={"limit": 1, "labelSelector": "mine=yes"},
            names=("y",),
            save="first",
        ),
        get(
            "configmaps",
            query={"limit": 1, "labelSelector": "mine=yes", "continue": "$first.continue"},
            names=("z",),
        ),
    ),
    case(
        "a page with a selector may go on to nothing",
        *pools("a", app="x"),
        *pools("b"),
        get(
            "pools",
            query={"limit": 1, "labelSelector": "app=x"},
            names=("a",),
            has={"metadata": {"continue": ANY}},
            save="first",
        ),
        get(
            "pools",
            query={"limit": 1, "labelSelector": "app=x", "continue": "$first.continue"},
            has={"items": [], "metadata": {"continue": ""}},
        ),
    ),
)

CASES: tuple[Case, ...] = GETS + LISTS + SELECTORS + PAGES
