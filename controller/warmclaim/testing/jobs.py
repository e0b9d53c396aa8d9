"""Work spread over processes."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Final, TypeVar

T = TypeVar("T")
R = TypeVar("R")

COLLECT_AT_OBJECTS: Final = 50_000
"""A run makes and drops whole worlds: to look for cycles after every 700 objects took 5 to 11 % of
the processor's time, after so many it takes 50 MiB."""


def spread(work: Callable[[T], R], tasks: Iterable[T], *, jobs: int, together: int) -> Iterator[R]:
    """The results, in the order of the tasks; `together` tasks go to a process at a time.

    With one job all is done here, so that a test may exchange parts of the program.
    """
    if jobs <= 1:
        yield from map(work, tasks)
        return
    # Spawned, not forked: what a process does must not depend on what this one has done before.
    with ProcessPoolExecutor(
        jobs,
        mp_context=get_context("spawn"),
        initializer=gc.set_threshold,
        initargs=(COLLECT_AT_OBJECTS,),
    ) as pool:
        yield from pool.map(work, tasks, chunksize=together)
