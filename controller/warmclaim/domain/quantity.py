"""Kubernetes quantities by value: 0.5 is 500m is 5e-1.

The `kubernetes` package reads them, too, but its import costs 35 MiB, a third of the memory goal.
"""

from __future__ import annotations

import re
from decimal import Decimal
from functools import lru_cache
from typing import Final

_FACTORS: Final = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "": Decimal(1),
    "k": Decimal("1e3"),
    "M": Decimal("1e6"),
    "G": Decimal("1e9"),
    "T": Decimal("1e12"),
    "P": Decimal("1e15"),
    "E": Decimal("1e18"),
    **{f"{prefix}i": Decimal(1024) ** power for power, prefix in enumerate("KMGTPE", start=1)},
}
_CHARS_MAX = 96  # of sign, digits, point, digits and exponent: what is longer is none
_QUANTITY = re.compile(
    r"([+-]?(?:\d{1,40}(?:\.\d{0,40})?|\.\d{1,40}))"
    r"(?:[eE]([+-]?\d{1,3})|(n|u|m|k|Ki|Mi|Gi|Ti|Pi|Ei|M|G|T|P|E))?",
    re.ASCII,
)


def quantity(text: str) -> Decimal | None:
    """Its value; None for what is no quantity."""
    return _value(text) if len(text) <= _CHARS_MAX else None


@lru_cache(maxsize=1024)
def _value(text: str) -> Decimal | None:
    match = _QUANTITY.fullmatch(text)
    if match is None:
        return None
    digits, exponent, suffix = match.groups()
    if exponent is not None:
        return Decimal(digits).scaleb(int(exponent))
    return Decimal(digits) * _FACTORS[suffix or ""]
