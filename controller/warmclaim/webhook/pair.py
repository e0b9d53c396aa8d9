"""What the Secret holds, and under which names. Imports no cryptography: a manager that converts
nothing never pays for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

from warmclaim.runtime.serving_tls import Pair

SECRET_NAME: Final = "agent-sandbox-webhook-certs"
AUTHORITIES, CERTIFICATE, KEY = "ca.crt", "tls.crt", "tls.key"

Data: TypeAlias = Mapping[str, bytes]


def pair_of(data: Data) -> Pair:
    """The pair to serve; empty where there is none."""
    return Pair(data.get(CERTIFICATE, b""), data.get(KEY, b""))
