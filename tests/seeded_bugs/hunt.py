"""Hunts a seeded bug: plays seeds on a tree that has it, until one breaks a promise it names."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec
from tests.seeded_bugs.bugs import Bug
from tests.seeded_bugs.tree import ROOT, copied_tree, import_path

SEED_S_MAX: Final = 60
"""A seed takes half a second. One that takes this long never ends: that catches nothing."""
_PLAY: Final = Path(__file__).parent / "play.py"
_PROMISE: Final = re.compile(r"\b[SLW][1-9][0-9]?\b")
_WITHOUT_NAME: Final = ("liveness", "stability")


class Play(msgspec.Struct, frozen=True):
    """One seed: what broke ("" if nothing did), and in which words."""

    seed: int
    promise: str
    text: str

    @property
    def promises(self) -> frozenset[str]:
        """The promises that were broken. A crash, a seed that never ends and an error of the
        simulator break none."""
        if _PROMISE.fullmatch(self.promise):
            return frozenset((self.promise,))
        if self.promise not in _WITHOUT_NAME:
            return frozenset()
        return frozenset(_PROMISE.findall(self.text.partition(":")[0]))


@dataclass(slots=True)
class Hunt:
    """What came of one bug. `catches` are the plays that caught it, `others` counts what broke
    in seeds that did not; `seconds` on the wall."""

    bug: Bug
    catches: list[Play] = field(default_factory=list[Play])
    others: Counter[str] = field(default_factory=Counter[str])
    tried: int = 0
    seconds: float = 0.0

    def add(self, play: Play) -> None:
        """Count one seed."""
        self.tried += 1
        if play.promises.intersection(self.bug.caught_by):
            self.catches.append(play)
        elif play.promise:
            self.others[play.promise] += 1


def hunt(bug: Bug, seeds: Sequence[int], *, does_stop: bool = True, root: Path = ROOT) -> Hunt:
    """Play the seeds in order; up to the first that catches the bug, or all of them.

    Raises CatalogueError for a bug that does not apply.
    """
    result, began = Hunt(bug), time.perf_counter()
    with copied_tree(bug, root) as tree, closing(plays(tree, seeds)) as played:
        for play in played:
            result.add(play)
            if does_stop and result.catches:
                break
    result.seconds = time.perf_counter() - began
    return result


def failures_of_clean_code(seeds: Sequence[int], root: Path = ROOT) -> list[Play]:
    """The seeds that fail without any bug: they prove nothing about one."""
    with copied_tree(None, root) as tree:
        return [play for play in plays(tree, seeds) if play.promise]


def plays(tree: Path, seeds: Sequence[int], *, limit_s: int = SEED_S_MAX) -> Generator[Play]:
    """Play seeds with the packages of a tree, in a process of its own; in order of `seeds`."""
    left = list(seeds)
    while left:
        for play in _answers(tree, left, limit_s):
            yield play
            left.remove(play.seed)
        if left:  # its process has ended without a word on it
            yield Play(left.pop(0), "no answer", "the process ended")


def _answers(tree: Path, seeds: Sequence[int], limit_s: int) -> Iterator[Play]:
    process = subprocess.Popen(
        [sys.executable, "-P", str(_PLAY), str(limit_s), *map(str, seeds)],
        env={**os.environ, "PYTHONPATH": import_path(tree)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout is not None
    try:
        for line in process.stdout:
            yield msgspec.json.decode(line, type=Play)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
