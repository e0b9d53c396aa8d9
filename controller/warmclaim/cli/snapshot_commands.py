"""`warmclaim snapshot` and its sub-commands: their options and help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from warmclaim.cli.access_options import (
    ACCESS_HELP,
    CaFile,
    SkipVerify,
    TlsServerName,
    TokenFile,
)
from warmclaim.cli.output import Output

_EPILOG = f"""\
A manager gives snapshots where it was started with [cyan]--diagnostics-bind-address=:8082[/cyan],
to its own machine or pod alone, unless it has secure ones. To reach it:

  [cyan]kubectl -n agent-sandbox-system port-forward deploy/agent-sandbox-controller 8082[/cyan]
  [cyan]warmclaim snapshot -o snapshot.zip[/cyan]
  [cyan]warmclaim snapshot inspect snapshot.zip[/cyan]
  [cyan]warmclaim snapshot load snapshot.zip[/cyan]

{ACCESS_HELP}
  [cyan]warmclaim snapshot -o snapshot.zip --token-file token --insecure-skip-tls-verify[/cyan]

Values of environment variables, tokens and what else looks like a secret are redacted by the
manager, before they leave it.

[bold]Exit codes[/bold]  0 done; 1 what was loaded did not work; 2 there is no snapshot to be had,
the file is none, or an argument is wrong; then nothing was written.
"""

snapshot = typer.Typer(rich_markup_mode="rich")


@snapshot.callback(invoke_without_command=True, no_args_is_help=True, epilog=_EPILOG)
def fetch(
    context: typer.Context,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where it goes.")
    ] = None,
    url: Annotated[
        str,
        typer.Option(
            metavar="URL",
            help="A manager's diagnostics address. [dim]default: port 8082 of this machine[/dim]",
        ),
    ] = "",
    token_file: TokenFile = "",
    ca_file: CaFile = "",
    tls_server_name: TlsServerName = "",
    insecure_skip_tls_verify: SkipVerify = False,
    no_redact: Annotated[
        bool, typer.Option("--no-redact", help="With all secrets, as they are.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> int | None:
    """Take a snapshot of a running manager: its queues and decisions, and all its objects.

    It is checked before it gets its name, so a file that is there is whole.
    """
    if context.invoked_subcommand is not None:
        return None
    from warmclaim.cli.manager_access import Access
    from warmclaim.cli.snapshot_fetch import fetch_snapshot

    access = Access(token_file, ca_file, tls_server_name, insecure_skip_tls_verify)
    return fetch_snapshot(
        output, url=url, access=access, is_redacted=not no_redact, is_forced=force
    )


_File = Annotated[Path, typer.Argument(metavar="FILE", help="A snapshot.")]
_Output = Annotated[Output, typer.Option("--output", "-o", help="For people or for programs.")]


@snapshot.command()
def inspect(file: _File, output: _Output = Output.TEXT) -> int:
    """Print pools, their depth on each node, the claims that wait longest, and what is missing."""
    from warmclaim.cli.snapshot_inspect import inspect_snapshot

    return inspect_snapshot(file, as_json=output is Output.JSON)


@snapshot.command()
def load(
    file: _File,
    check: Annotated[
        bool, typer.Option("--check", help="End when the manager has settled, and say how.")
    ] = False,
    output: _Output = Output.TEXT,
) -> int:
    """Bring the recorded state up on this machine: an embedded API server with all objects, fake
    nodes, and the manager at work on it, until Ctrl-C.

    Names, uids, owners and status are the recorded ones. Redacted values stay placeholders, and
    what was to end since then ends at once.
    """
    from warmclaim.cli.snapshot_load import load_snapshot

    return load_snapshot(file, is_check=check, as_json=output is Output.JSON)
