"""One run: a safety phase with faults, then a liveness phase without."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from warmclaim.seams import Clock
from warmclaim.testing.crds import agent_sandbox_crds
from warmclaim.testing.fake_nodes import FakeNodes
from warmclaim.testing.garbage_collector import GarbageCollector
from warmclaim.testing.sim.canaries import PlantedCluster
from warmclaim.testing.sim.case import Action, Case, Fault, Options
from warmclaim.testing.sim.dice import Dice
from warmclaim.testing.sim.errors import watching_errors
from warmclaim.testing.sim.faults import FaultPlan
from warmclaim.testing.sim.hands import OBJECT_BYTES_MAX, Hands
from warmclaim.testing.sim.judge import Breach, Judge
from warmclaim.testing.sim.liveness import Liveness, summary
from warmclaim.testing.sim.machinery import Machinery
from warmclaim.testing.sim.observers import Observers
from warmclaim.testing.sim.options import drawn_options
from warmclaim.testing.sim.replica import Replica, settings_of
from warmclaim.testing.sim.servers import Servers
from warmclaim.testing.sim.tenants import Tenants
from warmclaim.testing.sim.trace import Attribution, Trace
from warmclaim.testing.sim.transport import Line
from warmclaim.testing.sim.workload import drawn_actions
from warmclaim.testing.store import Commit, Observer
from warmclaim.testing.virtual_loop import SeededRng, World, run_virtual

_CRDS = agent_sandbox_crds()
_LOOK_EVERY_S = 2.0
_PODS_PER_NODE_MAX = 1000  # a world that is full has claims that nobody can serve
_FAIR_QUIET_S = 300.0  # shorter runs are about something else
_ENDING_S_MAX = 60.0


@dataclass(slots=True)
class Outcome:
    """What a run came to. `breach` None: every promise held. Times in virtual seconds.

    `healed_s`: when the faults ended; `converged_s`: how long after that all was as desired;
    `started_s`: when a manager last began to run. `crashes`: how many faults ended a manager.
    `writes`: keys of the managers' writes under faults, in order. `events`: all watches, and
    how many events came to the curtain of each; `hidden`: how many of these were hidden.
    """

    case: Case
    breach: Breach | None = None
    digest: str = ""
    faults: Counter[str] = field(default_factory=Counter[str])
    struck: dict[str, Fault] = field(default_factory=dict[str, Fault])
    commits: int = 0
    claims: int = 0
    healed_s: float = 0.0
    converged_s: float = 0.0
    started_s: float = 0.0
    crashes: int = 0
    writes: list[str] = field(default_factory=list[str])
    events: Counter[str] = field(default_factory=Counter[str])
    hidden: Counter[str] = field(default_factory=Counter[str])
    lines: list[str] = field(default_factory=list[str])


def drawn_case(seed: int) -> Case:
    """The run of a seed."""
    options = drawn_options(seed)
    return Case(options, drawn_actions(options))


def run_case(case: Case, *, has_words: bool = False, observers: Sequence[Observer] = ()) -> Outcome:
    """Run it. `has_words` keeps every line of the trace, not only the last ones; `observers` see
    every commit, from the first.

    Raises nothing that the manager does wrong; what this folder does wrong, it does raise.
    """
    outcome = Outcome(case)

    async def main(world: World) -> None:
        await _Run(case, world, outcome, has_words, observers).run()

    run_virtual(main, seed=case.options.seed, shuffled=case.options.shuffled)
    return outcome


def _cluster_of(options: Options, attribution: Attribution, clock: Clock) -> PlantedCluster:
    rng = SeededRng(f"cluster {options.seed}")
    cluster = PlantedCluster(attribution, clock=clock, rng=rng, crds=_CRDS)
    cluster.store.object_bytes_max = OBJECT_BYTES_MAX
    return cluster


def _due_by_version(case: Case) -> dict[int, list[Action]]:
    """What is to be done after which commit."""
    due: dict[int, list[Action]] = {}
    for rv, action in case.on_commit:
        due.setdefault(rv, []).append(action)
    return due


class _Run:
    """The parts of one run."""

    def __init__(
        self,
        case: Case,
        world: World,
        outcome: Outcome,
        has_words: bool,
        observers: Sequence[Observer],
    ) -> None:
        self._case, self._clock, self._outcome = case, world.clock, outcome
        options = case.options
        self._loop = world.loop
        self._attribution = Attribution()
        self._trace = Trace(world.clock, self._attribution, has_words=has_words)
        self._cluster = _cluster_of(options, self._attribution, world.clock)
        store = self._cluster.store
        self._judge = Judge(store, self._attribution, world.clock)
        self._judge.on_breach = self._on_breach
        self._due = _due_by_version(case)
        store.observers += [self._trace.on_commit, self._judge, *observers]
        if self._due:
            store.observers.append(self._on_commit)
        self._observers = Observers(store, self._attribution, world.clock, options, self._fail)
        self._servers = Servers(self._cluster, options, world.clock, world.loop.call_later)
        self._plan = FaultPlan(Dice(options.seed), options.rates, case.faults, case.added)
        self._line = Line(
            self._servers,
            self._plan,
            self._trace,
            self._attribution,
            world.clock,
            has_bookmarks=options.bookmarks,
        )
        self._machinery = Machinery(
            self._cluster, self._line, options, world.clock, world.loop.call_later
        )
        self._done: Counter[str] = Counter()
        self._hands = Hands(
            self._cluster, self._attribution, options, SeededRng(options.seed), self._after
        )
        self._replicas = self._new_replicas(options)
        self._over = asyncio.Event()

    def _new_replicas(self, options: Options) -> list[Replica]:
        settings = settings_of(options)
        count = 1 if options.leaders == "one" else 2
        self._done["D5.rates"] += count == 2 and options.clock_rates != (1.0, 1.0)
        return [
            Replica(
                self._line,
                f"m{number}",
                settings,
                self._clock,
                SeededRng(f"m{number} {options.seed}"),
                self._on_failure,
                self._observers,
                options.clock_rates[number],
            )
            for number in range(count)
        ]

    async def run(self) -> None:
        """Both phases; ends early at the first breach."""
        with watching_errors(self._on_failure), self._observers.hearing():
            try:
                phases = asyncio.create_task(self._phases(), name="phases")
                over = asyncio.create_task(self._over.wait(), name="over")
                await asyncio.wait((phases, over), return_when=asyncio.FIRST_COMPLETED)
                over.cancel()
                if phases.done():
                    phases.result()
                phases.cancel()
                await asyncio.gather(phases, over, return_exceptions=True)
            finally:
                for replica in self._replicas:
                    await replica.retire()
        self._report()

    def _report(self) -> None:
        outcome, trace = self._outcome, self._trace
        outcome.digest = trace.digest
        outcome.struck = dict(self._plan.struck)
        for name in Tenants.CREATING:
            self._done.pop(name, None)
        outcome.faults = self._plan.counts() + self._line.felt() + self._done
        outcome.commits = sum(trace.commits.values())
        outcome.claims = self._hands.claims_made
        outcome.lines = list(trace.lines)
        outcome.crashes = self._line.crashes
        outcome.writes = self._plan.writes
        outcome.events, outcome.hidden = self._plan.events, self._plan.hidden
        outcome.started_s = max(replica.started_s for replica in self._replicas)

    async def _phases(self) -> None:
        options = self._case.options
        nodes = FakeNodes(
            self._cluster,
            count=options.nodes,
            ready_delay_s=options.ready_s,
            stop_delay_s=(0.0, options.ready_s[1]),
            pods_per_node_max=_PODS_PER_NODE_MAX,
        )
        collector = GarbageCollector(self._cluster, delay_s=options.collector_s)
        async with nodes, collector:
            self._hands.found_world()
            for replica in self._replicas:
                replica.start()
            await self._safety()
            await self._heal()
            await self._liveness()

    # ------------------------------------------------------------ the phases

    async def _safety(self) -> None:
        for action in self._case.actions:
            await self._until(action.at)
            self._do(action)
        await self._until(self._case.options.span_s)
        await self._clock.sleep(self._case.limits.drain_s)

    async def _heal(self) -> None:
        """The last fault: from here on the world is sound, and one manager leads."""
        self._trace.say("healed")
        healed_s = self._outcome.healed_s = self._clock.monotonic()
        self._plan.is_on = False
        self._due.clear()
        self._machinery.heal()
        self._hands.let_go()
        for replica in self._replicas:
            if replica.transport is not None:
                replica.transport.cut_until_s = 0.0
        if self._case.options.leaders == "two":
            await self._replicas.pop().retire()
        await self._clock.sleep(self._case.limits.heal_s)  # what was to come back has come
        while self._hands.is_ending() and self._clock.monotonic() < healed_s + _ENDING_S_MAX:
            await self._clock.sleep(1.0)
        self._hands.found_world()

    async def _liveness(self) -> None:
        limits = self._case.limits
        began = self._clock.monotonic()
        has_policies = self._case.options.uses.has_policies
        liveness = Liveness(self._cluster.store, self._clock, has_policies=has_policies)
        if problems := await self._last_problems(liveness, began + limits.converge_s):
            self._fail("liveness", summary(problems))
            return
        self._outcome.converged_s = self._clock.monotonic() - self._outcome.healed_s
        await self._until(began + limits.converge_s)
        # Events are no state: a series is told of again minutes later, by design.
        before = self._trace.manager_writes["state"]
        await self._clock.sleep(limits.quiet_s)
        if problems := liveness.problems():
            self._fail("stability", summary(problems))
        elif writes := self._trace.manager_writes["state"] - before:
            self._fail("L2", f"{writes} writes in {limits.quiet_s:g} quiet seconds")
        apps = [replica.app for replica in self._replicas if replica.app is not None]
        self._observers.look_back(apps)
        for app in apps:
            app.warm.check()
            # A standby may have a flight of its last term, to be ended in its next.
            is_leading = self._case.options.leaders != "elected"
            if is_leading and (lost := liveness.out_of_reach(app.warm)):
                self._fail("L1", summary(lost))
        if self._outcome.breach is None and limits.quiet_s >= _FAIR_QUIET_S:
            await self._observers.last_batch(self._cluster, self._attribution, self._clock)

    async def _last_problems(self, liveness: Liveness, until_s: float) -> list[str]:
        """Those that are left at that time; returns as soon as there are none."""
        store = self._cluster.store
        while True:
            looked_at, problems = store.rv, liveness.problems()
            if not problems or self._clock.monotonic() >= until_s:
                return problems
            # Nothing is mended without a commit, and a look costs as much as all objects.
            while store.rv == looked_at and self._clock.monotonic() < until_s:
                await self._clock.sleep(_LOOK_EVERY_S)

    # ------------------------------------------------------------ the actions

    def _on_commit(self, commit: Commit) -> None:
        """Not within the commit: whoever wrote it is not done yet."""
        for action in self._due.pop(commit.rv, ()):
            self._loop.call_soon(self._do, action)

    def _do(self, action: Action) -> None:
        self._trace.say(f"{action.do} {action.target} {action.x}")
        self._judge.lifetimes.look()
        if self._hands.does(action):
            has_effect = self._hands.act(action)
        elif self._machinery.does(action):
            has_effect = self._machinery.act(action)
        else:
            has_effect = self._do_to_manager(action)
        self._done[action.do] += has_effect

    def _do_to_manager(self, action: Action) -> bool:
        """Whether there was anything to do it to."""
        number = int(action.target[1:])
        replica = self._replicas[min(number, len(self._replicas) - 1)]
        match action.do:
            case "manager.kill":
                replica.kill()
            case "manager.stop":
                replica.stop()
            case "manager.cut" if replica.transport is not None:
                replica.transport.cut_until_s = self._clock.monotonic() + action.x * 25
            case "manager.cut":
                return False
            case "server.switch":
                return self._switch(replica, action.x)
            case _:
                raise ValueError(f"no such action: {action.do}")
        return True

    def _switch(self, replica: Replica, x: float) -> bool:
        """Another API server takes its connections over."""
        if not self._servers.switch(replica.name, x):
            return False
        if replica.transport is not None:
            replica.transport.end_streams()
        return True

    # -------------------------------------------------------------- helpers

    async def _until(self, moment: float) -> None:
        left_s = moment - self._clock.monotonic()
        if left_s > 0:
            await self._clock.sleep(left_s)

    def _after(self, seconds: float, work: Callable[[], None]) -> None:
        self._loop.call_later(seconds, work)

    def _on_breach(self, breach: Breach) -> None:
        if self._outcome.breach is None:
            self._outcome.breach = breach
            self._over.set()

    def _on_failure(self, text: str) -> None:
        self._fail("crash", text)

    def _fail(self, promise: str, text: str) -> None:
        if promise.startswith("W") and self._outcome.case.has_curtains:
            return  # it is the watch that breaks its promises then, not the reflector
        at_s = round(self._clock.monotonic(), 6)
        self._on_breach(Breach(promise, text, self._cluster.store.rv, at_s))


logging.getLogger(__name__).addHandler(logging.NullHandler())
