"""What to do with the Secret that all replicas take their certificate from. Pure.

A renewal has two steps, or API servers would meet a certificate whose authority they do not know:
first the new authority is told beside the old one while the old certificate is still served;
after `ANNOUNCE_S` the new one takes its place. Any replica may do either step, by compare-and-set.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from warmclaim.runtime.certificates import span_of
from warmclaim.runtime.serving_tls import Pair
from warmclaim.webhook.certificates import BACKDATED_S, bundle, issue, why_unfit
from warmclaim.webhook.pair import AUTHORITIES, CERTIFICATE, KEY, Data, pair_of

NEXT_CERTIFICATE, NEXT_KEY = "next-tls.crt", "next-tls.key"

RENEW_SHARE: Final = 1 / 3
"""A certificate is renewed when this share of its life is left: four months of a year."""

ANNOUNCE_S: Final = 600.0
"""So long both authorities are told before the new certificate is served."""


@dataclass(frozen=True, slots=True)
class Keep:
    """Serve what is there."""


@dataclass(frozen=True, slots=True)
class Store:
    """Put this into the Secret first; `why` is for the log."""

    data: dict[str, bytes]
    why: str


Step: TypeAlias = Keep | Store


def next_step(data: Data, names: Sequence[str], now_s: float) -> Step:
    """The Secret's next state; an empty one needs everything."""
    told = data.get(AUTHORITIES, b"")
    unfit = why_unfit(pair_of(data), told, names, now_s)
    if unfit is not None:
        issued = issue(names, now_s=now_s)
        trusted = bundle(issued.authority, told, now_s)
        return Store(_data(trusted, issued.pair), f"new certificate: {unfit}" if data else "made")
    if span_of(data[CERTIFICATE]).left_share(now_s) > RENEW_SHARE:
        return Keep()
    return _renewal(data, names, now_s)


def _renewal(data: Data, names: Sequence[str], now_s: float) -> Step:
    told, coming = data[AUTHORITIES], Pair(data.get(NEXT_CERTIFICATE, b""), data.get(NEXT_KEY, b""))
    if why_unfit(coming, told, names, now_s) is not None:
        issued = issue(names, now_s=now_s)
        announced = {NEXT_CERTIFICATE: issued.pair.certificate, NEXT_KEY: issued.pair.key}
        trusted = bundle(issued.authority, told, now_s)
        return Store({**_data(trusted, pair_of(data)), **announced}, "renewal announced")
    made_s = span_of(coming.certificate).begins_s + BACKDATED_S
    if now_s < made_s + ANNOUNCE_S:
        return Keep()
    return Store(_data(bundle(b"", told, now_s), coming), "renewed")


def _data(authorities: bytes, pair: Pair) -> dict[str, bytes]:
    return {AUTHORITIES: authorities, CERTIFICATE: pair.certificate, KEY: pair.key}
