"""JSON Patch and merge patch, against naive models and the real server's departures."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmclaim.testing.json_values import is_array, is_object
from warmclaim.testing.patch import (
    OPERATIONS_MAX,
    MalformedPatchError,
    PatchFailedError,
    TooManyOperationsError,
    json_patch,
    merge_patch,
    same_json,
)

_NAMES = st.sampled_from(["a", "b", "a/b", "m~n", "0"])
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["", "x"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=3),
    max_leaves=8,
)
_OBJECTS = st.dictionaries(_NAMES, _JSON, max_size=4)


def _naive_merge(target: Any, patch: Any) -> Any:
    """RFC 7386, section 2, word for word."""
    if not is_object(patch):
        return patch
    if not is_object(target):
        target = {}
    for name, value in patch.items():
        if value is None:
            target.pop(name, None)
        else:
            target[name] = _naive_merge(target.get(name), value)
    return target


def _pointer(*parts: object) -> str:
    return "".join("/" + str(p).replace("~", "~0").replace("/", "~1") for p in parts)


@given(target=_OBJECTS, patch=_OBJECTS)
def test_merge_patch_agrees_with_the_rfc_and_leaves_its_input_alone(
    target: dict[str, Any], patch: dict[str, Any]
) -> None:
    before = copy.deepcopy(target)
    expected = _naive_merge(copy.deepcopy(target), copy.deepcopy(patch))
    assert same_json(merge_patch(target, patch), expected)
    assert same_json(target, before)


@given(target=_OBJECTS, patch=_OBJECTS)
def test_merge_patch_twice_is_once_and_returns_the_very_same_object(
    target: dict[str, Any], patch: dict[str, Any]
) -> None:
    once = merge_patch(target, patch)
    assert merge_patch(once, patch) is once


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path]
    if is_object(value):
        for name, member in value.items():
            found += _paths(member, (*path, name))
    if is_array(value):
        for index, member in enumerate(value):
            found += _paths(member, (*path, index))
    return found


@given(target=_OBJECTS, value=_JSON, data=st.data())
def test_json_patch_agrees_with_editing_a_deep_copy(
    target: dict[str, Any], value: Any, data: st.DataObject
) -> None:
    paths: list[tuple[Any, ...]] = [p for p in _paths(target) if p] or [("new",)]
    path = data.draw(st.sampled_from(paths))
    operation = data.draw(st.sampled_from(["add", "replace", "remove"]))
    before = copy.deepcopy(target)
    expected = copy.deepcopy(target)
    parent: Any = expected
    for part in path[:-1]:
        parent = parent[part]
    last = path[-1]
    if path == ("new",) and operation == "remove":
        with pytest.raises(PatchFailedError):
            json_patch(target, [{"op": operation, "path": "/new", "value": value}])
        return
    if operation == "remove":
        del parent[last]
    elif operation == "add" and is_array(parent):
        parent.insert(last, value)
    else:
        parent[last] = value
    result = json_patch(target, [{"op": operation, "path": _pointer(*path), "value": value}])
    assert same_json(result, expected)
    assert same_json(target, before)


@given(target=_OBJECTS, data=st.data())
def test_a_test_passes_on_what_is_there_and_fails_on_anything_else(
    target: dict[str, Any], data: st.DataObject
) -> None:
    path = data.draw(st.sampled_from(_paths(target)))
    found: Any = target
    for part in path:
        found = found[part]
    pointer = _pointer(*path)
    assert json_patch(target, [{"op": "test", "path": pointer, "value": found}]) is target
    with pytest.raises(PatchFailedError):
        json_patch(target, [{"op": "test", "path": pointer, "value": [found, "other"]}])


@pytest.mark.parametrize(
    ("operations", "expected"),
    [
        ([{"op": "copy", "from": "/a", "path": "/c"}], {"a": [1, 2], "b": {"x": 1}, "c": [1, 2]}),
        ([{"op": "move", "from": "/b/x", "path": "/a/0"}], {"a": [1, 1, 2], "b": {}}),
        ([{"op": "add", "path": "/a/-", "value": 3}], {"a": [1, 2, 3], "b": {"x": 1}}),
        ([{"op": "replace", "path": "/a/-1", "value": 9}], {"a": [1, 9], "b": {"x": 1}}),
        ([{"op": "replace", "path": "/n", "value": 1}], {"a": [1, 2], "b": {"x": 1}, "n": 1}),
        ([{"op": "add", "path": "/n", "value": None}], {"a": [1, 2], "b": {"x": 1}, "n": None}),
    ],
    ids=["copy", "move", "append", "negative index", "replace of nothing", "add null"],
)
def test_json_patch_operations(operations: list[Any], expected: dict[str, Any]) -> None:
    assert json_patch({"a": [1, 2], "b": {"x": 1}}, operations) == expected


@pytest.mark.parametrize("path", ["/status", "/metadata/deletionTimestamp", "/status/sandbox"])
def test_a_test_for_null_passes_on_a_missing_member_of_an_existing_parent(path: str) -> None:
    target: dict[str, Any] = {"metadata": {}}
    if path.startswith("/status/"):
        target["status"] = {}
    assert json_patch(target, [{"op": "test", "path": path, "value": None}]) is target


def test_a_test_for_null_fails_where_the_parent_is_missing_too() -> None:
    with pytest.raises(PatchFailedError, match="status"):
        json_patch({}, [{"op": "test", "path": "/status/sandbox", "value": None}])


@pytest.mark.parametrize(
    ("a", "b"), [(True, 1), (1, 1.0), (False, 0), ({"x": True}, {"x": 1})], ids=str
)
def test_values_of_different_json_types_are_not_the_same(a: Any, b: Any) -> None:
    with pytest.raises(PatchFailedError):
        json_patch({"v": a}, [{"op": "test", "path": "/v", "value": b}])


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "remove", "path": "/x"},
        {"op": "replace", "path": "/x/y", "value": 1},
        {"op": "put", "path": "/ok"},
        {"op": "add", "value": 1},
        {"op": "move", "path": "/ok"},
        {"op": "add", "path": "/x/y", "value": 1},
        {"op": "add", "path": "/list/3", "value": 1},
        {"op": "add", "path": "/list/one", "value": 1},
        {"op": "remove", "path": "/list/-3"},
        {"op": "remove", "path": ""},
        {"op": "copy", "from": "/x/y", "path": "/y"},
        {"op": "replace", "path": "", "value": []},
        {"op": "test", "path": "no-slash", "value": 1},
    ],
    ids=str,
)
def test_an_operation_that_does_not_fit_fails_the_whole_patch(operation: Any) -> None:
    target = {"list": [1, 2]}
    with pytest.raises(PatchFailedError):
        json_patch(target, [{"op": "add", "path": "/ok", "value": 1}, operation])
    assert target == {"list": [1, 2]}


@pytest.mark.parametrize(
    "patch",
    [{}, "add", None, ["add"], [[]]],
    ids=str,
)
def test_what_is_no_patch_is_malformed(patch: Any) -> None:
    with pytest.raises(MalformedPatchError):
        json_patch({}, patch)


def test_too_many_operations_are_refused() -> None:
    operation = {"op": "test", "path": "/a", "value": None}
    with pytest.raises(TooManyOperationsError):
        json_patch({}, [operation] * (OPERATIONS_MAX + 1))
