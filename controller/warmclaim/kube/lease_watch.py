"""A standby's view of its Lease: one stream of changes, opened again after a poll when it ended.

The stream only makes things faster. Each poll reads the Lease itself, so a stream that is refused,
silent or wrong costs nothing but the time until the next poll.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable
from typing import Final

from warmclaim.api.lease import LEASE, Lease
from warmclaim.api.meta import ObjectKey
from warmclaim.errors import ApiError, NotSentError, StreamError, UnknownOutcomeError
from warmclaim.kube.client import ApiClient
from warmclaim.kube.ladder import Backoff, ReflectorSettings
from warmclaim.kube.watch_decoder import Bookmark, ErrorEvent, ObjectEvent, WatchDecoder
from warmclaim.seams import ByteStream, Channel, Clock, Rng

_LINE_BYTES_MAX: Final = 1024 * 1024
_SETTINGS: Final = ReflectorSettings()
# What a stream can end in. Anything else is a bug of ours, raised by the next `polled`.
_EXPECTED: Final = (ApiError, NotSentError, StreamError, UnknownOutcomeError)

_log = logging.getLogger(__name__)


class LeaseWatch:
    """At most one stream at a time, on the watches' connections: it must not hold the one that a
    renewal needs, and a server that throttles it must not hold up the polls.

    `on_record` hears each record that the stream brings; `on_end` of a stream that ended after a
    healthy life, so that the Lease is read, and followed again, at once.
    """

    def __init__(
        self,
        client: ApiClient,
        *,
        clock: Clock,
        rng: Rng,
        key: ObjectKey,
        on_record: Callable[[Lease], None],
        on_end: Callable[[], None],
    ) -> None:
        self._client, self._clock, self._rng, self._key = client, clock, rng, key
        self._on_record, self._on_end = on_record, on_end
        self._backoff = Backoff(_SETTINGS)
        self._task: asyncio.Task[None] | None = None
        self._not_before_s = 0.0
        self._position = 0  # the version that the stream has come to
        self._is_open = False
        self._polled = 0  # the version that the last poll saw

    async def polled(self, version: int) -> None:
        """The Lease was read at this version: follow it from there, unless a stream does.

        A stream that has not come as far as the poll before this one is dead, and is replaced.
        """
        is_behind = self._is_open and min(self._position, version) < self._polled
        self._polled = version
        if self._task is not None and not self._task.done() and not is_behind:
            return
        await self.stop()
        if is_behind:
            self._wait_longer(None)
        if self._clock.monotonic() >= self._not_before_s:
            self._position = version
            self._task = asyncio.create_task(self._follow(), name="lease watch")

    async def stop(self) -> None:
        """End the stream, if there is one."""
        task, self._task = self._task, None
        if task is None:
            return
        task.cancel()
        await asyncio.wait((task,))
        if not task.cancelled():
            task.result()

    async def _follow(self) -> None:
        wish_s: float | None = None
        opened_s = math.inf
        try:
            stream = await self._opened()
            opened_s = self._clock.monotonic()
            self._is_open = True
            try:
                await self._read(stream)
            finally:
                self._is_open = False
                await stream.close()
        except _EXPECTED as error:
            _log.debug("the watch of the lease ended: %s", error)
            wish_s = error.retry_after_s if isinstance(error, ApiError) else None
        if self._clock.monotonic() - opened_s < _SETTINGS.healthy_stream_s:
            self._wait_longer(wish_s)
            return
        self._backoff.reset()
        self._on_end()

    def _wait_longer(self, wish_s: float | None) -> None:
        now_s = self._clock.monotonic()
        delay_s = self._backoff.after_failure(now_s, self._rng.random(), wish_s)
        self._not_before_s = now_s + delay_s

    async def _opened(self) -> ByteStream:
        low_s, high_s = _SETTINGS.watch_s_min, _SETTINGS.watch_s_max
        return await self._client.watch(
            LEASE,
            namespace=self._key.namespace,
            field_selector=f"metadata.name={self._key.name}",
            resource_version=str(self._position),
            timeout_s=low_s + (high_s - low_s) * self._rng.random(),
            channel=Channel.WATCH,
        )

    async def _read(self, stream: ByteStream) -> None:
        decoder = WatchDecoder(LEASE.view, line_bytes_max=_LINE_BYTES_MAX)
        while chunk := await stream.read():
            for event in decoder.feed(chunk):
                match event:
                    case ObjectEvent(type=type_, object=lease):
                        self._position = max(self._position, lease.metadata.version)
                        if type_ != "DELETED" and lease.metadata.key == self._key:
                            self._on_record(lease)
                    case Bookmark(resource_version=version):
                        self._position = max(self._position, int(version))
                    case ErrorEvent(error=error):
                        raise error
                    case _:
                        raise StreamError("a record of the lease that cannot be read")
