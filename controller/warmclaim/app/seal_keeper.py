"""Reads the Secret with the seal's keys, on every replica, and says what is wrong with it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from warmclaim.api.meta import ObjectKey
from warmclaim.api.resources import SECRET
from warmclaim.controllers.seals import Seals
from warmclaim.domain.seal import SealKeys, keys_of
from warmclaim.errors import NotFoundError, SealKeyError, WarmclaimError
from warmclaim.kube.client import ApiClient
from warmclaim.seams import Channel, Clock

CHECK_S: Final = 30.0
"""How old a key may be that nobody asked about."""

ASKED_S_MIN: Final = 1.0
"""Whoever makes sandboxes with a wrong seal has the Secret read as often as that, no oftener."""

RETRY_BASE_S, RETRY_CAP_S = 1.0, 30.0

FIRST_S_MAX: Final = 10.0
"""Watches wait that long for the keys: what is listed before would be judged twice."""

_log = logging.getLogger(__name__)


class SealKeeper:
    """One background part. The Secret is read by name, never listed nor watched; its keys are kept
    in memory, never logged. Once read they stay in use while it cannot be read again, so that an
    outage or a wrong edit does not undo every pool; a wrong edit is said until it is mended.

    `on_problem` hears of each new problem, in a few words.
    """

    def __init__(
        self,
        client: ApiClient,
        clock: Clock,
        secret: ObjectKey,
        seals: Seals,
        on_problem: Callable[[str], None],
    ) -> None:
        self._client = client
        self._clock = clock
        self._secret = secret
        self._seals = seals
        self._on_problem = on_problem
        self._first = asyncio.Event()
        self._problem = "not read yet"

    def problem(self) -> str | None:
        """Why no claim gets a warm sandbox, and no pool grows; None when there are keys. For
        readiness."""
        return self._problem if self._seals.keys is None else None

    def notes(self) -> list[str]:
        """What should be mended although there are keys: those from before are in use."""
        return [self._problem] if self._problem and self._seals.keys is not None else []

    async def wait_first(self) -> None:
        """Return when the Secret was looked at, or after `FIRST_S_MAX`."""
        await self._either(self._first, FIRST_S_MAX)

    async def run(self) -> None:
        """Look at the Secret again and again, until cancelled."""
        delay_s = RETRY_BASE_S
        while True:
            began_s = self._clock.monotonic()
            self._seals.wanted.clear()  # before the read: what is asked for from now on is news
            try:
                keys = await self._read()
            except WarmclaimError as error:
                self._failed(error)
                pause_s, delay_s = delay_s, min(delay_s * 2, RETRY_CAP_S)
                await self._clock.sleep(pause_s)
            else:
                if self._problem:
                    _log.info("seal keys read", extra={"secret": str(self._secret)})
                self._problem, delay_s = "", RETRY_BASE_S
                await self._seals.learn(keys, began_s)
                self._first.set()
                await self._clock.sleep(ASKED_S_MIN)
                await self._either(self._seals.wanted, CHECK_S - ASKED_S_MIN)

    async def _read(self) -> SealKeys:
        """Raises SealKeyError for a Secret that is missing or holds no keys."""
        try:
            secret = await self._client.get(SECRET, self._secret, channel=Channel.REFILL)
        except NotFoundError:
            raise SealKeyError("is not there: create it, as docs/install.md says") from None
        return keys_of(secret.decoded())

    def _failed(self, error: WarmclaimError) -> None:
        """Told once for each problem, not for each try."""
        in_use = "no claim gets a warm sandbox, no pool grows"
        if self._seals.keys is not None:
            in_use = "the keys read before stay in use"
        verb = "" if isinstance(error, SealKeyError) else "cannot be read: "
        problem = f"Secret {self._secret} {verb}{error}; {in_use}"
        self._first.set()
        if problem == self._problem:
            return
        self._problem = problem
        _log.error("seal: %s", problem)
        if isinstance(error, SealKeyError):
            self._on_problem(problem)

    async def _either(self, bell: asyncio.Event, limit_s: float) -> None:
        ring = asyncio.create_task(bell.wait(), name="seal keys wanted")
        limit = asyncio.create_task(self._clock.sleep(limit_s), name="seal keys due")
        try:
            await asyncio.wait((ring, limit), return_when=asyncio.FIRST_COMPLETED)
        finally:
            ring.cancel()
            limit.cancel()
