"""How much is asked of the controller."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Profile:
    """A number of claims at a rate, on a pool filled before."""

    name: str
    claims: int
    rate_per_s: float
    pool: int

    @property
    def claim_names(self) -> list[str]:
        """Names of the claims in the order of their creation."""
        return [f"claim-{number:04}" for number in range(self.claims)]

    def __str__(self) -> str:
        return f"{self.claims} claims at {self.rate_per_s:g}/s, pool {self.pool}"


PROFILES = (
    Profile("100-at-50", claims=100, rate_per_s=50, pool=200),
    Profile("300-at-300", claims=300, rate_per_s=300, pool=600),
)
