"""Who is let in: by his token, or by coming over loopback."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import IPv6Address, ip_address
from typing import Final, Protocol, TypeAlias

from aiohttp import web

from warmclaim.errors import WarmclaimError
from warmclaim.runtime.access import (
    ALLOWED,
    FORBIDDEN,
    NO_ANSWER,
    NO_TOKEN,
    TOO_MANY,
    UNKNOWN,
    Asked,
    ReviewPace,
    Ruling,
    Rulings,
    asked,
    token_of,
)
from warmclaim.seams import Clock

RETRY_AFTER_S: Final = 1

MayGet: TypeAlias = Callable[[str], Awaitable[bool]]
"""Whether somebody may GET that path of ours."""

Admit: TypeAlias = Callable[[web.BaseRequest], Awaitable[web.Response | None]]
"""None where a request may be answered, else the answer that it gets."""

_log = logging.getLogger(__name__)


async def anyone(_: web.BaseRequest) -> web.Response | None:
    """Everybody may."""
    return None


async def loopback_only(request: web.BaseRequest) -> web.Response | None:
    """Names of objects and their errors are for the operator alone: who comes from outside, also
    from another pod, is refused. `kubectl port-forward` and `exec` come over loopback."""
    if is_local(request):
        return None
    return refused(403, "only from loopback: kubectl port-forward to this pod")


def is_local(request: web.BaseRequest) -> bool:
    """Whether the request came over loopback."""
    peer = request.transport.get_extra_info("peername") if request.transport else None
    if not isinstance(peer, tuple):
        return False
    address = ip_address(str(peer[0]))  # pyright: ignore[reportUnknownArgumentType]
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback


def misshapen(request: web.BaseRequest, *methods: str) -> web.Response | None:
    """The answer to what no endpoint takes: another method, or a body."""
    if request.method not in methods:
        return refused(405, "method not allowed")
    if request.body_exists:
        return refused(400, "no body is taken")
    return None


def refused(status: int, why: str) -> web.Response:
    """A short answer, the last on its connection."""
    response = web.Response(status=status, text=f"{why}\n")
    response.force_close()
    return response


class Reviewer(Protocol):
    """Who knows. Both questions raise WarmclaimError where there is no answer in time."""

    async def identify(self, token: str) -> MayGet | None:
        """The bearer, as the question which paths he may get; None where the token is no good."""
        ...


class Guard:
    """Rules on requests. One review at a time for a token and path: who comes meanwhile waits for
    it. At most as many reviews are under way as there are connections."""

    def __init__(self, reviewer: Reviewer, clock: Clock) -> None:
        self._reviewer = reviewer
        self._clock = clock
        self._rulings = Rulings()
        self._pace = ReviewPace()
        self._under_way: dict[Asked, asyncio.Task[Ruling]] = {}

    @property
    def remembered(self) -> int:
        """How many rulings are kept; bounded by `access.REMEMBERED_MAX`."""
        return len(self._rulings)

    async def ruling(self, authorizations: Sequence[str], path: str) -> Ruling:
        """Whether who sent these Authorization headers may get `path`. Raises nothing."""
        token = token_of(authorizations)
        if token is None:
            return NO_TOKEN
        question = asked(token, path)
        if known := self._rulings.of(question, self._clock.monotonic()):
            return known
        review = self._under_way.get(question)
        if review is None:
            review = asyncio.create_task(self._reviewed(question, token), name="review")
            self._under_way[question] = review
            review.add_done_callback(lambda _: self._under_way.pop(question, None))
        # The client that began it may leave; those who wait with it stay.
        return await asyncio.shield(review)

    async def admit(self, request: web.BaseRequest) -> web.Response | None:
        """The same for a request. Raises nothing."""
        ruling = await self.ruling(request.headers.getall("Authorization", []), request.path)
        if ruling is ALLOWED:
            return None
        response = refused(ruling.status, ruling.reason)
        if ruling.status == NO_TOKEN.status:
            response.headers["WWW-Authenticate"] = "Bearer"
        if ruling.status == NO_ANSWER.status:
            response.headers["Retry-After"] = str(RETRY_AFTER_S)
        return response

    async def _reviewed(self, question: Asked, token: str) -> Ruling:
        began_s = self._clock.monotonic()
        is_stranger = not self._rulings.was_allowed(question)
        try:
            ruling = await self._asked(token, question.path, is_stranger=is_stranger)
        except WarmclaimError:
            return NO_ANSWER  # the client, or the outage, has said why
        except Exception:
            _log.exception("a review failed")
            return NO_ANSWER
        self._rulings.remember(question, ruling, began_s)
        return ruling

    async def _asked(self, token: str, path: str, *, is_stranger: bool) -> Ruling:
        if not self._pace.begin(self._clock.monotonic(), is_stranger=is_stranger):
            return TOO_MANY
        may_get = await self._reviewer.identify(token)
        if may_get is None:
            return UNKNOWN
        # Who is known at all is no stranger: floods are of tokens that nobody knows.
        if not self._pace.begin(self._clock.monotonic(), is_stranger=False):
            return TOO_MANY
        return ALLOWED if await may_get(path) else FORBIDDEN
