"""What one entry of each memory takes, in bytes; docs/memory.md has the figures.

`make bench` prints them for 4,000 entries; an ordinary test run takes a few, so that the benchmark
itself does not rot. Nothing here asserts a size.
"""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from typing import Final

import pytest
from prometheus_client import CollectorRegistry
from tests.bench.figures import Figures

from warmclaim.api.claim import Claim
from warmclaim.api.memo import Memo
from warmclaim.api.meta import ObjectKey
from warmclaim.api.pod import Pod
from warmclaim.api.resources import CLAIM
from warmclaim.api.sandbox import Sandbox
from warmclaim.api.timestamps import rfc3339
from warmclaim.controllers.claim_journal import STEPS_MAX, TEXT_CHARS_MAX, ClaimJournal
from warmclaim.controllers.claim_records import ClaimRecords
from warmclaim.domain.pool_ledger import PoolIdentity, PoolLedger
from warmclaim.kube.client import ApiClient
from warmclaim.kube.event_recorder import EventRecorder
from warmclaim.kube.informer import Informer
from warmclaim.kube.sharing import Sharer
from warmclaim.kube.store import Store
from warmclaim.seams import SystemClock, SystemRng
from warmclaim.telemetry.metrics import Metrics
from warmclaim.testing.api import FakeApiServer
from warmclaim.testing.builders import a_claim, a_pod, a_sandbox, as_view
from warmclaim.testing.json_values import Json
from warmclaim.testing.transport import InProcessTransport
from warmqueue import Backoff, PoolKey, SandboxKey, WaitingLine, WarmDirectory, Workqueue

pytestmark = pytest.mark.bench

ENTRIES: Final = 4_000
SMOKE_ENTRIES: Final = 50
EVENTS_MAX: Final = 900
"""So many series: of more that nobody tells, the oldest give way."""

CLOCK, RNG = SystemClock(), SystemRng()


