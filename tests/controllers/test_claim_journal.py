"""The controller's own record of a claim: which steps, why this sandbox, and how much is kept."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.controllers.app_world import NAMESPACE, AppWorld, always, once, refusal, virtual

from warmclaim.api.claim import Claim
from warmclaim.api.meta import ObjectKey
from warmclaim.api.resources import CLAIM
from warmclaim.api.timestamps import seconds_of
from warmclaim.app.diagnostics import PATH
from warmclaim.controllers import claim_journal
from warmclaim.controllers.claim_journal import STEPS_MAX, ClaimJournal
from warmclaim.domain.claim_steps import ClaimSteps
from warmclaim.kube.client import ApiClient
from warmclaim.kube.informer import Informer
from warmclaim.seams import SystemClock
from warmclaim.testing.api import FakeApiServer
from warmclaim.testing.builders import a_claim, a_pool, a_sandbox, a_template, as_view
from warmclaim.testing.transport import InProcessTransport
from warmclaim.testing.virtual_loop import SeededRng
from warmqueue import WarmDirectory


def told(world: AppWorld, name: str) -> ClaimSteps:
    """What the manager says of a claim."""
    body = world.app.diagnose(f"{PATH}{NAMESPACE}/{name}")
    assert body is not None
    return msgspec.json.decode(body, type=ClaimSteps)


def stock(world: AppWorld, *nodes: str) -> None:
    world.put(a_template("python"), a_pool("pool", template="python", replicas=len(nodes)))
    world.put(*(a_sandbox(f"w{n}", pool="pool", node=node) for n, node in enumerate(nodes)))


def test_a_warm_claim_tells_its_steps_and_why_this_sandbox() -> None:
    async def scenario(world: AppWorld) -> None:
        stock(world, "n1", "n2", "n2", "n2")
        await world.run_for(0.1)
        world.put(a_claim("c", pool="pool"))
        claim = await world.served("c")
        found = told(world, "c")
        assert (found.uid, found.is_leading, found.ahead) == ("c-uid", True, None)
        assert [step.step for step in found.steps][:3] == ["picked", "adopted", "published"]
        picked, adopted, published = found.steps[:3]
        assert picked.facts["sandbox"] == claim.published == adopted.facts["sandbox"]
        assert picked.facts["node"] == "n2"
        assert picked.facts["waiting_on_node"] == 3
        assert picked.facts["waiting_in_pool"] == 4
        assert picked.facts["ready"] == "true"
        assert float(picked.facts["age_s"]) >= 0
        times = [seconds_of(step.at) for step in found.steps]
        assert None not in times
        assert times == sorted(times, key=lambda at: at or 0)
        assert float(published.facts["since_seen_ms"]) >= 0

    virtual(scenario)


def test_waiting_again_and_again_is_one_step_with_a_count() -> None:
    async def scenario(world: AppWorld) -> None:
        held = a_sandbox("w0", pool="pool", merge={"status": {"podIPs": None}})
        world.put(a_template("python"), a_pool("pool", template="python", replicas=1), held)
        await world.run_for(0.1)
        world.put(a_claim("c", pool="pool"))
        await world.run_for(0.5)
        found = told(world, "c")
        assert [step.step for step in found.steps] == ["waiting"]
        assert found.ahead == 0
        await world.run_for(5)
        steps = [step.step for step in told(world, "c").steps]
        assert steps[0] == "waiting"
        assert "cold_started" in steps

    virtual(scenario)


def test_a_claim_that_is_refused_tells_the_reason() -> None:
    async def scenario(world: AppWorld) -> None:
        world.put(a_claim("c", pool="nowhere"))
        await world.run_for(1)
        (step,) = told(world, "c").steps
        assert step.step == "refused"
        assert step.facts["reason"] == "WarmPoolNotFound"

    virtual(scenario)


def test_a_pass_that_fails_tells_the_error_and_how_often() -> None:
    async def scenario(world: AppWorld) -> None:
        stock(world, "n1")
        await world.run_for(0.1)
        world.faults.before = always(refusal(429, "TooManyRequests", "slow"), "PATCH")
        world.put(a_claim("c", pool="pool"))
        await world.run_for(3)
        steps = told(world, "c").steps
        assert steps[-1].step == "failed"
        assert "429" in str(steps[-1].facts["error"])
        assert len(steps) <= STEPS_MAX

    virtual(scenario)


def test_a_sandbox_that_was_not_won_is_told() -> None:
    async def scenario(world: AppWorld) -> None:
        stock(world, "n1", "n1")
        await world.run_for(0.1)
        world.faults.before = once(refusal(404, "NotFound"), "PATCH", "/sandboxes/")
        world.put(a_claim("c", pool="pool"))
        await world.served("c")
        steps = [step.step for step in told(world, "c").steps]
        assert steps[:4] == ["picked", "ghost", "picked", "adopted"]

    virtual(scenario)


def test_a_member_that_may_not_be_handed_out_is_told_and_counted() -> None:
    async def scenario(world: AppWorld) -> None:
        odd = {"spec": {"podTemplate": {"metadata": {"labels": ["no", "map"]}}}}
        world.put(a_template("python"), a_pool("pool", template="python", replicas=2))
        world.put(a_sandbox("w0", pool="pool", merge=odd), a_sandbox("w1", pool="pool"))
        await world.run_for(0.1)
        world.put(a_claim("c", pool="pool"))
        await world.served("c")
        passed = told(world, "c").steps[0]
        assert (passed.step, passed.facts) == ("passed_over", {"sandbox": "w0", "why": "malformed"})
        value = world.app.metrics.registry.get_sample_value
        assert value("warmclaim_members_refused_total", {"reason": "malformed"}) == 1

    virtual(scenario)


def test_nothing_is_kept_of_a_claim_that_is_gone() -> None:
    async def scenario(world: AppWorld) -> None:
        stock(world, "n1")
        world.put(a_claim("c", pool="pool"))
        await world.served("c")
        assert world.app.remembered()["claim journal"] == 1
        await world.hand.delete(CLAIM, ObjectKey(NAMESPACE, "c"))
        await world.run_for(1)
        assert world.app.remembered()["claim journal"] == 0
        assert told(world, "c") == ClaimSteps("controller", is_leading=True)

    virtual(scenario)


@pytest.mark.parametrize("path", ["/debug/", "/debug/claims/x", "/debug/claims/N/x", PATH + "a/b/c",
                                  PATH + "a/..", PATH, "/metrics"])  # fmt: skip
def test_another_path_is_not_known(path: str) -> None:
    async def scenario(world: AppWorld) -> None:
        assert world.app.diagnose(path) is None

    virtual(scenario)


class TestBounds:
    @staticmethod
    def journal(claims: int) -> tuple[ClaimJournal, list[ObjectKey]]:
        clock = SystemClock()
        client = ApiClient(InProcessTransport(FakeApiServer()), clock=clock)
        informer: Informer[Claim] = Informer(client, CLAIM, clock=clock, rng=SeededRng(1))
        journal = ClaimJournal(informer, WarmDirectory(), clock)
        keys: list[ObjectKey] = []
        for number in range(claims):
            value: dict[str, Any] = a_claim(f"c{number}")
            claim = as_view(value, Claim)
            informer.put(claim)
            keys.append(claim.metadata.key)
        return journal, keys

    def test_the_claim_that_is_longest_without_a_step_gives_way(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(claim_journal, "CLAIMS_MAX", 3)
        journal, keys = self.journal(4)
        for key in (keys[0], keys[1], keys[2], keys[0], keys[3]):
            journal.note(key, "waiting")
        assert len(journal) == 3
        assert [bool(journal.steps_of(key)[0]) for key in keys] == [True, False, True, True]

    def test_of_one_claim_the_last_steps_are_kept(self) -> None:
        journal, (key,) = self.journal(1)
        for number in range(100):
            journal.note(key, f"step {number}")
        steps = [step.step for step in journal.steps_of(key)[1]]
        assert steps == [f"step {number}" for number in range(100 - STEPS_MAX, 100)]

    def test_a_step_like_the_last_is_counted_with_it(self) -> None:
        journal, (key,) = self.journal(1)
        for number in range(3):
            journal.note(key, "failed", error=f"e{number}")
        (step,) = journal.steps_of(key)[1]
        assert (step.count, step.facts) == (3, {"error": "e2"})
        assert (seconds_of(step.last_at) or 0) >= (seconds_of(step.at) or 0)
