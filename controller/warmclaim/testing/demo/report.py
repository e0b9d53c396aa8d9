"""The result of a demo as a page of text, for 80 columns and more."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from warmclaim.testing.demo.figures import Bar, Latency, Spread
from warmclaim.testing.demo.history import QUESTION
from warmclaim.testing.demo.lifetime import Ending
from warmclaim.testing.demo.result import Result, Writes
from warmclaim.testing.demo.scenario import POD_START_S

BAR_CELLS = 24
BARS_MAX = 5

_MEANINGS = {
    "patch sandboxes": "hand-over: its owner becomes the claim",
    "patch sandboxclaims/status": "hand-over: the claim names it and is Ready",
    "patch sandboxclaims": "time marks, for latency metrics",
    "patch pods": "the pod gets the labels of its claim",
    "create sandboxes": "refill",
    "create pods": "refill",
    "patch sandboxes/status": "refill: until Ready",
    "patch sandboxwarmpools": "refill: names for a batch",
    "patch sandboxwarmpools/status": "counts of the pool",
    "create events": "Kubernetes Events",
    "patch events": "Kubernetes Events, repeated",
}


def page(result: Result) -> RenderableType:
    """The whole page."""
    blank = Text("")
    parts: list[RenderableType] = [_headline(result), blank, _figures(result), blank]
    parts += [_spreads(result), blank, _writes(result), blank, _history(result), blank]
    return Group(*parts, *_problems(result), closing(result))


def _headline(result: Result) -> Text:
    s = result.scenario
    return Text(
        f"{s.burst} claims at {s.qps:g}/s on a pool of {s.pool} warm sandboxes, {s.nodes} nodes",
        "bold",
    )


def _figures(result: Result) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="cyan", no_wrap=True)
    table.add_column()
    if result.latency_ms is not None:
        text = _percentiles(result.latency_ms, "bold green")
        table.add_row("latency", text.append(" ms, from a claim's POST to Ready", "dim"))
    if result.post_ms is not None:
        text = _percentiles(result.post_ms, "default")
        table.add_row("  POST", text.append(" ms of it, until the API server answered", "dim"))
    table.add_row("served", f"{result.served} of {result.scenario.burst}, {result.warm} warm")
    table.add_row("pool", f"filled in {result.fill_s:.1f} s{_refill(result)}")
    if result.manager_cpu_s is not None:
        per_claim_ms = 1000 * result.manager_cpu_s / result.scenario.burst
        table.add_row("manager", f"{per_claim_ms:.1f} ms CPU per claim, refill included")
    if result.ending is not None:
        table.add_row("lifetime", _ending(result.ending))
    return table


def _ending(ending: Ending) -> Text:
    text = Text()
    for what, after_ms in (
        ("ClaimExpired", ending.expired),
        ("  claim gone", ending.claim_gone),
        ("  sandbox gone", ending.sandbox_gone),
    ):
        text.append(f"{what} ", "dim").append(f"{after_ms:.0f}", "default")
    return text.append(" ms after shutdownTime", "dim")


def _percentiles(latency: Latency, style: str) -> Text:
    text = Text()
    for name, value in (("P50", latency.p50), ("  P90", latency.p90), ("  P99", latency.p99)):
        text.append(f"{name} ", "dim").append(f"{value:.0f}", style)
    return text


def _refill(result: Result) -> str:
    if result.refill_s is not None:
        return f", full again {result.refill_s:.1f} s after the last claim was served"
    if result.served == result.scenario.burst:
        return ", not full again before the demo ended"
    return ""


def _spreads(result: Result) -> Table:
    table = _table("sandboxes per node", "min", "median", "max", "")
    for title, spread in (
        ("warm, before the burst", result.before),
        ("handed out", result.handed_out),
        ("warm, after the refill", result.after),
    ):
        figures = [str(spread.min), str(spread.median), str(spread.max)]
        table.add_row(title, *figures, Group(*_bars(spread)))
    return table


def _bars(spread: Spread) -> Iterator[Text]:
    bars = spread.bars(BARS_MAX)
    most = max(bar.nodes for bar in bars)
    width = max(len(_range(bar)) for bar in bars)
    for bar in bars:
        cells = max(round(BAR_CELLS * bar.nodes / most), 1)
        nodes = "1 node" if bar.nodes == 1 else f"{bar.nodes} nodes"
        yield Text.assemble(
            f"{_range(bar):>{width}} ", ("█" * cells, "green"), (f" {nodes}", "dim")
        )


def _range(bar: Bar) -> str:
    return str(bar.least) if bar.least == bar.most else f"{bar.least}-{bar.most}"


def _writes(result: Result) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(justify="right")
    table.add_column(no_wrap=True)
    table.add_column(style="dim")
    total = f"{result.writes_per_claim:.2f}"
    table.add_row(total, Text("API writes per claim", "cyan"), "from the server's record")
    for writes in result.writes:
        per_claim = f"{writes.count / result.scenario.burst:.2f}"
        name = f"{writes.verb} {short_name(writes)}"
        table.add_row(per_claim, name, _MEANINGS.get(name, ""))
    return table


def _history(result: Result) -> RenderableType:
    """The answer to the question that is its title."""
    if result.history is None:
        return Text("warmclaim history needs pip install 'warmclaim[archive]'", "dim")
    title = Text(f"warmclaim history {QUESTION}", "cyan").append(
        "  when the claims were released", "dim"
    )
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="cyan", pad_edge=False)
    for column, value in result.history[0].items() if result.history else ():
        table.add_column(column, justify="left" if isinstance(value, str) else "right")
    for row in result.history:
        table.add_row(*(str(value) for value in row.values()))
    return Group(title, table)


def short_name(writes: Writes) -> str:
    """The resource without its API group: "sandboxclaims/status"."""
    resource, slash, subresource = writes.resource.partition("/")
    return resource.partition(".")[0] + slash + subresource


def _table(title: str, *columns: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="cyan", pad_edge=False)
    table.add_column(title, no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right" if column else "left")
    return table


def _problems(result: Result) -> Iterator[Text]:
    for problem in result.problems:
        yield Text(f"WRONG: {problem}", "bold red")


def closing(result: Result) -> Text:
    """What was seen, in plain words."""
    if not result.is_good or result.latency_ms is None:
        return Text("This is not how it should be: see the lines above.", "bold red")
    burst, cold = result.scenario.burst, result.served - result.warm
    if cold == 0:
        whence = f"All {burst} claims were handed a sandbox that was already running"
    else:
        whence = f"{result.warm} of {burst} claims were handed a sandbox that was already running"
        whence += f", {cold} had to wait for a new one"
    least_s, longest_s = POD_START_S
    refilled = "" if result.refill_s is None else " The pool was refilled meanwhile."
    return Text(
        f"{whence}; half of the claims were served within {result.latency_ms.p50:.0f} ms. Starting"
        f" a sandbox takes {least_s:g} to {longest_s:g} s here. No sandbox was given twice, and no"
        f" node gave more than {result.handed_out.max}.{refilled}"
    )
