"""What this process knows of the seal's keys, for whoever makes members or hands them out.

Asks for nothing itself: whoever reads the Secret tells what it holds (`learn`). Without keys
nothing is sealed, and nothing passes for sealed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec

from warmclaim.api.names import ANNOTATION_SEAL
from warmclaim.api.pool import Pool
from warmclaim.api.sandbox import Sandbox
from warmclaim.domain.seal import SealKeys, is_sealed, seal_of
from warmclaim.errors import SealKeyError, StoredOtherwiseError
from warmclaim.seams import Clock

AT_ONCE_MAX: Final = 100
"""Objects that are looked at in one go when the keys change: a millisecond or two."""

OnChange = Callable[[], Iterable[object]]
"""Looks at objects anew, a step for each."""


class Seals:
    """The keys as they were last read. `read_s`: when that read began, in monotonic seconds.

    A member that these keys do not know may have been sealed with a newer one, by another leader.
    So it is refused at once, but found to be unsealed for good only by a read that began after it
    was seen; `wanted` is set where such a read is asked for.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.keys: SealKeys | None = None
        self.read_s = float("-inf")
        self.wanted = asyncio.Event()
        self._on_change: list[OnChange] = []

    def on_change(self, look: OnChange) -> None:
        """Have `look` gone through when there are other keys."""
        self._on_change.append(look)

    async def learn(self, keys: SealKeys, read_s: float) -> None:
        """These keys count from now on."""
        is_same = keys == self.keys
        self.keys, self.read_s = keys, read_s
        if is_same:
            return
        for look in self._on_change:
            for number, _ in enumerate(look(), 1):
                if number % AT_ONCE_MAX == 0:
                    await self._clock.sleep(0)

    def refuses(self, sandbox: Sandbox, pool: Pool) -> bool:
        """Whether `sandbox` is not to be given as a member of `pool`; if so, the keys are read
        again soon. Some microseconds (`make bench`)."""
        is_refused = self.keys is None or not is_sealed(self.keys, sandbox, pool.metadata.uid)
        if is_refused:
            self.wanted.set()
        return is_refused

    def put_on(self, body: dict[str, Any], pool: Pool) -> SealKeys:
        """Seal what is about to be created for `pool`; returns the keys that it was sealed with.
        Raises SealKeyError without keys."""
        if self.keys is None:
            raise SealKeyError("there is no key to seal a sandbox with")
        sandbox = msgspec.json.decode(msgspec.json.encode(body), type=Sandbox)
        seal = seal_of(self.keys.current, sandbox, pool.metadata.uid)
        body["metadata"]["annotations"][ANNOTATION_SEAL] = seal
        return self.keys


def check_made(made: Sandbox, pool: Pool, keys: SealKeys) -> None:
    """Raises StoredOtherwiseError where what was made does not fit the seal that was put on it with
    these keys: each further one would be made in vain."""
    if not is_sealed(keys, made, pool.metadata.uid):
        text = (
            f"{made.metadata.key} is not as it was sent, so its seal is broken: have no"
            " admission webhook or policy change sandboxes, or switch the seal off"
        )
        raise StoredOtherwiseError(201, "StoredOtherwise", text)
