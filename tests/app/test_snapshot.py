"""A snapshot of a manager: its parts, what it says of what could not be read, and its ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from tests.app.snapshots import Basket, errors_of, items_of, taken
from tests.controllers.app_world import AppWorld, refusal, virtual

from warmclaim import __version__
from warmclaim.api.resources import CLAIM, POD, POOL, SANDBOX, TEMPLATE
from warmclaim.controllers.claim_journal import ClaimJournal
from warmclaim.errors import NotSentError
from warmclaim.kube import raw_list
from warmclaim.kube.pages import list_metadata
from warmclaim.runtime.diagnostics import ReaderLeftError
from warmclaim.seams import Request, Response
from warmclaim.settings import CONTROLLERS
from warmclaim.testing.builders import a_claim, a_pod, a_pool, a_sandbox, a_template

PARTS = ["metadata", "config", "controllerParams", "queues", "rawObjects", "discovery", "errors"]
KINDS = [*map(str, (CLAIM, SANDBOX, POOL, TEMPLATE, POD)), "nodes", "events.events.k8s.io"]


def stock(world: AppWorld, *nodes: str) -> None:
    world.put(a_template("python"), a_pool("pool", template="python", replicas=len(nodes)))
    world.put(*(a_sandbox(f"w{n}", pool="pool", node=node) for n, node in enumerate(nodes)))


async def served_one(world: AppWorld) -> None:
    stock(world, "n1", "n2", "n2", "n2")
    await world.run_for(0.1)
    world.put(a_claim("c", pool="pool"))
    await world.served("c")


def test_the_parts_come_in_their_order_and_tell_of_this_manager() -> None:
    async def scenario(world: AppWorld) -> None:
        await served_one(world)
        found = await taken(world.app)
        assert list(found) == PARTS
        assert list(found["rawObjects"]) == KINDS
        assert found["errors"] == []
        metadata = found["metadata"]
        assert (metadata["formatVersion"], metadata["version"]) == (1, __version__)
        assert (metadata["isLeading"], metadata["isRedacted"]) == (True, True)
        assert found["config"]["claims"]["workers"] == world.app.settings.claims.workers
        assert found["controllerParams"]["controllers"]["sandboxclaim"]["working"] == 0

    virtual(scenario)


def test_queues_hold_entries_counts_and_decisions() -> None:
    async def scenario(world: AppWorld) -> None:
        await served_one(world)
        queue = (await taken(world.app))["queues"]["default/pool"]
        places = {entry["sandbox"]: (entry["node"], entry["place"]) for entry in queue["entries"]}
        assert len(places) == 3
        assert set(places.values()) == {("n1", "ready"), ("n2", "ready")}
        assert (queue["ready"], queue["held"], queue["inFlight"]) == (3, 0, 0)
        assert queue["nodes"] == {"n1": 1, "n2": 2}
        (decision,) = queue["decisions"]
        assert decision["claim"] == "default/c"
        assert [step["step"] for step in decision["steps"]][:2] == ["picked", "adopted"]

    virtual(scenario)


def test_an_entry_in_flight_and_one_without_an_address_are_told_apart() -> None:
    async def scenario(world: AppWorld) -> None:
        stock(world, "n1")
        world.put(a_sandbox("held", pool="pool", node="n3", ready=False))
        await world.run_for(0.1)
        answer = world.faults.before

        async def in_the_middle(request: Request) -> Response | Exception | None:
            if request.method == "PATCH" and request.path.endswith("/w0"):
                queue = (await taken(world.app))["queues"]["default/pool"]
                entries = {entry["sandbox"]: entry["place"] for entry in queue["entries"]}
                assert entries["default/w0"] == "in flight"
                assert entries["default/held"] == "held"
                assert queue["inFlight"] == 1
                seen.append(entries)
            return await answer(request)

        seen: list[dict[str, str]] = []
        world.faults.before = in_the_middle
        world.put(a_claim("c", pool="pool"))
        await world.served("c")
        assert seen

    virtual(scenario)


def test_objects_are_those_that_the_server_stores() -> None:
    async def scenario(world: AppWorld) -> None:
        await served_one(world)
        world.put(a_pod("p"), {**a_pod("stranger"), "metadata": {"name": "stranger"}})
        found = (await taken(world.app, is_redacted=False))["rawObjects"]
        for resource in (CLAIM, SANDBOX, POOL, TEMPLATE):
            body = (await world.server.handle(Request("GET", resource.collection()))).body
            assert found[str(resource)]["items"] == json.loads(body)["items"]
            assert found[str(resource)]["source"] == "api"
            assert found[str(resource)]["isWhole"] is True
        assert [pod["metadata"]["name"] for pod in found["pods"]["items"]] == ["p"]
        nodes = {node["metadata"]["name"]: node["sandboxes"] for node in found["nodes"]["items"]}
        assert nodes == {"n1": 1, "n2": 3}

    virtual(scenario)


def test_events_are_those_about_our_objects() -> None:
    def event(name: str, kind: str, about: str) -> dict[str, Any]:
        regarding = {"kind": kind, "namespace": "default", "name": about}
        head = {"apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": name}}
        return {**head, "regarding": regarding}

    async def scenario(world: AppWorld) -> None:
        world.put(a_pod("ours"), a_sandbox("ours"))
        await world.run_for(0.1)
        world.put(event("1", "Pod", "ours"), event("2", "Pod", "other"))
        world.put(event("3", "SandboxClaim", "c"), event("4", "Node", "n1"))
        events = (await taken(world.app))["rawObjects"]["events.events.k8s.io"]
        assert [item["metadata"]["name"] for item in events["items"]] == ["1", "3"]
        assert events["count"] == 2

    virtual(scenario, controllers=CONTROLLERS - {"pool"})


def test_secrets_are_redacted_unless_asked_for() -> None:
    env = [{"name": "A", "value": "hunter2"}]

    async def scenario(world: AppWorld) -> None:
        world.put(a_claim("c", pool="pool", merge={"spec": {"env": env}}))
        shown = await taken(world.app)
        assert "hunter2" not in json.dumps(shown)
        assert shown["rawObjects"][str(CLAIM)]["items"][0]["spec"]["env"] == [
            {"name": "A", "value": "<redacted>"}
        ]
        whole = await taken(world.app, is_redacted=False)
        assert whole["rawObjects"][str(CLAIM)]["items"][0]["spec"]["env"] == env
        assert whole["metadata"]["isRedacted"] is False

    virtual(scenario)


def refused(path: str, answer: Response) -> Callable[[Request], Response | None]:
    """Every list at the end of that path is refused; watches are not."""
    return lambda request: answer if request.path.endswith(path) and not _watches(request) else None


def _watches(request: Request) -> bool:
    return ("watch", "1") in request.query


@pytest.mark.parametrize(
    "answer", [refusal(403, "Forbidden"), refusal(500, "InternalError"), refusal(410, "Expired")]
)
def test_a_kind_that_is_not_listed_comes_from_the_view_and_is_told(answer: Response) -> None:
    async def scenario(world: AppWorld) -> None:
        await served_one(world)
        world.faults.before_stream = refused("/sandboxes", answer)
        found = await taken(world.app)
        part = found["rawObjects"][str(SANDBOX)]
        assert (part["source"], part["count"]) == ("view", 4)
        assert {item["metadata"]["name"] for item in part["items"]} == {"w0", "w1", "w2", "w3"}
        assert errors_of(found).keys() == {f"rawObjects {SANDBOX}"}
        assert found["rawObjects"][str(CLAIM)]["source"] == "api"

    virtual(scenario)


def test_a_kind_without_list_and_view_is_not_an_empty_list() -> None:
    async def scenario(world: AppWorld) -> None:
        world.faults.before_stream = refused("/pods", refusal(403, "Forbidden", "not yours"))
        found = await taken(world.app)
        assert "pods" not in found["rawObjects"]
        assert "not yours" in errors_of(found)["rawObjects pods"]

    virtual(scenario)


def test_without_objects_the_list_is_empty_and_whole() -> None:
    async def scenario(world: AppWorld) -> None:
        found = (await taken(world.app))["rawObjects"][str(CLAIM)]
        assert (found["items"], found["count"], found["isWhole"]) == ([], 0, True)

    virtual(scenario)


@pytest.mark.parametrize("answer", [refusal(410, "Expired"), refusal(503, "ServiceUnavailable")])
def test_a_list_that_breaks_off_says_how_far_it_came(
    answer: Response, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(raw_list, "PAGE_OBJECTS_MAX", 2)

    def third_page(request: Request) -> Response | None:
        if request.path.endswith("/sandboxes") and not _watches(request):
            pages.append(request)
        return answer if len(pages) == 2 and request is pages[-1] else None

    pages: list[Request] = []

    async def scenario(world: AppWorld) -> None:
        stock(world, "n1", "n1", "n1")
        await world.run_for(0.1)
        world.faults.before_stream = third_page
        found = await taken(world.app)
        part = found["rawObjects"][str(SANDBOX)]
        assert (part["count"], part["isWhole"], len(part["items"])) == (2, False, 2)
        assert "resourceVersion" not in part
        assert str(json.loads(answer.body)["code"]) in errors_of(found)[f"rawObjects {SANDBOX}"]
        assert list(found["rawObjects"]) == KINDS

    virtual(scenario)


def test_discovery_is_kept_as_far_as_it_could_be_read() -> None:
    async def scenario(world: AppWorld) -> None:
        broken = "/apis/events.k8s.io/v1"
        world.faults.before_stream = refused(broken, refusal(503, "ServiceUnavailable", "gone"))
        found = await taken(world.app)
        paths = {told["path"]: told["document"] for told in found["discovery"]}
        assert paths["/version"]["minor"] == "36"
        assert "/apis/agents.x-k8s.io/v1beta1" in paths
        assert broken not in paths
        assert "gone" in errors_of(found)[f"discovery {broken}"]

    virtual(scenario)


def test_without_groups_the_rest_of_discovery_is_kept() -> None:
    async def scenario(world: AppWorld) -> None:
        world.faults.before_stream = refused("/apis", refusal(500, "InternalError"))
        found = await taken(world.app)
        assert [told["path"] for told in found["discovery"]] == ["/version", "/api/v1"]
        assert "discovery /apis" in errors_of(found)

    virtual(scenario)


def test_without_the_server_all_comes_from_the_views() -> None:
    async def scenario(world: AppWorld) -> None:
        await served_one(world)

        def unreachable(_: Request) -> Response | None:
            raise NotSentError("connection refused")

        world.faults.before_stream = unreachable
        found = await taken(world.app)
        assert {part["source"] for part in found["rawObjects"].values()} == {"view", "names"}
        assert found["queues"]["default/pool"]["ready"] == 3
        assert {"rawObjects pods", "discovery /version"} <= errors_of(found).keys()

    virtual(scenario)


def test_a_mistake_of_ours_in_a_part_is_told_and_the_others_follow(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: object) -> None:
        raise LookupError("nobody thought of this")

    async def scenario(world: AppWorld) -> None:
        await served_one(world)
        monkeypatch.setattr(ClaimJournal, "claims", fail)
        found = await taken(world.app)
        assert list(found) == [part for part in PARTS if part != "queues"]
        assert "nobody thought of this" in errors_of(found)["queues"]

    virtual(scenario)
    assert "a part of a snapshot failed" in caplog.text


def test_a_mistake_in_the_middle_of_a_list_leaves_json(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise LookupError("nobody thought of this")

    async def scenario(world: AppWorld) -> None:
        await served_one(world)
        monkeypatch.setattr(ClaimJournal, "steps_of", fail)
        found = await taken(world.app)
        assert list(found) == PARTS
        assert found["queues"]["default/pool"]["decisions"] == []
        assert "nobody" in errors_of(found)["queues"]

    virtual(scenario)


def test_a_mistake_in_a_kind_costs_that_kind_alone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = list_metadata

    def fail(envelope: bytes) -> object:
        if b"SandboxWarmPoolList" in envelope:
            raise LookupError("nobody thought of this")
        return real(envelope)

    async def scenario(world: AppWorld) -> None:
        await served_one(world)
        monkeypatch.setattr(raw_list, "list_metadata", fail)
        found = await taken(world.app)
        assert list(found["rawObjects"]) == KINDS
        wholes = {kind: part["isWhole"] for kind, part in found["rawObjects"].items()}
        assert [kind for kind, is_whole in wholes.items() if not is_whole] == [str(POOL)]
        assert "nobody" in errors_of(found)[f"rawObjects {POOL}"]

    virtual(scenario)
    assert "a kind of a snapshot failed" in caplog.text


def test_wherever_the_reader_leaves_the_work_ends_there() -> None:
    async def scenario(world: AppWorld) -> None:
        await served_one(world)
        whole = Basket()
        await world.app.snapshots.take(whole, True)
        for calls in range(whole.asked):
            basket = Basket(leaves_after=calls)
            with pytest.raises(ReaderLeftError):
                await world.app.snapshots.take(basket, True)
            assert basket.asked == calls + 1
        assert items_of(whole.text)

    virtual(scenario)


def test_what_a_snapshot_is_refused_holds_up_nobody_else() -> None:
    async def scenario(world: AppWorld) -> None:
        stock(world, "n1", "n2")
        throttled = refusal(429, "TooManyRequests", **{"retry-after": "20"})
        world.faults.before_stream = refused("/pods", throttled)
        await world.run_for(0.1)
        assert "429" in errors_of(await taken(world.app))["rawObjects pods"]
        world.put(a_claim("c", pool="pool"))
        await world.served("c", within_s=0.1)
        assert world.app.permissions_missing() == []

    virtual(scenario)
