"""Free loopback ports that stay free while a component is down."""

from __future__ import annotations

import random
import socket
from dataclasses import fields
from pathlib import Path

from e2e.controlplane.commands import Ports

_LEAST = 10_000


def _ephemeral_start() -> int:
    """First port the kernel gives to outgoing connections."""
    return int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])


def free_ports() -> Ports:
    """Ports for the components of one control plane. Raises as `draw_ports`."""
    return Ports(*draw_ports(len(fields(Ports))))


def draw_ports(count: int) -> list[int]:
    """Draw ports below the ephemeral range at random and try each by binding it.

    Above, any client's outgoing connection could take the port of a component that is restarted.
    Two test runs that draw the same port at the same time are possible, once in thousands.

    Raises:
        OSError: not so many free ports were found.
    """
    drawn = random.sample(range(_LEAST, _ephemeral_start()), 200)
    found: list[int] = []
    for port in drawn:
        if len(found) == count:
            break
        with socket.socket() as trial:
            # As Go does; else a port with connections in TIME_WAIT would look taken.
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
    if len(found) < count:
        raise OSError("no free loopback ports")
    return found
