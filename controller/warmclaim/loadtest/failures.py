"""What ends a load test before its time, and how that is said."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import aiohttp

from warmclaim.errors import WarmclaimError


class LoadtestError(WarmclaimError):
    """A run could not be brought to its end; the message is one line."""


class RefusedError(WarmclaimError):
    """The API server answered a request with an error; `code` is the HTTP status."""

    def __init__(self, method: str, path: str, code: int, answer: bytes) -> None:
        super().__init__(f"{method} {path}: {code} {answer[:500].decode(errors='replace')}")
        self.code = code


_FORESEEN = (WarmclaimError, aiohttp.ClientError, TimeoutError)


def problem_of(error: BaseException) -> str | None:
    """One line about an error, or a group of them, that a cluster or a controller can cause; None
    for a mistake of this program."""
    leaves = list(_leaves(error))
    if not all(isinstance(one, _FORESEEN) for one in leaves):
        return None
    # Where a watch or the controller ends, what waits for it fails too; the first says why.
    return " ".join(str(leaves[0]).split()) or type(leaves[0]).__name__


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if not isinstance(error, BaseExceptionGroup):
        yield error
        return
    for one in cast("BaseExceptionGroup[BaseException]", error).exceptions:
        yield from _leaves(one)
