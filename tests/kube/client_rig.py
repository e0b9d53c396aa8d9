"""A client on a scripted transport."""

from __future__ import annotations

import json
from typing import Any

from tests.kube.fakes import (
    WIDGET,
    Answer,
    FakeClock,
    ScriptedTransport,
    a_widget,
)

from warmclaim.api.meta import ObjectKey
from warmclaim.kube.client import ApiClient
from warmclaim.kube.exchange import RequestRecord
from warmclaim.seams import Response

HTML = Response(200, b"<html>login</html>", {"content-type": "text/html"})
KEY = ObjectKey("ns", "a")
PATCH = [{"op": "test", "path": "/metadata/uid", "value": "uid-a"}]


class Rig:
    def __init__(self, *script: Answer) -> None:
        self.clock = FakeClock()
        self.transport = ScriptedTransport(*script)
        self.records: list[RequestRecord] = []
        self.client = ApiClient(
            self.transport, clock=self.clock, observer=self.records.append, timeout_s=10
        )

    @property
    def sent(self) -> Any:
        return self.transport.requests[-1]

    def body(self) -> Any:
        return json.loads(self.sent.body)

    async def call(self, verb: str) -> Any:
        match verb:
            case "get":
                return await self.client.get(WIDGET, KEY)
            case "create":
                return await self.client.create(WIDGET, "ns", a_widget())
            case "json_patch":
                return await self.client.json_patch(WIDGET, KEY, PATCH)
            case "merge_patch":
                return await self.client.merge_patch(WIDGET, KEY, {"spec": {"x": "y"}})
            case "replace":
                return await self.client.replace(WIDGET, KEY, a_widget())
            case "delete":
                return await self.client.delete(WIDGET, KEY)
            case "list":
                return await self.client.list_page(WIDGET)
            case _:
                return await self.client.watch(WIDGET, resource_version="5")


WRITES = ("create", "json_patch", "merge_patch", "replace", "delete")
READS = ("get", "list", "watch")
