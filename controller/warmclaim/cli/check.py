"""`warmclaim check`: asks a cluster whether a manager can work on it, and prints what it found."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Final

import msgspec

from warmclaim.cli import FAILED, OK
from warmclaim.cli.check_facts import Scout
from warmclaim.cli.goflags import parse_settings
from warmclaim.cli.run import lease_namespace
from warmclaim.domain.preflight import Finding, findings, is_ready, unreachable
from warmclaim.errors import UsageError, WarmclaimError
from warmclaim.kube.client import ApiClient
from warmclaim.kube.config import Connection, load_connection
from warmclaim.kube.transport import HttpTransport
from warmclaim.seams import SystemClock
from warmclaim.settings import Settings

DEFAULT_NAMESPACE: Final = "agent-sandbox-system"


def check(flags: Sequence[str], *, as_json: bool) -> int:
    """Check for a manager with these flags of `run`; 0 if all is well, 1 if not.

    Raises UsageError for a wrong flag and a kubeconfig that cannot be used.
    """
    settings = parse_settings(flags, dropin=False).settings
    # What the client says of a refusal, a finding says as well.
    logging.getLogger("warmclaim").addHandler(logging.NullHandler())
    connection = load_connection(settings.api.kubeconfig, environ=os.environ, clock=SystemClock())
    found = asyncio.run(_found(settings, connection, _own_namespace(settings)))
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
    else:
        print(page(found))
    sys.stdout.flush()
    return OK if is_ready(found) else FAILED


def _own_namespace(settings: Settings) -> str:
    """The manager's: outside of a pod that of config, since one who checks is seldom in it."""
    try:
        return lease_namespace(settings, os.environ) or DEFAULT_NAMESPACE
    except UsageError:
        return DEFAULT_NAMESPACE


async def _found(settings: Settings, connection: Connection, namespace: str) -> list[Finding]:
    clock = SystemClock()
    transport = HttpTransport(connection)
    try:
        client = ApiClient(transport, clock=clock, timeout_s=settings.api.request_timeout_s)
        scout = Scout(client, clock, settings, namespace, connection.server_url)
        return findings(await scout.gather())
    except (WarmclaimError, msgspec.DecodeError) as error:
        return [unreachable(connection.server_url, str(error))]
    finally:
        await transport.close()


def page(found: Sequence[Finding]) -> str:
    """One line for each, and its fix on one below; what a server says cannot move the cursor."""
    lines: list[str] = []
    for finding in found:
        lines.append(f"{finding.level.value:<9}{finding.check:<20}{finding.text}")
        if finding.fix:
            lines.append(f"{'':<29}-> {finding.fix}")
    counts = Counter(finding.level for finding in found)
    lines += ["", ", ".join(f"{count} {level.value}" for level, count in counts.items())]
    return "\n".join("".join(c if c.isprintable() else "?" for c in line) for line in lines)
