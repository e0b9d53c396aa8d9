"""JSON Patch (RFC 6902) and JSON Merge Patch (RFC 7386), as kube-apiserver applies them. Pure.

Neither changes its input: the result shares all unchanged parts with it. Where the server's
library departs from the RFC, the server is followed: a `test` for null passes on a missing member
of an existing parent, a `replace` of one adds it, and a negative index counts from the end of an
array.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from warmclaim.testing import refusals
from warmclaim.testing.json_values import Json, is_array, is_object

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
OPERATIONS_MAX = 10_000

_INDEX = re.compile(r"-?\d+\Z")
_MISSING = object()


class MalformedPatchError(Exception):
    """The patch is no patch: 400."""


class PatchFailedError(Exception):
    """The patch does not fit the object (a failed `test`, a missing path): 422."""


class TooManyOperationsError(Exception):
    """More than OPERATIONS_MAX operations: 413."""


def applied(content_type: str, value: Json, patch: Any) -> Json:
    """`value` after a patch of that media type. Refuses (400, 413, 415, 422) what does not fit."""
    try:
        if content_type == JSON_PATCH:
            return json_patch(value, patch)
        if content_type == MERGE_PATCH and is_object(patch):
            merged: Json = merge_patch(value, patch)
            return merged
        if content_type == MERGE_PATCH:
            raise MalformedPatchError("cannot unmarshal the patch into an object")
        raise refusals.unsupported_media_type((JSON_PATCH, MERGE_PATCH, APPLY_PATCH))
    except PatchFailedError as error:
        raise refusals.patch_failed() from error
    except MalformedPatchError as error:
        raise refusals.bad_request(f"error decoding patch: {error}") from error
    except TooManyOperationsError as error:
        raise refusals.too_large_body(str(error)) from error


def merge_patch(target: Any, patch: Any) -> Any:
    """`target` with `patch` laid over it: null removes, objects merge, all else replaces.

    Returns `target` itself where nothing changes. Cost: O(size of the patch, and of the objects
    on its paths).
    """
    if not is_object(patch):
        return target if same_json(target, patch) else patch
    merged: dict[str, Any] = dict(target) if is_object(target) else {}
    changed = not is_object(target)
    for name, value in patch.items():
        old = merged.get(name, _MISSING)
        if value is None:
            changed |= merged.pop(name, _MISSING) is not _MISSING
            continue
        new = merge_patch(None if old is _MISSING else old, value)
        if old is _MISSING or new is not old:
            merged[name] = new
            changed = True
    return merged if changed else target


def json_patch(target: Json, operations: Any) -> Json:
    """`target` after all `operations`, or an error and no change at all.

    Raises MalformedPatchError, PatchFailedError (whose text names the first operation that did
    not fit) and TooManyOperationsError. Cost: per operation, the sizes of the containers on its
    path, which are copied.
    """
    if not is_array(operations):
        raise MalformedPatchError("cannot unmarshal the patch into an array of operations")
    if len(operations) > OPERATIONS_MAX:
        raise TooManyOperationsError(
            f"The allowed maximum operations in a JSON patch is {OPERATIONS_MAX}, "
            f"got {len(operations)}"
        )
    result: Any = target
    for operation in operations:
        result = _apply(result, operation)
    if not is_object(result):
        raise PatchFailedError("the patch replaced the object by something else")
    return result


def same_json(a: Any, b: Any) -> bool:
    """Whether two JSON values are equal; unlike ==, true is not 1 and 1 is not 1.0."""
    if a is b:
        return True
    if type(a) is not type(b):
        return False
    if is_object(a):
        return a.keys() == b.keys() and all(same_json(value, b[name]) for name, value in a.items())
    if is_array(a):
        return len(a) == len(b) and all(map(same_json, a, b))
    return bool(a == b)


def _apply(document: Any, operation: Any) -> Any:
    if not is_object(operation):
        raise MalformedPatchError("cannot unmarshal an operation that is no object")
    if not isinstance(operation.get("path"), str):
        raise PatchFailedError("an operation needs a path")
    path = _pointer(operation["path"])
    value = operation.get("value")
    match operation.get("op"):
        case "test":
            _test(document, path, value)
            return document
        case "add":
            return _edit(document, path, value, "add")
        case "replace":
            return _edit(document, path, value, "replace")
        case "remove":
            return _edit(document, path, None, "remove")
        case "copy":
            return _edit(document, path, _copied(document, _source(operation)), "add")
        case "move":
            source = _source(operation)
            moved = _get(document, source)
            return _edit(_edit(document, source, None, "remove"), path, moved, "add")
        case other:
            raise PatchFailedError(f"unexpected kind of operation: {other}")


def _copied(document: Any, source: Sequence[str]) -> Any:
    """What a copy takes: null where the last part of its source is missing, as there."""
    if not source:
        return document
    parent = _get(document, source[:-1])
    return parent.get(source[-1]) if is_object(parent) else _get(parent, source[-1:])


def _source(operation: Json) -> list[str]:
    source = operation.get("from")
    if not isinstance(source, str):
        raise PatchFailedError("copy and move need a from")
    return _pointer(source)


def _pointer(text: str) -> list[str]:
    if not text:
        return []
    if not text.startswith("/"):
        raise PatchFailedError(f"path {text!r} does not start with a slash")
    return [part.replace("~1", "/").replace("~0", "~") for part in text[1:].split("/")]


def _test(document: Any, path: Sequence[str], value: Any) -> None:
    if not path:
        found = document
    else:
        parent = _get(document, path[:-1])
        if not (is_object(parent) or is_array(parent)):
            raise PatchFailedError(f"test operation for path {_text(path)}: it is missing")
        found = parent.get(path[-1]) if is_object(parent) else _get(parent, path[-1:])
    if not same_json(found, value):
        raise PatchFailedError(f"testing value {_text(path)} failed")


def _get(document: Any, path: Sequence[str]) -> Any:
    for part in path:
        if is_object(document) and part in document:
            document = document[part]
        elif is_array(document):
            document = document[_index(part, len(document) - 1)]
        else:
            raise PatchFailedError(f"path {_text(path)} is missing")
    return document


def _edit(container: Any, path: Sequence[str], value: Any, how: str) -> Any:
    """A copy of `container` with the member at `path` added, replaced or removed."""
    if not path:
        if how == "remove":
            raise PatchFailedError("the whole document cannot be removed")
        return value
    if is_array(container):
        return _edit_array(container, path, value, how)
    if not is_object(container):
        raise PatchFailedError(f"path {_text(path)} is missing")
    name = path[0]
    if name not in container and (len(path) > 1 or how == "remove"):
        raise PatchFailedError(f"{how} operation: path {_text(path)} is missing")
    copy: dict[str, Any] = dict(container)
    if len(path) == 1 and how == "remove":
        del copy[name]
    else:
        copy[name] = _edit(container.get(name), path[1:], value, how)
    return copy


def _edit_array(container: list[Any], path: Sequence[str], value: Any, how: str) -> list[Any]:
    copy = list(container)
    part, is_last = path[0], len(path) == 1
    if is_last and how == "add":
        copy.insert(len(copy) if part == "-" else _index(part, len(copy)), value)
        return copy
    index = _index(part, len(copy) - 1)
    if is_last and how == "remove":
        del copy[index]
    else:
        copy[index] = _edit(copy[index], path[1:], value, how)
    return copy


def _index(part: str, last: int) -> int:
    """`part` as an index into an array whose greatest good index is `last`."""
    if not _INDEX.match(part):
        raise PatchFailedError(f"{part!r} is no array index")
    index = int(part)
    if index < 0:
        index += last + 1
    if not 0 <= index <= last:
        raise PatchFailedError(f"index {part} is out of bounds")
    return index


def _text(path: Sequence[str]) -> str:
    return "/" + "/".join(path)
