"""The seal: it fits the sandbox that it was made for, as it was made, and nothing else."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmclaim.api import names
from warmclaim.api.claim import Claim
from warmclaim.api.pool import Pool
from warmclaim.api.sandbox import Sandbox
from warmclaim.api.template import Template
from warmclaim.domain.blueprint import blueprint_of, member_sandbox
from warmclaim.domain.patches import adoption_patch, reservation_patch
from warmclaim.domain.seal import (
    KEY_BYTES_MAX,
    KEY_BYTES_MIN,
    SealKeys,
    is_sealed,
    keys_of,
    seal_of,
)
from warmclaim.errors import SealKeyError
from warmclaim.testing.builders import a_claim, a_pool, a_template, as_view
from warmclaim.testing.crds import agent_sandbox_crds
from warmclaim.testing.json_values import Json
from warmclaim.testing.patch import json_patch

KEY, OTHER = b"k" * KEY_BYTES_MIN, b"o" * KEY_BYTES_MIN
KEYS = SealKeys(KEY)
POOL = as_view(a_pool(), Pool)
UID = POOL.metadata.uid
RICH: Json = {
    "podTemplate": {
        "metadata": {"labels": {"tier": "gold"}},
        "spec": {
            "containers": [{"name": "c", "image": "i:1", "env": [{"name": "A", "value": ""}]}],
            "nodeSelector": {"disk": "ssd"},
        },
    },
    "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {"storageClassName": "fast"}}],
    "service": True,
}


def made(key: bytes = KEY, name: str = "pool-1", **spec: Any) -> Json:
    """A member as the server stores it, sealed."""
    template = as_view(a_template(merge={"spec": {**RICH, **spec}}), Template)
    body = member_sandbox(POOL, blueprint_of(template), name)
    body["metadata"] |= {"uid": "m-uid", "generation": 1}
    body["metadata"]["annotations"][names.ANNOTATION_SEAL] = seal_of(key, view(body), UID)
    return body


def view(value: Json) -> Sandbox:
    return msgspec.json.decode(msgspec.json.encode(value), type=Sandbox)


def pod(value: Json) -> Json:
    found: Json = value["spec"]["podTemplate"]["spec"]
    return found


def test_a_member_bears_the_seal_that_it_was_made_with() -> None:
    body = made()
    assert is_sealed(KEYS, view(body), UID)
    assert len(body["metadata"]["annotations"][names.ANNOTATION_SEAL]) == 64


def _set(path: str, value: object) -> Callable[[Json], None]:
    def change(body: Json) -> None:
        *parents, last = path.split("/")
        found: Any = body
        for name in parents:
            found = found[int(name)] if name.isdecimal() else found.setdefault(name, {})
        found[last] = value

    return change


def _drop(path: str) -> Callable[[Json], None]:
    def change(body: Json) -> None:
        *parents, last = path.split("/")
        found: Any = body
        for name in parents:
            found = found[name]
        del found[last]

    return change


POD = "spec/podTemplate/spec"
EDITS: dict[str, Callable[[Json], None]] = {
    "image": _set(f"{POD}/containers/0/image", "evil"),
    "host path": lambda b: pod(b).update(volumes=[{"name": "h", "hostPath": {"path": "/"}}]),
    "host network": _set(f"{POD}/hostNetwork", True),
    "service account": _set(f"{POD}/serviceAccountName", "admin"),
    "token": _set(f"{POD}/automountServiceAccountToken", True),
    "empty node label": lambda b: pod(b)["nodeSelector"].update({"control-plane": ""}),
    "empty pod label": lambda b: b["spec"]["podTemplate"]["metadata"]["labels"].update(open=""),
    "pod annotation": lambda b: b["spec"]["podTemplate"]["metadata"].update(annotations={"a": "b"}),
    "pod label": _set("spec/podTemplate/metadata/labels/tier", "iron"),
    "volume": _set("spec/volumeClaimTemplates/0/spec/storageClassName", "shared"),
    "volumes gone": _set("spec/volumeClaimTemplates", []),
    "no service": _set("spec/service", False),
    "service unsaid": _drop("spec/service"),
    "an end": _set("spec/shutdownTime", "2030-01-01T00:00:00Z"),
    "goes at its end": _set("spec/shutdownPolicy", "Delete"),
    "suspended": _set("spec/operatingMode", "Suspended"),
    "other template": lambda b: b["metadata"]["labels"].update({names.LABEL_TEMPLATE_REF: "x"}),
    "newer hash": lambda b: b["metadata"]["labels"].update({names.LABEL_TEMPLATE_HASH: "x"}),
    "other name": _set("metadata/name", "pool-2"),
    "other namespace": _set("metadata/namespace", "elsewhere"),
    "generation 2": _set("metadata/generation", 2),
    "no generation": _drop("metadata/generation"),
    "no seal": lambda b: b["metadata"]["annotations"].pop(names.ANNOTATION_SEAL),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_whatever_is_changed_of_it_breaks_the_seal(edit: Callable[[Json], None]) -> None:
    body = made()
    edit(body)
    assert not is_sealed(KEYS, view(body), UID)


@pytest.mark.parametrize("seal", ["", "0" * 64, "ü" * 64, "\ud800", "0" * 100_000])
def test_a_guessed_seal_fits_nothing(seal: str) -> None:
    sandbox = view(made())
    annotations = {**sandbox.metadata.annotations, names.ANNOTATION_SEAL: seal}
    metadata = msgspec.structs.replace(sandbox.metadata, annotations=annotations)
    assert not is_sealed(KEYS, msgspec.structs.replace(sandbox, metadata=metadata), UID)


def test_another_pools_member_is_none_of_this_one() -> None:
    assert not is_sealed(KEYS, view(made()), "other-uid")


def test_what_members_share_is_no_reason_to_share_a_seal() -> None:
    twin = made(name="pool-2")
    seal = made()["metadata"]["annotations"][names.ANNOTATION_SEAL]
    twin["metadata"]["annotations"][names.ANNOTATION_SEAL] = seal
    assert not is_sealed(KEYS, view(twin), UID)


def test_the_order_of_fields_as_the_server_sorts_them_says_nothing() -> None:
    ordered = msgspec.json.decode(msgspec.json.encode(made(), order="sorted"))
    assert is_sealed(KEYS, view(ordered), UID)
    reversed_ = dict(reversed(list(made().items())))
    reversed_["spec"] = dict(reversed(list(reversed_["spec"].items())))
    assert is_sealed(KEYS, view(reversed_), UID)


def test_defaults_of_the_sandbox_alone_change_nothing() -> None:
    body = made()
    body["spec"] |= {"operatingMode": "Running", "shutdownPolicy": "Retain"}
    assert is_sealed(KEYS, view(body), UID)


class TestKeys:
    def test_what_the_previous_key_sealed_is_accepted(self) -> None:
        sandbox = view(made(OTHER))
        assert not is_sealed(SealKeys(KEY), sandbox, UID)
        assert is_sealed(SealKeys(KEY, previous=OTHER), sandbox, UID)
        assert is_sealed(SealKeys(OTHER), sandbox, UID)

    def test_no_previous_key_is_none_that_fits_everything(self) -> None:
        body = made()
        seal = seal_of(b"", view(body), UID)
        body["metadata"]["annotations"][names.ANNOTATION_SEAL] = seal
        assert not is_sealed(SealKeys(KEY), view(body), UID)

    @pytest.mark.parametrize(
        ("data", "said"),
        [
            ({}, "has no key 'current'"),
            ({"current": b""}, "has no key 'current'"),
            ({"previous": KEY}, "has no key 'current'"),
            ({"current": KEY[1:]}, "has 31 bytes under 'current'"),
            ({"current": b"k" * (KEY_BYTES_MAX + 1)}, "has 1025 bytes under 'current'"),
            ({"current": KEY, "previous": b"short"}, "has 5 bytes under 'previous'"),
        ],
    )
    def test_what_is_no_key_is_refused_with_the_fix(
        self, data: dict[str, bytes], said: str
    ) -> None:
        with pytest.raises(SealKeyError, match="32 to 1024 random bytes") as refused:
            keys_of(data)
        assert said in str(refused.value)
        assert "short" not in str(refused.value)

    def test_they_are_read_and_never_shown(self) -> None:
        keys = keys_of({"current": KEY, "previous": OTHER, "note": b"x"})
        assert keys == SealKeys(KEY, OTHER)
        assert repr(keys) == "SealKeys()"
        assert keys_of({"current": KEY, "previous": b""}) == SealKeys(KEY)


class TestWrites:
    def test_taking_in_changes_no_spec_so_the_seal_stays(self) -> None:
        body = made()
        body["metadata"] |= {"resourceVersion": "1", "ownerReferences": []}
        del body["metadata"]["ownerReferences"]
        taken = json_patch(body, list(adoption_patch(view(body), POOL)))
        assert taken["spec"] == body["spec"]
        assert is_sealed(KEYS, view(taken), UID)

    def test_a_reservation_tests_the_spec_by_its_generation_where_seals_are(self) -> None:
        sandbox, claim = view(made()), as_view(a_claim(), Claim)
        test = {"op": "test", "path": "/metadata/generation", "value": 1}
        assert test in reservation_patch(sandbox, claim, tests_spec=True)
        assert test not in reservation_patch(sandbox, claim)

    def test_what_a_claim_has_had_differs_in_spec_and_so_in_generation(self) -> None:
        body = made()
        claim = as_view(a_claim(), Claim)
        given_ = json_patch(body, list(reservation_patch(view(body), claim, tests_spec=True)))
        assert given_["spec"] != body["spec"]


def _spec_schema(kind: str) -> Json:
    for crd in agent_sandbox_crds():
        if crd["spec"]["names"]["kind"] == kind:
            version = next(v for v in crd["spec"]["versions"] if v["name"] == names.VERSION)
            found: Json = version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
            return found
    raise AssertionError(kind)


class TestSchema:
    """What the seal rests on in the definitions of the kinds."""

    def test_all_that_a_sandbox_can_say_is_sealed(self) -> None:
        assert set(_spec_schema("Sandbox")) == {
            "podTemplate",
            "volumeClaimTemplates",
            "service",
            "shutdownTime",
            "shutdownPolicy",
            "operatingMode",
        }

    def test_what_comes_from_a_template_has_the_same_schema_there(self) -> None:
        sandbox, template = _spec_schema("Sandbox"), _spec_schema("SandboxTemplate")
        for name in ("podTemplate", "volumeClaimTemplates", "service"):
            assert _bare(sandbox[name]) == _bare(template[name])


def _bare(schema: object) -> object:
    """Without what is only for readers."""
    if isinstance(schema, dict):
        members = cast("dict[str, object]", schema)
        return {name: _bare(part) for name, part in members.items() if name != "description"}
    if isinstance(schema, list):
        return [_bare(part) for part in cast("list[object]", schema)]
    return schema


_texts = st.text(max_size=4)
_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | _texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_texts, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(_texts, _json, max_size=4), st.dictionaries(_texts, _json, max_size=4))
def test_two_pod_specs_have_one_seal_only_if_they_are_one(one: Json, other: Json) -> None:
    body = made()
    bodies = [copy.deepcopy(body), copy.deepcopy(body)]
    for value, spec in zip(bodies, (one, other), strict=True):
        value["spec"]["podTemplate"] = spec
    seals = [seal_of(KEY, view(value), UID) for value in bodies]
    is_same = msgspec.json.encode(one, order="sorted") == msgspec.json.encode(other, order="sorted")
    assert (seals[0] == seals[1]) == is_same


@given(st.binary(min_size=32, max_size=64), st.binary(min_size=32, max_size=64))
def test_keys_do_not_stand_in_for_each_other(one: bytes, other: bytes) -> None:
    sandbox = view(made(one))
    assert is_sealed(SealKeys(one), sandbox, UID)
    # HMAC pads a short key with zeros: only then are two keys one.
    assert is_sealed(SealKeys(other), sandbox, UID) == (
        one.ljust(64, b"\0") == other.ljust(64, b"\0")
    )


def test_nesting_too_deep_to_be_read_fits_no_seal_of_another() -> None:
    deep = msgspec.Raw(b"[" * 5_000 + b"]" * 5_000)
    sandbox = view(made())
    spec = msgspec.structs.replace(sandbox.spec, pod_template=deep)
    assert not is_sealed(KEYS, msgspec.structs.replace(sandbox, spec=spec), UID)
