"""Blueprints by meaning: what makes a member stale, and what does not."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from warmclaim.api import names
from warmclaim.api.pool import Pool
from warmclaim.api.sandbox import Sandbox
from warmclaim.api.template import Template
from warmclaim.domain.blueprint import Blueprint, blueprint_of, member_sandbox
from warmclaim.domain.quantity import quantity
from warmclaim.domain.staleness import is_stale
from warmclaim.testing.builders import a_pool, a_template, as_view
from warmclaim.testing.json_values import Json

POOL = as_view(a_pool(template="python"), Pool)
RESOURCES: Json = {"limits": {"cpu": "0.5", "memory": "1Gi"}, "requests": {"cpu": 1}}
VOLUME: Json = {"metadata": {"name": "data"}, "spec": {"resources": {"requests": {"s": "1Gi"}}}}
POD: Json = {
    "containers": [{"name": "c", "image": "i", "resources": RESOURCES, "env": [], "tty": False}],
    "volumes": [{"name": "scratch", "emptyDir": {}}],
    "terminationGracePeriodSeconds": 0,
}


def template(pod: Json | None = None, **spec: Any) -> Template:
    value = a_template("python")
    value["spec"] |= {"podTemplate": {"spec": pod or POD}, **spec}
    return as_view(value, Template)


def member(blueprint: Blueprint, change: Callable[[Json], None] | None = None) -> Sandbox:
    """As a pool made it from that blueprint; then changed, and its hashes unknown to us."""
    body = copy.deepcopy(member_sandbox(POOL, blueprint, "m"))
    body["metadata"]["uid"] = "u"
    if change is not None:
        change(body["spec"])
        body["metadata"]["labels"][names.LABEL_TEMPLATE_HASH] = "of-another-program"
    return msgspec.json.decode(msgspec.json.encode(body), type=Sandbox)


def container(spec: Json) -> Json:
    found: Json = spec["podTemplate"]["spec"]["containers"][0]
    return found


NOW = blueprint_of(template())


def test_a_member_of_this_blueprint_is_fresh() -> None:
    assert not is_stale(member(NOW), NOW)


def unchanged(_: Json) -> None:
    """The hash alone is another one."""


def other_texts(spec: Json) -> None:
    container(spec)["resources"] = {
        "limits": {"cpu": "500m", "memory": "1024Mi"},
        "requests": {"cpu": "1"},
    }


def explicit_nothing(spec: Json) -> None:
    container(spec).update(command=[], args=None, workingDir="", securityContext={})
    del container(spec)["env"]
    spec["volumeClaimTemplates"] = []


def other_metadata(spec: Json) -> None:
    spec["podTemplate"]["metadata"]["labels"]["x"] = "y"


def more_of_sandboxes(spec: Json) -> None:
    spec.update(operatingMode="Running", shutdownPolicy="Retain")


@pytest.mark.parametrize(
    "change", [unchanged, other_texts, explicit_nothing, other_metadata, more_of_sandboxes]
)
def test_what_means_the_same_is_fresh(change: Callable[[Json], None]) -> None:
    assert not is_stale(member(NOW, change), NOW)


def other_image(spec: Json) -> None:
    container(spec)["image"] = "j"


def other_quantity(spec: Json) -> None:
    container(spec)["resources"]["limits"]["cpu"] = "501m"


def no_volume(spec: Json) -> None:
    del spec["podTemplate"]["spec"]["volumes"][0]["emptyDir"]


def other_order(spec: Json) -> None:
    spec["podTemplate"]["spec"]["containers"].insert(0, {"name": "b", "image": "i"})


def other_flag(spec: Json) -> None:
    container(spec)["tty"] = True


def other_number(spec: Json) -> None:
    spec["podTemplate"]["spec"]["terminationGracePeriodSeconds"] = 1


def with_service(spec: Json) -> None:
    spec["service"] = False


def with_volume_claim(spec: Json) -> None:
    spec["volumeClaimTemplates"] = [VOLUME]


def token_mounted(spec: Json) -> None:
    spec["podTemplate"]["spec"]["automountServiceAccountToken"] = True


@pytest.mark.parametrize(
    "change",
    [
        other_image,
        other_quantity,
        no_volume,
        other_order,
        other_flag,
        other_number,
        with_service,
        with_volume_claim,
        token_mounted,
    ],
)
def test_what_means_something_else_is_stale(change: Callable[[Json], None]) -> None:
    assert is_stale(member(NOW, change), NOW)


def malformed_pod(spec: Json) -> None:
    spec["podTemplate"]["spec"] = "none"


def malformed_volumes(spec: Json) -> None:
    spec["volumeClaimTemplates"] = [5]


@pytest.mark.parametrize("change", [malformed_pod, malformed_volumes])
def test_what_cannot_be_read_is_stale(change: Callable[[Json], None]) -> None:
    assert is_stale(member(NOW, change), NOW)


def test_volume_claims_are_compared_by_place_name_and_spec() -> None:
    other: Json = {"metadata": {"name": "more"}, "spec": {}}
    both = blueprint_of(template(volumeClaimTemplates=[VOLUME, other]))

    def relabelled(spec: Json) -> None:
        spec["volumeClaimTemplates"][0]["metadata"]["labels"] = {"x": "y"}

    def turned(spec: Json) -> None:
        spec["volumeClaimTemplates"].reverse()

    assert not is_stale(member(both, relabelled), both)
    assert is_stale(member(both, turned), both)


def test_a_member_of_another_template_is_stale_whatever_it_is_made_of() -> None:
    value = a_template("other")
    value["spec"]["podTemplate"] = {"spec": POD}
    assert is_stale(member(NOW), blueprint_of(as_view(value, Template)))


def test_an_edit_of_the_network_policy_changes_what_pods_get() -> None:
    open_to_all = blueprint_of(template(networkPolicy={"egress": [{}]}))
    assert is_stale(member(NOW), open_to_all)  # its DNS is the cluster's again


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("0.5", "500m"),
        ("1", "1000m"),
        ("1Gi", "1024Mi"),
        ("1e3", "1k"),
        ("5E-1", "500m"),
        ("1E", "1000P"),
        ("+1.50", "1.5"),
        (".5", "0.5"),
        ("1.", "1"),
        ("-1", "-1000m"),
        ("0", "0Gi"),
        ("1000000n", "1m"),
        ("1000u", "1m"),
    ],
)
def test_quantities_of_the_same_value(one: str, other: str) -> None:
    assert quantity(one) == quantity(other)
    assert quantity(one) is not None


@pytest.mark.parametrize(
    "text", ["", "x", "1 Gi", "1gi", "1KI", "--1", "1e9999", "0x1", "\u0661", "NaN"]
)
def test_what_is_no_quantity(text: str) -> None:
    assert quantity(text) is None
