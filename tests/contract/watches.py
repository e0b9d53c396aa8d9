"""Cases of watch: where it begins, what it tells, how it ends."""

from __future__ import annotations

from tests.contract.bodies import claim, lease, pod, pool
from tests.contract.steps import (
    ANY,
    Act,
    Case,
    Ends,
    Event,
    Step,
    Watch,
    case,
    delete,
    get,
    merge,
    post,
    sees,
)

WATCH_LIST = {
    "sendInitialEvents": "true",
    "resourceVersionMatch": "NotOlderThan",
    "allowWatchBookmarks": "true",
}
END_OF_LIST = Event(
    "BOOKMARK",
    has={
        "kind": "SandboxWarmPool",
        "metadata": {"annotations": {"k8s.io/initial-events-end": "true"}, "resourceVersion": ANY},
    },
)


def made(*names: str, **labels: str) -> tuple[Step, ...]:
    return tuple(post("pools", pool(name, labels=labels), save=name) for name in names)


def from_(name: str) -> dict[str, object]:
    return {"resourceVersion": f"${name}.rv"}


STARTS = (
    case(
        "a watch from a version tells what came after it, in order",
        *made("a", "b"),
        Watch("w", "pools", from_("a")),
        sees("w", Event("ADDED", "b", rv="=b")),
        merge("pools/a", {"spec": {"replicas": 2}}, save="a2"),
        delete("pools/b"),
        *made("c"),
        sees(
            "w",
            Event("MODIFIED", "a", has={"spec": {"replicas": 2}}, rv="=a2"),
            Event("DELETED", "b", rv=">a2"),
            Event("ADDED", "c", rv="=c"),
        ),
    ),
    case(
        "a watch from the version of a list misses nothing",
        *made("a"),
        get("pools", save="list"),
        Watch("w", "pools", from_("list")),
        *made("b"),
        sees("w", Event("ADDED", "b", rv="=b")),
    ),
    case(
        "a watch without a version tells first what there is",
        *made("a", "b", "c"),
        Watch("w", "pools"),
        sees("w", ("ADDED", "a"), ("ADDED", "b"), ("ADDED", "c"), any_order=True),
        *made("d"),
        sees("w", ("ADDED", "d")),
    ),
    case(
        "a watch from version 0 tells first what the cache has",
        *made("a", "b"),
        get("pools", query={"resourceVersion": "$b.rv"}),
        Watch("w", "pools", {"resourceVersion": "0"}),
        sees("w", ("ADDED", "a"), ("ADDED", "b"), any_order=True),
        merge("pools/a", {"spec": {"replicas": 2}}),
        sees("w", ("MODIFIED", "a")),
    ),
    case(
        "first events are as the objects are now",
        *made("a"),
        merge("pools/a", {"spec": {"replicas": 5}}, save="now"),
        Watch("w", "pools"),
        sees("w", Event("ADDED", "a", has={"spec": {"replicas": 5}}, rv="=now")),
    ),
    case(
        "a watch-list ends its first events with a bookmark",
        *made("a", "b"),
        Watch("w", "pools", WATCH_LIST),
        sees("w", ("ADDED", "a"), ("ADDED", "b"), any_order=True),
        sees("w", END_OF_LIST),
        *made("c"),
        sees("w", Event("ADDED", "c", rv="=c")),
    ),
    case(
        "the bookmark of a watch-list is not older than its objects",
        *made("a"),
        Watch("w", "pools", WATCH_LIST),
        sees("w", Event("ADDED", "a", rv="=a"), Event("BOOKMARK", rv=">=a")),
    ),
    case(
        "a watch-list of nothing is a bookmark",
        Watch("w", "pools", WATCH_LIST),
        sees("w", END_OF_LIST),
    ),
    case(
        "a watch-list from a version waits for it and lists all",
        *made("a", "b"),
        Watch("w", "pools", {**WATCH_LIST, **from_("b")}),
        sees("w", ("ADDED", "a"), ("ADDED", "b"), any_order=True),
        sees("w", END_OF_LIST),
    ),
    case(
        "a watch without a version that takes bookmarks is a watch-list",
        *made("a"),
        Watch("w", "pools", {"allowWatchBookmarks": "true"}),
        sees("w", Event("ADDED", "a"), END_OF_LIST),
    ),
    case(
        "a watch-list may refuse first events",
        *made("a"),
        Watch("w", "pools", {**WATCH_LIST, "sendInitialEvents": "false", **from_("a")}),
        *made("b"),
        sees("w", ("ADDED", "b")),
    ),
    case(
        "a watch-list without a match is refused",
        get(
            "pools",
            422,
            reason="Invalid",
            query={"watch": "true", "sendInitialEvents": "true"},
            causes=(("FieldValueForbidden", "resourceVersionMatch"),),
        ),
    ),
    case(
        "a match without first events is refused",
        get(
            "pools",
            422,
            reason="Invalid",
            query={
                "watch": "true",
                "resourceVersion": "1",
                "resourceVersionMatch": "NotOlderThan",
            },
            causes=(("FieldValueForbidden", "resourceVersionMatch"),),
        ),
    ),
    case(
        "a list with first events is refused",
        get(
            "pools",
            422,
            reason="Invalid",
            query={
                "sendInitialEvents": "true",
                "resourceVersion": "1",
                "resourceVersionMatch": "NotOlderThan",
            },
            causes=(("FieldValueForbidden", "sendInitialEvents"),),
        ),
    ),
    case(
        "a version too old is told as an event, under code 200",
        *made("a"),
        merge("pools/a", {"spec": {"replicas": 2}}),
        Act("compact"),
        Watch("w", "pools", {"resourceVersion": "1"}),
        sees(
            "w",
            Event(
                "ERROR",
                has={"kind": "Status", "code": 410, "reason": "Expired", "status": "Failure"},
            ),
        ),
        Ends("w"),
    ),
    case(
        "a watch of a version that is no number is refused",
        get(
            "pools",
            500,
            query={"watch": "true", "resourceVersion": "abc"},
            text="strconv.ParseUint",
        ),
    ),
)

