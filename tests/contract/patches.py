"""Cases of JSON Patch and merge patch: what fits, what is refused, nothing is half done."""

from __future__ import annotations

from tests.contract.bodies import pool, ready, sandbox
from tests.contract.steps import (
    Call,
    Case,
    add,
    case,
    get,
    merge,
    must_be,
    patch,
    post,
    remove,
    replace,
)

UNKNOWN = "00000000-0000-4000-8000-000000000000"
MADE = post("pools", pool(labels={"a": "1"}), save="old")
UNCHANGED = get("pools/pool", has={"spec": {"replicas": 1}}, rv="=old")


def refused(*operations: dict[str, object], code: int = 422, reason: str = "Invalid") -> Call:
    return patch("pools/pool", *operations, code=code, reason=reason)


JSON_PATCHES = (
    case(
        "a patch whose test holds is applied",
        MADE,
        patch(
            "pools/pool",
            must_be("/spec/replicas", 1),
            replace("/spec/replicas", 2),
            has={"spec": {"replicas": 2}, "metadata": {"generation": 2}},
            rv=">old",
        ),
    ),
    case(
        "a failed test refuses the whole patch",
        MADE,
        refused(replace("/spec/replicas", 2), must_be("/spec/replicas", 1)),
        UNCHANGED,
        refused(must_be("/spec/replicas", 7), replace("/spec/replicas", 2)),
        UNCHANGED,
    ),
    case(
        "a failed test is answered without a cause",
        MADE,
        patch(
            "pools/pool",
            must_be("/spec/replicas", 7),
            code=422,
            reason="Invalid",
            causes=(),
            has={"details": {}},
            text="the server rejected our request due to an error in our request",
        ),
    ),
    case(
        "a test for null passes on a missing member of a parent that is there",
        MADE,
        patch("pools/pool", must_be("/spec/ghost", None), rv="=old"),
        patch("pools/pool", must_be("/metadata/deletionTimestamp", None), rv="=old"),
        patch("pools/pool", must_be("/status", None), rv="=old"),
    ),
    case(
        "a test for null fails below a missing parent",
        MADE,
        refused(must_be("/status/sandbox", None)),
        refused(must_be("/metadata/annotations/x", None)),
    ),
    case("a test for null fails on a value", MADE, refused(must_be("/spec/replicas", None))),
    case(
        "a test for a value fails on a missing member",
        MADE,
        refused(must_be("/spec/ghost", 1)),
        refused(must_be("/metadata/labels/b", "")),
    ),
    case(
        "a test tells numbers, texts and booleans apart",
        MADE,
        refused(must_be("/spec/replicas", "1")),
        refused(must_be("/spec/replicas", True)),
        patch("pools/pool", must_be("/spec/replicas", 1), rv="=old"),
    ),
    case(
        "a test compares whole objects in any order of members",
        post("pools", pool(labels={"a": "1", "b": "2"}), save="old"),
        patch("pools/pool", must_be("/metadata/labels", {"b": "2", "a": "1"}), rv="=old"),
        refused(must_be("/metadata/labels", {"a": "1"})),
    ),
    case(
        "a test of the uid guards against another object of the same name",
        MADE,
        patch("pools/pool", must_be("/metadata/uid", "$old.uid"), rv="=old"),
        refused(must_be("/metadata/uid", UNKNOWN), replace("/spec/replicas", 2)),
        UNCHANGED,
    ),
    case(
        "the removal of what is missing is refused", MADE, refused(remove("/spec/ghost")), UNCHANGED
    ),
    case(
        "the replacement of what is missing adds it",
        MADE,
        patch(
            "pools/pool",
            replace("/metadata/labels/b", "2"),
            has={"metadata": {"labels": {"a": "1", "b": "2"}}},
            rv=">old",
        ),
        refused(replace("/metadata/annotations/x", "1")),
    ),
    case(
        "an addition to a missing parent is refused",
        MADE,
        refused(add("/metadata/annotations/x", "1")),
        UNCHANGED,
    ),
    case(
        "an addition replaces what is there",
        MADE,
        patch(
            "pools/pool",
            add("/metadata/labels/a", "2"),
            has={"metadata": {"labels": {"a": "2"}}},
            rv=">old",
        ),
    ),
    case(
        "a removal removes",
        MADE,
        patch("pools/pool", remove("/metadata/labels/a"), lacks=("metadata.labels",), rv=">old"),
    ),
    case(
        "slashes and tildes of a name are escaped",
        post("pools", pool(annotations={"example.com/a": "1"})),
        patch(
            "pools/pool",
            must_be("/metadata/annotations/example.com~1a", "1"),
            replace("/metadata/annotations/example.com~1a", "2"),
            has={"metadata": {"annotations": {"example.com/a": "2"}}},
        ),
    ),
    case(
        "arrays are patched by index",
        post("pools", pool(finalizers=["x.io/a", "x.io/b"])),
        patch(
            "pools/pool",
            add("/metadata/finalizers/1", "x.io/c"),
            add("/metadata/finalizers/-", "x.io/d"),
            has={"metadata": {"finalizers": ["x.io/a", "x.io/c", "x.io/b", "x.io/d"]}},
        ),
        patch(
            "pools/pool",
            must_be("/metadata/finalizers/0", "x.io/a"),
            remove("/metadata/finalizers/0"),
            has={"metadata": {"finalizers": ["x.io/c", "x.io/b", "x.io/d"]}},
        ),
        refused(remove("/metadata/finalizers/9")),
        refused(add("/metadata/finalizers/9", "x.io/e")),
        refused(replace("/metadata/finalizers/-", "x.io/e")),
    ),
    case(
        "copy and move work within the object",
        post("pools", pool(labels={"a": "1", "b": "2"})),
        patch(
            "pools/pool",
            {"op": "copy", "from": "/metadata/labels/a", "path": "/metadata/labels/c"},
            {"op": "move", "from": "/metadata/labels/b", "path": "/metadata/labels/d"},
            has={"metadata": {"labels": {"a": "1", "c": "1", "d": "2"}}},
            lacks=("metadata.labels.b",),
        ),
        refused({"op": "move", "from": "/metadata/labels/z", "path": "/metadata/labels/y"}),
        refused({"op": "copy", "from": "/metadata/none/z", "path": "/metadata/labels/y"}),
    ),
    case(
        "a copy of what is missing is null, which a label has as no text",
        MADE,
        patch(
            "pools/pool",
            {"op": "copy", "from": "/metadata/labels/z", "path": "/metadata/labels/y"},
            has={"metadata": {"labels": {"a": "1", "y": ""}}},
        ),
    ),
    case("an empty patch changes nothing", MADE, patch("pools/pool", rv="=old")),
    case(
        "an unknown operation is refused",
        MADE,
        refused({"op": "increment", "path": "/spec/replicas"}),
        UNCHANGED,
    ),
    case(
        "a JSON patch that is no array is refused",
        MADE,
        Call(
            method="PATCH",
            path="pools/pool",
            code=400,
            reason="BadRequest",
            body={"spec": {}},
            content_type="application/json-patch+json",
        ),
    ),
    case(
        "a patch may test the version",
        MADE,
        patch(
            "pools/pool",
            must_be("/metadata/resourceVersion", "$old.rv"),
            replace("/spec/replicas", 2),
            rv=">old",
        ),
        refused(must_be("/metadata/resourceVersion", "$old.rv"), replace("/spec/replicas", 3)),
    ),
    case(
        "a JSON patch that sets a stale version conflicts",
        MADE,
        merge("pools/pool", {"spec": {"replicas": 2}}),
        refused(
            replace("/metadata/resourceVersion", "$old.rv"),
            replace("/spec/replicas", 3),
            code=409,
            reason="Conflict",
        ),
    ),
    case(
        "a JSON patch may not change the uid",
        MADE,
        patch(
            "pools/pool",
            replace("/metadata/uid", UNKNOWN),
            code=422,
            reason="Invalid",
            causes=(("FieldValueInvalid", "metadata.uid"),),
        ),
    ),
    case(
        "a JSON patch may not change the name",
        MADE,
        refused(replace("/metadata/name", "other"), code=400, reason="BadRequest"),
        UNCHANGED,
    ),
    case(
        "a patched object must still fit its schema",
        MADE,
        patch(
            "pools/pool",
            replace("/spec/replicas", -1),
            code=422,
            reason="Invalid",
            causes=(("FieldValueInvalid", "spec.replicas"),),
        ),
        patch(
            "pools/pool",
            remove("/spec"),
            code=422,
            reason="Invalid",
            causes=(("FieldValueRequired", "spec"),),
        ),
        UNCHANGED,
    ),
    case(
        "a null member of a custom object is dropped",
        MADE,
        patch(
            "pools/pool",
            add("/spec/updateStrategy", None),
            has={"spec": {"replicas": 1}},
        ),
    ),
    case(
        "a JSON patch of the status leaves the rest alone",
        post("sandboxes", sandbox(), save="old"),
        patch(
            "sandboxes/box/status",
            must_be("/metadata/uid", "$old.uid"),
            must_be("/status", None),
            add("/status", {"conditions": [ready()], "podIPs": ["10.0.0.1"]}),
            add("/spec/operatingMode", "Suspended"),
            has={
                "spec": {"operatingMode": "Running"},
                "status": {"podIPs": ["10.0.0.1"]},
                "metadata": {"generation": 1},
            },
            rv=">old",
        ),
    ),
)

CASES: tuple[Case, ...] = JSON_PATCHES
