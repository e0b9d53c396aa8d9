"""The sub-commands and their help. Typer reads the options; the work is in the module of each."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from warmclaim import __version__
from warmclaim.cli import OK, PROGRAM, refuse
from warmclaim.cli.access_options import (
    ACCESS_HELP,
    CaFile,
    SkipVerify,
    TlsServerName,
    TokenFile,
)
from warmclaim.cli.check_command import EPILOG as CHECK_EPILOG
from warmclaim.cli.check_command import check
from warmclaim.cli.history_command import EPILOG as HISTORY_EPILOG
from warmclaim.cli.history_command import history
from warmclaim.cli.loadtest_commands import loadtest
from warmclaim.cli.output import Output
from warmclaim.cli.snapshot_commands import snapshot

_HELP = """\
Hands pre-warmed, isolated sandboxes to SandboxClaims.

A pool keeps sandboxes running; a claim takes one that is ready instead of waiting for a pod.
"""

_EPILOG = """\
[bold]First steps[/bold]
  [cyan]warmclaim demo[/cyan]                    See it work; needs no cluster.
  [cyan]warmclaim crds --write DIR[/cyan]        The API's kinds, as YAML files.
  [cyan]warmclaim check[/cyan]                   Whether a cluster has all that they need.
  [cyan]warmclaim run --kubeconfig FILE[/cyan]   The controllers, against a cluster.
  [cyan]warmclaim explain claim NS/NAME[/cyan]   Why it is not Ready, or which sandbox it got.
  [cyan]warmclaim export claims[/cyan]           All objects of a kind, as JSON.
  [cyan]warmclaim snapshot -o FILE[/cyan]        All that a manager knows, to look at or replay.
  [cyan]warmclaim loadtest[/cyan]                Load on a cluster, and what it came to.

[bold]Exit codes[/bold]  0 done; 1 failed; 2 a flag or an argument is wrong.
"""

app = typer.Typer(
    name=PROGRAM,
    help=_HELP,
    epilog=_EPILOG,
    rich_markup_mode="rich",
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

# The flags of `run` are Go's: typer hands them over as they were written, --help among them.
_UNPARSED = {"ignore_unknown_options": True, "allow_extra_args": True}


def invoke(argv: Sequence[str]) -> int:
    """Run the sub-command that `argv` names; returns the exit code. Raises UsageError."""
    try:
        code = typer.main.get_command(app).main(list(argv), PROGRAM, standalone_mode=False)
    except typer.TyperException as error:
        # Without arguments the help is shown already, and there is nothing to add.
        problem = error.format_message()
        return refuse(PROGRAM, problem) if problem else error.exit_code
    return code if isinstance(code, int) else OK


app.add_typer(snapshot, name="snapshot")
app.add_typer(loadtest, name="loadtest")


@app.command(context_settings=_UNPARSED, add_help_option=False)
def run(context: typer.Context) -> int:
    """Run the controllers against a cluster. [dim]warmclaim run --help lists the flags.[/dim]"""
    from warmclaim.cli.run import run as run_manager

    return run_manager(context.args, program=f"{PROGRAM} run")


@app.command()
def demo(
    pool: Annotated[int, typer.Option(help="Warm sandboxes that the pool keeps.")] = 200,
    burst: Annotated[int, typer.Option(help="Claims to send.")] = 100,
    qps: Annotated[float, typer.Option(help="Claims sent in a second.")] = 50.0,
    nodes: Annotated[int, typer.Option(help="Fake nodes to spread the sandboxes over.")] = 100,
    output: Annotated[
        Output, typer.Option("--output", "-o", help="Result for people or for programs.")
    ] = Output.TEXT,
) -> int:
    """Fill a warm pool, send a burst of claims, show the latency.

    The controller manager is the real one, in a process of its own, and talks HTTP to an embedded
    API server on loopback. Nodes and kubelets are imitated. Takes some 10 seconds.
    """
    from warmclaim.cli.demo import run_demo

    return run_demo(pool=pool, burst=burst, qps=qps, nodes=nodes, as_json=output is Output.JSON)


@app.command()
def crds(
    write: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write one file for each kind and say what changed."),
    ] = None,
) -> int:
    """Print the custom resource definitions, or write them as files."""
    from warmclaim.cli.crds import print_crds, write_files

    return print_crds() if write is None else write_files(write)


_EXPLAIN = """\
Say why an object is as it is, from the API and from the controller's own record.
"""

_EXPLAIN_EPILOG = f"""\
The API is asked as kubectl would ask it; nothing is written. The controller's record (which
sandbox was picked and why, each step with its time) is kept in memory by the manager that leads,
and told to its own machine or pod alone, or to who has a token. To reach it:

  [cyan]kubectl -n agent-sandbox-system port-forward deploy/agent-sandbox-controller 8080[/cyan]
  [cyan]warmclaim explain claim my-namespace/my-claim[/cyan]

{ACCESS_HELP}
  [cyan]warmclaim explain claim my-namespace/my-claim --token-file token
  --insecure-skip-tls-verify[/cyan]

Without it the rest is still explained.

