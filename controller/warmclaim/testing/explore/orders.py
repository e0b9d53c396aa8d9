"""All leaves of a tree of choices, by replay from its root.

A run is told the first choices and takes the first one offered after these; it gives back what it
was offered on its way. So nothing has to be copied or undone, and a leaf is a sequence of choices
that can be run again by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar


class Leaf(Protocol):
    """The end of a run: the choices it made, and what it was offered at each."""

    @property
    def taken(self) -> Sequence[str]: ...
    @property
    def offered(self) -> Sequence[Sequence[str]]: ...


L = TypeVar("L", bound=Leaf)


def leaves(run: Callable[[Sequence[str]], L], root: Sequence[str] = ()) -> Iterator[L]:
    """Every leaf below `root`, depth first, each once. Cost: one run for each leaf.

    RuntimeError where a run, told the same choices, is not offered the same as before.
    """
    path = list(root)
    known: list[list[str]] = []
    while True:
        leaf = run(path)
        offered = [list(choices) for choices in leaf.offered]
        if known and offered[: len(known)] != known:
            raise RuntimeError(f"a replay went another way after {''.join(path)}")
        yield leaf
        path = list(leaf.taken)
        while len(path) > len(root) and path[-1] == offered[len(path) - 1][-1]:
            path.pop()
        if len(path) <= len(root):
            return
        known = offered[: len(path)]
        at = known[-1]
        path[-1] = at[at.index(path[-1]) + 1]


def split(run: Callable[[Sequence[str]], L], depth: int) -> list[tuple[str, ...]]:
    """Roots of subtrees that together hold every leaf once: all paths of `depth` choices, and
    the leaves that are nearer. Cost: one run for each root, and for each inner node above."""
    roots: list[tuple[str, ...]] = []
    open_paths: list[tuple[str, ...]] = [()]
    while open_paths:
        path = open_paths.pop()
        leaf = run(path)
        if len(path) >= depth or len(leaf.taken) <= len(path):
            roots.append(path)
            continue
        open_paths += [(*path, choice) for choice in reversed(leaf.offered[len(path)])]
    return roots
