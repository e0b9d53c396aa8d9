"""A sandbox's Service: what is done for each wish and each owner, and how it is kept."""

from __future__ import annotations

from typing import Any

import pytest
from tests.controllers.sandbox_world import (
    NAMESPACE,
    READY_STATUS,
    World,
    a_ready_sandbox,
    a_world,
    refusal,
)
from tests.sandbox_objects import TRACKING, sandbox_body, sandbox_owner

from warmclaim.api.meta import ObjectKey
from warmclaim.api.names import name_hash
from warmclaim.api.pod import Service
from warmclaim.api.resources import POD, SANDBOX, SERVICE

KEY = ObjectKey(NAMESPACE, "sb")
POST, PATCH, DELETE = "create services 201", "patch services 200", "delete services 200"
ADOPTABLE = {"agents.x-k8s.io/adoptable": "true"}
STRANGER = sandbox_owner(name="other", uid="u0")
PORT = {"name": "http", "protocol": "TCP", "port": 80, "targetPort": 80}
TEMPLATE: dict[str, Any] = {
    "spec": {
        "containers": [
            {"name": "c", "image": "i", "ports": [{"containerPort": 80, "name": "http"}]}
        ]
    }
}
ALIEN = 'Error seen: service "sb" is owned by Sandbox/other (UID: u0), not by sandbox "sb"'
CLOSED = (
    'Error seen: service "sb" has no owner; labelled agents.x-k8s.io/adoptable: "true", it is '
    "taken over"
)
READY, WITH_SERVICE = "Pod is Ready", "Pod is Ready; Service Exists"


async def a_sandbox(world: World, wanted: bool | None) -> None:
    """Its pod is Ready; a Service may be there already."""
    spec: dict[str, Any] = {} if wanted is None else {"service": wanted}
    await a_ready_sandbox(world, template=TEMPLATE, **spec)


async def service(world: World) -> Service:
    found = await world.there(SERVICE)
    assert found is not None
    return found


async def shown(world: World) -> tuple[str, str, str]:
    status = (await world.sandbox()).status
    assert status is not None
    return status.service, status.service_fqdn, (await world.ready()).message


def of_services(world: World) -> list[str]:
    return [write for write in world.writes() if "services" in write]


