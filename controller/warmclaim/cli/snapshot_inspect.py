"""`warmclaim snapshot inspect`: what a snapshot says, in a page or as JSON."""

from __future__ import annotations

import heapq
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from warmclaim.api.claim import Claim
from warmclaim.api.conditions import READY, find
from warmclaim.api.pool import Pool
from warmclaim.api.resources import CLAIM, POOL
from warmclaim.api.timestamps import seconds_of
from warmclaim.cli import OK
from warmclaim.cli.snapshot_file import read_snapshot
from warmclaim.errors import UsageError
from warmclaim.kube.answers import DECODE_ERRORS
from warmclaim.streaming.snapshot import Line, Sort

WAITING_SHOWN: Final = 10
NODES_SHOWN: Final = 4
PIPE_COLUMNS: Final = 160

_CLAIMS, _POOLS = str(CLAIM), str(POOL)


class PoolDepth(msgspec.Struct, rename="camel"):
    """What waited in a pool. `wanted` is None where the pool itself was not read."""

    ready: int = 0
    not_ready: int = 0
    held: int = 0
    in_flight: int = 0
    nodes: dict[str, int] = {}
    wanted: int | None = None


class Kind(msgspec.Struct, rename="camel"):
    """How many objects of a kind there are, and where from."""

    count: int
    source: str
    is_whole: bool


class WaitingClaim(msgspec.Struct, rename="camel"):
    """A claim that was not Ready, and what its condition says."""

    claim: str
    pool: str
    age_s: int
    reason: str


class Error(msgspec.Struct):
    """A part that was not read, and why."""

    part: str
    reason: str


class _Head(msgspec.Struct, rename="camel"):
    source: str = ""


class _Tail(msgspec.Struct, rename="camel"):
    count: int = 0
    is_whole: bool = False


class Summary(msgspec.Struct, rename="camel"):
    """What `inspect` tells. Its size does not grow with the objects but with pools and nodes."""

    metadata: dict[str, Any] = {}
    pools: dict[str, PoolDepth] = {}
    claims: int = 0
    claims_waiting: int = 0
    unreadable: int = 0
    oldest_waiting: list[WaitingClaim] = []
    kinds: dict[str, Kind] = {}
    errors: list[Error] = []

    @classmethod
    def of(cls, found: Iterable[Line]) -> Summary:
        """Of a snapshot that is read to its end, with one element in memory. An object that makes
        no sense is counted. Raises UsageError where a part makes none, and what `found` raises."""
        reader = _Reader()
        for line in found:
            try:
                reader.take(line)
            except DECODE_ERRORS as error:
                if line.sort is not Sort.ITEM or line.section != "rawObjects":
                    raise UsageError(f"no snapshot has such {line.section}: {error}") from None
                reader.unreadable()
        return reader.summary()

    @property
    def line(self) -> str:
        """In a few words."""
        objects = sum(kind.count for kind in self.kinds.values())
        redacted = "redacted" if self.metadata.get("isRedacted") else "with all secrets"
        return (
            f"{len(self.pools)} pools, {self.claims} claims, {objects} objects,"
            f" {len(self.errors)} errors, {redacted}, taken {self.metadata.get('takenAt')}"
        )


