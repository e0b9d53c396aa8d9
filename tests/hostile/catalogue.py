"""The whole corpus, and how large the pool of each kind's namespaces is."""

from __future__ import annotations

from tests.hostile import (
    claim_shapes,
    claim_sizes,
    claim_words,
    pools,
    sandbox_owners,
    sandbox_shapes,
    streams,
)
from tests.hostile.inputs import Input


def inputs() -> list[Input]:
    """All crafted inputs that are put into a running manager, one after the other."""
    return [
        *claim_shapes.inputs(),
        *claim_sizes.inputs(),
        *claim_words.inputs(),
        *sandbox_owners.inputs(),
        *sandbox_shapes.inputs(),
        *pools.inputs(),
        *streams.inputs(),
    ]


def kinds() -> list[str]:
    """Their kinds, in order of the corpus."""
    return list(dict.fromkeys(one.kind for one in inputs()))


def of_kind(kind: str) -> list[Input]:
    """The inputs of one kind."""
    return [one for one in inputs() if one.kind == kind]


def replicas(kind: str) -> int:
    """Hostile claims find a warm sandbox to spoil; hostile sandboxes and pools find an empty pool,
    so that a claim beside them can only be given theirs, or one of its own."""
    return 1 if kind.startswith(("claim", "answers", "watch")) else 0
