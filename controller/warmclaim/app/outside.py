"""What an App is given: the three seams, and who it is among other replicas."""

from __future__ import annotations

from dataclasses import dataclass

from warmclaim.controllers.claim_history import HistorySink
from warmclaim.domain.pod_metadata import DEFAULT_LABEL_DOMAINS
from warmclaim.seams import Clock, Rng, Transport


@dataclass(frozen=True, slots=True)
class Outside:
    """`identity` tells replicas apart, `namespace` holds the Lease, `server` is for metrics.
    `label_domains`: of labels that claims may add to their pods. `history` hears of each claim that
    is gone while this process leads; None where nobody keeps it."""

    transport: Transport
    clock: Clock
    rng: Rng
    identity: str
    namespace: str
    server: str = ""
    label_domains: frozenset[str] = DEFAULT_LABEL_DOMAINS
    history: HistorySink | None = None
