"""Connections of the load generator to a control plane, as one of its static-token users."""

from __future__ import annotations

from pathlib import Path

from warmclaim.kube.config import Connection, connection_to, trusting


class Bearer:
    """A token that never changes."""

    def __init__(self, token: str) -> None:
        self._header = f"Bearer {token}"

    def authorization(self) -> str:
        return self._header

    async def refresh(self, rejected: str | None) -> None:
        """There is nothing newer."""


def connected(server: str, token: str, ca_file: Path) -> Connection:
    """The API server at this address, as the user of this token."""
    return connection_to(server, ssl_context=trusting(ca_file), credentials=Bearer(token))
