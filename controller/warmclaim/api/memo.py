"""The last answers of a pure function, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Final, Generic, TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

ENTRY_BYTES: Final = 256
"""What an answer costs beside the texts that were asked about."""


class Memo(Generic[*Ts, T]):
    """Calls `function` once for equal arguments, as long as these are among the last.

    Bounded in number and in bytes of its arguments, of which an answer takes no more than they:
    one tenant's thousand templates of 1.4 MB must not stay when their objects are gone, nor the
    texts of a million claims, each a little different.
    """

    def __init__(self, function: Callable[[*Ts], T], *, entries_max: int, bytes_max: int) -> None:
        self._function = function
        self._entries_max = entries_max
        self._bytes_max = bytes_max
        self._answers: dict[Hashable, tuple[T, int]] = {}
        self.bytes_kept = 0

    def __len__(self) -> int:
        return len(self._answers)

    def __call__(self, *arguments: *Ts) -> T:
        """The answer; 0.7 us and the hash of the arguments where it is known."""
        known = self._answers.pop(arguments, None)
        if known is None:
            known = self._function(*arguments), ENTRY_BYTES + sum(map(_bytes_of, arguments))
            self.bytes_kept += known[1]
        self._answers[arguments] = known
        while self.bytes_kept > self._bytes_max or len(self._answers) > self._entries_max:
            _, size = self._answers.pop(next(iter(self._answers)))
            self.bytes_kept -= size
        return known[0]


def _bytes_of(argument: object) -> int:
    return len(argument) if isinstance(argument, bytes | str) else 0