class _Reader:
    def __init__(self) -> None:
        self._summary = Summary()
        self._taken_s = 0.0
        self._source = ""
        self._wanted: dict[str, int] = {}
        self._oldest: list[tuple[float, str, WaitingClaim]] = []

    def take(self, line: Line) -> None:
        summary = self._summary
        match line.sort, line.section, line.group:
            case Sort.VALUE, "metadata", _:
                summary.metadata = msgspec.json.decode(line.json, type=dict[str, Any])
                self._taken_s = seconds_of(str(summary.metadata.get("takenAt"))) or 0.0
            case Sort.HEAD, "queues", pool:
                summary.pools[pool] = msgspec.json.decode(line.json, type=PoolDepth)
            case Sort.HEAD, "rawObjects", _:
                self._source = msgspec.json.decode(line.json, type=_Head).source
            case Sort.TAIL, "rawObjects", kind:
                tail = msgspec.json.decode(line.json, type=_Tail)
                summary.kinds[kind] = Kind(tail.count, self._source, tail.is_whole)
            case Sort.ITEM, "rawObjects", kind if kind == _CLAIMS:
                self._claim(msgspec.json.decode(line.json, type=Claim))
            case Sort.ITEM, "rawObjects", kind if kind == _POOLS:
                view = msgspec.json.decode(line.json, type=Pool)
                self._wanted[str(view.metadata.key)] = view.spec.replicas
            case Sort.ITEM, "errors", _:
                summary.errors.append(msgspec.json.decode(line.json, type=Error))
            case _:
                pass

    def unreadable(self) -> None:
        self._summary.unreadable += 1

    def summary(self) -> Summary:
        for pool, wanted in self._wanted.items():
            self._summary.pools.setdefault(pool, PoolDepth()).wanted = wanted
        self._summary.oldest_waiting = [claim for _, _, claim in sorted(self._oldest, reverse=True)]
        return self._summary

    def _claim(self, claim: Claim) -> None:
        self._summary.claims += 1
        if claim.is_ready or claim.metadata.deletion_timestamp:
            return
        self._summary.claims_waiting += 1
        made_s = seconds_of(claim.metadata.creation_timestamp)
        age_s = max(0.0, self._taken_s - made_s) if made_s is not None else 0.0
        ready, name = find(claim.conditions, READY), str(claim.metadata.key)
        told = WaitingClaim(
            name, claim.spec.warm_pool_ref.name, round(age_s), ready.reason if ready else ""
        )
        heapq.heappush(self._oldest, (age_s, name, told))
        if len(self._oldest) > WAITING_SHOWN:
            heapq.heappop(self._oldest)


def inspect_snapshot(path: Path, *, as_json: bool) -> int:
    """Print what the snapshot says; returns the exit code. Raises UsageError for a file that is no
    whole snapshot."""
    summary = Summary.of(read_snapshot(path))
    if as_json:
        sys.stdout.buffer.write(msgspec.json.encode(summary) + b"\n")
        sys.stdout.flush()
    else:
        console = Console()
        # A pipe has no width of its own, and a line that was broken cannot be searched.
        _print(summary, console if console.is_terminal else Console(width=PIPE_COLUMNS))
    return OK


def _print(summary: Summary, console: Console) -> None:
    metadata = summary.metadata
    leads = "leading" if metadata.get("isLeading") else "standing by"
    console.print(
        f"{metadata.get('identity')}, {leads}, warmclaim {metadata.get('version')}", markup=False
    )
    console.print(summary.line, markup=False, soft_wrap=True)
    console.print(_pools(summary))
    for kind, found in summary.kinds.items():
        rest = "" if found.is_whole else ", not all of them"
        source = "" if found.source == "api" else f" (source: {found.source})"
        console.print(f"{found.count:>8}  {kind}{source}{rest}", markup=False, highlight=False)
    if summary.unreadable:
        console.print(f"{summary.unreadable:>8}  of them make no sense", style="red")
    if summary.oldest_waiting:
        console.print(_waiting(summary))
    for error in summary.errors:
        console.print(
            f"not read: {error.part}: {error.reason}", style="red", markup=False, soft_wrap=True
        )


def _pools(summary: Summary) -> Table:
    table = Table("pool", box=None, header_style="bold")
    for title in ("wanted", "ready", "not ready", "held", "in flight"):
        table.add_column(title, justify="right")
    table.add_column("waiting on the fullest nodes")
    for pool, depth in sorted(summary.pools.items()):
        numbers = (depth.wanted, depth.ready, depth.not_ready, depth.held, depth.in_flight)
        shown = ("?" if number is None else str(number) for number in numbers)
        table.add_row(escape(pool), *shown, escape(_nodes(depth.nodes)))
    return table


def _nodes(nodes: dict[str, int]) -> str:
    fullest = sorted(nodes.items(), key=lambda node: (-node[1], node[0]))
    shown = ", ".join(f"{node} {count}" for node, count in fullest[:NODES_SHOWN])
    more = len(fullest) - NODES_SHOWN
    return f"{shown} and {more} more" if more > 0 else shown


def _waiting(summary: Summary) -> Table:
    table = Table("waiting claim", "pool", box=None, header_style="bold")
    table.add_column("for", justify="right")
    table.add_column("its condition")
    for claim in summary.oldest_waiting:
        cells = (claim.claim, claim.pool, f"{claim.age_s} s", claim.reason)
        table.add_row(*map(escape, cells))
    more = summary.claims_waiting - len(summary.oldest_waiting)
    if more:
        table.add_row(f"and {more} more", "", "", "")
    return table
