"""What is shown while the demo runs: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn


class Stage(StrEnum):
    """The parts of a run, in order; the value is what is said about it."""

    START = "starting the manager"
    FILL = "filling the pool"
    BURST = "sending claims"
    REFILL = "refilling the pool"
    EXPIRE = "letting a claim expire"
    RELEASE = "releasing the claims, asking the history"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Moment:
    """How far a run is. `latency_s` is that of the claim served last, None before the first."""

    stage: Stage
    elapsed_s: float
    warm: int
    pool: int
    served: int
    burst: int
    latency_s: float | None


class Display(Protocol):
    """Is shown every moment, some ten in a second."""

    def show(self, moment: Moment) -> None: ...


class PlainLines:
    """One line for each stage, and one every few seconds of a long one."""

    repeat_s = 5.0

    def __init__(self, console: Console) -> None:
        self._console = console
        self._stage: Stage | None = None
        self._said_s = 0.0

    def show(self, moment: Moment) -> None:
        if moment.stage is self._stage and moment.elapsed_s < self._said_s + self.repeat_s:
            return
        self._stage, self._said_s = moment.stage, moment.elapsed_s
        self._console.print(f"{moment.elapsed_s:5.1f} s  {moment.stage}{_counts(moment)}")


def _counts(moment: Moment) -> str:
    counts = f"{moment.warm} of {moment.pool} sandboxes warm"
    match moment.stage:
        case Stage.START | Stage.EXPIRE | Stage.RELEASE:
            return ""
        case Stage.FILL:
            return f": {counts}"
        case _:
            return f": {moment.served} of {moment.burst} claims served, {counts}"


class LiveBars:
    """Two bars that grow in place. Drawn when shown and never by a thread, which would take its
    time from the run that is measured."""

    def __init__(self, console: Console) -> None:
        self.progress = Progress(
            TextColumn("{task.description:<7}", style="cyan"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}", style="dim"),
            console=console,
            auto_refresh=False,
            transient=True,
        )
        self._pool: TaskID | None = None
        self._claims: TaskID | None = None

    def show(self, moment: Moment) -> None:
        if self._pool is None or self._claims is None:
            self._pool = self.progress.add_task("pool", total=moment.pool, note="")
            self._claims = self.progress.add_task("claims", total=moment.burst, note="")
        latency = "" if moment.latency_s is None else f"{moment.latency_s * 1000:.0f} ms"
        stage = f"{moment.stage}, {moment.elapsed_s:.0f} s"
        self.progress.update(self._pool, completed=min(moment.warm, moment.pool), note=stage)
        self.progress.update(self._claims, completed=moment.served, note=latency)
        self.progress.refresh()


@contextmanager
def display(console: Console) -> Generator[Display]:
    """The display that fits where `console` writes; a live one is wiped away at the end."""
    if not console.is_terminal:
        yield PlainLines(console)
        return
    bars = LiveBars(console)
    with bars.progress:
        yield bars