class TestTable:
    """spec.service, against who owns the Service of the sandbox's name."""

    @pytest.mark.parametrize(
        ("wanted", "planted", "writes", "message"),
        [
            pytest.param(True, None, [POST], WITH_SERVICE, id="wanted-absent"),
            pytest.param(None, None, [], READY, id="unset-absent"),
            pytest.param(False, None, [], READY, id="unwanted-absent"),
            pytest.param(True, {"labels": TRACKING}, [PATCH], WITH_SERVICE, id="wanted-tracked"),
            pytest.param(
                True,
                {"labels": ADOPTABLE},
                ["create services 409", PATCH],
                WITH_SERVICE,
                id="wanted-adoptable",
            ),
            pytest.param(True, {}, ["create services 409"], CLOSED, id="wanted-unmarked"),
            pytest.param(None, {"labels": TRACKING}, [], READY, id="unset-unowned"),
            pytest.param(False, {"labels": TRACKING}, [], READY, id="unwanted-unowned"),
            pytest.param(
                True, {"labels": TRACKING, "owned_by": STRANGER}, [], ALIEN, id="wanted-other's"
            ),
            pytest.param(
                None, {"labels": TRACKING, "owned_by": STRANGER}, [], ALIEN, id="unset-other's"
            ),
            pytest.param(
                False, {"labels": TRACKING, "owned_by": STRANGER}, [], READY, id="unwanted-other's"
            ),
            pytest.param(
                True,
                {"labels": TRACKING, "spec": {"clusterIP": "10.0.0.5", "ports": [PORT]}},
                [],
                'Error seen: service "sb" has the ClusterIP "10.0.0.5", which nobody can change; '
                'the one of a sandbox has "None"',
                id="wanted-not-headless",
            ),
        ],
    )
    async def test_what_is_done(
        self, wanted: bool | None, planted: dict[str, Any] | None, writes: list[str], message: str
    ) -> None:
        async with a_world() as world:
            before = None if planted is None else await world.plant(SERVICE, **planted)
            await world.run_for(0.1)
            await a_sandbox(world, wanted)
            assert list(dict.fromkeys(of_services(world))) == writes
            is_accepted = message == WITH_SERVICE
            names = ("sb", "sb.default.svc.cluster.local") if is_accepted else ("", "")
            assert await shown(world) == (*names, message)
            if not writes or writes == ["create services 409"]:
                assert await world.there(SERVICE) == before
            if is_accepted:
                made = await service(world)
                assert made.metadata.labels.items() >= TRACKING.items()
                assert (made.spec.selector, made.spec.cluster_ip) == (TRACKING, "None")
                assert [(p.name, p.port, p.target_port) for p in made.spec.ports] == [
                    ("http", 80, 80)
                ]
                uid = (await world.sandbox()).metadata.uid
                assert [owner.uid for owner in made.metadata.owner_references] == [uid]
            assert world.errors == []

    @pytest.mark.parametrize(
        ("wanted", "writes", "message"),
        [
            pytest.param(None, [], WITH_SERVICE, id="unset-keeps-it"),
            pytest.param(False, [DELETE], READY, id="unwanted-deletes-it"),
        ],
    )
    async def test_what_becomes_of_an_own_one(
        self, wanted: bool | None, writes: list[str], message: str
    ) -> None:
        async with a_world() as world:
            await a_sandbox(world, True)
            await world.hand.merge_patch(SANDBOX, KEY, {"spec": {"service": wanted}})
            await world.run_for(5)
            assert of_services(world) == [POST, *writes]
            assert (await shown(world))[2] == message
            assert (await world.ready()).is_true
            assert (await world.there(SERVICE) is None) == (wanted is False)


