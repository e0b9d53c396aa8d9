"""TLS as a server: a context made of a certificate and its key, as bytes.

Loads no library of certificates: a manager that serves none never pays for it.
"""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from warmclaim.runtime.memory_file import memory_file

PEM_BYTES_MAX: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate (its chain after it) and its private key, both PEM."""

    certificate: bytes
    key: bytes = field(repr=False)


def context_of(pair: Pair, least: ssl.TLSVersion) -> ssl.SSLContext:
    """A context that serves this pair over HTTP/1.1, by `least` or better. Raises OSError
    (ssl.SSLError is one) where the pair is none.

    A new one for each certificate: one context would keep an old certificate beside a new one of
    another kind of key, and go on serving it to clients that prefer that kind.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = least
    context.set_alpn_protocols(["http/1.1"])
    # A resumed session would never see a new certificate.
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0
    with memory_file() as (number, path):  # OpenSSL takes certificates from files alone
        os.write(number, pair.certificate + b"\n" + pair.key)
        context.load_cert_chain(path, password=_no_password)
    return context


def _no_password() -> str:
    """Without it OpenSSL would ask at the terminal."""
    raise ssl.SSLError("the key has a password")


def read_pair(certificate: Path, key: Path) -> Pair:
    """The pair that lies in two files, or both in one. Raises OSError; of a file that is too long
    only the beginning counts."""
    read: list[bytes] = []
    for path in (certificate, key):
        with path.open("rb") as file:
            read.append(file.read(PEM_BYTES_MAX))
    return Pair(*read)
