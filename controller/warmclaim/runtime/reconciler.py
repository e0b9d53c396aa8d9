"""What the loop asks of a controller, and what it may answer."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from warmqueue import Lane

K_contra = TypeVar("K_contra", bound=Hashable, contravariant=True)


@dataclass(frozen=True, slots=True)
class Result:
    """A pass that ended without an error.

    `after_s` None: nothing more until an event comes; else the key is worked again after that
    many seconds, in `lane`. There is no "requeue now" flag: whoever knows that there is more to
    do does it in the same pass.
    """

    after_s: float | None = None
    lane: Lane = Lane.STATUS


DONE = Result()


def again(after_s: float, lane: Lane = Lane.STATUS) -> Result:
    """Work the key again after `after_s` seconds."""
    return Result(max(after_s, 0.0), lane)


class Reconciler(Protocol[K_contra]):
    """Brings one object closer to what it should be.

    Level triggered: it reads the state of now, whatever the event was. An error raised means
    that the key is tried again with exponential back-off; a pass may be cancelled at any await.
    """

    async def reconcile(self, key: K_contra) -> Result: ...
