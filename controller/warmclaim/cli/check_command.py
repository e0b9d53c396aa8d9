"""The options of `warmclaim check`, and its help."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from warmclaim.cli.output import Output

EPILOG: Final = """\
[bold]Examples[/bold]

  [cyan]warmclaim check --kubeconfig FILE[/cyan]

  [cyan]warmclaim check --controllers claim,pool -o json | jq -r '.\\[].text'[/cyan]

  [cyan]kubectl -n agent-sandbox-system exec deploy/agent-sandbox-controller --
  warmclaim check[/cyan]

It asks what may be done by the account that runs it, so it says most inside the manager's pod, or
with a kubeconfig of its account. Nothing is written.

[bold]Exit codes[/bold]  0 nothing stands in the way; 1 there is a problem; 2 an argument or the
kubeconfig is wrong.
"""


def check(
    controllers: Annotated[
        str, typer.Option(metavar="LIST", help="Controllers that shall run; without it, all.")
    ] = "",
    namespaces: Annotated[
        str, typer.Option(metavar="NAME", help="Namespace that is looked after; without it, all.")
    ] = "",
    leader_election_namespace: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="Where the Lease is; else the pod's own, or agent-sandbox-system."
        ),
    ] = "",
    webhook: Annotated[
        bool, typer.Option("--webhook/--no-webhook", help="Whether it serves older objects, too.")
    ] = True,
    webhook_namespace: Annotated[
        str, typer.Option(metavar="NAME", help="Where the webhook's Service and Secret are.")
    ] = "",
    metrics_secure: Annotated[
        bool,
        typer.Option(
            "--metrics-secure/--no-metrics-secure", help="Whether it asks who reads its metrics."
        ),
    ] = True,
    snapshot: Annotated[
        bool, typer.Option("--snapshot", help="Whether it gives snapshots, too.")
    ] = False,
    kubeconfig: Annotated[
        str, typer.Option(metavar="FILE", help="How to reach the API; as for [cyan]run[/cyan].")
    ] = "",
    output: Annotated[
        Output, typer.Option("--output", "-o", help="For people or for programs.")
    ] = Output.TEXT,
) -> int:
    """Ask a cluster whether a manager can work on it: one line each, and what to do.

    Kinds and their versions, each needed permission, the Lease, the webhook's certificate, the
    clock, and what the API server can do.
    """
    from warmclaim.cli.check import check as ask

    texts = {
        "controllers": controllers,
        "namespaces": namespaces,
        "leader-election-namespace": leader_election_namespace,
        "webhook-namespace": webhook_namespace,
        "kubeconfig": kubeconfig,
        "diagnostics-bind-address": ":8082" if snapshot else "",
    }
    switches = {"enable-webhook": webhook, "metrics-secure": metrics_secure}
    flags = [f"--{name}={value}" for name, value in texts.items() if value]
    flags += [f"--{name}={str(value).lower()}" for name, value in switches.items()]
    return ask(flags, as_json=output is Output.JSON)
