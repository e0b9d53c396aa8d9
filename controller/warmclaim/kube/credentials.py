"""Credentials: what stands in the Authorization header, and how it is renewed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from warmclaim.errors import UsageError
from warmclaim.seams import Clock

log = logging.getLogger(__name__)

# The kubelet writes a new token well before the old one ends; a minute is what others do.
FILE_AGE_S_MAX: Final = 60.0
# A revoked identity makes every request a 401; its exec plugin must not run for each of them.
REFRESH_INTERVAL_S_MIN: Final = 10.0


class Credentials(Protocol):
    """Who this program is."""

    def authorization(self) -> str | None:
        """The Authorization header of the next request; None: there is none."""
        ...

    async def refresh(self, rejected: str | None) -> None:
        """The server refused `rejected`. Returns when something newer is there, or there is none.

        Never raises: the old credentials stay, and so does the server's refusal.
        """
        ...


class Anonymous:
    """No header; a client certificate, or nothing, says who calls."""

    def authorization(self) -> str | None:
        return None

    async def refresh(self, rejected: str | None) -> None:
        return


class TokenFileCredentials:
    """The token in a file that somebody else keeps fresh, read again every minute.

    Reads block; the file is some 1 kB on a memory file system.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._header = _bearer(path)
        self._read_at = clock.monotonic()

    def authorization(self) -> str | None:
        if self._clock.monotonic() - self._read_at >= FILE_AGE_S_MAX:
            self._read()
        return self._header

    async def refresh(self, rejected: str | None) -> None:
        if self._header == rejected:
            self._read()

    def _read(self) -> None:
        self._read_at = self._clock.monotonic()
        try:
            self._header = _bearer(self._path)
        except UsageError as error:
            log.warning("the old token is kept: %s", error)


class ReloadedCredentials:
    """A header that `load` gets anew, possibly by running a program for seconds."""

    def __init__(self, load: Callable[[], str | None], clock: Clock, *, first: str | None) -> None:
        self._load = load
        self._clock = clock
        self._header = first
        self._loaded_at = clock.monotonic()
        self._lock = asyncio.Lock()

    def authorization(self) -> str | None:
        return self._header

    async def refresh(self, rejected: str | None) -> None:
        async with self._lock:
            age_s = self._clock.monotonic() - self._loaded_at
            if self._header != rejected or age_s < REFRESH_INTERVAL_S_MIN:
                return
            self._loaded_at = self._clock.monotonic()
            # A thread, although threads hide from the simulated loop: an exec plugin may take
            # seconds, and the lease must be renewed meanwhile. A simulation has no plugins.
            loop = asyncio.get_running_loop()
            try:
                self._header = await loop.run_in_executor(None, self._load)
            except UsageError as error:
                log.warning("the old credentials are kept: %s", error)


class AttendedCredentials:
    """Those of `inner`, and a `look` at what else is renewed beside them: each minute, before a
    request, so also while each of them fails. `look` blocks, and raises nothing."""

    def __init__(self, inner: Credentials, clock: Clock, *, look: Callable[[], None]) -> None:
        self._inner = inner
        self._clock = clock
        self._look = look
        self._looked_at = clock.monotonic()

    def authorization(self) -> str | None:
        now_s = self._clock.monotonic()
        if now_s - self._looked_at >= FILE_AGE_S_MAX:
            self._looked_at = now_s
            self._look()
        return self._inner.authorization()

    async def refresh(self, rejected: str | None) -> None:
        await self._inner.refresh(rejected)


def _bearer(path: Path) -> str:
    try:
        token = path.read_text(encoding="ascii").strip()
    except OSError as error:
        raise UsageError(f"cannot read the token file {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"the token file {path} holds no token: not ASCII") from error
    if not token or any(c.isspace() for c in token):
        raise UsageError(f"the token file {path} is empty or holds more than one token")
    return f"Bearer {token}"
