"""`python -m tests.bench.compare A B`: figures of B as multiples of A's, changes first.

Says what is; whether it is good is for the reader, who knows which machine was busy. The exit code
is 0, or 2 for what is no file of figures.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
from tests.bench.figures import FORMAT, Findings

USAGE = "usage: make bench-compare A=out/bench/OLD.json B=out/bench/NEW.json"


class NoFindingsError(Exception):
    """One line on what is wrong with a file."""


def read(name: str) -> Findings:
    """Raises NoFindingsError."""
    try:
        found = msgspec.json.decode(Path(name).read_bytes(), type=Findings)
    except OSError as error:
        raise NoFindingsError(f"{name}: {error.strerror}") from None
    except msgspec.DecodeError as error:
        raise NoFindingsError(f"{name}: no figures of `make bench`: {error}") from None
    if found.format != FORMAT:
        raise NoFindingsError(f"{name}: format {found.format}; this program reads {FORMAT}")
    return found


def compared(before: Findings, after: Findings) -> Iterator[str]:
    """A line for each file, then for each figure: ratios by how far they are from 1, then those
    without a ratio."""
    for name, one in (("A", before), ("B", after)):
        yield f"{name}  {one.made_at}  {one.commit}  {one.machine}"
    for name in sorted(before.versions.keys() | after.versions.keys()):
        versions = before.versions.get(name, "none"), after.versions.get(name, "none")
        if versions[0] != versions[1]:
            yield f"   {name} {versions[0]} -> {versions[1]}"
    both = before.figures.keys() & after.figures.keys()
    rows = sorted((-_change(before.figures[key], after.figures[key]), key) for key in both)
    yield f"{'ratio':>9} {'A':>14} {'B':>14}  figure"
    for _, key in rows:
        old, new = before.figures[key], after.figures[key]
        yield f"{_ratio(old, new):>9} {old:14,.3f} {new:14,.3f}  {key}"
    for sign, more, less in (("only A", before, after), ("only B", after, before)):
        for key in sorted(more.figures.keys() - less.figures.keys()):
            yield f"{sign:>9} {more.figures[key]:14,.3f} {'':14}  {key}"


def _change(before: float, after: float) -> float:
    """How far the ratio is from 1, the same for twice and for half; -1 where there is none."""
    return abs(math.log(after / before)) if before > 0 < after else -1.0


def _ratio(before: float, after: float) -> str:
    if before > 0 < after:
        return f"{after / before:.3f}"
    return "same" if before == after else "-"


def main(words: Sequence[str]) -> int:
    """Print the comparison of two files."""
    try:
        if len(words) != 2 or not all(words):
            raise NoFindingsError(USAGE)
        lines = list(compared(read(words[0]), read(words[1])))
    except NoFindingsError as error:
        print(f"bench-compare: {error}", file=sys.stderr)
        return 2
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
