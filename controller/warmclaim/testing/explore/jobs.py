"""Work spread over processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def spread(work: Callable[[T], R], tasks: Sequence[T], *, jobs: int, together: int) -> Iterator[R]:
    """The results, in the order of the tasks; `together` tasks go to a process at a time.

    With one job all is done here, so that a test may exchange parts of the program.
    """
    if jobs <= 1:
        yield from map(work, tasks)
        return
    # Spawned, not forked: what a process does must not depend on what this one has done before.
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        yield from pool.map(work, tasks, chunksize=together)
