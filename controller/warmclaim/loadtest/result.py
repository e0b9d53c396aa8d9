"""What a run came to. Times are seconds since the run began, latencies milliseconds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import msgspec

from warmclaim.loadtest.percentiles import nearest_rank

CONTROLLER, LIMIT = "controller", "limit"
"""Who served the claims of a run."""
WINDOW_S = 10.0
FORMAT = 1
"""Of the files; grows when something changes its meaning."""


class Latency(msgspec.Struct, frozen=True):
    """Percentiles by nearest rank, in milliseconds."""

    count: int
    p50_ms: float
    p90_ms: float
    p99_ms: float
    max_ms: float


class Window(msgspec.Struct, frozen=True):
    """The claims sent within `WINDOW_S` from `at_s` on."""

    at_s: float
    client: Latency


class Milestone(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something that held from a moment on; `told` has what belongs to it."""

    at_s: float
    name: str
    told: dict[str, float] = {}


class PhaseResult(msgspec.Struct, kw_only=True):
    """One phase."""

    name: str
    kind: str
    begun_s: float
    ended_s: float
    milestones: list[Milestone] = []
    sent: int = 0
    refused: dict[str, int] = {}
    """Claims that the API server refused, by HTTP status."""
    late_ms_max: float | None = None
    """How far behind its schedule the load generator was at worst."""
    queued_ms_max: float | None = None
    """The longest that a claim waited for one of its connections, all of which waited for the
    server's answers; a part of the claim's latency."""
    client: Latency | None = None
    """By the load generator's clock: the POST of the claim sent, to Ready=True on its own watch."""
    controller: Latency | None = None
    """By the controller's clock: its first sight of the claim, to its Ready; as it noted on it."""
    windows: list[Window] = []
    """The same by when the claims were sent; empty for a phase that sends all in one window."""
    warm: int = 0
    cold: int = 0
    """Claims served, by where their sandbox came from."""
    cpu_s: float | None = None
    """CPU time of the controller in the phase; None where its process is unknown."""
    rss_bytes: int | None = None
    rss_bytes_max: int | None = None
    """Its memory at the end of the phase, and the most that was seen in it."""
    requests: dict[str, int] = {}
    """To the API server, by verb and resource."""
    requests_from: str = ""
    """Where they were counted: `audit log`, `metrics`, or nowhere."""
    nodes: dict[str, int] = {}
    """Sandboxes by node at the end of the phase."""

    @property
    def duration_s(self) -> float:
        """From its first request to its last condition."""
        return self.ended_s - self.begun_s


class RunResult(msgspec.Struct, kw_only=True):
    """One run. `serves` is `controller` or `limit`; `command` the controller's, if it was started
    here."""

    format: int = FORMAT
    profile: str
    about: str
    serves: str
    command: str
    namespace: str = ""
    """What was made was in there."""
    started_at: str
    version: str
    machine: str
    phases: list[PhaseResult] = []
    breaches: list[str] = []
    """Promises of the API that were broken: a sandbox given twice, a claim Ready and then not."""
    exit_code: int | None = None
    """The controller's after SIGTERM, negative where another signal ended it; None where it was not
    started here."""
    problem: str = ""
    """Why the run was not brought to its end; empty where it was."""

    @property
    def is_good(self) -> bool:
        """Whether it came to its end and no promise was broken."""
        return not self.problem and not self.breaches


def latency_of(latencies_s: Sequence[float]) -> Latency | None:
    """None without values."""
    if not latencies_s:
        return None
    ranks = [round(nearest_rank(latencies_s, percent) * 1000, 3) for percent in (50, 90, 99, 100)]
    return Latency(len(latencies_s), *ranks)


def windows_of(claims: Iterable[tuple[float, float]]) -> list[Window]:
    """From (sent at, latency) of each claim, in seconds: percentiles of each 10 s from the first
    claim on, those without claims left out; none where all were sent in one."""
    ordered = sorted(claims)
    found: defaultdict[int, list[float]] = defaultdict(list)
    for at_s, latency_s in ordered:
        found[int((at_s - ordered[0][0]) / WINDOW_S)].append(latency_s)
    if len(found) < 2:
        return []
    return [
        Window(round(ordered[0][0] + number * WINDOW_S, 3), latency)
        for number, some in sorted(found.items())
        if (latency := latency_of(some)) is not None
    ]
