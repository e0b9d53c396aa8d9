"""What goes on around a crash: nothing, faults of the API, or another leader."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

from warmclaim.testing.explore.scenarios import Scenario
from warmclaim.testing.sim.case import Case, Fault, Leaders, Limits

CONVERGE_S: Final = 30.0
"""All has to be as desired that long after the last disturbance, in virtual seconds."""

_LIMITS: Final = Limits(drain_s=1.0, heal_s=3.5, converge_s=CONVERGE_S)
# A write whose answer was given up after 10 s may land 20 s later still.
_LIMITS_WITH_FAULTS: Final = msgspec.structs.replace(_LIMITS, drain_s=35.0)

# Left out: what takes longer than that by design (a silent connection is noticed after 70 s, a
# permanent refusal is tried again after a minute), and other crashes than those of the point.
_WRITES: Final = (
    *("A1.conflict", "A5.throttled", "A6.refused", "A6.applied", "A8.lost", "A8.applied"),
    *("A8.late", "A9.unsent", "A9.reset", "A10.torn", "A13.unauthorized", "A15.slow"),
)
_READS: Final = ("R1.error", "R2.timeout", "R3.slow", "A5.read")
_LISTS: Final = ("B4.list", "B5.page", "B6.ahead", "B7.list")
_WATCHES: Final = (
    *("B1.eof", "B2.torn", "B4.http", "B4.stream", "B7.watch", "B8.nonsense", "B9.late"),
    "B10.again",
)
_RATES: Final = {
    **dict.fromkeys(_WRITES, 0.01),
    **dict.fromkeys(_READS, 0.02),
    **dict.fromkeys(_LISTS, 0.03),
    **dict.fromkeys(_WATCHES, 0.08),
}


@dataclass(frozen=True, slots=True)
class Context:
    """Changes to a scenario. `leaders` None: as the scenario says."""

    name: str
    leaders: Leaders | None = None
    rates: Mapping[str, float] = field(default_factory=dict[str, float])
    limits: Limits = _LIMITS

    @property
    def is_quiet(self) -> bool:
        """Whether the crash is all that happens beside the scenario."""
        return not self.rates and self.leaders is None

    def case(self, scenario: Scenario, added: Mapping[str, Fault]) -> Case:
        """The run of a scenario in this context, with these faults on top."""
        options = msgspec.structs.replace(
            scenario.options,
            leaders=self.leaders or scenario.options.leaders,
            rates=dict(self.rates),
        )
        return Case(options, scenario.actions, added=dict(added), limits=self.limits)


CONTEXTS: Final = {
    context.name: context
    for context in (
        Context("quiet"),
        Context("faults", rates=_RATES, limits=_LIMITS_WITH_FAULTS),
        Context("two", leaders="two"),
    )
}
