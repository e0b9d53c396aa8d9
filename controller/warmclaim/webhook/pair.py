"""What the Secret holds, and under which names. Imports no cryptography: a manager that converts
nothing never pays for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

SECRET_NAME: Final = "agent-sandbox-webhook-certs"
AUTHORITIES, CERTIFICATE, KEY = "ca.crt", "tls.crt", "tls.key"

Data: TypeAlias = Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its private key, both PEM."""

    certificate: bytes
    key: bytes = field(repr=False)


def pair_of(data: Data) -> Pair:
    """The pair to serve; empty where there is none."""
    return Pair(data.get(CERTIFICATE, b""), data.get(KEY, b""))
