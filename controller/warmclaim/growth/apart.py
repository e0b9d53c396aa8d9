"""Sizes on virtual time, each in a process of its own: what one has left behind must not be the
next one's memory. What such a process runs stands here, since it cannot import a `__main__`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context

from rich.console import Console

from warmclaim.growth.meter import LinesRun
from warmclaim.growth.result import Simulated
from warmclaim.growth.simulated import Load, simulate
from warmclaim.growth.stock import Size

Work = Callable[[Size, Load], Simulated]


def each_apart(work: Work, sizes: Iterable[Size], load: Load) -> Iterator[Simulated]:
    """One size after the other; none while another one runs."""
    for size in sizes:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as one:
            yield one.submit(work, size, load).result()


def processor_used(size: Size, load: Load) -> Simulated:
    """By the processor's time."""
    return simulate(size, load, teller(size))


def lines_run(size: Size, load: Load) -> Simulated:
    """By the lines of Python that were run."""
    gauge = LinesRun()
    with gauge.counting():
        return simulate(size, load, teller(size), gauge)


def teller(size: Size) -> Callable[[str], object]:
    """Tells how far a run is, where somebody looks."""
    console = Console(stderr=True)
    return partial(_tell, console, size) if console.is_terminal else lambda _: None


def _tell(console: Console, size: Size, text: str) -> None:
    console.print(f"{size}: {text}", style="dim", highlight=False)
