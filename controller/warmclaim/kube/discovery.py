"""What an API server says of itself: its version, and the groups, versions and kinds it serves."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final, NamedTuple

import msgspec

from warmclaim.errors import StreamError, WarmclaimError
from warmclaim.kube.answers import DECODE_ERRORS
from warmclaim.kube.client import ApiClient
from warmclaim.kube.raw_list import pieces_of

DOCUMENT_BYTES_MAX: Final = 512 * 1024
GROUP_VERSIONS_MAX: Final = 500

_VERSION, _CORE, _GROUPS = "/version", "/api/v1", "/apis"


class Document(NamedTuple):
    """What stands at a path in JSON, without a line break; or why it could not be read."""

    path: str
    json: bytes = b""
    error: WarmclaimError | None = None


class _GroupVersion(msgspec.Struct, rename="camel"):
    group_version: str


class _Group(msgspec.Struct):
    versions: list[_GroupVersion] = []


class _Groups(msgspec.Struct):
    groups: list[_Group] = []


async def documents(client: ApiClient) -> AsyncGenerator[Document]:
    """Each document, one after the other: what cannot be read is told in its place, and the rest
    follows. A request for each version of each group, some dozens."""
    for path in (_VERSION, _CORE):
        yield await _document(client, path)
    groups = await _document(client, _GROUPS)
    yield groups
    if groups.error is None:
        for path in _paths(groups.json):
            yield await _document(client, path)


def _paths(groups: bytes) -> list[str]:
    found = msgspec.json.decode(groups, type=_Groups).groups
    names = [version.group_version for group in found for version in group.versions]
    return [f"{_GROUPS}/{name}" for name in names[:GROUP_VERSIONS_MAX]]


async def _document(client: ApiClient, path: str) -> Document:
    try:
        text = await _text(client, path)
        if path == _GROUPS:
            _paths(text)
        # Else a line break in it would look like the end of an element.
        return Document(path, msgspec.json.format(text, indent=-1))
    except WarmclaimError as error:
        return Document(path, error=error)
    except DECODE_ERRORS as error:
        return Document(path, error=StreamError(f"{path} is no such document: {error}"))


async def _text(client: ApiClient, path: str) -> bytes:
    stream, text = await client.open_document(path), bytearray()
    try:
        async with aclosing(pieces_of(stream)) as pieces:
            async for piece in pieces:
                text += piece
                if len(text) > DOCUMENT_BYTES_MAX:
                    raise StreamError(f"{path} has more than {DOCUMENT_BYTES_MAX} bytes")
    finally:
        await stream.close()
    return bytes(text)
