"""A manager without one of its permissions says which, and does all the rest."""

from __future__ import annotations

import logging
from collections.abc import Iterable

import pytest
from tests.controllers.app_world import NAMESPACE, AppWorld, running, virtual

from warmclaim.api.lease import LEASE
from warmclaim.api.resources import CLAIM, NETWORK_POLICY, POOL, SANDBOX, TEMPLATE
from warmclaim.api.timestamps import rfc3339
from warmclaim.app.election import LeaseElection
from warmclaim.domain.network_policy import policy_name
from warmclaim.kube.lease import lease_name
from warmclaim.kube.permissions import PLACES_MAX
from warmclaim.seams import Request, Response
from warmclaim.settings import CONTROLLERS, LeaseSettings
from warmclaim.testing.builders import a_claim, a_pool, a_sandbox, a_template, an_object
from warmclaim.testing.json_values import Json
from warmclaim.testing.refusals import not_permitted
from warmclaim.testing.virtual_loop import World, run_virtual

BOTH = frozenset({"claim", "template"})
VERBS = {"POST": "create", "PATCH": "patch", "PUT": "update", "DELETE": "delete"}


def verb_of(request: Request) -> str:
    query = dict(request.query)
    is_one = request.path.rpartition("/")[0].endswith("s")
    read = "watch" if "watch" in query else "get" if is_one else "list"
    return VERBS.get(request.method, read)


class Role:
    """What the manager may not do: pairs of a verb and the kind, "plural[.group]"."""

    def __init__(self, world: AppWorld, *lacks: tuple[str, str]) -> None:
        self.lacks = set(lacks)
        self.refused: list[str] = []
        self.refused_at_s: list[float] = []
        self._clock = world.clock
        world.faults.before = self._asked
        world.faults.before_stream = self._no

    async def _asked(self, request: Request) -> Response | None:
        return self._no(request)

    def _no(self, request: Request) -> Response | None:
        verb = verb_of(request)
        for lacking, kind in self.lacks:
            plural = kind.partition(".")[0]
            if verb == lacking and f"/{plural}" in request.path:
                _, _, rest = request.path.partition("/namespaces/")
                said = not_permitted(verb, kind, rest.partition("/")[0])
                self.refused.append(f"{verb} {plural}")
                self.refused_at_s.append(self._clock.monotonic())
                return Response(said.code, said.body, said.headers)
        return None


def stock(world: AppWorld, warm: int = 2) -> None:
    world.put(a_template("python"), a_pool("pool", template="python", replicas=warm))
    world.put(*(a_sandbox(f"w{n}", pool="pool", node=f"n{n}") for n in range(warm)))


def a_namespace(name: str, *, is_terminating: bool = False) -> Json:
    phase = "Terminating" if is_terminating else "Active"
    ending = {"deletionTimestamp": "2026-01-01T00:00:00Z"} if is_terminating else {}
    metadata: Json = {"name": name, "uid": f"{name}-uid", **ending}
    spec: Json = {"finalizers": ["kubernetes"]}
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": metadata,
        "spec": spec,
        "status": {"phase": phase},
    }


def events(world: AppWorld) -> list[Json]:
    found = (commit.object for commit in world.server.cluster.store.scan("events.events.k8s.io"))
    return [event for event in found if event["reason"] == "PermissionMissing"]


def unready(world: AppWorld) -> dict[str, str]:
    reasons = {name: check() for name, check in world.app.readiness().items()}
    return {name: reason for name, reason in reasons.items() if reason is not None}


def said(records: Iterable[logging.LogRecord], level: int = logging.INFO) -> list[str]:
    """Every line at or above the level that has a word of permissions in it."""
    words = ("permission", "permitted", "cannot", "forbidden", "403")
    texts = [record.getMessage() for record in records if record.levelno >= level]
    return [text for text in texts if any(word in text for word in words)]


LACKING = 'create networkpolicies.networking.k8s.io in namespace "default"'


