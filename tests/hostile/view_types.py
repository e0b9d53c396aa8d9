"""Each wrong JSON type in each field that a view reads, made from the views themselves."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from types import UnionType
from typing import Any, Final, Union, get_args, get_origin, get_type_hints

import msgspec

from warmclaim.api.names import LABEL_NAME_HASH
from warmclaim.api.resources import CLAIM, POD, POOL, SANDBOX, SERVICE, TEMPLATE, Resource
from warmclaim.testing.builders import (
    a_claim,
    a_pod,
    a_pool,
    a_sandbox,
    a_template,
    an_object,
)
from warmclaim.testing.json_values import Json

WRONG: Final[dict[str, object]] = {
    "null": None,
    "true": True,
    "integer": 7,
    "fraction": -1.5,
    "huge": 10**30,
    "text": "text",
    "list": [],
    "list of null": [None],
    "object": {},
    "object of null": {"a": None},
}
Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class WrongType:
    """One value that the view of `resource` cannot take at `path`."""

    resource: Resource[Any]
    path: Path
    word: str

    def __str__(self) -> str:
        return f"{self.resource.plural}.{'.'.join(map(str, self.path))} = {self.word}"

    @property
    def has_identity(self) -> bool:
        """Can its name and version be read all the same?"""
        place = self.path[1:2]
        is_identity = place in ((), ("name",), ("namespace",), ("uid",), ("resourceVersion",))
        return not (self.path[0] == "metadata" and is_identity)

    def body(self, namespace: str, version: int) -> Json:
        """The object, sound but for that value."""
        value = copy.deepcopy(_WHOLE[str(self.resource)])
        value["metadata"] |= {"namespace": namespace, "resourceVersion": str(version)}
        target: Any = value
        for step in self.path[:-1]:
            target = target[step]
        target[self.path[-1]] = WRONG[self.word]
        return value


def _with_lists(value: Json) -> Json:
    """One element in each list of the metadata, so that its fields have a place."""
    owner = {"apiVersion": "v1", "kind": "K", "name": "n", "uid": "u", "controller": False}
    value["metadata"].setdefault("ownerReferences", [owner])
    value["metadata"].setdefault("finalizers", ["x.example/f"])
    return value


def _claim() -> Json:
    claim = a_claim("typed", sandbox="none")
    claim["spec"]["env"] = [{"name": "A", "value": "1"}]
    claim["spec"]["additionalPodMetadata"] = {"labels": {}, "annotations": {}}
    return claim


def _pool() -> Json:
    pool = a_pool("typed")
    return {**pool, "status": {"replicas": 1, "readyReplicas": 1, "selector": "a=b"}}


# Without this label the manager does not watch a service.
_TRACKED: Final[Json] = {"metadata": {"labels": {LABEL_NAME_HASH: "811c9dc5"}}}
_WHOLE: Final[dict[str, Json]] = {
    str(resource): _with_lists(value)
    for resource, value in (
        (CLAIM, _claim()),
        (SANDBOX, a_sandbox("typed", pool=None)),
        (POOL, _pool()),
        (TEMPLATE, a_template("typed")),
        (POD, a_pod("typed")),
        (SERVICE, an_object(SERVICE, "typed", merge=_TRACKED)),
    )
}


def wrong_types() -> list[WrongType]:
    """All of them."""
    return [
        WrongType(resource, path, word)
        for resource in (CLAIM, SANDBOX, POOL, TEMPLATE, POD, SERVICE)
        for path, type_ in _fields(resource.view, (), _WHOLE[str(resource)])
        for word, value in WRONG.items()
        if not _takes(type_, value)
    ]


def _takes(type_: Any, value: object) -> bool:
    try:
        msgspec.json.decode(msgspec.json.encode(value), type=type_)
    except msgspec.ValidationError:
        return False
    return True


def _fields(view: type[Any], path: Path, value: Any) -> Iterator[tuple[Path, Any]]:
    """Every field of a view and of the views in it, as the JSON names it."""
    hints = get_type_hints(view)
    for field in msgspec.structs.fields(view):
        here, type_ = (*path, field.encode_name), hints[field.name]
        yield here, type_
        inner: Any = value.get(field.encode_name)
        struct, is_list = _struct_in(type_)
        if struct is None or inner is None:
            continue
        if is_list:
            yield (*here, 0), struct
            yield from _fields(struct, (*here, 0), inner[0])
        else:
            yield from _fields(struct, here, inner)


def _struct_in(type_: Any) -> tuple[type[Any] | None, bool]:
    """The view in a type: itself, an optional one, or the element of a list."""
    if isinstance(type_, type) and issubclass(type_, msgspec.Struct):
        return type_, False
    if get_origin(type_) is tuple:
        return _struct_in(get_args(type_)[0])[0], True
    if get_origin(type_) in (Union, UnionType):
        found = (_struct_in(one)[0] for one in get_args(type_))
        return next((one for one in found if one is not None), None), False
    return None, False
