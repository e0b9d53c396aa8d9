"""A stream that passes another one on; who changes what comes of it, changes that alone."""

from __future__ import annotations

from collections.abc import Mapping

from warmclaim.seams import ByteStream


class ForwardedStream:
    """warmclaim.seams.ByteStream: what `inner` is."""

    def __init__(self, inner: ByteStream) -> None:
        self._inner = inner

    @property
    def status(self) -> int:
        return self._inner.status

    @property
    def headers(self) -> Mapping[str, str]:
        return self._inner.headers

    async def read(self) -> bytes:
        """The next piece; b"" at the end."""
        return await self._inner.read()

    async def close(self) -> None:
        """No more of it is wanted."""
        await self._inner.close()
