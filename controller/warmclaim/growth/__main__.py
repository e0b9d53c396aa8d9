"""The command line: what to run, and what is said about it."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from warmclaim.errors import UsageError, WarmclaimError
from warmclaim.growth import __doc__ as about
from warmclaim.growth.apart import each_apart, lines_run, processor_used, teller
from warmclaim.growth.files import RESULTS, folder_for, line_of, read, this_machine
from warmclaim.growth.page import written
from warmclaim.growth.real import Rate, measure
from warmclaim.growth.result import (
    LINES,
    REAL,
    SIMULATED,
    Cost,
    R,
    Result,
    problems,
    rows,
)
from warmclaim.growth.simulated import Load
from warmclaim.growth.stock import Size, sizes

OK, FAILED, USAGE = 0, 1, 2
PIPED_WIDTH: Final = 400
SIMULATED_SIZES: Final = "1000x1,10000x1,100000x1,1000x100,100000x100"
REAL_SIZES: Final = "300x1,300x10,300x100,3000x1,3000x10,3000x100,10000x1,10000x10,10000x100"


def main(arguments: Sequence[str] | None = None) -> int:
    """0 if nothing grew too much, 1 if something did or a run failed, 2 for wrong arguments."""
    given = _parser().parse_args(arguments)
    try:
        found: int = given.run(given)
    except UsageError as error:
        print(f"growth: {error}", file=sys.stderr)
        return USAGE
    except WarmclaimError as error:
        print(f"growth: {error}", file=sys.stderr)
        return FAILED
    return found


def _simulated(given: argparse.Namespace) -> int:
    load = Load(given.singles, given.bursts, given.burst, given.rate)
    asked = sizes(given.sizes)
    _require_room(asked, given.burst)
    work, costs = (lines_run, LINES) if given.by == "lines" else (processor_used, SIMULATED)
    return _carried_out(given, each_apart(work, asked, load), costs)


def _real(given: argparse.Namespace) -> int:
    rate, asked = Rate(given.claims, given.rate), sizes(given.sizes)
    found = (asyncio.run(measure(size, rate, teller(size))) for size in asked)
    return _carried_out(given, found, REAL)


def _page(given: argparse.Namespace) -> int:
    machine, results = read(given.files)
    try:
        files = written(results, machine, Path(given.out))
    except OSError as error:
        raise UsageError(f"--out: {given.out} cannot be written to: {error.strerror}") from error
    print("\n".join(map(str, files)))
    return OK


def _carried_out(given: argparse.Namespace, results: Iterator[R], costs: Sequence[Cost]) -> int:
    folder = folder_for(given.out) if given.out else None
    machine = this_machine()
    found: list[R] = []
    if folder is not None:
        (folder / RESULTS).write_bytes(line_of(machine))
    for one in results:
        found.append(one)
        if folder is not None:
            # At once: a later size may fail, and this one took minutes.
            with (folder / RESULTS).open("ab") as file:
                file.write(line_of(one))
        if given.output == "json":
            print(line_of(one).decode(), end="", flush=True)
    if given.output == "table":
        _show(found, costs, machine.text)
    if folder is not None:
        written(list[Result](found), machine.text, folder)
    for problem in (wrong := problems(found, costs)):
        print(problem, file=sys.stderr)
    return FAILED if wrong else OK


def _show(results: Sequence[R], costs: Sequence[Cost], machine: str) -> None:
    heads, lines = rows(results, costs)
    table = Table(box=None, pad_edge=False, caption=machine, caption_justify="left")
    for head in heads:
        table.add_column(head, justify="right")
    for line in lines:
        table.add_row(*line)
    # What is piped is read by programs: no line of it may be cut or folded.
    Console(width=None if sys.stdout.isatty() else PIPED_WIDTH).print(table)


def _require_room(asked: Sequence[Size], burst: int) -> None:
    for size in asked:
        if burst > size.sandboxes:
            raise UsageError(f"--burst: {burst} claims find no {burst} sandboxes in {size}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m warmclaim.growth",
        description=about,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Exit codes: 0 a claim costs at most 1.3 times as much at every size as at the"
        " smallest of as many pools; 1 it does not, or a run failed; 2 an argument is wrong.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    simulated = commands.add_parser("simulated", help="on virtual time, in one process")
    _add_common(simulated, SIMULATED_SIZES, rate=1000.0, run=_simulated)
    simulated.add_argument("--singles", type=_count, default=100, help="claims one by one (100)")
    simulated.add_argument("--bursts", type=_count, default=4, help="bursts of claims (4)")
    simulated.add_argument("--burst", type=_count, default=250, help="claims of a burst (250)")
    by = "what is counted: processor time, or the lines of Python that were run, which are the"
    simulated.add_argument(
        "--by",
        choices=("processor", "lines"),
        default="processor",
        help=f"{by} same on every machine but take ten times as long (processor)",
    )
    real = commands.add_parser("real", help="in real time, three processes over HTTP")
    _add_common(real, REAL_SIZES, rate=25.0, run=_real)
    real.add_argument("--claims", type=_count, default=200, help="claims at each size (200)")
    page = commands.add_parser("page", help="one page and the plots from results of both")
    page.add_argument("files", nargs="+", metavar="FILE", help=f"a {RESULTS}")
    page.add_argument("--out", default=".", metavar="DIR", help="an existing folder (this one)")
    page.set_defaults(run=_page)
    return parser


def _add_common(
    parser: argparse.ArgumentParser,
    default: str,
    rate: float,
    run: Callable[[argparse.Namespace], int],
) -> None:
    parser.add_argument(
        "--sizes", default=default, metavar="NxP,...", help=f"N sandboxes in P pools ({default})"
    )
    parser.add_argument(
        "--rate", type=_rate, default=rate, metavar="R", help=f"claims a second ({rate:g})"
    )
    parser.add_argument(
        "--out", metavar="DIR", help="write results as JSON lines, a page and its plots there"
    )
    parser.add_argument("-o", "--output", choices=("table", "json"), default="table")
    parser.set_defaults(run=run)


def _count(text: str) -> int:
    value = int(text)
    if not 1 <= value <= 1_000_000:
        raise ValueError(text)
    return value


def _rate(text: str) -> float:
    value = float(text)
    if not 0 < value <= 100_000:
        raise ValueError(text)
    return value


if __name__ == "__main__":
    sys.exit(main())
