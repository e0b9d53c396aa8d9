"""The hostile corpus of tests/hostile on a real kube-apiserver: all of it that HTTP can carry.

The inputs stand side by side, each in a namespace of its own, while another namespace's claims
are served from their pool. What the embedded server says to an input, this one must say, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from e2e.burst.process import ControllerProcess
from e2e.burst.rights import grant
from e2e.burst.tenant import Tenant
from e2e.cluster import WARMCLAIM, ControlPlane
from e2e.controlplane.api import MERGE_PATCH, ApiError, ApiSession, Object
from e2e.controlplane.failures import wait_until
from e2e.controlplane.objects import create_namespace, wait_default_account
from tests.hostile.catalogue import inputs
from tests.hostile.inputs import Change, Ground, Input, Remove, Send, Step, claim_spec, thing
from tests.hostile.judge import log_problem, tells_of

from warmclaim.api.resources import CLAIM, POOL, SANDBOX, TEMPLATE, Resource
from warmclaim.testing.builders import a_pool, a_template, as_sent

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

GOOD = "good"
EVERY = 60
"""So many hostile inputs come between two good claims."""
WARM_KINDS = frozenset({"claim reserved"})
"""What these do shows at an adoption; a pod for each of the others would take too long."""
REFUSED = frozenset({400, 403, 409, 413, 422, 500})
"""Not 404: the garbage collector may have taken an object with a forged owner before its status."""
SETTLED_S_MAX = 30.0
CRASH = "Traceback (most recent call last)"
_EVENTS = "/apis/events.k8s.io/v1/events"


@pytest.fixture(scope="module")
def cluster() -> Iterator[ControlPlane]:
    """A control plane of its own: the hostile namespaces need not be cleaned up."""
    with ControlPlane(nodes=20) as plane:
        grant(plane.api, WARMCLAIM)
        yield plane


class Mallory:
    """Everybody who sends hostile inputs."""

    def __init__(self, api: ApiSession) -> None:
        self._api = api
        self.codes: dict[str, int] = {}
        self.grounds: dict[str, Ground] = {}

    def settle_in(self, all_: Sequence[Input]) -> None:
        """A namespace with a template and a pool for each input; one for all those of which the
        server is to store nothing."""
        places = {
            str(one): "h-refused" if _is_never_stored(one) else f"h-{number}"
            for number, one in enumerate(all_)
        }
        for name in dict.fromkeys(places.values()):
            body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
            self._api.create("/api/v1/namespaces", body)
        known: dict[str, Ground] = {}
        for one in all_:
            place = places[str(one)]
            if place not in known:
                known[place] = self._ground(place, int(one.kind in WARM_KINDS))
            self.grounds[str(one)] = known[place]

    def _ground(self, namespace: str, size: int) -> Ground:
        wait_default_account(self._api, namespace)
        template = as_sent(a_template(namespace=namespace))
        pool = as_sent(a_pool(namespace=namespace, replicas=size))
        self._api.create(TEMPLATE.collection(namespace), template)
        uid = self._api.create(POOL.collection(namespace), pool)["metadata"]["uid"]
        return Ground(namespace, uid, GOOD, "0f0e0d0c-0000-4000-8000-000000000000")

    def send(self, one: Input) -> None:
        """Carry one input out; a claim beside it, where it asks for one."""
        ground = self.grounds[str(one)]
        steps = list(one.build(ground))
        codes = [self._code(ground, step) for step in steps]
        self.codes[str(one)] = codes[-1]
        if one.probe:
            probe = thing(ground, CLAIM, claim_spec(), name="probe")
            self._api.create(CLAIM.collection(ground.namespace), probe)

    def _code(self, ground: Ground, step: Step) -> int:
        try:
            self._do(ground, step)
        except ApiError as error:
            return error.code
        return 200

    def _do(self, ground: Ground, step: Step) -> None:
        match step:
            case Send(resource, body, status):
                made = self._api.request("POST", resource.collection(ground.namespace), body)
                if status is not None:
                    self._merge(ground, resource, made["metadata"]["name"], {"status": status},
                                "/status")  # fmt: skip
            case Change(resource, name, patch):
                self._merge(ground, resource, name, patch)
            case Remove(resource, name):
                self._api.delete(f"{resource.collection(ground.namespace)}/{name}")
            case _:
                raise AssertionError(f"no HTTP request: {step}")

    def _merge(
        self, ground: Ground, resource: Resource[Any], name: str, patch: Object, sub: str = ""
    ) -> None:
        path = f"{resource.collection(ground.namespace)}/{quote(name, safe='')}{sub}"
        self._api.request("PATCH", path, patch, content_type=MERGE_PATCH)

    def problems(self, all_: Sequence[Input]) -> list[str]:
        """What is not as it should be, a line for each."""
        of = self._by_namespace()
        found: list[str] = []
        for one in all_:
            if (self.codes[str(one)] in REFUSED) != (one.expect.word == "refused"):
                found.append(f"{one}: the server said {self.codes[str(one)]}; {one.expect}")
            found += _problems(one, of(self.grounds[str(one)].namespace))
        return found

    def _by_namespace(self) -> Callable[[str], Found]:
        lists = [self._api.get(r.collection())["items"] for r in (CLAIM, SANDBOX)]
        lists.append(self._api.get(_EVENTS)["items"])
        sorted_: dict[str, Found] = {}
        for number, items in enumerate(lists):
            for item in items:
                place = sorted_.setdefault(item["metadata"]["namespace"], ([], [], []))
                place[number].append(item)
        return lambda namespace: sorted_.get(namespace, ([], [], []))


def _is_never_stored(one: Input) -> bool:
    """Of some refused inputs only the status is refused, or only the second step."""
    is_short = one.kind not in ("sandbox status", "pool games") and not one.probe
    return one.expect.word == "refused" and is_short


Found = tuple[list[Object], list[Object], list[Object]]


def _problems(one: Input, found: Found) -> list[str]:
    if one.later:  # then all that is promised is that nobody else is harmed
        return []
    claims, sandboxes, events = found
    tells = tells_of(claims, sandboxes, events)
    is_told = one.expect.word in ("condition", "event")
    expected = {str(one.expect)} if is_told else set[str]()
    wrong = [] if tells == expected else [f"{one}: told by {sorted(tells)}; {one.expect}"]
    for claim in claims:
        name, given = claim["metadata"]["name"], _given(claim)
        if one.expect.word == "served" and not given:
            wrong.append(f"{one}: claim {name[:64]} is not served")
        if one.probe and name == "probe" and given != one.probe:
            wrong.append(f"{one}: the probe got {given!r}")
    return wrong


def _given(claim: Object) -> str:
    conditions = claim.get("status", {}).get("conditions", [])
    is_ready = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
    return str(claim["status"]["sandbox"]["name"]) if is_ready else ""


def test_what_a_tenant_can_send_harms_nobody(cluster: ControlPlane, tmp_path: Path) -> None:
    all_ = [one for one in inputs() if one.is_for_http]
    mallory = Mallory(cluster.api)
    with ControllerProcess(cluster.kubeconfig(WARMCLAIM), tmp_path) as controller:
        controller.wait_ready()
        create_namespace(cluster.api, GOOD)
        good = Tenant(cluster.api, GOOD, controller)
        good.pool(2)
        mallory.settle_in(all_)
        good.wait_pool(2)
        for number, one in enumerate(all_):
            if number % EVERY == 0:
                good.wait_pool(2)
                good.claim(f"good-{number}")
            mallory.send(one)
            if number % EVERY == 0:
                assert good.wait_served(f"good-{number}") != f"good-{number}", "not a warm one"
        wait_until(
            "hostile inputs",
            lambda: "\n".join(mallory.problems(all_)) or None,
            timeout_s=SETTLED_S_MAX,
            interval_s=2.0,
        )
        assert controller.probe().code == 200
        assert controller.stop() == []
        log = controller.log.read_text()
    assert CRASH not in log
    assert not [line for line in log.splitlines() if log_problem(line)]
    assert len(all_) >= 200
