"""Asks the API server who bears a token, and what he may read of our endpoints."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final

from warmclaim.api.review import ACCESS_REVIEW, TOKEN_REVIEW, UserInfo
from warmclaim.kube.client import ApiClient

REVIEW_S_MAX: Final = 3.0


class Reviews:
    """One request for each question; nothing is remembered. Every method raises what the client
    raises where there is no answer within `REVIEW_S_MAX`."""

    def __init__(self, client: ApiClient, audiences: Sequence[str] = ()) -> None:
        self._client = client
        self._audiences = tuple(audiences)

    async def identify(self, token: str) -> Callable[[str], Awaitable[bool]] | None:
        """Whoever bears the token, as the question whether he may GET a path of ours (a
        nonResourceURL), which is one request; None where it is no good, or not for any of our
        audiences."""
        spec: dict[str, object] = {"token": token}
        if self._audiences:
            spec["audiences"] = self._audiences
        body = {"apiVersion": TOKEN_REVIEW.api_version, "kind": TOKEN_REVIEW.kind, "spec": spec}
        review = await self._client.review(TOKEN_REVIEW, body, timeout_s=REVIEW_S_MAX)
        status = review.status
        if not status.authenticated or not status.user.username:
            return None
        # An authenticator that knows nothing of audiences names none: the token may be for anyone.
        if self._audiences and not set(self._audiences) & set(status.audiences):
            return None
        return partial(self._may_get, status.user)

    async def _may_get(self, user: UserInfo, path: str) -> bool:
        spec = {
            "user": user.username,
            "uid": user.uid,
            "groups": user.groups,
            "extra": user.extra,
            "nonResourceAttributes": {"path": path, "verb": "get"},
        }
        body = {"apiVersion": ACCESS_REVIEW.api_version, "kind": ACCESS_REVIEW.kind, "spec": spec}
        review = await self._client.review(ACCESS_REVIEW, body, timeout_s=REVIEW_S_MAX)
        return review.is_allowed
