"""S8, for what is under way: one reservation at a time for a sandbox, and for a claim.

From the moment at which a process sends a reservation until it knows what became of it, it
reserves neither that sandbox for another claim nor another sandbox for that claim. It knows by the
answer, whatever it says, by an error that tells that nothing was sent, and after any other error
by the answer to a read of that sandbox.
"""

from __future__ import annotations

import msgspec

from warmclaim.api.resources import CLAIM, SANDBOX
from warmclaim.errors import NotSentError
from warmclaim.seams import ByteStream, Request, Response, Transport
from warmclaim.testing.json_values import Json
from warmclaim.testing.patch import JSON_PATCH
from warmclaim.testing.sim.objects import controller_of
from warmclaim.testing.sim.wire import Report, place_of

_SANDBOXES = str(SANDBOX)
_OWNERS = "/metadata/ownerReferences"


class Flights:
    """Taps the transport of each process."""

    def __init__(self, report: Report) -> None:
        self._report = report

    def tap(self, inner: Transport, process: str) -> Transport:
        """The transport to give to that process, which knows of nothing under way."""
        return _Tapped(inner, process, self._report)


class _Tapped:
    """warmclaim.seams.Transport in front of another. `_claims`: whose reservation of a sandbox is
    under way, by the sandbox's key."""

    def __init__(self, inner: Transport, process: str, report: Report) -> None:
        self._inner = inner
        self._process = process
        self._report = report
        self._claims: dict[str, str] = {}

    async def request(self, request: Request) -> Response:
        """Pass it on."""
        place = place_of(request.path)
        if place.resource != _SANDBOXES or not place.name or request.method not in ("GET", "PATCH"):
            return await self._inner.request(request)
        claim = "" if request.method == "GET" else _new_claim(request)
        if claim:
            self._judge(place.key, claim)
            self._claims[place.key] = claim
        try:
            answer = await self._inner.request(request)
        except NotSentError:
            if claim:
                self._claims.pop(place.key, None)
            raise
        if claim or request.method == "GET":
            self._claims.pop(place.key, None)
        return answer

    async def stream(self, request: Request) -> ByteStream:
        """Pass it on."""
        return await self._inner.stream(request)

    async def close(self) -> None:
        """Pass it on."""
        await self._inner.close()

    def _judge(self, sandbox: str, claim: str) -> None:
        for other, whose in self._claims.items():
            if other == sandbox and whose != claim:
                text = f"{sandbox} is reserved for {claim} while that for {whose} is under way"
                self._report("S8", f"{self._process}: {text}")
            elif other != sandbox and whose == claim:
                text = f"{sandbox} is reserved for {claim} while that of {other} is under way"
                self._report("S8", f"{self._process}: {text}")


def _new_claim(request: Request) -> str:
    """Uid of the claim that a patch makes the owner, "" if it makes none."""
    if request.body is None or request.content_type != JSON_PATCH:
        return ""
    operations = msgspec.json.decode(request.body, type=list[Json])
    owners = next((o.get("value") for o in operations if o["path"] == _OWNERS), None)
    owner = controller_of({"metadata": {"ownerReferences": owners}}) if owners else None
    return owner.uid if owner is not None and owner.kind == CLAIM.kind else ""
