"""What a leader writes into its Lease, and what a follower reads out of a foreign one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from warmclaim.api.lease import LEASE, Lease, LeaseSpec
from warmclaim.api.meta import ObjectKey
from warmclaim.settings import LEASE_JITTER

LEASE_NAME: Final = "a3317529.agent-sandbox.x-k8s.io"
FOREIGN_DURATION_S_MAX: Final = 300.0
"""No record keeps us waiting for longer than this without a sign of life."""

_SANDBOX_ALONE = frozenset({"sandbox"})
_EVERY_CONTROLLER = frozenset({"claim", "pool", "sandbox"})
_RELEASED_S = 1  # what client-go writes as well
_TRANSITIONS_MAX = 2**31 - 2
_WALL_S_MAX = 253_402_300_799.0  # the end of year 9999


@dataclass(frozen=True, slots=True)
class LeaseTiming:
    """Seconds; `duration_s` > `renew_deadline_s` > `retry_period_s` x 1.2, else ValueError.

    Clocks of different machines may differ in speed by up to `duration_s / renew_deadline_s`.
    """

    duration_s: float = 15.0
    renew_deadline_s: float = 10.0
    retry_period_s: float = 2.0

    def __post_init__(self) -> None:
        retry_s = self.retry_period_s * LEASE_JITTER
        if not self.duration_s > self.renew_deadline_s > retry_s > 0:
            raise ValueError(f"lease times do not fit together: {self}")

    @property
    def request_s_max(self) -> float:
        """Longest time for one request, so that at least three fit into the renew deadline."""
        return min(max(self.retry_period_s, 1.0), self.renew_deadline_s / 3)

    def wait_s(self, record: LeaseSpec) -> float:
        """How long a foreign record keeps others away after its last change."""
        seconds = record.lease_duration_seconds or 0
        if seconds <= 0:
            return self.duration_s
        return min(float(seconds), max(FOREIGN_DURATION_S_MAX, self.duration_s))


def lease_name(controllers: frozenset[str]) -> str:
    """The Lease for a set of controllers; sets that share a controller must not run side by side.

    The Go manager has one name with and without its extensions, so the sandbox controller alone
    and everything together use that one; any other set has a Lease of its own.
    """
    if controllers == _SANDBOX_ALONE or controllers >= _EVERY_CONTROLLER:
        return LEASE_NAME
    return "-".join([LEASE_NAME, *sorted(controllers)])


def micro_time(wall_s: float) -> str:
    """`wall_s` as metav1.MicroTime, always with six digits; absurd times saturate."""
    seconds = min(max(wall_s, 0.0), _WALL_S_MAX) if math.isfinite(wall_s) else 0.0
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def renewed(lease: Lease | None, identity: str, duration_s: float, wall_s: float) -> LeaseSpec:
    """The record by which `identity` takes over or renews `lease`; None makes the first one."""
    now = micro_time(wall_s)
    old = lease.record if lease is not None else LeaseSpec()
    is_ours = old.holder_identity == identity
    transitions = min(max(old.lease_transitions or 0, 0), _TRANSITIONS_MAX)
    return LeaseSpec(
        holder_identity=identity,
        lease_duration_seconds=math.ceil(duration_s),
        acquire_time=(old.acquire_time if is_ours else None) or now,
        renew_time=now,
        lease_transitions=transitions if is_ours or lease is None else transitions + 1,
    )


def released(lease: Lease, wall_s: float) -> LeaseSpec:
    """The record that makes `lease` free at once."""
    now = micro_time(wall_s)
    return LeaseSpec(
        holder_identity="",
        lease_duration_seconds=_RELEASED_S,
        acquire_time=now,
        renew_time=now,
        lease_transitions=min(max(lease.record.lease_transitions or 0, 0), _TRANSITIONS_MAX),
    )


def is_released(lease: Lease) -> bool:
    """Given back by its holder, and not emptied by a third party."""
    return not lease.holder and lease.record.lease_duration_seconds == _RELEASED_S


def is_same_write(found: LeaseSpec, sent: LeaseSpec) -> bool:
    """Whether `found` is precisely what was sent: renewTime has microseconds, so each differs."""
    return (found.holder_identity, found.renew_time) == (sent.holder_identity, sent.renew_time)


def lease_body(key: ObjectKey, over: Lease | None, record: LeaseSpec) -> dict[str, Any]:
    """A whole Lease; labels and annotations that others put there stay."""
    metadata: dict[str, Any] = {"namespace": key.namespace, "name": key.name}
    if over is not None:
        metadata = {**msgspec.to_builtins(over.metadata), **metadata}
    spec: dict[str, Any] = msgspec.to_builtins(record)
    return {"apiVersion": LEASE.api_version, "kind": LEASE.kind, "metadata": metadata, "spec": spec}
