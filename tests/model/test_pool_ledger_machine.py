"""PoolLedger tells at every moment what a recount of all members would tell.

Whatever happens to the cache: watch events, answers to own requests, lists after gaps, sandboxes
that change hands or are made again under their name, pools that are made again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from msgspec.structs import replace
from tests.kube.fakes import FakeClock, FakeRng, ScriptedTransport, a_list
from tests.model.naive_pool import NaivePool, Recounted
from tests.model.sizes import MACHINE

from warmclaim.api.meta import ObjectKey
from warmclaim.api.pool import Pool
from warmclaim.api.resources import CLAIM, POOL, SANDBOX
from warmclaim.api.sandbox import Sandbox
from warmclaim.api.template import Template
from warmclaim.controllers.indexes import BY_OWNER_UID, owner_uid_of
from warmclaim.controllers.pool_members import PoolMemories
from warmclaim.domain.blueprint import blueprint_of
from warmclaim.domain.pool_ledger import PoolLedger
from warmclaim.kube.client import ApiClient
from warmclaim.kube.informer import Change, Informer
from warmclaim.settings import PoolSettings
from warmclaim.testing.builders import (
    a_condition,
    a_pool,
    a_sandbox,
    a_template,
    an_owner,
    as_view,
)

GRACE_S = 30.0
NAMES = st.sampled_from(["a", "b", "c", "d"])
NAMESPACES = st.sampled_from(["default", "elsewhere"])
# The pool as it is, as it was or will be, another pool, a claim, nobody.
OWNERS: list[Any] = [
    an_owner(POOL, "pool", uid="one"),
    an_owner(POOL, "pool", uid="two"),
    an_owner(POOL, "other", uid="one"),
    an_owner(CLAIM, "claim", uid="one"),
    None,
]
BLUEPRINTS = [
    None,
    blueprint_of(as_view(a_template(), Template)),
    blueprint_of(as_view(a_template("other"), Template)),
]


@st.composite
def sandboxes(draw: st.DrawFn) -> Sandbox:
    """Any state of a sandbox, its version left to the machine."""
    name = draw(NAMES)
    owner = draw(st.sampled_from(OWNERS))
    template = draw(st.sampled_from(("python", "another")))
    value = a_sandbox(name, namespace=draw(NAMESPACES), template=template)
    metadata = value["metadata"]
    metadata["uid"] = f"{name}-{draw(st.integers(1, 2))}"
    metadata["ownerReferences"] = [owner] if owner else []
    metadata["deletionTimestamp"] = draw(st.sampled_from([None, None, "2026-01-01T00:00:00Z"]))
    if draw(st.booleans()):
        metadata["labels"].pop("agents.x-k8s.io/launch-type")
    ready = a_condition("Ready", draw(st.sampled_from(["True", "False"])))
    if draw(st.booleans()):
        ready |= {"reason": "ReconcilerError", "message": "Pod a was refused (403 Forbidden): no"}
    ready["lastTransitionTime"] = f"2026-01-01T00:00:0{draw(st.integers(0, 2))}Z"
    scheduled = a_condition("PodScheduled", "False", reason="Unschedulable")
    value["status"]["conditions"] = [ready, scheduled][: draw(st.integers(0, 2))]
    return as_view(value, Sandbox)


def at_version(sandbox: Sandbox, version: int) -> Sandbox:
    """The same at a version of the server."""
    metadata = replace(sandbox.metadata, resource_version=str(version))
    return replace(sandbox, metadata=metadata)


class LedgerMachine(RuleBasedStateMachine):
    @initialize()
    def start(self) -> None:
        self.clock = FakeClock()
        client = ApiClient(ScriptedTransport(a_list()), clock=self.clock)
        self.informer: Informer[Sandbox] = Informer(
            client,
            SANDBOX,
            clock=self.clock,
            rng=FakeRng(),
            indexes={BY_OWNER_UID: owner_uid_of},
            do_handlers_raise=True,
        )
        grace = PoolSettings(readiness_grace_s=GRACE_S)
        self.memories = PoolMemories(self.informer.store, self.clock, grace)
        self.informer.subscribe(self.memories.sandbox_changed)
        self.informer.subscribe(self.note)
        self.naive = NaivePool("default", "none yet", GRACE_S)
        self.version = 10
        self.informer.replace([], "10", unreadable=[], is_reset=False)
        self.make_pool("one")

    def note(self, _: Change[Sandbox]) -> None:
        self.naive.note(self.informer.store.values(), self.clock.now)

    def next_version(self) -> int:
        self.version += 1
        return self.version

    @property
    def ledger(self) -> PoolLedger:
        return self.memories.of(self.pool).ledger

    @rule(uid=st.sampled_from(["one", "two"]))
    def make_pool(self, uid: str) -> None:
        """The pool is made again, or looked at again."""
        self.pool = as_view(a_pool(merge={"metadata": {"uid": uid}}), Pool)
        if self.naive.uid != uid:
            self.naive = NaivePool("default", uid, GRACE_S)
            self.naive.note(self.informer.store.values(), self.clock.now)
        assert self.memories.of(self.pool).uid == uid

    @rule()
    def forget(self) -> None:
        """As when the pool was gone for a moment: all clocks begin anew."""
        self.memories.forget(self.pool.metadata.key)
        self.naive = NaivePool("default", self.pool.metadata.uid, GRACE_S)
        self.naive.note(self.informer.store.values(), self.clock.now)
        assert len(self.memories) == self.memories.members == 0

    @rule(sandbox=sandboxes())
    def watched(self, sandbox: Sandbox) -> None:
        self.informer.put(at_version(sandbox, self.next_version()))

    @rule(sandbox=sandboxes(), back=st.integers(0, 3))
    def answered(self, sandbox: Sandbox, back: int) -> None:
        """The answer to an own request, late or not."""
        self.informer.observe(at_version(sandbox, self.next_version() - back))

    @rule(name=NAMES, namespace=NAMESPACES, number=st.integers(1, 2))
    def ended(self, name: str, namespace: str, number: int) -> None:
        self.informer.gone(ObjectKey(namespace, name), f"{name}-{number}", self.next_version())

    @rule(name=NAMES, namespace=NAMESPACES, number=st.integers(1, 2))
    def found_absent(self, name: str, namespace: str, number: int) -> None:
        self.informer.observe_absent(ObjectKey(namespace, name), f"{name}-{number}")

    @rule(found=st.lists(sandboxes(), max_size=6), is_reset=st.booleans())
    def listed(self, found: list[Sandbox], is_reset: bool) -> None:
        by_key = {sandbox.metadata.key: sandbox for sandbox in found}
        items = [at_version(sandbox, self.next_version()) for sandbox in by_key.values()]
        version = str(self.next_version())
        self.informer.replace(items, version, unreadable=[], is_reset=is_reset)

    @rule(seconds=st.sampled_from([1.0, GRACE_S - 1.0, GRACE_S]))
    def time_passes(self, seconds: float) -> None:
        self.clock.now += seconds

    @rule(blueprint=st.sampled_from(BLUEPRINTS))
    def template_changed(self, blueprint: Any) -> None:
        self.naive.blueprint = blueprint

    @invariant()
    def tells_what_a_recount_tells(self) -> None:
        uid = self.pool.metadata.uid
        ledger, now_s = self.ledger, self.clock.now

        def owned() -> Sequence[Sandbox]:
            return self.informer.store.by_index(BY_OWNER_UID, uid)

        ledger.judge_by(self.naive.blueprint, owned)
        progress = ledger.progress(now_s)
        told = Recounted(
            ledger.counts,
            {member.key for member in ledger.stale},
            {member.key for member in ledger.unmarked},
            {member.key for member in progress.stuck},
            dict(progress.held),
            progress.look_again_s,
        )
        assert told == self.naive.look(self.informer.store.values(), now_s)
        own = self.naive.members(self.informer.store.values())
        assert {member.key for member in ledger.members} == {s.metadata.key for s in own}
        assert self.memories.members == len(own)


TestPoolLedgerMachine = LedgerMachine.TestCase
# Its steps are dearer than those of the queues: each is held against a full recount.
TestPoolLedgerMachine.settings = settings(MACHINE, stateful_step_count=20)