def test_a_write_that_is_not_permitted_is_said_once_everywhere_and_claims_are_served(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario(world: AppWorld) -> None:
        role = Role(world, ("create", str(NETWORK_POLICY)))
        stock(world)
        world.put(*(a_template(f"t{number}") for number in range(20)))
        world.put(a_claim("c", pool="pool"))
        await world.served("c")
        await world.run_for(600)

        assert world.app.permissions_missing() == [LACKING]
        assert unready(world) == {}, "it is noted, and the manager stays ready"
        assert said(caplog.records) == [f"permission missing: {LACKING}; the rest goes on"]
        (event,) = events(world)
        assert event["type"] == "Warning"
        assert event["regarding"]["kind"] == "Lease"
        assert event["regarding"]["namespace"] == NAMESPACE
        assert f"may not {LACKING}, which the template controller must" in event["note"]
        assert LACKING in event["note"]
        per_template = len(role.refused) / 21
        assert per_template < 12 + 600 / 30 + 1, "doubled delays, 30 s at most"

        role.lacks.clear()
        await world.run_for(40)
        assert world.app.permissions_missing() == []
        assert said(caplog.records)[1:] == [f"permission granted: {LACKING}"]
        made = await world.hand.list_page(NETWORK_POLICY)
        assert len(made.items) == 21

    with caplog.at_level(logging.INFO):
        virtual(scenario, controllers=BOTH)


def test_one_success_brings_all_that_waited_for_the_permission() -> None:
    async def scenario(world: AppWorld) -> None:
        role = Role(world, ("create", str(NETWORK_POLICY)))
        world.put(*(a_template(f"t{number}") for number in range(20)))
        await world.run_for(120)
        role.lacks.clear()
        mark = len(world.writes())

        async def is_begun() -> bool:
            return "create networkpolicies 201" in world.writes()[mark:]

        await world.until(is_begun, within_s=31)
        await world.run_for(1)
        assert world.writes()[mark:].count("create networkpolicies 201") == 20

    virtual(scenario, controllers=BOTH)


@pytest.mark.parametrize("verb", ["list", "watch"])
def test_a_kind_that_may_not_be_read_holds_up_only_who_needs_it(verb: str) -> None:
    async def main(world: World) -> None:
        app_world = AppWorld(world, controllers=BOTH)
        role = Role(app_world, (verb, str(NETWORK_POLICY)))
        if verb == "list":  # a server that streams no lists
            role.lacks.add(("watch", str(NETWORK_POLICY)))
        stock(app_world)
        app_world.put(a_claim("c", pool="pool"))
        lacking = f"{NETWORK_POLICY} at the cluster scope"
        async with running(app_world.app, synced=(CLAIM, SANDBOX, TEMPLATE)):
            await app_world.served("c")
            await app_world.run_for(300)
            assert list(unready(app_world)) == [str(NETWORK_POLICY)]
            assert "cannot watch" in unready(app_world)[str(NETWORK_POLICY)]
            assert f"watch {lacking}" in app_world.app.permissions_missing()
            assert len(events(app_world)) == 1
            assert len(role.refused) < 5 + 300 / 20
            assert "create networkpolicies 201" not in app_world.writes()

            role.lacks.clear()
            await app_world.run_for(60)
            assert unready(app_world) == {}
            assert "create networkpolicies 201" in app_world.writes()

    run_virtual(main)


def test_a_kind_that_may_not_be_watched_any_more_makes_it_unready() -> None:
    async def scenario(world: AppWorld) -> None:
        stock(world)
        await world.run_for(1)
        assert unready(world) == {}
        role = Role(world, ("watch", str(SANDBOX)))
        await world.run_for(700)  # until the stream ended
        reason = f"not up to date: may not watch {SANDBOX} at the cluster scope"
        assert unready(world) == {str(SANDBOX): reason}
        world.put(a_claim("c", pool="pool"))
        await world.served("c")

        role.lacks.clear()
        await world.run_for(60)
        assert unready(world) == {}

    virtual(scenario, controllers=BOTH)


def test_without_the_permission_for_events_the_log_and_readiness_say_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario(world: AppWorld) -> None:
        role = Role(world, ("create", "events.events.k8s.io"))
        stock(world, warm=20)
        for number in range(20):
            world.put(a_claim(f"c{number}", pool="pool"))
            await world.served(f"c{number}")
            await world.run_for(30)
        lacking = 'create events.events.k8s.io in namespace "default"'
        assert world.app.permissions_missing() == [lacking]
        assert said(caplog.records) == [f"permission missing: {lacking}; the rest goes on"]
        assert unready(world) == {}
        assert len(role.refused) <= 1 + 600 / 60, "once a minute"

    with caplog.at_level(logging.INFO):
        virtual(scenario, controllers=BOTH)


@pytest.mark.parametrize(
    ("verb", "kind"),
    [
        ("create", str(SANDBOX)),
        ("patch", str(SANDBOX)),
        ("delete", str(SANDBOX)),
        ("patch", str(CLAIM)),
        ("delete", str(CLAIM)),
        ("patch", str(POOL)),
        ("patch", str(TEMPLATE)),
        ("create", "pods"),
    ],
    ids=" ".join,
)
def test_whatever_write_is_missing_is_said_in_one_line_and_tried_ever_more_seldom(
    verb: str, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(world: AppWorld) -> None:
        role = Role(world, (verb, kind))
        stock(world)
        world.put(a_pool("small", template="python", replicas=0))
        world.put(a_sandbox("surplus", pool="small"))
        world.put(a_claim("c", pool="pool"), a_claim("cold", pool="small"))
        brief = {"shutdownTime": rfc3339(world.clock.wall() + 5), "shutdownPolicy": "Delete"}
        world.put(a_claim("brief", pool="pool", merge={"spec": {"lifecycle": brief}}))
        await world.run_for(600)
        missing = world.app.permissions_missing()
        assert missing
        assert all(one.startswith(f"{verb} {kind}") for one in missing)
        lines = [f"permission missing: {one}; the rest goes on" for one in missing]
        assert said(caplog.records) == lines
        assert len(events(world)) == len(missing)
        assert unready(world) == {}
        first, second = role.refused_at_s[0], role.refused_at_s[0] + 300
        late = [at_s for at_s in role.refused_at_s if at_s > second]
        assert len(late) <= 8 * 300 / 30, f"{len(late)} in five minutes, from {first}"

    with caplog.at_level(logging.INFO):
        virtual(scenario, controllers=CONTROLLERS)


@pytest.mark.parametrize("verb", ["get", "create", "update"])
def test_without_the_lease_nobody_leads_and_the_log_and_readiness_say_why(
    verb: str, caplog: pytest.LogCaptureFixture
) -> None:
    lacking = f'{verb} {LEASE} in namespace "{NAMESPACE}"'

    async def main(world: World) -> None:
        lease = LeaseSettings(namespace=NAMESPACE)
        app_world = AppWorld(world, controllers=BOTH, lease=lease)
        election = app_world.app.election
        assert isinstance(election, LeaseElection)
        role = Role(app_world, (verb, str(LEASE)))
        if verb == "update":  # there is one, which nobody holds
            app_world.put(an_object(LEASE, lease_name(BOTH)))
        stock(app_world)
        app_world.put(a_claim("c", pool="pool"))
        async with running(app_world.app):
            await app_world.run_for(60)
            assert app_world.app.permissions_missing() == [lacking]
            assert f"permission missing: {lacking}; the rest goes on" in said(caplog.records)
            assert f"cannot {verb} resource" in str(election.elector.problem)
            assert not await app_world.is_published("c")

            role.lacks.clear()
            await app_world.served("c", within_s=10)
            assert app_world.app.permissions_missing() == []
            assert election.elector.problem is None

    with caplog.at_level(logging.INFO):
        run_virtual(main)


def test_claims_go_on_where_one_namespace_is_closed_to_the_manager() -> None:
    """A role of single namespaces: what is refused in one says nothing of the others."""

    async def scenario(world: AppWorld) -> None:
        role = Role(world, ("create", str(NETWORK_POLICY)))
        for number in range(PLACES_MAX + 5):
            namespace = f"team-{number}"
            world.put(a_namespace(namespace), a_template("python", namespace=namespace))
        await world.run_for(30)
        assert len(role.refused) > PLACES_MAX + 5
        assert len(world.app.permissions_missing()) == len(events(world)) == PLACES_MAX

    virtual(scenario, controllers=BOTH)


def test_nothing_is_tried_again_in_a_namespace_that_terminates(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The embedded server answers as the real one does."""

    async def scenario(world: AppWorld) -> None:
        world.put(a_namespace("ending", is_terminating=True))
        world.put(*(a_template(f"t{number}", namespace="ending") for number in range(20)))
        for number in range(20):  # another's policy stands in the way, which an event would say
            name = policy_name(f"f{number}")
            spec: Json = {"spec": {"podSelector": {}, "policyTypes": ["Ingress"]}}
            world.put(an_object(NETWORK_POLICY, name, "ending", merge=spec))
            world.put(a_template(f"f{number}", namespace="ending"))
        world.put(*(a_pool(f"p{n}", template="t0", namespace="ending") for n in range(20)))
        await world.run_for(600)
        writes = world.writes()
        assert writes.count("create networkpolicies 403") == 20, "one for each template"
        assert writes.count("create events 403") == 1, "one for all of them"
        assert writes.count("create sandboxes 403") == 20, "one for each pool"
        assert {write for write in writes if write.endswith("403")} == {
            "create networkpolicies 403",
            "create sandboxes 403",
            "create events 403",
        }
        assert world.app.permissions_missing() == []
        assert said(caplog.records) == []

    with caplog.at_level(logging.INFO):
        virtual(scenario, controllers=CONTROLLERS)
