"""What a run is made of, as plain values that JSON can hold.

Times are virtual seconds, `x` is a number in [0, 1) that its reader scales.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Leaders = Literal["one", "elected", "two"]


class Uses(msgspec.Struct, frozen=True):
    """How much of the API is in use in a run; by default what it takes to hand sandboxes over.

    Shares are of all claims and of all pools. `brief_share`: claims with a lifetime;
    `dressed_share`: claims that ask for metadata of their pods, some of it forbidden;
    `own_share`: claims that ask for variables or volumes, and so for a sandbox of their own, which
    the templates grant or not (`grants_own`). `recreate_share`: pools that replace stale members.
    `has_policies`: the template controller runs. `is_inherited`: the Go controller of this API
    was here before. `is_sealed`: members of pools bear a seal (`sealing`).
    """

    brief_share: float = 0.0
    dressed_share: float = 0.0
    own_share: float = 0.0
    grants_own: bool = True
    recreate_share: float = 0.0
    has_policies: bool = False
    is_inherited: bool = False
    is_sealed: bool = False


class Options(msgspec.Struct, frozen=True):
    """What one seed draws before it begins.

    `leaders`: one manager; two with leader election; or two that both lead, for the whole of the
    safety phase. `rates`: probability of each request fault that is on, for each request it may
    strike. `acts`: how often each kind of action happens, expected number for the whole run.
    `servers`: how many API servers there are; each of several hears of a commit up to
    `server_lag_s` late. `bookmarks`: whether watches have any but the one that ends a list.
    `clock_rates`: how fast the managers' clocks run; never slower than the world's.
    """

    seed: int
    leaders: Leaders
    namespaces: int
    replicas: tuple[int, ...]
    claims: int
    span_s: float
    burst: float
    claim_workers: int
    pool_workers: int
    sandbox_workers: int
    batch_items_max: int
    claim_wait_s: float
    page_items: int
    watch_list: bool
    lease_s: tuple[float, float, float]
    shuffled: bool
    nodes: int
    ready_s: tuple[float, float]
    collector_s: tuple[float, float]
    rates: dict[str, float]
    acts: dict[str, float]
    servers: int = 1
    server_lag_s: float = 0.0
    bookmarks: bool = True
    clock_rates: tuple[float, float] = (1.0, 1.0)
    uses: Uses = Uses()


class Action(msgspec.Struct, frozen=True):
    """Something that happens at a moment, whatever the managers do."""

    at: float
    do: str
    target: str = ""
    x: float = 0.0


class Fault(msgspec.Struct, frozen=True):
    """What becomes of one request. `name` is the class and its variant, such as "A8.applied"."""

    name: str
    x: float


class Limits(msgspec.Struct, frozen=True):
    """How long the parts of a run last, in virtual seconds.

    `drain_s`: after the last action, the faults still on; `heal_s`: after the last fault;
    `converge_s`: then all must be as desired within that time; `quiet_s`: and stay so, without a
    write.
    """

    drain_s: float = 5.0
    heal_s: float = 6.0
    converge_s: float = 120.0
    quiet_s: float = 600.0


class Case(msgspec.Struct, frozen=True):
    """A whole run. `faults` None: drawn from the options' rates; else these and no others, by
    the key of the request they strike. `added` are faults on top of either. `on_commit`: actions
    done right after the commit of that version, before the faults end."""

    options: Options
    actions: tuple[Action, ...]
    faults: dict[str, Fault] | None = None
    added: dict[str, Fault] = msgspec.field(default_factory=dict[str, Fault])
    on_commit: tuple[tuple[int, Action], ...] = ()
    limits: Limits = Limits()

    @property
    def has_curtains(self) -> bool:
        """Whether events are hidden from the managers."""
        faults = (*self.added.values(), *(self.faults or {}).values())
        return any(fault.name.startswith("B12.") for fault in faults)


class Regression(msgspec.Struct, frozen=True):
    """A run that failed once. `finding` is what it showed; `open` why it still does, or ""."""

    finding: str
    case: Case
    open: str = ""


def encoded(value: Case | Regression) -> bytes:
    """As indented JSON."""
    return msgspec.json.format(msgspec.json.encode(value), indent=1) + b"\n"


def read_regression(raw: bytes) -> Regression:
    """The inverse of `encoded`. Raises msgspec.DecodeError for anything else."""
    return msgspec.json.decode(raw, type=Regression)
