"""All contract cases."""

from __future__ import annotations

from tests.contract import deletes, handover, patches, paths, reads, schemas, watches, writes
from tests.contract.steps import Case

CASES: tuple[Case, ...] = (
    writes.CASES
    + patches.CASES
    + deletes.CASES
    + reads.CASES
    + watches.CASES
    + schemas.CASES
    + paths.CASES
    + handover.CASES
)
