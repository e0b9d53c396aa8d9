"""The demo's client: sends the claims on time and watches what becomes of them."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from warmclaim.api.claim import Claim
from warmclaim.api.meta import Object, ObjectKey
from warmclaim.api.resources import CLAIM, POOL, SANDBOX, TEMPLATE, Resource
from warmclaim.api.sandbox import Sandbox
from warmclaim.errors import NotFoundError
from warmclaim.kube.client import ApiClient
from warmclaim.kube.watch_decoder import ObjectEvent, WatchDecoder
from warmclaim.seams import ByteStream, Clock
from warmclaim.testing.demo import scenario as objects
from warmclaim.testing.demo.ledger import Ledger
from warmclaim.testing.demo.lifetime import Lifetime
from warmclaim.testing.demo.process import DemoFailedError
from warmclaim.testing.demo.scenario import LIFETIME_S, NAMESPACE, Scenario

USER_AGENT = "warmclaim-demo"
RELEASED_AT_ONCE = 8

T = TypeVar("T", bound=Object)


class Load:
    """Drives one scenario; what it sees goes to `ledger`, and to `lifetime`."""

    def __init__(
        self,
        client: ApiClient,
        clock: Clock,
        scenario: Scenario,
        ledger: Ledger,
        lifetime: Lifetime,
    ) -> None:
        self._client = client
        self._clock = clock
        self._scenario = scenario
        self._ledger = ledger
        self._lifetime = lifetime

    async def create_pool(self) -> None:
        """Create the template and its pool."""
        await self._client.create(TEMPLATE, NAMESPACE, objects.template())
        await self._client.create(POOL, NAMESPACE, objects.pool(self._scenario))

    async def send_claims(self) -> None:
        """Send each claim when it is due, whatever became of the others; returns with the last
        answer."""
        began_s = self._clock.monotonic()
        async with asyncio.TaskGroup() as posts:
            for number, name in enumerate(self._scenario.claim_names):
                due_s = began_s + self._scenario.due_s(number)
                await self._clock.sleep(max(due_s - self._clock.monotonic(), 0.0))
                posts.create_task(self._send(name))

    async def send_expiring(self) -> None:
        """Send the claim whose life ends soon."""
        wall_s, now_s = self._clock.wall(), self._clock.monotonic()
        shutdown_wall_s = math.ceil(wall_s + LIFETIME_S)
        self._lifetime.claim_sent(now_s + shutdown_wall_s - wall_s)
        await self._client.create(CLAIM, NAMESPACE, objects.expiring_claim(shutdown_wall_s))

    async def release_claims(self) -> None:
        """Delete the claims that were sent, a few at a time."""
        names = iter(self._scenario.claim_names)

        async def release() -> None:
            for name in names:
                with suppress(NotFoundError):  # one of a demo that went wrong
                    await self._client.delete(CLAIM, ObjectKey(NAMESPACE, name))

        async with asyncio.TaskGroup() as hands:
            for _ in range(RELEASED_AT_ONCE):
                hands.create_task(release())

    async def _send(self, name: str) -> None:
        body = objects.claim(name)
        self._ledger.claim_sent(name, self._clock.monotonic())
        await self._client.create(CLAIM, NAMESPACE, body)
        self._ledger.claim_acked(name, self._clock.monotonic())

    async def watch_claims(self) -> None:
        """Tell the ledger of every change of a claim, until cancelled."""

        def saw(event: ObjectEvent[Claim]) -> None:
            now_s = self._clock.monotonic()
            self._ledger.saw_claim(event.object, now_s)
            self._lifetime.saw_claim(event.object, now_s, is_gone=event.type == "DELETED")

        await self._watch(CLAIM, saw)

    async def watch_sandboxes(self) -> None:
        """Tell the ledger of every change of a sandbox, until cancelled."""

        def saw(event: ObjectEvent[Sandbox]) -> None:
            is_gone = event.type == "DELETED"
            self._ledger.saw_sandbox(event.object, is_gone=is_gone)
            self._lifetime.saw_sandbox(event.object, self._clock.monotonic(), is_gone=is_gone)

        await self._watch(SANDBOX, saw)

    async def _watch(self, resource: Resource[T], saw: Callable[[ObjectEvent[T]], None]) -> None:
        stream = await self._client.watch(resource, namespace=NAMESPACE, timeout_s=3600.0)
        try:
            await _read(stream, WatchDecoder(resource.view), saw)
        finally:
            await stream.close()
        raise DemoFailedError(f"the watch of {resource.plural} ended")


async def _read(
    stream: ByteStream, decoder: WatchDecoder[T], saw: Callable[[ObjectEvent[T]], None]
) -> None:
    while piece := await stream.read():
        for event in decoder.feed(piece):
            if isinstance(event, ObjectEvent):
                saw(event)
