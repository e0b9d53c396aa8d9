"""Puts inputs into a world one after the other and says what went wrong, each by its name."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.hostile.inputs import SECRET, Ground, Input
from tests.hostile.world import GOOD, HostileWorld

from warmclaim.api.resources import CLAIM, SANDBOX
from warmclaim.testing.json_values import Json, is_array, is_object

SETTLE_S = 5.0
"""A claim waits 2 s for a member, refill 1 s for its turn; the rest is a margin."""
LATENCY_FACTOR = 1.1
QUIET_S = 600.0
_SANDBOX_ERRORS = frozenset({"ReconcilerError", "MultiplePods", "SandboxExpired"})
_OURS = frozenset(f"{name}-controller" for name in ("sandbox", "sandboxclaim", "sandboxwarmpool"))
_FAULTS_OF_OURS = ("pass crashed", "a subscriber failed", "could not be rendered", "Traceback")


@dataclass(frozen=True, slots=True)
class Service:
    """How a good claim was served: after how long, with how many requests of the manager."""

    seconds: float
    requests: int


@dataclass(frozen=True, slots=True)
class Placed:
    """An input that was carried out. `seen`: requests of the manager up to then."""

    input: Input
    ground: Ground
    seen: int


class Judge:
    """Judges a world. `replicas` is the size of the pool of each hostile namespace."""

    def __init__(self, world: HostileWorld, inputs: Sequence[Input], *, replicas: int) -> None:
        self.world = world
        self.problems: list[str] = []
        self._inputs = inputs
        self._replicas = replicas
        self._good = 0
        self._lines = 0

    async def run(self) -> list[str]:
        """All inputs, then ten quiet minutes; what was wrong, a line for each."""
        world = self.world
        world.ground(GOOD, replicas=3)
        grounds = [
            world.ground(f"h-{number}", replicas=self._replicas)
            for number in range(len(self._inputs))
        ]
        await world.run_for(SETTLE_S)
        usual = max([await self._serve() for _ in range(3)], key=lambda one: one.seconds)
        placed = [
            await self._place(one, ground, usual)
            for one, ground in zip(self._inputs, grounds, strict=True)
        ]
        await world.run_for(2 * SETTLE_S)
        since = len(world.wire.seen)
        await world.run_for(QUIET_S)
        for one in placed:
            self._check_quiet(one, since)
        self._check_process("all of them")
        return self.problems

    async def _serve(self) -> Service:
        """Serve a good claim, and let the refill after it end."""
        name = self._claim_now()
        began_s, seen = self.world.clock.monotonic(), len(self.world.wire.seen)
        await self.world.run_for(SETTLE_S)
        return self._service(name, began_s, seen)

    def _claim_now(self) -> str:
        self._good += 1
        name = f"g-{self._good}"
        self.world.good_claim(name)
        return name

    def _service(self, name: str, began_s: float, seen: int) -> Service:
        published_s = self.world.published_s.get(name, float("inf"))
        until = self.world.requests_at.get(name, len(self.world.wire.seen))
        sent = self.world.wire.seen[seen:until]
        requests = sum(f"/namespaces/{GOOD}/" in request.path for request in sent)
        return Service(published_s - began_s, requests)

    async def _place(self, one: Input, ground: Ground, usual: Service) -> Placed:
        """Carry one input out, with a good claim of another namespace right behind it."""
        world = self.world
        before, seen = world.counters(), len(world.wire.seen)
        code = await world.do(ground, one.build(ground))
        began_s, name = world.clock.monotonic(), self._claim_now()
        if one.probe:
            await world.run_for(1.0)
            world.good_claim("probe", ground.namespace)
        await world.run_for(SETTLE_S)
        self._check_service(one, self._service(name, began_s, seen), usual)
        self._check_effect(one, ground, code, world.counters() - before)
        self._check_process(str(one))
        self._check_log(one)
        return Placed(one, ground, seen)

    def _say(self, one: Input | str, problem: str) -> None:
        self.problems.append(f"{one}: {problem}")

    def _check_service(self, one: Input, service: Service, usual: Service) -> None:
        if service.seconds > usual.seconds * LATENCY_FACTOR + one.delay_s:
            self._say(one, f"another's claim took {service.seconds:.4f} s, not {usual.seconds:.4f}")
        if service.requests > usual.requests:
            self._say(one, f"another's claim took {service.requests} requests")

    def _check_effect(self, one: Input, ground: Ground, code: int, moved: Counter[str]) -> None:
        is_refused = code >= 400
        if is_refused != (one.expect.word == "refused"):
            self._say(one, f"the server answered {code}; expected: {one.expect}")
        tells = self.tells(ground) | {f"counter {name}" for name in moved}
        if one.expect.word in ("refused", "ignored", "served"):
            expected = set[str]()
        else:
            expected = {str(one.expect)}
        if tells != expected:
            self._say(one, f"told by {sorted(tells)}; expected: {one.expect}")
        self._check_claims(one, ground)

    def _check_claims(self, one: Input, ground: Ground) -> None:
        claims = self.world.objects(CLAIM, ground.namespace)
        served = {
            claim["metadata"]["name"]: _sandbox_of(claim) for claim in claims if _ready(claim)
        }
        if one.probe and served.get("probe") != one.probe:
            self._say(one, f"the probe got {served.get('probe')!r}, not {one.probe!r}")
        if one.expect.word == "served" and len(served) < len(claims):
            self._say(one, f"only {sorted(served)} of {len(claims)} claims are served")

    def tells(self, ground: Ground) -> set[str]:
        """What the API shows of trouble in a namespace."""
        store, prefix = self.world.cluster.store, f"{ground.namespace}/"
        events = [c.object for c in store.scan("events.events.k8s.io", prefix=prefix)]
        claims, sandboxes = (
            self.world.objects(resource, ground.namespace) for resource in (CLAIM, SANDBOX)
        )
        return tells_of(claims, sandboxes, events)

    def _check_process(self, what: str) -> None:
        if not self.world.is_up:
            self._say(what, "the manager has ended")
        for name, informer in self.world.app.caches.informers.items():
            if informer.handler_errors or informer.store.index_errors:
                self._say(what, f"{name}: a subscriber or an index failed")

    def _check_log(self, one: Input) -> None:
        fresh = self.world.log.lines[self._lines :]
        self._lines = len(self.world.log.lines)
        found = {problem: line for line in fresh if (problem := log_problem(line))}
        for problem, line in found.items():
            self._say(one, f"log: {problem}: {line[:700]}")

    def _check_quiet(self, placed: Placed, since: int) -> None:
        counts = self.world.requests_of(placed.ground.namespace, since)
        for line, count in counts.most_common(1):
            if count > placed.input.retries_max:
                self._say(placed.input, f"{count} times in ten quiet minutes: {line[:300]}")


def tells_of(claims: list[Json], sandboxes: list[Json], events: list[Json]) -> set[str]:
    """What the objects of a namespace show of trouble: reasons of conditions and of events."""
    found: set[str] = set()
    for claim in claims:
        ready = _condition(claim)
        if ready is not None and ready.get("status") != "True":
            found.add(f"condition {ready.get('reason')}")
    for sandbox in sandboxes:
        ready = _condition(sandbox)
        if ready is not None and ready.get("reason") in _SANDBOX_ERRORS:
            found.add(f"condition {ready['reason']}")
    for one in events:
        if one["type"] == "Warning" and one["reportingController"] in _OURS:
            found.add(f"event {one['reason']}")
        if SECRET in json.dumps(one):
            found.add("event with a secret")
    return found


def log_problem(line: str) -> str:
    """What is wrong with a line of the log; "" if nothing is."""
    if not line.isascii() or not line.isprintable():
        return "raw bytes"
    if any(word in line for word in _FAULTS_OF_OURS):
        return "a fault of ours"
    if SECRET in line:
        return "a secret"
    values: dict[str, object] = json.loads(line)
    for key, value in values.items():
        if isinstance(value, str) and _longest_run(value) > 256 and key != "stack":
            return f"{key} is not cut"
    return ""


def _longest_run(text: str) -> int:
    """Length of the longest run of one character, the mark of a text that was made huge."""
    longest = run = 0
    last = ""
    for letter in text:
        run = run + 1 if letter == last else 1
        longest, last = max(longest, run), letter
    return longest


def _condition(thing: Json, type_: str = "Ready") -> Json | None:
    status: Any = thing.get("status")
    conditions: Any = status.get("conditions") if is_object(status) else None
    for one in conditions if is_array(conditions) else ():
        if is_object(one) and one.get("type") == type_:
            return one
    return None


def _ready(claim: Json) -> bool:
    condition = _condition(claim)
    return condition is not None and condition.get("status") == "True"


def _sandbox_of(claim: Json) -> str:
    status: Json = claim.get("status") or {}
    return str(status.get("sandbox", {}).get("name", ""))