[bold]Exit codes[/bold]  0 the claim is Ready; 1 it is not; 2 there is no such claim, it could not
be read, or an argument is wrong.
"""

explain = typer.Typer(help=_EXPLAIN, no_args_is_help=True, rich_markup_mode="rich")
app.add_typer(explain, name="explain")


@explain.command(epilog=_EXPLAIN_EPILOG)
def claim(
    name: Annotated[str, typer.Argument(metavar="NS/NAME", help="Namespace and name.")],
    output: Annotated[
        Output, typer.Option("--output", "-o", help="For people or for programs.")
    ] = Output.TEXT,
    kubeconfig: Annotated[
        str,
        typer.Option(metavar="FILE", help="How to reach the API; as for [cyan]run[/cyan]."),
    ] = "",
    address: Annotated[
        str,
        typer.Option(metavar="HOST:PORT", help="Where a manager serves its metrics."),
    ] = "127.0.0.1:8080",
    token_file: TokenFile = "",
    ca_file: CaFile = "",
    tls_server_name: TlsServerName = "",
    insecure_skip_tls_verify: SkipVerify = False,
) -> int:
    """Say why a claim is not Ready, or which sandbox it got and why."""
    from warmclaim.cli.explain import explain_claim
    from warmclaim.cli.manager_access import Access

    access = Access(token_file, ca_file, tls_server_name, insecure_skip_tls_verify)
    return explain_claim(
        name,
        kubeconfig=kubeconfig,
        address=address,
        access=access,
        as_json=output is Output.JSON,
    )


class Form(StrEnum):
    """How objects are written."""

    JSON = "json"
    LINES = "jsonl"


_EXPORT_EPILOG = """\
[bold]Kinds[/bold]  claims, sandboxes, pools, templates, pods, services, persistentvolumeclaims,
networkpolicies; also by their full names, as sandboxclaims.

[bold]Examples[/bold]

  [cyan]warmclaim export claims > claims.json[/cyan]

  [cyan]warmclaim export sandboxes -n my-namespace -o jsonl | jq -r .metadata.name[/cyan]

[bold]Exit codes[/bold]  0 all was written; 1 it broke off, and what was written is not the whole;
2 the API server gave nothing, or an argument is wrong.
"""


@app.command(epilog=_EXPORT_EPILOG)
def export(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="Which objects; see below.")],
    namespace: Annotated[
        str, typer.Option("--namespace", "-n", help="Only of this one; without it, of all.")
    ] = "",
    selector: Annotated[
        str, typer.Option("--selector", "-l", help="Only with these labels, as for kubectl.")
    ] = "",
    output: Annotated[
        Form, typer.Option("--output", "-o", help="One list, or one line for each object.")
    ] = Form.JSON,
    kubeconfig: Annotated[
        str,
        typer.Option(metavar="FILE", help="How to reach the API; as for [cyan]run[/cyan]."),
    ] = "",
) -> int:
    """Write all objects of a kind to stdout.

    They are passed on as the API server lists them, all at one version, and never gathered:
    a gigabyte takes no more memory than one object.
    """
    from warmclaim.cli.export import export as write_out

    return write_out(
        kind,
        namespace=namespace,
        selector=selector,
        as_lines=output is Form.LINES,
        kubeconfig=kubeconfig,
    )


_ARCHIVE_EPILOG = """\
[bold]Examples[/bold]

  [cyan]warmclaim archive --spool /var/lib/warmclaim/spool --to /var/lib/warmclaim/archive[/cyan]

  [cyan]warmclaim archive --spool DIR --to s3://bucket/claims --keep-days 400 --keep-size 20G[/cyan]

Files are partitioned as date=YYYY-MM-DD, each row group holds the claims of one node, sorted by
pool and time. A spooled hour is deleted when its rows are safe under the target; a run that was
killed is ended by the next. It may run while a manager writes the same spool.

[bold]Exit codes[/bold]  0 done, also where there was nothing to do; 2 the spool, the target or an
argument is wrong, and what could not be archived is still in the spool.
"""


@app.command(epilog=_ARCHIVE_EPILOG)
def archive(
    spool: Annotated[
        Path, typer.Option(metavar="DIR", help="Where managers write finished claims.")
    ],
    to: Annotated[
        str,
        typer.Option(
            metavar="DIR|URL", help="A directory, or s3://, gs://, hdfs:// and what pyarrow knows."
        ),
    ],
    keep_days: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Delete archived days but the last N."),
    ] = None,
    keep_size: Annotated[
        str | None,
        typer.Option(metavar="BYTES", help="Delete the oldest files beyond this, as 20G."),
    ] = None,
    output: Annotated[
        Output, typer.Option("--output", "-o", help="For people or for programs.")
    ] = Output.TEXT,
) -> int:
    """Turn the claim history's closed hours into Parquet files.

    Needs pyarrow: pip install 'warmclaim\\[archive]'. Memory does not grow with what there is.
    """
    from warmclaim.cli.archive import archive as convert
    from warmclaim.cli.archive import size_bytes

    return convert(
        spool=spool,
        to=to,
        keep_days=keep_days,
        keep_bytes=None if keep_size is None else size_bytes(keep_size),
        as_json=output is Output.JSON,
    )


app.command(epilog=CHECK_EPILOG)(check)
app.command(epilog=HISTORY_EPILOG)(history)


@app.command()
def version() -> int:
    """Print the version."""
    print(f"{PROGRAM} {__version__}")
    return OK
