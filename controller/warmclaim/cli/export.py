"""`warmclaim export KIND`: all objects of a kind to stdout, one by one, however many there are."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterable
from contextlib import aclosing
from typing import Any, BinaryIO, Final

import msgspec

from warmclaim.api.resources import (
    CLAIM,
    NETWORK_POLICY,
    POD,
    POOL,
    SANDBOX,
    SERVICE,
    TEMPLATE,
    VOLUME_CLAIM,
    Resource,
)
from warmclaim.cli import FAILED, OK, PROGRAM
from warmclaim.errors import UsageError, WarmclaimError
from warmclaim.kube.answers import plain
from warmclaim.kube.client import ApiClient
from warmclaim.kube.config import load_connection
from warmclaim.kube.raw_list import RawList
from warmclaim.kube.transport import HttpTransport
from warmclaim.seams import SystemClock
from warmclaim.streaming.json_list import FLUSH_BYTES, ListWriter

KINDS: Final[dict[str, Resource[Any]]] = {
    "claims": CLAIM,
    "sandboxes": SANDBOX,
    "pools": POOL,
    "templates": TEMPLATE,
    "pods": POD,
    "services": SERVICE,
    "persistentvolumeclaims": VOLUME_CLAIM,
    "networkpolicies": NETWORK_POLICY,
}


def export(kind: str, *, namespace: str, selector: str, as_lines: bool, kubeconfig: str) -> int:
    """Write all objects of a kind to stdout; returns the exit code.

    Raises UsageError where the kind is none, and where the API server gives nothing at all.
    """
    resource = _resource(kind)
    connection = load_connection(kubeconfig or None, environ=os.environ, clock=SystemClock())
    transport = HttpTransport(connection)
    objects = RawList(
        ApiClient(transport, clock=SystemClock()),
        resource,
        namespace=namespace or None,
        label_selector=selector or None,
    )
    output = _Output(sys.stdout.buffer, resource, as_lines=as_lines)
    try:
        asyncio.run(_written(objects, output, transport))
    except OSError as error:
        # Of stdout: the transport wraps its own. At its end Python would try it once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            print(f"{PROGRAM}: cannot write to stdout: {error.strerror}", file=sys.stderr)
        return FAILED
    except WarmclaimError as error:
        problem = plain(str(error))
        if not output.count:
            raise UsageError(f"{resource} could not be read: {problem}") from None
        print(
            f"{PROGRAM}: broke off after {output.count} of {resource}: {problem};"
            " what was written is not the whole",
            file=sys.stderr,
        )
        return FAILED
    return OK


def _resource(word: str) -> Resource[Any]:
    wanted = word.lower()
    for name, resource in KINDS.items():
        if wanted in (name, name.removesuffix("s"), resource.plural, resource.kind.lower()):
            return resource
    raise UsageError(f"no kind {word[:64]!r} to export; there are {', '.join(KINDS)}")


async def _written(objects: RawList, output: _Output, transport: HttpTransport) -> None:
    try:
        async with aclosing(objects.objects()) as found:
            async for item in found:
                output.add(item)
        output.end(objects.resource_version)
    finally:
        await transport.close()


class _Output:
    """A list in JSON, or a line for each object. What is not full is not written before the end,
    so a list that fails at its beginning leaves nothing on stdout."""

    def __init__(self, file: BinaryIO, resource: Resource[Any], *, as_lines: bool) -> None:
        self.count = 0
        self._file = file
        self._as_lines = as_lines
        self._writer = ListWriter(bytearray(FLUSH_BYTES))
        if not as_lines:
            head = {"apiVersion": resource.api_version, "kind": f"{resource.kind}List"}
            self._write(self._writer.begin(head))

    def add(self, item: bytes) -> None:
        """One object. Blocks while the reader of stdout is slow: then no more is read either."""
        if self._as_lines:
            line = msgspec.json.format(item, indent=-1) if b"\n" in item else item
            self._write(self._writer.write(line + b"\n"))
        else:
            self._write(self._writer.add(msgspec.Raw(item)))
        self.count += 1

    def end(self, resource_version: str) -> None:
        """The list is whole."""
        if not self._as_lines:
            self._write(self._writer.end({"metadata": {"resourceVersion": resource_version}}))
        self._write(self._writer.rest())
        self._file.flush()

    def _write(self, pieces: Iterable[bytes]) -> None:
        for piece in pieces:
            self._file.write(piece)