class Bench:
    """Things to fill memories with."""

    def __init__(self, entries: int) -> None:
        self.keys = [ObjectKey(f"ns-{n % 50}", f"claim-{n:06d}") for n in range(entries)]
        self.uids = [f"{n:08x}-0000-4000-8000-{n:012x}" for n in range(entries)]
        self.claims = [
            as_view(a_claim(key.name, namespace=key.namespace), Claim) for key in self.keys
        ]
        self.sandboxes = [as_view(a_sandbox(key.name), Sandbox) for key in self.keys]
        self.client = ApiClient(InProcessTransport(FakeApiServer()), clock=CLOCK)
        self.informer: Informer[Claim] = Informer(self.client, CLAIM, clock=CLOCK, rng=RNG)
        self.informer.replace(self.claims, "1", unreadable=(), is_reset=True)
        self.metrics = Metrics(CollectorRegistry(), CLOCK, open_series_max=10**6)

    def records(self) -> ClaimRecords:
        records = ClaimRecords(CLOCK)
        for key, uid in zip(self.keys, self.uids, strict=True):
            records.of(key, uid)
        return records

    def journal(self, steps: int, chars: int) -> ClaimJournal:
        journal = ClaimJournal(self.informer, WarmDirectory(), CLOCK)
        for number, key in enumerate(self.keys):
            for step in range(steps):
                journal.note(key, f"step-{step}", error=f"{number} {step} ".ljust(chars, "x"))
        return journal

    def warm(self) -> WarmDirectory:
        warm = WarmDirectory()
        for number, key in enumerate(self.keys):
            pool = PoolKey(key.namespace, "pool")
            node = f"node-{number % 100}"
            warm.offer(pool, SandboxKey(*key), self.uids[number], node=node, is_ready=True)
        return warm

    def waiting(self) -> WaitingLine[ObjectKey]:
        line: WaitingLine[ObjectKey] = WaitingLine()
        for key in self.keys:
            line.join(PoolKey(key.namespace, "pool"), key)
        return line

    def workqueue(self) -> Workqueue[ObjectKey]:
        queue: Workqueue[ObjectKey] = Workqueue(
            namespace_of=lambda key: key.namespace, backoff=Backoff(cap_s=30.0)
        )
        for key in self.keys:
            queue.add(key, 0.0, after_s=1.0)
        return queue

    def backoff(self) -> Backoff:
        backoff = Backoff(cap_s=30.0)
        for key in self.keys:
            backoff.fail(key)
        return backoff

    def ledger(self) -> PoolLedger:
        ledger = PoolLedger(PoolIdentity("default", "pool-uid"), 300.0)
        for sandbox in self.sandboxes:
            ledger.see(sandbox.metadata.key, sandbox, 0.0)
        return ledger

    def events(self) -> EventRecorder:
        recorder = EventRecorder(self.client, clock=CLOCK, rng=RNG, instance="bench")
        for claim in self.claims[:EVENTS_MAX]:
            note = f"adopted {claim.metadata.name}-w"
            recorder.of("bench").normal(CLAIM, claim, "SandboxAdopted", "Adopt", note)
        return recorder

    def cached(self) -> tuple[Store[Sandbox], Store[Pod]]:
        """A sandbox and its pod, decoded as from the wire; of fifty pools, on a hundred nodes."""
        sandboxes, pods = Store[Sandbox](), Store[Pod]()
        sharers = Sharer(), Sharer()
        for number, key in enumerate(self.keys):
            pool, node = f"pool-{number % 50}", f"node-{number % 100}"
            moment = rfc3339(1_767_225_600.0 + number // 20)
            own: Json = {"metadata": {"creationTimestamp": moment}}
            member = a_sandbox(key.name, pool=pool, template=pool, node=node, merge=own)
            address = {"podIPs": [{"ip": f"10.0.{number // 256}.{number % 256}"}]}
            pod = a_pod(key.name, node=node, merge={**own, "status": address})
            member["status"]["conditions"][0]["lastTransitionTime"] = moment
            sandboxes.put(sharers[0].share(as_view(member, Sandbox)))
            pods.put(sharers[1].share(as_view(pod, Pod)))
        return sandboxes, pods

    def ended(self) -> Informer[Claim]:
        informer: Informer[Claim] = Informer(self.client, CLAIM, clock=CLOCK, rng=RNG)
        for number, key in enumerate(self.keys):
            informer.gone(key, f"{number:08x}-0000-4000-8000-{number:012x}", number)
        return informer

    def sharer(self) -> Sharer:
        sharer = Sharer(entries_max=10**6, chars_max=10**9)
        for number in range(len(self.keys)):
            labels = {"metadata": {"labels": {"tenant.example/claim": f"claim-{number}"}}}
            sharer.share(as_view(a_sandbox("s", merge=labels), Sandbox))
        return sharer

    def memo(self) -> object:
        memo: Memo[bytes, bytes] = Memo(_echo, entries_max=10**6, bytes_max=10**9)
        for number in range(len(self.keys)):
            memo(b"%d" % number)
        return memo

    def counters(self) -> None:
        for key in self.keys:
            self.metrics.claims_created.of(key.name, "t", "warm", "p", "Ready", "u").inc()

    def histograms(self) -> None:
        for key in self.keys:
            self.metrics.creation_ms.of(key.name, "warm", "t").observe(1)


def _echo(blob: bytes) -> bytes:
    return blob


def bytes_each(fill: Callable[[], object], entries: int) -> float:
    """What is held when `fill` has returned and its result is still there."""
    gc.collect()
    tracemalloc.start()
    kept = fill()
    gc.collect()
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del kept
    return held / entries


def test_what_an_entry_takes(request: pytest.FixtureRequest, figures: Figures) -> None:
    marks: object = request.config.getoption("markexpr")
    entries = ENTRIES if "bench" in str(marks) else SMOKE_ENTRIES
    bench = Bench(entries)
    rows: list[tuple[str, Callable[[], object], int]] = [
        ("cached sandbox and pod", bench.cached, entries),
        ("claim record", bench.records, entries),
        ("claim journal, 3 steps", lambda: bench.journal(3, 40), entries),
        ("claim journal, full", lambda: bench.journal(STEPS_MAX, TEXT_CHARS_MAX), entries),
        ("warm queue entry", bench.warm, entries),
        ("waiting claim", bench.waiting, entries),
        ("work queue key", bench.workqueue, entries),
        ("back-off", bench.backoff, entries),
        ("pool member", bench.ledger, entries),
        ("event series", bench.events, min(entries, EVENTS_MAX)),
        ("ended uid", bench.ended, entries),
        ("shared part", bench.sharer, 2 * entries),  # a mapping and the text in it
        ("memo, beside its texts", bench.memo, entries),
        ("metrics, a counter", bench.counters, entries),
        ("metrics, a histogram", bench.histograms, entries),
    ]
    print(f"\nbytes of an entry, {entries:,} of each")
    for name, fill, count in rows:
        each = bytes_each(fill, count)
        assert each > 0
        figures.add(f"memory, {name}", bytes=each)
        print(f"  {name:26}{each:8,.0f}")
