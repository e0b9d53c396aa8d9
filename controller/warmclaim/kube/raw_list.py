"""All objects of a kind as they are stored: not decoded, not held, one after the other."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, Final

from warmclaim.api.resources import Resource
from warmclaim.errors import StreamError
from warmclaim.kube.client import ApiClient
from warmclaim.kube.pages import list_metadata
from warmclaim.seams import ByteStream
from warmclaim.streaming.json_list import ListDecoder

PAGE_OBJECTS_MAX: Final = 500
PIECE_BYTES_MAX: Final = 64 * 1024
SILENCE_S_MAX: Final = 30.0


class RawList:
    """Reads a kind in pages, all of one version. `resource_version` is known at the end.

    Memory: one unfinished object and one piece of the answer, whatever the number and the size.
    `rest` is awaited after each piece, for who must not keep the loop.
    """

    def __init__(
        self,
        client: ApiClient,
        resource: Resource[Any],
        *,
        namespace: str | None = None,
        label_selector: str | None = None,
        rest: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self.resource_version = ""
        self._rest = rest
        self._client = client
        self._resource = resource
        self._namespace = namespace
        self._label_selector = label_selector

    async def objects(self) -> AsyncGenerator[bytes]:
        """Each object in JSON, as it came; it must be read to its end or closed.

        Raises ApiError and NotSentError, and where the list broke off or makes no sense
        StreamError and BrokenListError: then what came before is not the list.
        """
        token, has_more = "", True
        while has_more:
            stream = await self._client.open_list(
                self._resource,
                namespace=self._namespace,
                label_selector=self._label_selector,
                limit=PAGE_OBJECTS_MAX,
                continue_token=token,
            )
            decoder = ListDecoder()
            try:
                async with aclosing(pieces_of(stream)) as pieces:
                    async for piece in pieces:
                        items = deque(decoder.feed(piece))
                        while items:
                            yield items.popleft()  # and held here no longer
                        if self._rest is not None:
                            await self._rest()
            finally:
                await stream.close()
            for item in decoder.end():
                yield item
            metadata = list_metadata(decoder.envelope)
            self.resource_version, token = metadata.resource_version, metadata.continue_
            has_more = bool(token)


async def pieces_of(stream: ByteStream) -> AsyncGenerator[bytes]:
    """An answer to its end, in pieces of at most `PIECE_BYTES_MAX`, so that who works on one holds
    up nobody for long. Raises StreamError where it breaks, or falls silent."""
    while True:
        try:
            async with asyncio.timeout(SILENCE_S_MAX):
                piece = await stream.read()
        except TimeoutError:
            raise StreamError(f"silent for {SILENCE_S_MAX:.0f} s") from None
        if not piece:
            return
        for start in range(0, len(piece), PIECE_BYTES_MAX):
            yield piece[start : start + PIECE_BYTES_MAX]
