"""Keeps the certificate of our endpoints: looks for a new one, takes only a good one."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable, Collection
from typing import Final, TypeAlias

from warmclaim.errors import UsageError
from warmclaim.runtime.certificates import names_of, why_unusable
from warmclaim.runtime.serving_tls import Pair, context_of
from warmclaim.seams import Clock

LOOK_S: Final = 10.0

Read: TypeAlias = Callable[[], Pair]
"""The pair as it is now. Raises OSError."""

_log = logging.getLogger(__name__)


class CertificateKeeper:
    """Reads every `LOOK_S`. One that cannot be read, has expired, is not valid yet or is for other
    names is said once in the log, and in `notes` while it is so; the one before stays.

    `names` must be in every certificate; where none are given, those of the first one served.
    `least` is the oldest TLS that is spoken. `on_read` is told whether a new one was good.
    """

    def __init__(
        self,
        flag: str,
        read: Read,
        clock: Clock,
        *,
        names: Collection[str] = (),
        least: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
        on_read: Callable[[bool], None] = lambda _: None,
    ) -> None:
        self._flag = flag
        self._read = read
        self._clock = clock
        self._names = frozenset(names)
        self._least = least
        self._on_read = on_read
        self._served: Pair | None = None
        self._context: ssl.SSLContext | None = None
        self._problem: str | None = None

    def context(self) -> ssl.SSLContext | None:
        """For the next connection; None while there is no certificate to serve."""
        return self._context

    def notes(self) -> list[str]:
        """What is wrong now, for readiness; nothing where all is well."""
        return [self._problem] if self._problem else []

    def start(self) -> None:
        """Take the first one. Raises UsageError where there is none that can be read: a wrong path
        is the user's mistake. One that only may not be served now is waited for."""
        try:
            self.look()
        except (OSError, ValueError) as error:
            raise UsageError(f"{self._flag}: {_words(error)}") from None

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await self._clock.sleep(LOOK_S)
            try:
                self.look()
            except (OSError, ValueError) as error:
                self._say(_words(error))

    def look(self) -> None:
        """Look once. Raises OSError or ValueError where what is there cannot be read."""
        pair = self._read()
        names = names_of(pair.certificate)  # raises, where why_unusable would only say so
        why = why_unusable(pair, self._names, self._clock.wall())
        if why is None and pair != self._served:
            self._context = context_of(pair, self._least)
            self._served = pair
            self._names = self._names or names
            self._on_read(True)
        self._say(why)

    def _say(self, why: str | None) -> None:
        problem = f"{self._flag}: {why}" if why else None
        if problem and problem != self._problem:
            self._on_read(False)
            kept = "the one before stays" if self._context else "nothing is served until then"
            _log.error("certificate: %s; %s", problem, kept)
        elif self._problem and not problem:
            _log.info("certificate: %s: good again", self._flag)
        self._problem = problem


def _words(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename or ''}".rstrip(": ")
    return f"cannot be read: {type(error).__name__}"
