"""All bugs, several at a time, and what came of each as a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

from tests.seeded_bugs.bugs import Bug
from tests.seeded_bugs.hunt import Hunt, Play, failures_of_clean_code, hunt
from tests.seeded_bugs.tree import require_applicable

SEEDS_MAX: Final = 1000

HEADER: Final = f"{'bug':34} {'caught by':12} {'seed':>5} {'tried':>6} {'s':>7}"


def seeds_for(bug: Bug, seeds_max: int) -> list[int]:
    """The seed that showed it before, then the first `seeds_max` others in order."""
    return [bug.seed, *(seed for seed in range(seeds_max) if seed != bug.seed)]


def hunt_all(bugs: Sequence[Bug], *, seeds_max: int = SEEDS_MAX, jobs: int = 1) -> Iterator[Hunt]:
    """Hunt each until it is caught; in order of `bugs`.

    Raises CatalogueError before the first hunt if one does not apply.
    """
    for bug in bugs:
        require_applicable(bug)
    seeds = [seeds_for(bug, seeds_max) for bug in bugs]
    with ThreadPoolExecutor(jobs) as threads:
        yield from threads.map(hunt, bugs, seeds)


def search_all(bugs: Sequence[Bug], *, seeds_max: int, jobs: int = 1) -> Iterator[Hunt]:
    """Play the first `seeds_max` seeds on each, caught or not; in order of `bugs`."""
    for bug in bugs:
        require_applicable(bug)
    search = partial(hunt, seeds=range(seeds_max), does_stop=False)
    with ThreadPoolExecutor(jobs) as threads:
        yield from threads.map(search, bugs)


def clean_failures(hunts: Sequence[Hunt]) -> list[Play]:
    """Which of the catching seeds fail on the clean code as well."""
    seeds = sorted({play.seed for found in hunts for play in found.catches[:1]})
    return failures_of_clean_code(seeds)


def row(found: Hunt) -> str:
    """One line of the table."""
    name, tried = found.bug.name, f"{found.tried:6} {found.seconds:7.1f}"
    if not found.catches:
        others = ", ".join(f"{number} x {word}" for word, number in sorted(found.others.items()))
        return f"{name:34} {'NOT CAUGHT':12} {'':5} {tried}  {others}".rstrip()
    first = found.catches[0]
    promises = " ".join(sorted(first.promises))
    share = f"  {len(found.catches)} of {found.tried}" if len(found.catches) > 1 else ""
    return f"{name:34} {promises:12} {first.seed:5} {tried}{share}"
