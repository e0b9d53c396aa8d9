"""Sharing changes no value, and keeps one copy of what is equal."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from msgspec.structs import force_setattr

from warmclaim.api.pod import Pod
from warmclaim.api.sandbox import Sandbox
from warmclaim.kube.sharing import Sharer


def a_pod(number: int, ready: str = "True") -> dict[str, Any]:
    conditions = [
        {"type": type_, "status": ready, "lastTransitionTime": "2025-01-01T00:00:00Z"}
        for type_ in ("Ready", "PodScheduled")
    ]
    return {
        "metadata": {
            "name": f"pod-{number}",
            "uid": f"uid-{number}",
            "resourceVersion": str(number),
            "labels": {"example.org/pool": "a-pool"},
            "annotations": {},
        },
        "spec": {"nodeName": "node-1"},
        "status": {
            "phase": "Running",
            "conditions": conditions,
            "podIPs": [{"ip": f"10.0.0.{number}"}],
        },
    }


def decoded(number: int, ready: str = "True") -> Pod:
    return msgspec.json.decode(json.dumps(a_pod(number, ready)).encode(), type=Pod)


def test_equal_parts_become_one() -> None:
    sharer = Sharer()
    one, two = sharer.share(decoded(1)), sharer.share(decoded(2))
    assert one.metadata.labels is two.metadata.labels
    assert one.status.conditions is two.status.conditions
    assert one.spec is two.spec
    assert one.status.phase is two.status.phase


def test_nothing_changes_its_value() -> None:
    sharer = Sharer()
    for number in (1, 2, 1, 3):
        ready = "True" if number < 3 else "False"
        assert sharer.share(decoded(number, ready)) == decoded(number, ready)


def test_parts_of_differing_wholes_are_shared_all_the_same() -> None:
    sharer = Sharer()
    one, two = sharer.share(decoded(1, "True")), sharer.share(decoded(2, "False"))
    assert one.status.conditions is not two.status.conditions
    assert one.status.conditions[0].type is two.status.conditions[0].type


def test_memory_is_bounded_and_what_is_met_again_stays() -> None:
    sharer = Sharer(entries_max=20)
    first = sharer.share(decoded(0))
    for number in range(1, 200):
        pod = sharer.share(decoded(number))
        assert pod.metadata.labels is first.metadata.labels
        assert len(sharer._recent) <= 20  # pyright: ignore[reportPrivateUsage]
        assert len(sharer._older) <= 20  # pyright: ignore[reportPrivateUsage]


def test_values_of_the_same_hash_but_other_types_are_kept_apart() -> None:
    sharer = Sharer()
    true = sharer.share(msgspec.convert({"metadata": {"name": "a"}, "spec": {}}, Sandbox))
    service = {"metadata": {"name": "a"}, "spec": {"service": True}}
    assert sharer.share(msgspec.convert(service, Sandbox)).spec.service is True
    assert true.spec.service is None


class _Pairs(msgspec.Struct, frozen=True):
    pairs: tuple[tuple[str, str], ...] = ()
    mapping: dict[str, str] = {}


def test_mapping_and_tuple_of_the_same_pairs_are_kept_apart() -> None:
    sharer = Sharer()
    for _ in range(2):
        obj = sharer.share(_Pairs((("a", "b"),), {"a": "b"}))
        assert obj == _Pairs((("a", "b"),), {"a": "b"})


class _Odd(msgspec.Struct, frozen=True):
    values: tuple[list[int], ...] = ()
    names: dict[str, list[int]] = {}


class _Mutable(msgspec.Struct):
    word: str = ""


@pytest.mark.parametrize("obj", [_Odd(([1],), {"a": [1]}), _Mutable("x"), _Odd()])
def test_what_does_not_hash_is_left_alone(obj: msgspec.Struct) -> None:
    copy = msgspec.convert(msgspec.to_builtins(obj), type(obj))
    assert Sharer().share(copy) == obj


def test_texts_of_a_megabyte_are_forgotten_again() -> None:
    """What a tenant writes must not stay when its objects are gone."""
    sharer = Sharer(chars_max=3_000)
    first = "first" * 200
    assert share_text(sharer, first) is first
    for number in range(10):
        share_text(sharer, f"{number}" * 1_000)
    again = "".join(["first"] * 200)
    assert share_text(sharer, again) is again


def share_text(sharer: Sharer, text: str) -> str:
    """The copy that a pod's node name of this text becomes."""
    value = a_pod(1)
    pod = msgspec.json.decode(json.dumps(value).encode(), type=Pod)
    force_setattr(pod.spec, "node_name", text)
    return sharer.share(pod).spec.node_name
