"""Fixtures are what the views and the server expect."""

from __future__ import annotations

import pytest

from warmclaim.api import names
from warmclaim.api.claim import Claim
from warmclaim.api.pod import Pod
from warmclaim.api.pool import Pool
from warmclaim.api.sandbox import Sandbox
from warmclaim.api.template import Template
from warmclaim.testing.api import FakeApiServer
from warmclaim.testing.builders import a_claim, a_pod, a_pool, a_sandbox, a_template, as_view
from warmclaim.testing.json_values import Json


def test_a_claim_is_fresh_or_published() -> None:
    fresh = as_view(a_claim("c1", pool="web"), Claim)
    assert fresh.spec.warm_pool_ref.name == "web"
    assert (fresh.published, fresh.is_ready, fresh.status) == ("", False, None)
    given = as_view(a_claim("c1", sandbox="w1"), Claim)
    assert (given.published, given.is_ready) == ("w1", True)


def test_a_sandbox_waits_in_a_pool_on_its_node() -> None:
    sandbox = as_view(a_sandbox("w1", pool="web", node="n2"), Sandbox)
    owner = sandbox.metadata.controller_owner()
    assert owner is not None
    assert (owner.kind, owner.name, owner.uid) == ("SandboxWarmPool", "web", "web-uid")
    assert sandbox.metadata.labels[names.LABEL_WARM_POOL] == names.name_hash("web")
    assert (sandbox.is_ready, sandbox.node, sandbox.has_address) == (True, "n2", True)


def test_a_sandbox_that_is_not_ready_has_no_status_and_one_of_a_claim_no_pool_label() -> None:
    assert as_view(a_sandbox(ready=False), Sandbox).status is None
    sandbox = as_view(a_sandbox(claim="c1"), Sandbox)
    owner = sandbox.metadata.controller_owner()
    assert owner is not None
    assert owner.uid == "c1-uid"
    assert names.LABEL_WARM_POOL not in sandbox.metadata.labels


def test_pool_template_and_pod_decode() -> None:
    pool = as_view(a_pool("web", replicas=3, template="python"), Pool)
    assert (pool.spec.replicas, pool.spec.sandbox_template_ref.name) == (3, "python")
    template = as_view(a_template(), Template)
    assert template.spec.pod_template["spec"]["containers"]
    assert as_view(a_pod("w1", node="n3"), Pod).is_ready


def test_merge_adds_overwrites_and_removes() -> None:
    claim = a_claim(merge={"spec": {"env": [{"name": "A", "value": "1"}]}})
    assert claim["spec"]["warmPoolRef"] == {"name": "pool"}
    assert claim["spec"]["env"]
    assert "uid" not in a_claim(merge={"metadata": {"uid": None}})["metadata"]


@pytest.mark.parametrize(
    "value", [a_claim(), a_claim(sandbox="w"), a_pool(), a_sandbox(), a_template(), a_pod()]
)
def test_what_builders_make_is_admitted_by_the_schemas_unchanged(
    server: FakeApiServer, value: Json
) -> None:
    kind = server.cluster.kinds.named(value["apiVersion"], value["kind"])
    assert kind is not None
    for structure in kind.structures.values():
        assert structure.admitted(value) is value
        assert structure.problems(value) == []
