"""Whatever the server does, the cache is what the server has, once it is quiet.

Hypothesis draws writes, cuts, faults, lag, compaction, restored backups and this process's own
answers in any order. Checked after each step: what subscribers were told adds up to the store, no
object goes back in time and no deleted one comes back. Checked in the quiet: store equals server.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.kube.fakes import WIDGET, FakeClock, FakeRng, Widget, settle
from tests.kube.mvcc import Cut, Fault, Form, Server

from warmclaim.api.meta import ObjectKey
from warmclaim.kube.client import ApiClient
from warmclaim.kube.informer import Change, Informer
from warmclaim.kube.ladder import ReflectorSettings

NAMES = st.sampled_from("abc")
CUTS: st.SearchStrategy[Cut] = st.sampled_from(["eof", "reset", "torn", "410", "rubbish"])
FORMS: st.SearchStrategy[Form] = st.sampled_from(["plain", "plain", "unreadable", "huge"])
FAULTS: st.SearchStrategy[Fault] = st.sampled_from(["500", "429", "html", "reset", "410"])


class ReflectorMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.server = Server()
        self.clock = FakeClock()
        self.mirror: dict[ObjectKey, Widget] = {}
        self.ended_uids: set[str] = set()
        self.answers: list[dict[str, Any]] = []
        self.unreadable: set[str] = set()
        self.resets = 0
        self.is_resetting = False
        self.lies = self.restores = 0

    def run(self, awaitable: Awaitable[object]) -> None:
        self.loop.run_until_complete(_until_done(awaitable))

    @initialize(use_watch_list=st.booleans(), names=st.sets(NAMES))
    def start(self, use_watch_list: bool, names: set[str]) -> None:
        for name in sorted(names):
            self.server.write(name)
        self.run(self._start(use_watch_list))

    async def _start(self, use_watch_list: bool) -> None:
        client = ApiClient(self.server, clock=self.clock)
        self.informer: Informer[Widget] = Informer(
            client,
            WIDGET,
            clock=self.clock,
            rng=FakeRng(0.5),
            settings=ReflectorSettings(
                use_watch_list=use_watch_list, page_objects_max=2, line_bytes_max=2000
            ),
            indexes={"uid": lambda obj: [obj.metadata.uid]},
            do_handlers_raise=True,
        )
        self.informer.subscribe(self.told)
        self.task = asyncio.create_task(self.informer.run())
        await settle()

    def told(self, change: Change[Widget]) -> None:
        subject = change.new or change.old
        assert subject is not None
        key = subject.metadata.key
        if self.informer.stats.resets != self.resets:
            # Versions went back: what was known of the past is void.
            self.resets = self.informer.stats.resets
            self.is_resetting = True
        assert self.mirror.get(key) == change.old
        if change.new is None:
            assert change.old is not None
            self.ended_uids.add(change.old.metadata.uid)
            del self.mirror[key]
            return
        if change.old is not None and not self.is_resetting:
            assert change.new.metadata.uid == change.old.metadata.uid
            assert change.new.metadata.version > change.old.metadata.version, "back in time"
        is_back = change.new.metadata.uid in self.ended_uids
        assert self.is_resetting or not is_back, "a deleted object came back"
        self.mirror[key] = change.new

    # The server's moves.

    @rule(name=NAMES, form=FORMS)
    def write(self, name: str, form: Form) -> None:
        answer = self.server.write(name, form)
        if form == "unreadable":
            self.unreadable.add(name)
        else:
            self.answers.append(answer)
            self.unreadable.discard(name)

    @rule(name=NAMES)
    def delete(self, name: str) -> None:
        self.server.delete(name)
        self.unreadable.discard(name)

    @rule()
    def flush(self) -> None:
        self.server.flush()
        self.run(settle())

    @rule()
    def bookmark(self) -> None:
        self.server.bookmark()
        self.run(settle())

    @rule(back=st.integers(0, 5))
    def repeat(self, back: int) -> None:
        self.server.repeat(back)
        self.run(settle())

    @rule()
    def garble(self) -> None:
        self.server.is_garbling = True

    @rule(how=CUTS)
    def cut(self, how: Cut) -> None:
        self.server.cut(how)
        self.run(settle())

    @rule()
    def compact(self) -> None:
        self.server.floor = self.server.version

    @rule(faults=st.lists(FAULTS, min_size=1, max_size=3))
    def fault(self, faults: list[Fault]) -> None:
        self.server.faults += faults

    @rule(lags=st.lists(st.integers(1, 5), min_size=1, max_size=2))
    def lag(self, lags: list[int]) -> None:
        self.server.lags += lags
        self.lies += len(lags)

    @precondition(lambda self: self.informer.is_synced and not self.server.lags)
    @rule(back=st.integers(1, 8))
    def restore_a_backup(self, back: int) -> None:
        # Followed by a minute without writes: versions that are given out again before anybody
        # looked cannot be told from the first ones, by no client.
        self.quiet()
        self.restores += 1
        self.server.restore(max(10, self.server.version - back))
        self.answers.clear()
        self.unreadable = {
            name for name, obj in self.server.state().items() if not isinstance(obj["spec"], dict)
        }
        self.quiet()

    @rule(seconds=st.sampled_from([0.5, 1.0, 5.0, 40.0, 80.0]))
    def wait(self, seconds: float) -> None:
        self.run(self.clock.run_for(seconds))

    # This process's own requests, whose answers come at any time.

    @precondition(lambda self: self.answers)
    @rule(data=st.data())
    def observe(self, data: st.DataObject) -> None:
        index = data.draw(st.integers(0, len(self.answers) - 1))
        self.informer.observe(msgspec.convert(self.answers.pop(index), Widget))

    @rule(name=NAMES)
    def delete_and_observe_absent(self, name: str) -> None:
        uid = self.server.delete(name)
        self.unreadable.discard(name)
        if uid:
            self.informer.observe_absent(ObjectKey("ns", name), uid)

    # What must hold.

    @rule()
    def quiet(self) -> None:
        """No more faults: soon the cache is what the server has."""
        self.server.faults.clear()
        self.server.lags.clear()
        self.server.is_garbling = False
        for _ in range(3):
            self.run(self.clock.run_for(35))
            self.server.flush()
            self.server.bookmark()
            self.run(settle())
        state = self.server.state()
        cached = {
            obj.metadata.name: (obj.metadata.uid, obj.metadata.version)
            for obj in self.informer.store.values()
            if obj.metadata.name not in self.unreadable
        }
        assert cached == {
            name: (obj["metadata"]["uid"], int(obj["metadata"]["resourceVersion"]))
            for name, obj in state.items()
            if name not in self.unreadable
        }
        assert self.informer.staleness_s() <= 35

    @invariant()
    def what_was_told_adds_up(self) -> None:
        if not hasattr(self, "informer"):
            return
        assert not self.task.done(), self.task
        store = self.informer.store
        store.check()
        assert self.mirror == {obj.metadata.key: obj for obj in store.values()}
        assert self.informer.stats.resets <= self.restores + self.lies // 3
        if self.is_resetting:
            self.ended_uids.clear()
            self.is_resetting = False

    def teardown(self) -> None:
        try:
            if hasattr(self, "informer") and not self.task.done():
                self.quiet()
                asked = self.server.asked
                self.run(self.clock.run_for(60))
                assert self.server.asked - asked <= 2, "quiet, and yet it asks"
        finally:
            self.run(self._stop())
            self.loop.close()

    async def _stop(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _until_done(awaitable: Awaitable[object]) -> None:
    await awaitable


ReflectorMachine.TestCase.settings = settings(
    max_examples=150, stateful_step_count=30, deadline=None
)
TestReflectorMachine = ReflectorMachine.TestCase
