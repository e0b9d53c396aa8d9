"""What a claim may add to its own sandbox: environment variables and volume claims."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmclaim.api.claim import EnvVar
from warmclaim.domain.claim_volumes import VolumesRejected, merged_volumes
from warmclaim.domain.env_injection import EnvRejected, with_env
from warmclaim.testing.json_values import Json


def a_spec(**first: Any) -> Json:
    return {
        "initContainers": [{"name": "init"}],
        "containers": [{"name": "main", **first}, {"name": "side"}],
    }


def env_of(spec: Json, part: str, number: int) -> list[tuple[str, str]]:
    found = spec[part][number].get("env", [])
    return [(variable["name"], variable.get("value", "")) for variable in found]


class TestEnv:
    def test_without_variables_nothing_is_copied(self) -> None:
        spec = a_spec()
        assert with_env(spec, (), "Disallowed") is spec

    def test_where_each_goes(self) -> None:
        env = (
            EnvVar("ANY", "1"),
            EnvVar("MAIN", "2", "main"),
            EnvVar("SIDE", "3", "side"),
            EnvVar("INIT", "4", "init"),
        )
        spec = with_env(a_spec(), env, "Allowed")
        assert env_of(spec, "containers", 0) == [("MAIN", "2"), ("ANY", "1")]
        assert env_of(spec, "containers", 1) == [("SIDE", "3")]
        assert env_of(spec, "initContainers", 0) == [("INIT", "4")]

    def test_the_template_is_not_changed(self) -> None:
        spec = a_spec(env=[{"name": "A", "value": "0"}])
        before = copy.deepcopy(spec)
        with_env(spec, (EnvVar("A", "1"),), "Overrides")
        assert spec == before

    @pytest.mark.parametrize("policy", ["Disallowed", "", "Whatever"])
    def test_without_leave_it_is_refused(self, policy: str) -> None:
        with pytest.raises(EnvRejected, match="not allowed by the template policy"):
            with_env(a_spec(), (EnvVar("A", "1"),), policy)

    def test_an_unknown_container_is_refused(self) -> None:
        with pytest.raises(EnvRejected, match=r'target container "x" not found .* "A"'):
            with_env(a_spec(), (EnvVar("A", "1", "x"),), "Overrides")

    def test_a_known_name_is_replaced_in_place_or_refused(self) -> None:
        source = {"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}
        spec = a_spec(env=[source, {"name": "B", "value": "0"}])
        replaced = with_env(spec, (EnvVar("A", "1"),), "Overrides")
        assert replaced["containers"][0]["env"] == [
            {"name": "A", "value": "1"},
            {"name": "B", "value": "0"},
        ]
        with pytest.raises(EnvRejected, match=r'override is not allowed .* "A"'):
            with_env(spec, (EnvVar("A", "1"),), "Allowed")

    def test_the_same_name_twice_in_the_claim(self) -> None:
        twice = (EnvVar("A", "1"), EnvVar("A", "2"))
        assert env_of(with_env(a_spec(), twice, "Overrides"), "containers", 0) == [("A", "2")]
        with pytest.raises(EnvRejected, match="override"):
            with_env(a_spec(), twice, "Allowed")

    def test_unknown_sources_allow_no_addition_but_an_override(self) -> None:
        spec = a_spec(envFrom=[{"configMapRef": {"name": "c"}}])
        with pytest.raises(EnvRejected, match="EnvFrom"):
            with_env(spec, (EnvVar("A", "1"),), "Allowed")
        assert with_env(spec, (EnvVar("A", "1", "side"),), "Allowed")
        assert env_of(with_env(spec, (EnvVar("A", "1"),), "Overrides"), "containers", 0)


def volumes(*names: str, size: str = "1Gi") -> list[Json]:
    return [{"metadata": {"name": name}, "spec": {"size": size}} for name in names]


MALFORMED: list[tuple[list[Json], list[Json], str]] = [
    ([], [{}], "claim: name at index 0 is empty"),
    ([], volumes("a", "a"), 'claim: duplicate name "a"'),
    ([{"metadata": None}], volumes("a"), "template: name at index 0 is empty"),
    (volumes("a", "a"), [], '^invalid .* template: duplicate name "a"'),
]


class TestVolumes:
    def test_those_of_the_template_alone(self) -> None:
        assert merged_volumes(volumes("a", "b"), [], "Disallowed") == volumes("a", "b")

    @pytest.mark.parametrize("policy", ["Allowed", "Overrides"])
    def test_new_ones_come_after_them(self, policy: str) -> None:
        merged = merged_volumes(volumes("a"), volumes("c", "b"), policy)
        assert merged == volumes("a", "c", "b")

    def test_one_of_the_same_name_takes_its_place_or_is_refused(self) -> None:
        template, wanted = volumes("a", "b"), volumes("c", "a", size="2Gi")
        merged = merged_volumes(template, wanted, "Overrides")
        assert merged == [*volumes("a", size="2Gi"), *volumes("b"), *volumes("c", size="2Gi")]
        with pytest.raises(VolumesRejected, match='cannot override template volume "a"'):
            merged_volumes(template, wanted, "Allowed")

    @pytest.mark.parametrize("policy", ["Disallowed", "", "Whatever"])
    def test_without_leave_it_is_refused(self, policy: str) -> None:
        with pytest.raises(VolumesRejected, match="disallowed by the template"):
            merged_volumes([], volumes("a"), policy)

    @pytest.mark.parametrize(("template", "claim", "said"), MALFORMED)
    def test_malformed_lists(self, template: list[Json], claim: list[Json], said: str) -> None:
        with pytest.raises(VolumesRejected, match=said):
            merged_volumes(template, claim, "Allowed")


@pytest.mark.parametrize("odd", [None, "big", [], {"metadata": None}, {"metadata": {"name": 7}}])
def test_volume_claims_of_no_shape_are_rejected_as_nameless(odd: Any) -> None:
    with pytest.raises(VolumesRejected, match="in claim: name at index 0 is empty"):
        merged_volumes([], [odd], "Allowed")


NAMES = st.sampled_from(["A", "B", "TOKEN", "", "a=b"])
VARIABLES = st.lists(st.fixed_dictionaries({"name": NAMES, "value": st.just("own")}), max_size=4)
ASKED = st.lists(
    st.builds(EnvVar, NAMES, st.text(max_size=5), st.sampled_from(["", "main", "side", "init"])),
    max_size=5,
)
POLICIES = st.sampled_from(["Disallowed", "Allowed", "Overrides", "", "allowed"])


@given(VARIABLES, st.booleans(), ASKED, POLICIES)
def test_g10_a_claim_changes_variables_alone_and_only_by_leave(
    own: list[Json], has_sources: bool, asked: list[EnvVar], policy: str
) -> None:
    sources: Json = {"envFrom": [{"secretRef": {"name": "s"}}]} if has_sources else {}
    template = a_spec(env=own, image="i", securityContext={"privileged": False}, **sources)
    try:
        spec = with_env(template, asked, policy)
    except EnvRejected:
        assert asked
        return
    assert not asked or policy in ("Allowed", "Overrides")
    wanted = [(one.container_name or "main", one.name, one.value) for one in asked]
    for part in ("initContainers", "containers"):
        for before, after in zip(template[part], spec[part], strict=True):
            assert {**after, "env": 0} == {**before, "env": 0}, "nothing else is touched"
            kept, found = before.get("env", []), after.get("env", [])
            mine = {(name, value) for place, name, value in wanted if place == before["name"]}
            added = [one for one in found if one not in kept]
            assert {(one["name"], one["value"]) for one in added} <= mine
            if policy == "Allowed":
                assert found[: len(kept)] == kept, "nothing of the template is replaced"
                assert not (mine and "envFrom" in before)


@given(
    st.lists(st.sampled_from("abc"), unique=True),
    st.lists(st.sampled_from("abcd"), max_size=4),
    POLICIES,
)
def test_g10_a_claim_adds_volumes_only_by_leave_and_replaces_none_without(
    own: list[str], asked: list[str], policy: str
) -> None:
    template, wanted = volumes(*own), volumes(*asked, size="9Ti")
    try:
        merged = merged_volumes(template, wanted, policy)
    except VolumesRejected:
        assert asked
        return
    assert not asked or policy in ("Allowed", "Overrides")
    names = [one["metadata"]["name"] for one in merged]
    assert len(set(names)) == len(names)
    assert names[: len(own)] == own
    assert all(one in (template if name not in asked else wanted)
               for one, name in zip(merged, names, strict=True))  # fmt: skip
    if policy != "Overrides":
        assert merged[: len(own)] == template
