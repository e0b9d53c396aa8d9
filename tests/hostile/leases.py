"""Leases that somebody else has written: garbage, absurd values, holders by the dozen."""

from __future__ import annotations

from collections.abc import Sequence

from tests.hostile.inputs import Build, Effect, Ground, Input, Pause, Step, Store, table

from warmclaim.api.lease import LEASE
from warmclaim.kube.lease_record import LEASE_NAME
from warmclaim.testing.json_values import Json

LEADS = Effect("leads")
"""The lease is taken over within the longest time that a foreign record is believed."""
WAITS = Effect("waits")
"""It is never taken, asked for at the usual pace, and the process says why it does not lead."""
_TIME = "2026-01-01T00:00:00.000000Z"
_SOUND: dict[str, object] = {
    "holderIdentity": "mallory",
    "leaseDurationSeconds": 15,
    "acquireTime": _TIME,
    "renewTime": _TIME,
    "leaseTransitions": 1,
}


def a_lease(spec: object = ..., **metadata: object) -> Json:
    """The manager's Lease as somebody else left it."""
    meta = {"name": LEASE_NAME, "namespace": "good", **metadata}
    value: Json = {"apiVersion": LEASE.api_version, "kind": LEASE.kind, "metadata": meta}
    return value if spec is ... else {**value, "spec": spec}


def _held(**changes: object) -> Build:
    spec = {key: value for key, value in (_SOUND | changes).items() if value is not ...}
    return lambda _: [Store(a_lease(spec))]


def records() -> list[Input]:
    """Garbage times, huge values and wrong types, found at the start."""
    rows: dict[str, tuple[Effect, Build]] = {
        "no spec": (LEADS, lambda _: [Store(a_lease())]),
        "spec null": (LEADS, lambda _: [Store(a_lease(None))]),
        "spec empty": (LEADS, lambda _: [Store(a_lease({}))]),
        "holder null": (LEADS, _held(holderIdentity=None)),
        "holder empty": (LEADS, _held(holderIdentity="")),
        "holder of 1 MB": (LEADS, _held(holderIdentity="h" * 1_000_000)),
        "holder of control characters": (LEADS, _held(holderIdentity="\u001b[2J\r\n\u202e")),
        "holder that begins as we do": (LEADS, _held(holderIdentity="controller ")),
        "no renew time": (LEADS, _held(renewTime=...)),
        "renew time of no calendar": (LEADS, _held(renewTime="never")),
        "renew time of year 1": (LEADS, _held(renewTime="0001-01-01T00:00:00Z")),
        "renew time of year 9999": (LEADS, _held(renewTime="9999-12-31T23:59:59.999999Z")),
        "renew time without a zone": (LEADS, _held(renewTime="2026-01-01T00:00:00")),
        "renew time a leap second": (LEADS, _held(renewTime="2016-12-31T23:59:60.000000Z")),
        "renew time of 100 KB": (LEADS, _held(renewTime="9" * 100_000)),
        "acquire time of no calendar": (LEADS, _held(acquireTime="soon")),
        "duration 0": (LEADS, _held(leaseDurationSeconds=0)),
        "duration -1": (LEADS, _held(leaseDurationSeconds=-1)),
        "duration null": (LEADS, _held(leaseDurationSeconds=None)),
        "duration 2^31-1": (LEADS, _held(leaseDurationSeconds=2**31 - 1)),
        "duration 2^63": (LEADS, _held(leaseDurationSeconds=2**63)),
        "transitions -1": (LEADS, _held(leaseTransitions=-1)),
        "transitions 2^31-1": (LEADS, _held(leaseTransitions=2**31 - 1)),
        "transitions 2^63": (LEADS, _held(leaseTransitions=2**63)),
        "annotations of 250 KB": (
            LEADS,
            lambda _: [Store(a_lease(_SOUND, annotations={"note": "n" * 250_000}))],
        ),
        "unknown field": (LEADS, _held(strategy="OldestEmulationVersion")),
        "spec a list": (WAITS, lambda _: [Store(a_lease([]))]),
        "spec a text": (WAITS, lambda _: [Store(a_lease("mallory"))]),
        "holder a number": (WAITS, _held(holderIdentity=7)),
        "holder a list": (WAITS, _held(holderIdentity=["mallory"])),
        "duration a text": (WAITS, _held(leaseDurationSeconds="15")),
        "duration 1.5": (WAITS, _held(leaseDurationSeconds=1.5)),
        "renew time a number": (WAITS, _held(renewTime=1_767_225_600)),
        "transitions a text": (WAITS, _held(leaseTransitions="many")),
    }
    return table("lease records", rows)


def _storm(holders: int, every_s: float, rounds: int, **changes: object) -> Build:
    """Foreign holders write over the lease, and over each other."""

    def build(_: Ground) -> Sequence[Step]:
        steps: list[Step] = []
        for number in range(rounds):
            holder = f"mallory-{number % holders}"
            spec = _SOUND | {"holderIdentity": holder, "leaseTransitions": number} | changes
            steps += [Store(a_lease(spec, uid="lease-uid")), Pause(every_s)]
        return steps

    return build


def _storm_after_start(every_s: float, rounds: int) -> Build:
    """The lease is taken from a leader, again and again."""

    def build(ground: Ground) -> Sequence[Step]:
        return [Pause(5.0), *_storm(3, every_s, rounds)(ground)]

    return build


def storms() -> list[Input]:
    """Holders by the dozen, before anybody leads and over a leader's head."""
    rows: dict[str, tuple[Effect, Build]] = {
        "twelve holders in turn": (LEADS, _storm(12, 0.5, 120)),
        "one that renews without end": (LEADS, _storm(1, 2.0, 60)),
        "faster than our own tries": (LEADS, _storm(50, 0.05, 400)),
        "with durations of no end": (LEADS, _storm(5, 1.0, 20, leaseDurationSeconds=2**31 - 1)),
        "over a leader, every second": (LEADS, _storm_after_start(1.0, 60)),
        "over a leader, every 20 s": (LEADS, _storm_after_start(20.0, 6)),
    }
    return table("lease storms", rows)


def inputs() -> list[Input]:
    """All of them."""
    return [*records(), *storms()]