class TestDrift:
    """An own Service that somebody has changed, or whose template has."""

    @pytest.mark.parametrize(
        ("wanted", "edit", "is_mended"),
        [
            pytest.param(
                True, {"spec": {"selector": {"app": "x"}}}, True, id="another-key-in-the-selector"
            ),
            pytest.param(True, {"spec": {"selector": None}}, True, id="no-selector"),
            pytest.param(True, {"metadata": {"labels": None}}, True, id="no-label"),
            pytest.param(True, {"spec": {"ports": None}}, True, id="no-ports"),
            pytest.param(
                True, {"spec": {"ports": [{**PORT, "name": "web"}]}}, True, id="another-port-name"
            ),
            pytest.param(
                True, {"spec": {"ports": [{**PORT, "targetPort": 81}]}}, True, id="another-target"
            ),
            pytest.param(True, {"metadata": {"labels": {"his": "1"}}}, False, id="a-label-more"),
            pytest.param(
                None, {"spec": {"selector": {"app": "x"}}}, True, id="unset-mends-the-selector"
            ),
            pytest.param(None, {"metadata": {"labels": None}}, True, id="unset-mends-the-label"),
            pytest.param(None, {"spec": {"ports": None}}, False, id="unset-leaves-the-ports"),
        ],
    )
    async def test_it_is_mended_in_one_write(
        self, wanted: bool | None, edit: dict[str, Any], is_mended: bool
    ) -> None:
        async with a_world() as world:
            await a_sandbox(world, True)
            await world.hand.merge_patch(SANDBOX, KEY, {"spec": {"service": wanted}})
            await world.run_for(1)
            before, count = await service(world), len(world.writes())
            edited = await world.hand.merge_patch(SERVICE, KEY, edit)
            await world.run_for(2)
            after = await service(world)
            assert world.writes()[count:].count(PATCH) == int(is_mended)
            expected = before if is_mended else edited
            assert (after.spec, after.metadata.labels) == (expected.spec, expected.metadata.labels)
            assert (await world.ready()).is_true
            assert world.errors == []

    async def test_ports_follow_the_template(self) -> None:
        async with a_world() as world:
            await a_sandbox(world, True)
            ports = [{"containerPort": 53, "protocol": "UDP"}]
            containers = [{"name": "c", "image": "i", "ports": ports}]
            patch = {"spec": {"podTemplate": {"spec": {"containers": containers}}}}
            await world.hand.merge_patch(SANDBOX, KEY, patch)
            await world.run_for(1)
            found = [(p.name, p.protocol, p.port) for p in (await service(world)).spec.ports]
            assert found == [("p-53-udp", "UDP", 53)]
            containers[0].pop("ports")
            await world.hand.merge_patch(SANDBOX, KEY, patch)
            await world.run_for(1)
            assert (await service(world)).spec.ports == ()

    async def test_one_that_is_gone_is_told_of_no_longer(self) -> None:
        async with a_world() as world:
            await a_sandbox(world, True)
            await world.hand.merge_patch(SANDBOX, KEY, {"spec": {"service": None}})
            await world.run_for(1)
            await world.remove(SERVICE)
            await world.run_for(1)
            assert await shown(world) == ("", "", READY)
            assert (world.reads(), world.errors) == (1, [])

    async def test_a_refused_deletion_is_told(self) -> None:
        async with a_world() as world:
            await a_sandbox(world, True)
            no = refusal(403, "Forbidden", "services is forbidden")
            world.transport.before = lambda r: no if r.method == "DELETE" else None
            await world.hand.merge_patch(SANDBOX, KEY, {"spec": {"service": False}})
            await world.run_for(5)
            assert (await world.ready()).message == (
                'Error seen: service "sb" was refused (403 Forbidden): services is forbidden'
            )
            world.transport.before = lambda _: None
            await world.run_for(30)
            assert await world.there(SERVICE) is None
            assert (await world.ready()).message == READY

    async def test_a_service_does_not_wait_for_a_pod_that_is_refused(self) -> None:
        async with a_world() as world:
            no = refusal(403, "Forbidden", "quota")
            world.transport.before = lambda r: no if r.path.endswith("/pods") else None
            await world.create(sandbox_body(service=True))
            await world.run_for(1)
            assert of_services(world) == [POST]
            world.transport.before = lambda _: None
            await world.run_for(30)
            await world.play_kubelet(READY_STATUS)
            await world.run_for(1)
            assert (await world.ready()).message == WITH_SERVICE


class TestSharedHash:
    """Two names of one hash: a Service of the one would reach the pod of the other."""

    FIRST, SECOND = "kdqwhlnt", "umadbkcj"

    @pytest.mark.parametrize(("first", "second"), [(True, None), (None, True), (True, True)])
    async def test_the_second_gets_no_pod_until_the_first_is_gone(
        self, first: bool | None, second: bool | None
    ) -> None:
        assert name_hash(self.FIRST) == name_hash(self.SECOND)
        async with a_world() as world:
            await world.create(sandbox_body(name=self.FIRST, service=first))
            await world.run_for(1)
            await world.create(sandbox_body(name=self.SECOND, service=second))
            await world.run_for(100)
            assert await world.pod(self.FIRST) is not None
            assert await world.pod(self.SECOND) is None
            ready = await world.ready(self.SECOND)
            assert (ready.status, ready.reason) == ("False", "ReconcilerError")
            assert f'that of sandbox "{self.FIRST}"' in ready.message
            assert world.errors == []
            await world.remove(SANDBOX, self.FIRST)
            await world.remove(POD, self.FIRST)
            await world.run_for(61)
            assert await world.pod(self.SECOND) is not None

    async def test_without_a_service_nothing_is_mixed(self) -> None:
        async with a_world() as world:
            await world.create(sandbox_body(name=self.FIRST))
            await world.create(sandbox_body(name=self.SECOND))
            await world.run_for(1)
            assert await world.pod(self.FIRST) is not None
            assert await world.pod(self.SECOND) is not None