CONTENT = (
    case(
        "a removed object is told as it last was, at the version of its end",
        *made("a", app="x"),
        Watch("w", "pools", from_("a")),
        delete("pools/a"),
        sees("w", Event("DELETED", "a", has={"metadata": {"labels": {"app": "x"}}}, rv=">a")),
    ),
    case(
        "a held deletion is a change first and an end later",
        post("pools", pool("a", finalizers=["example.com/held"]), save="a"),
        Watch("w", "pools", from_("a")),
        delete("pools/a", save="marked"),
        merge("pools/a", {"metadata": {"finalizers": None}}),
        sees(
            "w",
            Event("MODIFIED", "a", has={"metadata": {"deletionTimestamp": ANY}}, rv="=marked"),
            Event("DELETED", "a", has={"metadata": {"deletionTimestamp": ANY}}, rv=">marked"),
        ),
    ),
    case(
        "what changes nothing is not told",
        *made("a"),
        Watch("w", "pools", from_("a")),
        merge("pools/a", {"spec": {"replicas": 1}}),
        merge("pools/a", {"spec": {"replicas": 2}}),
        sees("w", Event("MODIFIED", "a", has={"spec": {"replicas": 2}})),
    ),
    case(
        "a refused write is not told",
        *made("a"),
        Watch("w", "pools", from_("a")),
        merge("pools/a", {"spec": {"replicas": -1}}, 422, reason="Invalid"),
        post("pools", pool("a"), 409, reason="AlreadyExists"),
        *made("b"),
        sees("w", ("ADDED", "b")),
    ),
    case(
        "a dry run is not told",
        *made("a"),
        Watch("w", "pools", from_("a")),
        merge("pools/a", {"spec": {"replicas": 5}}, query={"dryRun": "All"}),
        delete("pools/a", query={"dryRun": "All"}),
        *made("b"),
        sees("w", ("ADDED", "b")),
    ),
    case(
        "a write of the status is a change of the object",
        *made("a"),
        Watch("w", "pools", from_("a")),
        merge("pools/a/status", {"status": {"replicas": 3}}, save="now"),
        sees("w", Event("MODIFIED", "a", has={"status": {"replicas": 3}}, rv="=now")),
    ),
    case(
        "other kinds are not told",
        *made("a"),
        Watch("w", "pools", from_("a")),
        post("claims", claim("c")),
        *made("b"),
        sees("w", ("ADDED", "b")),
    ),
    case(
        "an object made anew under its name is another",
        *made("a"),
        Watch("w", "pools", from_("a")),
        delete("pools/a"),
        post("pools", pool("a"), save="second"),
        sees(
            "w",
            Event("DELETED", "a", has={"metadata": {"uid": "$a.uid"}}),
            Event("ADDED", "a", has={"metadata": {"uid": "$second.uid"}}, rv="=second"),
        ),
    ),
    case(
        "two watchers see the same in the same order",
        *made("a"),
        Watch("one", "pools", from_("a")),
        Watch("two", "pools", from_("a")),
        *made("b", "c"),
        delete("pools/b"),
        sees("one", ("ADDED", "b"), ("ADDED", "c"), ("DELETED", "b")),
        sees("two", ("ADDED", "b"), ("ADDED", "c"), ("DELETED", "b")),
    ),
    case(
        "leases are watched, too",
        post("leases", lease(), save="a"),
        Watch("w", "leases", from_("a")),
        merge("leases/lease", {"spec": {"holderIdentity": "you"}}),
        sees("w", Event("MODIFIED", "lease", has={"spec": {"holderIdentity": "you"}})),
    ),
    case(
        "the end of a pod is a change first, though nothing holds it",
        post("pods", pod(), save="a"),
        Watch("w", "pods", from_("a")),
        delete("pods/pod", body={"gracePeriodSeconds": 0}),
        sees(
            "w",
            Event(
                "MODIFIED",
                "pod",
                has={"metadata": {"deletionTimestamp": ANY, "generation": 2}},
                rv=">a",
            ),
            Event("DELETED", "pod", rv=">a"),
        ),
    ),
)

