"""The demo's client: sends the claims on time and watches what becomes of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from warmclaim.api.claim import Claim
from warmclaim.api.meta import Object
from warmclaim.api.resources import CLAIM, POOL, SANDBOX, TEMPLATE, Resource
from warmclaim.api.sandbox import Sandbox
from warmclaim.kube.client import ApiClient
from warmclaim.kube.watch_decoder import ObjectEvent, WatchDecoder
from warmclaim.seams import ByteStream, Clock
from warmclaim.testing.demo import scenario as objects
from warmclaim.testing.demo.ledger import Ledger
from warmclaim.testing.demo.process import DemoFailedError
from warmclaim.testing.demo.scenario import NAMESPACE, Scenario

USER_AGENT = "warmclaim-demo"

T = TypeVar("T", bound=Object)


class Load:
    """Drives one scenario; what it sees goes to `ledger`."""

    def __init__(self, client: ApiClient, clock: Clock, scenario: Scenario, ledger: Ledger) -> None:
        self._client = client
        self._clock = clock
        self._scenario = scenario
        self._ledger = ledger

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

    async def _send(self, name: str) -> None:
        body = objects.claim(name)
        self._ledger.claim_sent(name, self._clock.monotonic())
        await self._client.create(CLAIM, NAMESPACE, body)
        self._ledger.claim_acked(name, self._clock.monotonic())

    async def watch_claims(self) -> None:
        """Tell the ledger of every change of a claim, until cancelled."""

        def saw(event: ObjectEvent[Claim]) -> None:
            self._ledger.saw_claim(event.object, self._clock.monotonic())

        await self._watch(CLAIM, saw)

    async def watch_sandboxes(self) -> None:
        """Tell the ledger of every change of a sandbox, until cancelled."""

        def saw(event: ObjectEvent[Sandbox]) -> None:
            self._ledger.saw_sandbox(event.object, is_gone=event.type == "DELETED")

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
