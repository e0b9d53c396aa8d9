"""docs/operations.md tells of every reason that a user may see and of no flag that is not there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from warmclaim.api.conditions import ClaimReason, SandboxReason
from warmclaim.cli.goflags import FLAGS

RUNBOOK = (Path(__file__).parents[1] / "docs" / "operations.md").read_text()


def rows(heading: str) -> set[str]:
    """The names in the first column of the table after `heading`."""
    table = RUNBOOK.split(heading, 1)[1].split("\n\n", 2)[1]
    firsts = (line.split("|")[1] for line in table.splitlines()[2:])
    return {name for first in firsts for name in re.findall(r"`(\w+)`", first)}


@pytest.mark.parametrize(
    ("heading", "reasons"),
    [("Of a claim's `Ready`.", ClaimReason), ("Of a sandbox's `Ready`:", SandboxReason)],
)
def test_every_reason_is_told_of(
    heading: str, reasons: type[ClaimReason] | type[SandboxReason]
) -> None:
    assert rows(heading) == {reason.value for reason in reasons}


def test_every_flag_that_is_named_is_one_of_the_manager() -> None:
    named = set(re.findall(r"`--([a-z0-9-]+)", RUNBOOK))
    assert named
    assert named <= {flag.name for flag in FLAGS}