SELECTED = (
    case(
        "an object that comes to match is added, one that no longer does is deleted",
        *made("a"),
        Watch("w", "pools", {**from_("a"), "labelSelector": "app=x"}),
        merge("pools/a", {"metadata": {"labels": {"app": "x"}}}, save="in"),
        merge("pools/a", {"spec": {"replicas": 2}}),
        merge("pools/a", {"metadata": {"labels": {"app": "y"}}}, save="out"),
        merge("pools/a", {"spec": {"replicas": 3}}),
        *made("b", app="x"),
        sees(
            "w",
            Event("ADDED", "a", rv="=in"),
            Event("MODIFIED", "a"),
            Event("DELETED", "a", has={"metadata": {"labels": {"app": "x"}}}, rv="=out"),
            Event("ADDED", "b"),
        ),
    ),
    case(
        "the deletion of what does not match is not told",
        *made("a"),
        *made("b", app="x"),
        Watch("w", "pools", {**from_("b"), "labelSelector": "app=x"}),
        delete("pools/a"),
        delete("pools/b"),
        sees("w", ("DELETED", "b")),
    ),
    case(
        "a watch without a version tells only what matches",
        *made("a", app="x"),
        *made("b"),
        Watch("w", "pools", {"labelSelector": "app=x"}),
        sees("w", ("ADDED", "a")),
        merge("pools/b", {"metadata": {"labels": {"app": "x"}}}),
        sees("w", ("ADDED", "b")),
    ),
    case(
        "a watch of one name tells of that object alone",
        *made("a", "b"),
        Watch("w", "pools", {**from_("b"), "fieldSelector": "metadata.name=b"}),
        merge("pools/a", {"spec": {"replicas": 2}}),
        merge("pools/b", {"spec": {"replicas": 2}}),
        sees("w", ("MODIFIED", "b")),
    ),
    case(
        "a watch of pods by phase follows the phase",
        post("pods", pod("a"), save="a"),
        Watch("w", "pods", {**from_("a"), "fieldSelector": "status.phase=Running"}),
        merge("pods/a/status", {"status": {"phase": "Running"}}),
        merge("pods/a/status", {"status": {"phase": "Succeeded"}}),
        sees("w", ("ADDED", "a"), ("DELETED", "a")),
    ),
)

ENDINGS = (
    case(
        "a watch ends cleanly when its time is over",
        *made("a"),
        Watch("w", "pools", {**from_("a"), "timeoutSeconds": 1}),
        Ends("w"),
    ),
)

CASES: tuple[Case, ...] = STARTS + CONTENT + SELECTED + ENDINGS
