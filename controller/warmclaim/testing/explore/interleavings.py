"""All orders of API calls of two leaders on a small world, with at most one lost answer.

    python -m warmclaim.testing.explore.interleavings                 # as CI does
    python -m warmclaim.testing.explore.interleavings --lost-answers all --scopes all --jobs 2
    python -m warmclaim.testing.explore.interleavings --scope pool-deaf --replay 0011-0

Two claims and two sandboxes, or one pool that both leaders fill. A call is a request with its
answer, in one step or, where a scope is `split`, in two: it arrives, and its answer arrives.
The leaders run the production controllers; both may lead at once, since no lease is asked for.
`scopes` says which worlds there are, `race` what a run is.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import Final

from warmclaim.testing.explore.race import Scope
from warmclaim.testing.explore.scopes import BY_NAME, CORE, LARGE
from warmclaim.testing.explore.search import SHARE, Search, Tally, search_all, shrunk
from warmclaim.testing.explore.steps import choices_in

_COLUMNS: Final = ("scope", "orders", "lost", "calls", "commits", "longest", "ends", "cpu s", "bad")


def main(arguments: Sequence[str] | None = None) -> int:
    """0 if every order of every scope was safe and came to its end, 1 if one was not."""
    given = _parser().parse_args(arguments)
    scopes: list[Scope] = given.scope or [*CORE, *(LARGE if given.scopes == "all" else ())]
    if given.replay is not None:
        return _replay(Search(scopes[0], "all"), given.replay)
    tallies: dict[str, Tally] = {}
    failed: list[tuple[Search, Tally]] = []
    for scope in scopes:
        search = Search(scope, given.lost_answers, given.seed, given.share)
        tally = search_all(search, jobs=given.jobs, on_part=_progress(scope))
        print(file=sys.stderr)
        tallies[str(scope)] = tally
        if tally.unsafe or tally.covered != 1:
            failed.append((search, tally))
    print(table(tallies))
    for search, tally in failed:
        _explain(search, tally)
    return 1 if failed else 0


def table(tallies: dict[str, Tally]) -> str:
    """The figures of each scope and of all."""
    total = Tally()
    for tally in tallies.values():
        total.add(tally)
    rows = [_COLUMNS, *(_row(name, tally) for name, tally in tallies.items()), _row("all", total)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    return "\n".join(
        "  ".join(
            word.rjust(width) if column else word.ljust(width)
            for column, (word, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )


def _row(name: str, tally: Tally) -> tuple[str, ...]:
    numbers = (tally.orders, tally.with_loss, tally.calls, tally.commits, tally.longest)
    last = (str(len(tally.endings)), f"{tally.cpu_s:.1f}", str(tally.unsafe))
    return (name, *(f"{number:,}" for number in numbers), *last)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m warmclaim.testing.explore.interleavings", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--scopes", choices=("core", "all"), default="core",
                        help="those of every run, or the large ones as well")  # fmt: skip
    parser.add_argument("--scope", action="append", type=_scope, metavar="NAME",
                        help=f"only this one: {', '.join(BY_NAME)}")  # fmt: skip
    parser.add_argument("--lost-answers", choices=("none", "drawn", "all"), default="drawn",
                        help="drawn: every --share'th of them, by the seed")  # fmt: skip
    parser.add_argument("--share", type=int, default=SHARE, metavar="N", help="one in so many")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of what is drawn")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes")
    parser.add_argument("--replay", type=_order, metavar="ORDER",
                        help="run one order of the scope and print what happens")  # fmt: skip
    return parser


def _scope(name: str) -> Scope:
    if name not in BY_NAME:
        raise argparse.ArgumentTypeError(f"no such scope: {name}")
    return BY_NAME[name]


def _order(text: str) -> list[str]:
    try:
        return choices_in(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _progress(scope: Scope) -> Callable[[Tally], None]:
    def show(tally: Tally) -> None:
        line = f"\r{scope}: {tally.orders:,} orders, {float(tally.covered):.0%}"
        print(f"{line}, {tally.unsafe} bad", end="", file=sys.stderr, flush=True)

    return show


def _replay(search: Search, order: Sequence[str]) -> int:
    found = search.run(order, has_words=True)
    print("\n".join(found.trace))
    print(found.failure or f"safe; in the end {found.ending}")
    return 1 if found.failure else 0


def _explain(search: Search, tally: Tally) -> None:
    if tally.covered != 1:
        print(f"{search.scope}: only {float(tally.covered):.6f} of the tree was covered")
    for order, failure in tally.failures[:1]:
        found = shrunk(search, choices_in(order))
        print(f"\n{search.scope}: {failure}\nshrunk to {found}, which is:")
        print("\n".join(found.trace))
        print(f"again: --scope {search.scope} --replay {order}")


if __name__ == "__main__":
    sys.exit(main())
