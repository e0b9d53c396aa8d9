"""Workqueue against a plain list of jobs, by the same moves in any order."""

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)
from tests.model.naive import NaiveWorkqueue, namespace_of
from tests.model.sizes import MACHINE

from warmqueue import Backoff, Lane, Workqueue

keys = st.sampled_from(["a/1", "a/2", "a/3", "a/4", "b/1", "b/2", "c/1"])
lanes = st.sampled_from([Lane.ADOPTION, Lane.STATUS, Lane.STATUS, Lane.REFILL])
delays = st.sampled_from([0.0, 0.0, 0.0, 0.5, 1.0, 4.0])
indexes = st.integers(0, 99)
BACKOFF_S = [0.5, 1.0, 2.0, 3.0]  # cap 3


class WorkqueueMachine(RuleBasedStateMachine):
    @initialize(starved_s_max=st.sampled_from([None, None, 2.0]))
    def start(self, starved_s_max: float | None) -> None:
        self.now = 0.0
        self.queue = Workqueue[str](
            namespace_of=namespace_of,
            backoff=Backoff(base_s=0.5, cap_s=3.0),
            starved_s_max=starved_s_max,
        )
        self.naive = NaiveWorkqueue(starved_s_max)
        self.failures: dict[str, int] = {}

    @rule(key=keys, lane=lanes, after_s=delays)
    def add(self, key: str, lane: Lane, after_s: float) -> None:
        self.queue.add(key, self.now, lane=lane, after_s=after_s)
        self.naive.add(key, self.now, lane, after_s)

    @rule(seconds=st.sampled_from([0.25, 0.5, 1.0, 3.0]))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def next(self) -> None:
        work, job = self.queue.next(self.now), self.naive.next(self.now)
        if work is None or job is None:
            assert (work, job) == (None, None)
            return
        assert (work.key, work.lane) == (job.key, job.lane)
        assert work.waited_s == self.now - job.due_s >= 0.0

    @precondition(lambda self: self.naive.worked)
    @rule(index=indexes, fails=st.booleans(), lane=lanes)
    def done(self, index: int, fails: bool, lane: Lane) -> None:
        worked = sorted(self.naive.worked)
        key = worked[index % len(worked)]
        if fails:
            failures = self.failures[key] = self.failures.get(key, 0) + 1
            delay_s = BACKOFF_S[min(failures, len(BACKOFF_S)) - 1]
            assert self.queue.retry(key, self.now, lane=lane) == delay_s
            self.naive.add(key, self.now, lane, delay_s)
        else:
            self.failures.pop(key, None)
            self.queue.forget(key)
        self.queue.done(key, self.now)
        self.naive.done(key, self.now)

    @invariant()
    def both_know_the_same(self) -> None:
        self.queue.check()
        known = self.naive.queued.keys() | self.naive.worked
        assert len(self.queue) == len(known)
        assert all(key in self.queue for key in known)
        statistics = self.queue.statistics()
        assert statistics.worked == len(self.naive.worked)
        assert statistics.failing == len(self.failures)

    @invariant()
    def due_at_is_the_moment_of_the_next_key(self) -> None:
        free = [j for j in self.naive.queued.values() if j.key not in self.naive.worked]
        due_at = self.queue.due_at()
        if not free:
            assert due_at is None
            return
        assert due_at is not None
        earliest_s = min(job.due_s for job in free)
        assert due_at == earliest_s or max(due_at, earliest_s) <= self.now

    def teardown(self) -> None:
        """Every key that was added is given in the end (W3)."""
        for key in list(self.naive.worked):
            self.queue.done(key, self.now)
        given: set[str] = set()
        while (due_at := self.queue.due_at()) is not None:
            self.now = max(self.now, due_at)
            work = self.queue.next(self.now)
            assert work is not None, "due_at named a moment at which nothing is due"
            given.add(work.key)
            self.queue.done(work.key, self.now)
        assert given == set(self.naive.queued)
        assert self.queue.is_idle


TestWorkqueueMachine = WorkqueueMachine.TestCase
TestWorkqueueMachine.settings = MACHINE
