"""The options of `warmclaim history`, and its help."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

EPILOG: Final = """\
[bold]Views[/bold]  claims has a row for each claim that is gone; latency, warm_share, refusals,
slowest and node_spread are made of it. A name alone is a question too. Times are UTC.

[bold]Examples[/bold]

  [cyan]warmclaim history[/cyan]

  [cyan]warmclaim history latency --spool /var/lib/warmclaim/spool[/cyan]

  [cyan]warmclaim history slowest --archive s3://bucket/claims -o json[/cyan]

  [cyan]warmclaim history --archive DIR "SELECT max(latency_ms) FROM claims"[/cyan]

A condition on [cyan]date[/cyan] spares whole files. The SQL is DuckDB's; it can read the history
and nothing else, and change nothing.

[bold]Exit codes[/bold]  0 answered; 1 stdout could not be written; 2 no such view, no history, no
duckdb, or a wrong argument.
"""


class Form(StrEnum):
    """How an answer is written."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


def history(
    sql: Annotated[
        str, typer.Argument(metavar="SQL", help="A SELECT, or a view; without it, the views.")
    ] = "",
    spool: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Where managers write: the last hours, up to a second ago."
        ),
    ] = None,
    archive: Annotated[
        str, typer.Option(metavar="DIR|URL", help="Where the hours before lie as Parquet files.")
    ] = "",
    output: Annotated[
        Form, typer.Option("--output", "-o", help="For people or for programs.")
    ] = Form.TABLE,
) -> int:
    """Ask the history of claims that are gone, in SQL.

    Needs duckdb and pyarrow: pip install 'warmclaim\\[archive]'.
    """
    from warmclaim.cli.history import history as answer

    return answer(sql, spool=spool, archive=archive, form=output)
