"""Runs on disk, written as real ones are, with values that are known."""

from __future__ import annotations

from pathlib import Path

import msgspec

from warmclaim.loadtest.record import STACKS, SUMMARY, Record
from warmclaim.loadtest.result import LIMIT, Milestone, PhaseResult, RunResult, Window, latency_of

SHARP = '<script>alert(1)</script> & "quoted"'
STACK = "main (app.py:1);serve (app.py:{line});{leaf} (app.py:9) {count}\n"


def a_run(folder: Path, *, serves: str = "controller", slowness: float = 1.0) -> Path:
    """100 claims, 50 in a second, each Ready after 1 to 100 ms times `slowness`."""
    folder.mkdir(parents=True)
    latencies_s = [slowness * number / 1000 for number in range(1, 101)]
    a_latency = latency_of(latencies_s)
    assert a_latency is not None
    burst = PhaseResult(
        name="burst",
        kind="burst",
        begun_s=2.0,
        ended_s=9.0,
        milestones=[Milestone(2.0, "first claim"), Milestone(4.1, "claims ready", {"touched": 7})],
        sent=100,
        client=a_latency,
        windows=[Window(2.0 + 10 * number, a_latency) for number in range(3)],
        warm=99,
        cold=1,
        nodes={f"node-{number}": 2 + (number < 20) for number in range(100)},
    )
    deploy = PhaseResult(name="deploy", kind="deploy", begun_s=0.0, ended_s=2.0)
    if serves != LIMIT:
        for phase in (deploy, burst):
            phase.cpu_s, phase.rss_bytes = 0.75 * slowness, 70 * 2**20
            phase.requests = {
                f"patch things-of-a-rather-long-name-{number}/status": 100 - number
                for number in range(18)
            }
            phase.requests_from = "metrics"
    result = RunResult(
        profile="100-at-50",
        about=SHARP,
        serves=serves,
        command="" if serves == LIMIT else "manager --flag",
        started_at="2026-01-01T00:00:00+00:00",
        version="1.2.3",
        machine="2 cores",
        phases=[deploy, burst],
    )
    (folder / SUMMARY).write_bytes(msgspec.json.encode(result))
    _record_events(folder, latencies_s, slowness)
    if serves != LIMIT:
        stacks = "".join(
            STACK.format(line=line, leaf=f"step_{line}", count=10 + line) for line in range(12)
        )
        (folder / STACKS.format(phase="burst")).write_text(stacks)
    return folder


def _record_events(folder: Path, latencies_s: list[float], slowness: float) -> None:
    with Record(folder) as record:
        for number in range(40):
            at_s = number / 4
            ready = min(max(number - 8, 0) * 12, 100)
            record.write(
                "sample",
                at_s,
                claims_sent=ready,
                claims_ready=ready,
                members=200 - ready,
                members_ready=200 - ready,
                cpu_s=number / 20 * slowness,
                rss_bytes=70 * 2**20,
            )
        for number, latency_s in enumerate(latencies_s):
            record.write("claim", 2 + number / 50, phase="burst", ready_after_s=latency_s)
