"""S10, and what of S11 the canaries show, planted each once; and what may carry them."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from tests.sim.wired import Wired, builders, in_ns, item

from warmclaim.api.event import EVENT
from warmclaim.api.resources import CLAIM, POD, SANDBOX, TEMPLATE
from warmclaim.app import App, Outside
from warmclaim.settings import Settings
from warmclaim.testing.api import FakeApiServer
from warmclaim.testing.cluster import Target
from warmclaim.testing.crds import agent_sandbox_crds
from warmclaim.testing.json_values import Json
from warmclaim.testing.resources import NAMESPACE
from warmclaim.testing.sim.canaries import PlantedCluster, Silence, canary, planted
from warmclaim.testing.sim.objects import part, parts
from warmclaim.testing.sim.trace import Attribution
from warmclaim.testing.sim.wire import Audience
from warmclaim.testing.transport import InProcessTransport
from warmclaim.testing.virtual_loop import World, run_virtual

CRDS = agent_sandbox_crds()
ENV = canary("env", "ns-0")


@pytest.fixture
def world() -> Wired:
    wired = Wired()
    wired.judged_by(Audience([Silence(wired.report)]))
    return wired


def a_planted_template() -> Json:
    return planted(TEMPLATE.kind, "ns-0", in_ns(builders.a_template))


def a_sandbox_of(template: Json, namespace: str = "ns-0") -> Json:
    merge: Json = {"spec": {"podTemplate": template["spec"]["podTemplate"]}}
    return builders.a_sandbox("w1", namespace=namespace, merge=merge)


def test_a_sandbox_and_its_pod_may_carry_what_their_template_says(world: Wired) -> None:
    sandbox = a_sandbox_of(a_planted_template())
    world.send("POST", SANDBOX.collection("ns-0"), sandbox)
    world.send("POST", POD.collection("ns-0"), sandbox["spec"]["podTemplate"])
    assert world.promises == []


def test_not_what_a_claim_s_annotation_says(world: Wired) -> None:
    claim = planted(CLAIM.kind, "ns-0", in_ns(builders.a_claim))
    copied = in_ns(builders.a_sandbox, "w1", merge={"metadata": claim["metadata"]})
    world.send("POST", SANDBOX.collection("ns-0"), copied)
    assert world.promises == ["S10"]


def test_not_that_of_another_namespace(world: Wired) -> None:
    sandbox = a_sandbox_of(a_planted_template(), "ns-1")
    world.send("POST", SANDBOX.collection("ns-1"), sandbox)
    assert set(world.promises) == {"S11"}


def test_no_condition_event_or_path_may_tell_one(world: Wired) -> None:
    condition = builders.a_condition("Ready", "False", message=f"no such value: {ENV}")
    status = [{"op": "add", "path": "/status/conditions", "value": [condition]}]
    world.send("PATCH", item(CLAIM, "c", "status"), status)
    world.send("POST", EVENT.collection("ns-0"), {"note": f"created with {ENV}"})
    world.send("DELETE", f"{SANDBOX.collection('ns-0')}/{ENV}")
    assert world.promises == ["S10"] * 3


@pytest.fixture
def ear() -> Iterator[Wired]:
    """The logs are looked through."""
    wired = Wired()
    with Silence(wired.report).hearing():
        yield wired


@pytest.mark.parametrize("level", [logging.DEBUG, logging.WARNING])
def test_no_log_record_may_tell_one(ear: Wired, level: int) -> None:
    log = logging.getLogger("warmclaim.claim")
    log.log(level, "claim %s", "c")
    log.log(level, "object %s", {"env": ENV})  # production renders no object
    assert ear.promises == []
    log.log(level, "value %s", ENV)
    log.log(level, "adopted", extra={"note": ENV})
    assert ear.promises == ["S10"] * 2


def test_no_metric_may_tell_one() -> None:
    async def scenario(world: World) -> list[str]:
        server = FakeApiServer(PlantedCluster(Attribution(), clock=world.clock, crds=CRDS))
        transport = InProcessTransport(server, user_agent="m0")
        app = App(Settings(), Outside(transport, world.clock, world.rng, "m0-1", "default"))
        wired = Wired()
        silence = Silence(wired.report)
        silence.read_metrics(app)
        assert wired.promises == []
        app.metrics.claims_created.of("ns-0", ENV, "warm", "pool", "ready", "other").inc()
        silence.read_metrics(app)
        return wired.promises

    assert run_virtual(scenario) == ["S10"]


def test_what_others_make_is_planted_and_what_managers_make_is_not() -> None:
    who = Attribution()
    cluster = PlantedCluster(who, crds=CRDS)
    cluster.create(Target(NAMESPACE), {"metadata": {"name": "ns-0"}})
    kind = cluster.kinds.named(SANDBOX.api_version, SANDBOX.kind)
    assert kind is not None
    made: list[Json] = []
    for who.who in ("tenant", "m0"):
        body = builders.as_sent(in_ns(builders.a_sandbox, f"of-{who.who}"))
        made.append(cluster.create(Target(kind, "ns-0"), body).object)
    values = [
        part(parts(value, "spec", "podTemplate", "spec", "containers")[0], "env") for value in made
    ]
    assert values == [[{"name": "TOKEN", "value": ENV}], None]
