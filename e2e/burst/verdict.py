"""What a run is judged by: each property by name, and what speaks against it.

Pure: reads a ledger after the run. An empty list means that the property held.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from warmclaim.loadtest.ledger import ClaimRecord, Ledger, told

Problems = dict[str, list[str]]

READY = "every claim is Ready"
WARM = "every claim got a warm sandbox"
ONCE = "no sandbox is given twice, no claim gets two, each is published once and stays Ready"
SIZE = "the pool is back at its size"
CEILING = "the pool was never above its size"
SPREAD = "use is spread over the nodes"
WRITES = "a claim's path is two writes and no read"
LISTS = "nothing was listed"
EXIT = "the controller ends with code 0"
END = "the run comes to its end"
PROPERTIES = (END, READY, WARM, ONCE, SIZE, CEILING, SPREAD, WRITES, LISTS, EXIT)

WARM_WORD = "warm"
SHOWN_MAX = 10


@dataclass(frozen=True, slots=True)
class Start:
    """The pool as it was when the burst began: node of each member by uid."""

    nodes: Mapping[str, str] = field(default_factory=dict[str, str])

    @classmethod
    def of(cls, ledger: Ledger, pool_uid: str) -> Start:
        """The members of this moment."""
        return cls({one.uid: one.node for one in ledger.members_of(pool_uid)})


def judge(
    ledger: Ledger, claims: Sequence[str], pool_uid: str, size: int, start: Start
) -> Problems:
    """Hold the ledger against what was asked for: these claim names, a pool of this size."""
    by_name = {record.name: record for record in ledger.claims.values()}
    records = [by_name[name] for name in claims if name in by_name]
    unseen = [f"claim {name} was never seen" for name in claims if name not in by_name]
    return {
        READY: unseen + list(_not_ready(records)),
        WARM: list(_not_warm(ledger, records)),
        ONCE: ledger.breaches + list(_not_owned(ledger, records)),
        SIZE: list(_not_full(ledger, pool_uid, size)),
        CEILING: list(_above(ledger, pool_uid, size)),
        SPREAD: list(_uneven(ledger, start)),
    }


def shown(problems: Sequence[str]) -> str:
    """The first ten problems, one per line, and how many more there are."""
    lines = list(problems[:SHOWN_MAX])
    if len(problems) > SHOWN_MAX:
        lines.append(f"... and {len(problems) - SHOWN_MAX} more")
    return "\n".join(lines)


def used_per_node(ledger: Ledger, start: Start) -> Counter[str]:
    """For each node that had members at the start: how many of those were given to claims."""
    used = Counter(dict.fromkeys(start.nodes.values(), 0))
    for uid, node in start.nodes.items():
        used[node] += bool(ledger.sandboxes[uid].given_to)
    return used


def arrivals(ledger: Ledger, start: Start) -> int:
    """Members that became Ready after the start and before the last claim got its sandbox.

    Each makes its node the fullest for once, so one pick may fall there that would have fallen
    elsewhere: an older member of that node goes, and another node keeps one more.
    """
    given_s = (one.given_s for one in ledger.sandboxes.values() if one.given_s is not None)
    last_s = max(given_s, default=0.0)
    newcomers = (one for uid, one in ledger.sandboxes.items() if uid not in start.nodes)
    return sum(one.ready_s is not None and one.ready_s < last_s for one in newcomers)


def _not_ready(records: Iterable[ClaimRecord]) -> Iterable[str]:
    for record in records:
        if record.ready_s is None:
            yield f"claim {record.name}: {told(record.ready)}"


def _not_warm(ledger: Ledger, records: Iterable[ClaimRecord]) -> Iterable[str]:
    for record in records:
        sandbox = ledger.sandbox_of(record)
        if sandbox is None:
            yield f"claim {record.name} owned no sandbox"
        elif sandbox.launch_type != WARM_WORD or sandbox.name == record.name:
            yield f"claim {record.name} got {sandbox.name}, launch type {sandbox.launch_type!r}"


def _not_owned(ledger: Ledger, records: Iterable[ClaimRecord]) -> Iterable[str]:
    for record in records:
        sandbox = ledger.sandbox_of(record)
        owned = sandbox.name if sandbox else ""
        if record.published != owned:
            yield f"claim {record.name} published {record.published!r} and owns {owned!r}"


def _not_full(ledger: Ledger, pool_uid: str, size: int) -> Iterable[str]:
    members, ready = ledger.members(pool_uid), ledger.ready_members(pool_uid)
    if (members, ready) != (size, size):
        yield f"{members} members, {ready} of them Ready, of {size}"


def _above(ledger: Ledger, pool_uid: str, size: int) -> Iterable[str]:
    peak = ledger.peak(pool_uid)
    if peak.members > size:
        yield f"{peak.members} members of {size} at {peak.at_s - ledger.origin_s:.3f} s"


def _uneven(ledger: Ledger, start: Start) -> Iterable[str]:
    if not start.nodes:
        yield "the pool had no members at the start"
        return
    if "" in start.nodes.values():
        yield f"{list(start.nodes.values()).count('')} members had no node at the start"
        return
    used = used_per_node(ledger, start)
    newcomers = arrivals(ledger, start)
    if max(used.values()) - min(used.values()) > 1 and _misplaced(used) > newcomers:
        had = Counter(start.nodes.values())
        nodes = Counter((had[node], lost) for node, lost in used.items())
        told_of = (f"{nodes[key]} nodes had {key[0]}, lost {key[1]}" for key in sorted(nodes))
        yield f"members of the start that were given: {'; '.join(told_of)}; {newcomers} newcomers"


def _misplaced(used: Counter[str]) -> int:
    """How many picks would have to move to another node to make the use even."""
    least, rest = divmod(used.total(), len(used))
    most = least + bool(rest)
    excess = sum(max(0, lost - most) for lost in used.values())
    deficit = sum(max(0, least - lost) for lost in used.values())
    return max(excess, deficit)
