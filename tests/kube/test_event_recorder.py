"""Events are told late, merged, bounded; the one who records never waits and never fails."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest
from tests.kube.lease_server import Chance, SimClock, refusal, settle

from warmclaim.api.claim import Claim
from warmclaim.api.event import ObjectReference, reference
from warmclaim.api.meta import ObjectMeta
from warmclaim.api.resources import CLAIM
from warmclaim.errors import UnknownOutcomeError
from warmclaim.kube import event_recorder
from warmclaim.kube.client import ApiClient
from warmclaim.kube.event_recorder import EventRecorder
from warmclaim.seams import ByteStream, Channel, Request, Response
from warmclaim.testing import refusals

ABOUT = ObjectReference("v1", "Pod", "team", "pod-1", "uid-1", "7")
NOES = {
    "terminating": refusals.namespace_terminating("events.events.k8s.io", "pod-1.0", "team"),
    "not permitted": refusals.not_permitted("create", "events.events.k8s.io", "team"),
}


class EventServer:
    """Keeps events by name; `fault` may name a status code, one of `NOES`, or "lose answer"."""

    def __init__(self) -> None:
        self.events: dict[str, dict[str, Any]] = {}
        self.requests: list[Request] = []
        self.fault: Callable[[Request], str] = lambda request: ""

    async def request(self, request: Request) -> Response:
        self.requests.append(request)
        fault = self.fault(request)
        if fault.isdigit():
            return refusal(int(fault), "Fault")
        if fault in NOES:
            return Response(403, NOES[fault].body, NOES[fault].headers)
        body = json.loads(request.body or b"{}")
        response = self._create(body) if request.method == "POST" else self._patch(request, body)
        if fault == "lose answer":
            raise UnknownOutcomeError("reset by peer")
        return response

    def _create(self, body: dict[str, Any]) -> Response:
        name = body["metadata"]["name"]
        if name in self.events:
            return refusal(409, "AlreadyExists")
        self.events[name] = body
        return self._answer(201, name)

    def _patch(self, request: Request, body: dict[str, Any]) -> Response:
        name = request.path.rpartition("/")[2]
        if name not in self.events:
            return refusal(404, "NotFound")
        self.events[name] |= body
        return self._answer(200, name)

    def _answer(self, status: int, name: str) -> Response:
        event = self.events[name]
        metadata = {**event["metadata"], "uid": "e", "resourceVersion": "1"}
        return Response(status, json.dumps({**event, "metadata": metadata}).encode())

    async def stream(self, request: Request) -> ByteStream:
        raise NotImplementedError

    async def close(self) -> None: ...


class Bench:
    """A recorder, its server, and what was dropped."""

    def __init__(self) -> None:
        self.clock = SimClock()
        self.server = EventServer()
        self.drops = 0
        self.recorder = EventRecorder(
            ApiClient(self.server, clock=self.clock),
            clock=self.clock,
            rng=Chance(),
            instance="host-1",
            on_drop=self._dropped,
        )

    def _dropped(self) -> None:
        self.drops += 1

    def record(self, note: str = "note", about: ObjectReference = ABOUT) -> None:
        reporter = self.recorder.of("sandboxclaim-controller")
        reporter.record(about, "Normal", "SandboxAdopted", "Adoption", note)

    @property
    def told(self) -> list[dict[str, Any]]:
        return list(self.server.events.values())


@pytest.fixture
async def bench() -> AsyncGenerator[Bench]:
    made = Bench()
    task = asyncio.create_task(made.recorder.run())
    await settle()
    yield made
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_an_event_has_every_field_that_the_api_wants(bench: Bench) -> None:
    bench.record()
    assert bench.server.requests == [], "recording sends nothing by itself"
    await bench.clock.advance(0.1)
    (event,) = bench.told
    name = event["metadata"].pop("name")
    assert name.startswith("pod-1.")
    assert int(name.removeprefix("pod-1."), 16) > 1_767_323_045 * 10**9
    assert event == {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"namespace": "team"},
        "eventTime": "2026-01-02T03:20:45.000000Z",
        "reportingController": "sandboxclaim-controller",
        "reportingInstance": "sandboxclaim-controller-host-1",
        "action": "Adoption",
        "reason": "SandboxAdopted",
        "regarding": {
            "apiVersion": "v1",
            "kind": "Pod",
            "namespace": "team",
            "name": "pod-1",
            "uid": "uid-1",
        },
        "note": "note",
        "type": "Normal",
    }
    (request,) = bench.server.requests
    assert request.path == "/apis/events.k8s.io/v1/namespaces/team/events"
    assert request.channel == Channel.REFILL


async def test_a_view_is_referred_to_by_its_kind_and_uid(bench: Bench) -> None:
    claim = Claim(metadata=ObjectMeta(name="c1", namespace="team", uid="u", resource_version="9"))
    about = reference(CLAIM, claim)
    assert about.api_version == "extensions.agents.x-k8s.io/v1beta1"
    reporter = bench.recorder.of("sandboxclaim-controller")
    reporter.warning(CLAIM, claim, "R", "A", "n")
    await bench.clock.advance(0.1)
    (event,) = bench.told
    assert event["type"] == "Warning"
    assert event["regarding"]["kind"] == "SandboxClaim"
    assert event["regarding"]["uid"] == "u"


async def test_e3_repeats_become_one_series(bench: Bench) -> None:
    bench.record(about=ABOUT)
    await bench.clock.advance(1.0)
    bench.record(about=ABOUT._replace(resource_version="8"))
    await bench.clock.advance(1.0)
    (event,) = bench.told
    assert event["series"]["count"] == 2
    for _ in range(500):
        bench.record()
        await bench.clock.advance(1.0)
    (event,) = bench.told
    assert 290 <= event["series"]["count"] <= 502
    assert len(bench.server.requests) <= 4
    await bench.clock.advance(400.0)
    assert event["series"]["count"] == 502
    requests = len(bench.server.requests)
    await bench.clock.advance(7200.0)
    assert len(bench.server.requests) == requests, "a series that ended is told of no more"


async def test_e3_repeats_before_the_first_is_told_are_one_create(bench: Bench) -> None:
    for _ in range(5):
        bench.record()
    await bench.clock.advance(1.0)
    (event,) = bench.told
    assert event["series"]["count"] == 5
    assert len(bench.server.requests) == 1


async def test_e3_the_same_event_after_a_long_pause_is_a_new_one(bench: Bench) -> None:
    bench.record()
    await bench.clock.advance(1000.0)
    bench.record()
    await bench.clock.advance(1.0)
    assert len(bench.told) == 2


async def test_e3_an_event_object_that_has_expired_is_not_missed(bench: Bench) -> None:
    bench.record()
    await bench.clock.advance(1.0)
    bench.server.events.clear()
    bench.record()
    await bench.clock.advance(1.0)
    bench.record()
    await bench.clock.advance(1.0)
    assert len(bench.told) == 1
    assert bench.drops == 0


@pytest.mark.parametrize("change", ["name", "uid", "kind"])
async def test_e3_another_object_is_another_event(bench: Bench, change: str) -> None:
    bench.record()
    bench.record(about=ABOUT._replace(**{change: "other"}))
    await bench.clock.advance(1.0)
    assert len(bench.told) == 2


async def test_e1_e2_a_dead_server_costs_bounded_memory_and_no_waiting() -> None:
    bench = Bench()  # whose recorder does not run
    for number in range(event_recorder.UNTOLD_MAX + 50):
        bench.record(f"note {number}")
    assert bench.drops == 50
    task = asyncio.create_task(bench.recorder.run())
    await bench.clock.advance(event_recorder.UNTOLD_MAX / 20 + 5)
    notes = {event["note"] for event in bench.told}
    assert len(notes) == event_recorder.UNTOLD_MAX
    assert "note 0" not in notes, "the oldest gave way"
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_e4_a_burst_is_told_at_a_steady_rate_one_at_a_time(bench: Bench) -> None:
    for number in range(100):
        bench.record(f"note {number}")
    await bench.clock.advance(2.0)
    assert 38 <= len(bench.told) <= 42
    await bench.clock.advance(4.0)
    assert [event["note"] for event in bench.told] == [f"note {n}" for n in range(100)]


async def test_e4_events_give_way_while_the_gate_is_shut() -> None:
    bench = Bench()
    gate = asyncio.Event()

    async def turn() -> None:
        await gate.wait()

    recorder = EventRecorder(
        ApiClient(bench.server, clock=bench.clock),
        clock=bench.clock,
        rng=Chance(),
        instance="h",
        gate=turn,
    )
    task = asyncio.create_task(recorder.run())
    recorder.of("x").record(ABOUT, "Normal", "R", "A", "n")
    await bench.clock.advance(10.0)
    assert bench.told == []
    gate.set()
    await bench.clock.advance(1.0)
    assert len(bench.told) == 1
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("status", ["403", "404", "422", "400"])
async def test_a_refused_event_is_dropped_at_once_and_the_next_is_told(
    bench: Bench, status: str
) -> None:
    bench.server.fault = lambda request: status if b"bad" in (request.body or b"") else ""
    bench.record("bad")
    bench.record("good")
    await bench.clock.advance(20.0)
    assert [event["note"] for event in bench.told] == ["good"]
    assert bench.drops == 1


@pytest.mark.parametrize("no", sorted(NOES))
async def test_e5_a_namespace_that_takes_no_events_is_left_alone_for_a_while(
    bench: Bench, no: str
) -> None:
    bench.server.fault = lambda request: no if "/team/" in request.path else ""
    other = ABOUT._replace(namespace="other")
    for number in range(300):
        bench.record(f"note {number}")
    bench.record("elsewhere", other)
    await bench.clock.advance(20.0)
    assert [event["note"] for event in bench.told] == ["elsewhere"]
    assert len(bench.server.requests) == 2, "one for each namespace"
    assert bench.drops == 300
    assert bench.recorder.remembered == 1

    bench.record("while it is shut")
    await bench.clock.advance(20.0)
    assert len(bench.server.requests) == 2
    assert bench.drops == 301

    bench.server.fault = lambda request: ""
    await bench.clock.advance(event_recorder.SHUT_S)
    bench.record("after that")
    await bench.clock.advance(1.0)
    assert [event["note"] for event in bench.told] == ["elsewhere", "after that"]


async def test_e5_it_is_remembered_of_a_bounded_number_of_namespaces(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_recorder, "SHUT_MAX", 3)
    bench.server.fault = lambda request: "terminating"
    for number in range(4):
        bench.record("first", ABOUT._replace(namespace=f"team-{number}"))
    await bench.clock.advance(1.0)
    bench.server.fault = lambda request: ""
    for number in range(4):
        bench.record("second", ABOUT._replace(namespace=f"team-{number}"))
    await bench.clock.advance(1.0)
    assert [event["metadata"]["namespace"] for event in bench.told] == ["team-0"]


@pytest.mark.parametrize("fault", ["500", "429", "lose answer"])
async def test_a_passing_fault_is_tried_again_and_told_once(bench: Bench, fault: str) -> None:
    faults = [fault, fault]
    bench.server.fault = lambda request: faults.pop() if faults else ""
    bench.record()
    await bench.clock.advance(20.0)
    assert len(bench.told) == 1
    assert bench.drops == 0


async def test_a_lasting_fault_ends_after_a_few_tries(bench: Bench) -> None:
    bench.server.fault = lambda request: "500"
    bench.record()
    await bench.clock.advance(60.0)
    assert len(bench.server.requests) == event_recorder.TRIES_MAX
    assert bench.drops == 1


async def test_long_texts_are_cut_to_what_the_api_takes(bench: Bench) -> None:
    about = ABOUT._replace(name="n" * 253)
    bench.recorder.of("c" * 100).record(about, "Normal", "R" * 500, "A" * 500, "ü" * 2000)
    await bench.clock.advance(1.0)
    (event,) = bench.told
    assert len(event["note"].encode()) == 1024
    assert len(event["reason"]) == len(event["action"]) == 128
    assert len(event["reportingInstance"]) <= 128
    assert len(event["metadata"]["name"]) <= 253


async def test_names_of_one_moment_differ(bench: Bench) -> None:
    for number in range(20):
        bench.record(f"note {number}")
    await bench.clock.advance(5.0)
    assert len(bench.told) == 20


async def test_an_object_without_namespace_is_told_of_in_default(bench: Bench) -> None:
    bench.record(about=ABOUT._replace(namespace=""))
    await bench.clock.advance(1.0)
    assert bench.told[0]["metadata"]["namespace"] == "default"
