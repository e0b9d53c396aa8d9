"""Taken: one entry in flight, to be ended in exactly one way."""

from collections.abc import Callable
from enum import Enum
from types import TracebackType
from typing import Self

from warmqueue.entry import WarmEntry


class Ending(Enum):
    """How a flight ends."""

    SETTLE = "settle"
    GIVE_BACK = "give back"
    FORGET = "forget"


class AlreadyResolvedError(RuntimeError):
    """An entry in flight was ended twice: a mistake in the caller, never an event to handle."""


class Taken:
    """An entry that was taken and is now in flight; ends by settle, give_back or forget.

    As a context manager it gives back on leaving the block unresolved, whatever the reason
    (an error or a cancellation included), unless `carry_over` was called:

        with taken:
            reply = await reserve(taken.entry)
            match reply:
                case Adopted():     taken.settle()
                case OwnedByOther() | Gone():  taken.forget()
                case Unknown():     taken.carry_over()
                case Conflict():    taken.give_back()

    Being cancelled in `reserve` gives back too. Where the request may have been carried out
    all the same, call `carry_over` before it and end the flight after the reply.

    Until it ends nobody else gets the entry, also when it was forgotten or moved to another
    pool meanwhile; what was told then is newer than the ending, and decides where it goes.
    Ending it does nothing when one with another uid has its name by then.
    """

    __slots__ = ("_end", "_ended_by", "_is_carried_over", "entry")

    def __init__(self, entry: WarmEntry, end: Callable[["Taken", Ending], None]) -> None:
        """`entry` is as it was at the pick; `end` carries out the ending where it was taken."""
        self.entry = entry
        self._end = end
        self._ended_by: Ending | None = None
        self._is_carried_over = False

    def __repr__(self) -> str:
        """The key and how it ended."""
        ended_by = self._ended_by.value if self._ended_by else "in flight"
        return f"<Taken {self.entry.key}: {ended_by}>"

    @property
    def is_resolved(self) -> bool:
        """Whether settle, give_back or forget was called. O(1)."""
        return self._ended_by is not None

    def settle(self) -> None:
        """It was adopted: it leaves the queue. AlreadyResolvedError when ended. O(1)."""
        self._resolve(Ending.SETTLE)

    def give_back(self) -> None:
        """It was not adopted and may be: it waits again, at its old place.

        AlreadyResolvedError when ended. O(log entries of its node + log nodes).
        """
        self._resolve(Ending.GIVE_BACK)

    def forget(self) -> None:
        """It can not be adopted: it leaves the queue. AlreadyResolvedError when ended. O(1)."""
        self._resolve(Ending.FORGET)

    def carry_over(self) -> None:
        """The outcome is unknown: leave the block with the entry still in flight.

        The next pass ends it, by this object (which may be entered again) or by key and
        uid. AlreadyResolvedError when ended. O(1).
        """
        self._refuse_if_ended("carry over")
        self._is_carried_over = True

    def land_at(self, end: Callable[["Taken", Ending], None]) -> None:
        """For the queue: the entry moved, so its flight ends there. O(1)."""
        self._end = end

    def __enter__(self) -> Self:
        """Promise an ending on leaving. AlreadyResolvedError when ended. O(1)."""
        self._refuse_if_ended("enter")
        self._is_carried_over = False
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Give back unless ended or carried over; never hides an error."""
        if not self.is_resolved and not self._is_carried_over:
            self.give_back()

    def _resolve(self, ending: Ending) -> None:
        self._refuse_if_ended(ending.value)
        self._ended_by = ending
        self._end(self, ending)

    def _refuse_if_ended(self, wanted: str) -> None:
        if self._ended_by is not None:
            raise AlreadyResolvedError(
                f"{self.entry.key}: {wanted} after {self._ended_by.value}; a flight ends once"
            )
