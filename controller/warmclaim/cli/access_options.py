"""Options of commands that ask a manager which may want to know who asks; named as kubectl's."""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

import typer

TokenFile: TypeAlias = Annotated[
    str,
    typer.Option("--token-file", metavar="FILE", help="A bearer token that the manager asks for."),
]
CaFile: TypeAlias = Annotated[
    str,
    typer.Option(
        "--ca-file", metavar="FILE", help="Who vouches for its certificate; else the system's."
    ),
]
TlsServerName: TypeAlias = Annotated[
    str,
    typer.Option(
        "--tls-server-name", metavar="NAME", help="The name in its certificate, if another."
    ),
]
SkipVerify: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--insecure-skip-tls-verify", help="Take any certificate; over loopback addresses alone."
    ),
]

ACCESS_HELP: Final = """\
A manager with --metrics-secure, as the manifests start it, or --diagnostics-secure wants a token of
an account with the role agent-sandbox-diagnostics-reader. kubectl port-forward proves the way to
it; a certificate that it made for itself proves nothing:

  [cyan]kubectl -n my-namespace create token my-account > token[/cyan]
"""
