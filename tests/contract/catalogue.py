"""All contract cases."""

from __future__ import annotations

from tests.contract import (
    deletes,
    handover,
    merges,
    patches,
    paths,
    reads,
    schemas,
    statuses,
    watches,
    writes,
)
from tests.contract.steps import Case

CASES: tuple[Case, ...] = (
    writes.CASES
    + statuses.CASES
    + patches.CASES
    + merges.CASES
    + deletes.CASES
    + reads.CASES
    + watches.CASES
    + schemas.CASES
    + paths.CASES
    + handover.CASES
)
