"""Structural schemas: pruning, defaults, validation, and the one immutability rule."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmclaim.api.resources import CLAIM, POOL, SANDBOX, TEMPLATE
from warmclaim.testing.api import FakeApiServer
from warmclaim.testing.builders import a_claim, a_pool, a_sandbox, a_template, as_sent
from warmclaim.testing.json_values import Json
from warmclaim.testing.probe import Probe
from warmclaim.testing.schema import Structure
from warmclaim.testing.schema_checks import known_rule

_STRING: Json = {"type": "string"}


def _object(**properties: Json) -> Json:
    return {"type": "object", "properties": properties}


def _admitted(schema: Json, value: Any) -> Any:
    return Structure.compiled(schema).admitted(value)


def _problems(schema: Json, value: Any, old: Any = None) -> list[tuple[str, str]]:
    found = Structure.compiled(schema).problems(value, old)
    return [(problem.field, problem.message) for problem in found]


# ------------------------------------------------------------ prune and default


@pytest.mark.parametrize(
    ("schema", "value", "expected"),
    [
        (_object(a=_STRING), {"a": "x", "b": 1}, {"a": "x"}),
        (_object(a=_object(b=_STRING)), {"a": {"b": "x", "c": 1}}, {"a": {"b": "x"}}),
        ({"type": "object"}, {"a": 1}, {}),
        ({"type": "object", "additionalProperties": _STRING}, {"a": "x"}, {"a": "x"}),
        ({"type": "object", "additionalProperties": True}, {"a": 1}, {"a": 1}),
        (
            {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
            {"a": {"b": 1}},
            {"a": {"b": 1}},
        ),
        (
            {"type": "array", "items": _object(a=_STRING)},
            [{"a": "x", "b": 1}, {}],
            [{"a": "x"}, {}],
        ),
    ],
    ids=["flat", "nested", "opaque", "map", "any map", "open", "array"],
)
def test_unknown_fields_are_pruned(schema: Json, value: Any, expected: Any) -> None:
    before = copy.deepcopy(value)
    assert _admitted(schema, value) == expected
    assert value == before


def test_defaults_fill_what_is_missing_or_null_all_the_way_down() -> None:
    inner: Json = {**_object(b={**_STRING, "default": "deep"}), "default": {}}
    schema = _object(a=inner, n={"type": "integer", "default": 1})
    assert _admitted(schema, {}) == {"a": {"b": "deep"}, "n": 1}
    assert _admitted(schema, {"n": None}) == {"a": {"b": "deep"}, "n": 1}
    assert _admitted(schema, {"n": 0, "a": {"b": "x"}}) == {"n": 0, "a": {"b": "x"}}


def test_a_null_that_is_not_allowed_is_dropped_and_one_that_is_stays() -> None:
    schema = _object(a=_STRING, b={**_STRING, "nullable": True})
    assert _admitted(schema, {"a": None, "b": None}) == {"b": None}


def test_what_needs_no_change_comes_back_as_the_very_same_object() -> None:
    schema = _object(a=_object(b={**_STRING, "default": "x"}), c={"type": "array", "items": {}})
    value: Json = {"a": {"b": "y"}, "c": [1, {}]}
    assert _admitted(schema, value) is value


def test_parts_of_the_old_object_are_taken_without_a_look() -> None:
    structure = Structure.compiled(_object(a=_object(b=_STRING)))
    broken: Json = {"a": {"b": 5, "c": 1}}
    assert structure.admitted({"a": broken["a"]}, broken)["a"] is broken["a"]
    assert structure.problems({"a": broken["a"]}, broken) == []


def test_an_old_fault_is_forgiven_while_its_field_does_not_change() -> None:
    schema = _object(a=_object(b=_STRING, c=_STRING))
    old: Json = {"a": {"b": [1], "c": "x"}}
    assert _problems(schema, {"a": {"b": [1], "c": "y"}}, old) == []
    assert _problems(schema, {"a": {"b": [2], "c": "x"}}, old) != []


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["", "x"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcd"), inner, max_size=4)
    ),
    max_leaves=10,
)
_TREE = _object(
    a={**_STRING, "default": "x"},
    b=_object(a=_STRING, c={"type": "array", "items": _object(a={"type": "integer"})}),
    c={"type": "object", "additionalProperties": _object(d=_STRING)},
)


@given(value=st.dictionaries(st.sampled_from("abcd"), _VALUES, max_size=4))
def test_admission_is_idempotent_and_leaves_its_input_alone(value: Json) -> None:
    before = copy.deepcopy(value)
    structure = Structure.compiled(_TREE)
    once = structure.admitted(value)
    assert structure.admitted(once) is once
    assert value == before


# ------------------------------------------------------------------- validation


@pytest.mark.parametrize(
    ("schema", "value", "message"),
    [
        (_STRING, 1, 'Invalid value: "integer": f in body must be of type string: "integer"'),
        ({"type": "integer"}, True, 'Invalid value: "boolean": f in body must be of type integer'),
        ({"type": "integer"}, 1.5, 'Invalid value: "number": f in body must be of type integer'),
        ({"type": "boolean"}, 1, 'Invalid value: "integer": f in body must be of type boolean'),
        ({"type": "array"}, {}, 'Invalid value: "object": f in body must be of type array'),
        ({"type": "object"}, [], 'Invalid value: "array": f in body must be of type object'),
        ({"type": "string", "enum": ["A", "B"]}, "C", 'Unsupported value: "C": supported values'),
        (
            {"type": "integer", "minimum": 0},
            -1,
            "Invalid value: -1: f in body should be greater than or equal to 0",
        ),
        (
            {"type": "integer", "maximum": 3},
            4,
            "Invalid value: 4: f in body should be less than or equal to 3",
        ),
        (
            {"type": "string", "minLength": 1},
            "",
            'Invalid value: "": f in body should be at least 1 chars long',
        ),
        ({"type": "string", "maxLength": 2}, "abc", "Too long: may not be more than 2 bytes"),
        (
            {"type": "string", "pattern": "^[a-z]+$"},
            "a\n",
            "Invalid value: \"a\n\": f in body should match '^[a-z]+$'",
        ),
        ({"type": "array", "minItems": 1}, [], "should have at least 1 items"),
        ({"type": "array", "maxItems": 1}, [1, 2], "Too many: 2: must have at most 1 items"),
        (_STRING, None, 'Invalid value: "null": f in body must be of type string: "null"'),
        ({"x-kubernetes-int-or-string": True}, [], "must be of type integer or string"),
    ],
    ids=str,
)
def test_a_broken_rule_is_told_with_field_and_reason(
    schema: Json, value: Any, message: str
) -> None:
    ((field, said),) = _problems(_object(f=schema), {"f": value})
    assert field == "f"
    assert message in said


def test_what_fits_has_no_problems() -> None:
    schema = _object(
        i={"type": "integer", "minimum": 0, "maximum": 5},
        n={"type": "number"},
        s={"type": "string", "pattern": "^a$|^b$", "minLength": 1, "maxLength": 1},
        q={"x-kubernetes-int-or-string": True},
        l={"type": "array", "items": _STRING, "minItems": 1},
    )
    value = {"i": 5, "n": 1, "s": "b", "q": "80%", "l": ["x"]}
    assert _problems(schema, value) == []
    assert _problems(schema, {"i": 5.0, "n": 1.5, "q": 8}) == []


def test_a_missing_required_field_is_named_with_its_path() -> None:
    schema = _object(l={"type": "array", "items": {**_object(a=_STRING), "required": ["a"]}})
    assert _problems(schema, {"l": [{"a": "x"}, {}]}) == [("l[1].a", "Required value")]


def test_a_rule_without_a_function_is_refused_not_ignored() -> None:
    with pytest.raises(ValueError, match="no function for the CEL rule"):
        known_rule("self.a > oldSelf.b", "a must grow")


# --------------------------------------------------------- the project's own CRDs


async def test_defaults_of_the_four_kinds(api: Probe) -> None:
    pool = a_pool()
    del pool["spec"]["replicas"], pool["spec"]["updateStrategy"]["type"]
    stored = (await api.post(POOL.collection("default"), as_sent(pool))).body["spec"]
    assert (stored["replicas"], stored["updateStrategy"]) == (1, {"type": "OnReplenish"})
    template = a_template()
    template["spec"] = {"podTemplate": template["spec"]["podTemplate"]}
    spec = (await api.post(TEMPLATE.collection("default"), as_sent(template))).body["spec"]
    assert spec["networkPolicyManagement"] == "Managed"
    assert spec["envVarsInjectionPolicy"] == "Disallowed"
    claim = a_claim(merge={"spec": {"lifecycle": {}}})
    spec = (await api.post(CLAIM.collection("default"), as_sent(claim))).body["spec"]
    assert spec["lifecycle"] == {"shutdownPolicy": "Retain"}
    sandbox = as_sent(a_sandbox())
    container: Json = {"name": "c", "ports": [{"containerPort": 80}], "bogus": 1}
    sandbox["spec"] = {"podTemplate": {"spec": {"containers": [container]}}}
    spec = (await api.post(SANDBOX.collection("default"), sandbox)).body["spec"]
    assert (spec["operatingMode"], spec["shutdownPolicy"]) == ("Running", "Retain")
    (stored,) = spec["podTemplate"]["spec"]["containers"]
    assert stored == {"name": "c", "ports": [{"containerPort": 80, "protocol": "TCP"}]}


@pytest.mark.parametrize(
    ("value", "field"),
    [
        (a_pool(replicas=-1), "spec.replicas"),
        (a_pool(merge={"spec": {"sandboxTemplateRef": None}}), "spec.sandboxTemplateRef"),
        (a_claim(merge={"spec": {"lifecycle": {"shutdownPolicy": "Never"}}}), "shutdownPolicy"),
        (a_claim(merge={"spec": {"env": [{"name": "A"}]}}), "spec.env[0].value"),
        (a_sandbox(merge={"spec": {"operatingMode": "Paused"}}), "spec.operatingMode"),
    ],
    ids=lambda value: value if isinstance(value, str) else value["kind"],
)
async def test_an_object_that_breaks_its_schema_is_422_and_names_the_field(
    api: Probe, server: FakeApiServer, value: Json, field: str
) -> None:
    kind = server.cluster.kinds.named(value["apiVersion"], value["kind"])
    assert kind is not None
    path = f"/apis/{value['apiVersion']}/namespaces/default/{kind.plural}"
    reply = await api.post(path, as_sent(value))
    assert (reply.code, reply.reason) == (422, "Invalid")
    assert reply.message.startswith(f'{kind.kind}.{kind.group} "{value["metadata"]["name"]}" is')
    assert any(field in found["field"] for found in reply.body["details"]["causes"])


async def test_a_condition_must_have_a_well_formed_reason(api: Probe) -> None:
    path = CLAIM.collection("default")
    await api.post(path, as_sent(a_claim()))
    condition = a_claim(sandbox="w")["status"]["conditions"][0]
    for reason, code in (("Because", 200), ("", 422), ("no blanks", 422)):
        status = {"conditions": [{**condition, "reason": reason}]}
        assert (await api.merge_patch(f"{path}/claim/status", {"status": status})).code == code


_VOLUME: Json = {"metadata": {"name": "v"}, "spec": {"accessModes": ["ReadWriteOnce"]}}
_OTHER: Json = {**_VOLUME, "metadata": {"name": "w"}}


@pytest.mark.parametrize(
    ("before", "after"),
    [(None, [_VOLUME]), ([_VOLUME], None), ([_VOLUME], [_OTHER])],
    ids=["added", "removed", "changed"],
)
async def test_volume_claim_templates_of_a_sandbox_are_immutable(
    api: Probe, before: Any, after: Any
) -> None:
    path = SANDBOX.collection("default")
    sandbox = a_sandbox(merge={"spec": {"volumeClaimTemplates": before}})
    assert (await api.post(path, as_sent(sandbox))).code == 201
    reply = await api.merge_patch(f"{path}/sandbox", {"spec": {"volumeClaimTemplates": after}})
    assert (reply.code, reply.reason) == (422, "Invalid")
    assert "volumeClaimTemplates is immutable" in reply.message
    other = await api.merge_patch(f"{path}/sandbox", {"spec": {"operatingMode": "Suspended"}})
    assert other.code == 200


async def test_templates_may_change_their_volume_claim_templates(api: Probe) -> None:
    path = TEMPLATE.collection("default")
    await api.post(path, as_sent(a_template()))
    change = {"spec": {"volumeClaimTemplates": [_VOLUME]}}
    assert (await api.merge_patch(f"{path}/python", change)).code == 200
