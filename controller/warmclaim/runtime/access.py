"""Who may read an endpoint: what is remembered of it, and how often the API server may be asked.

Pure: facts and a time in, decisions out.
"""

from __future__ import annotations

import hashlib
import re
from collections import OrderedDict, deque
from collections.abc import Sequence
from typing import Final, NamedTuple

ALLOWED_S: Final = 60.0
"""So long after its review a token is good without another one: what a revocation may take."""
DENIED_S: Final = 10.0

REVIEWS_PER_S_MAX: Final = 10
STRANGER_REVIEWS_PER_S_MAX: Final = 6
"""The others are for tokens that were good before: a flood of bad ones does not shut them out."""
WINDOW_S: Final = 1.0

REMEMBERED_MAX: Final = 1_024
"""Some 250 bytes each."""

_BEARER: Final = re.compile(r"bearer +([-A-Za-z0-9._~+/]+=*) *", re.IGNORECASE | re.ASCII)


class Ruling(NamedTuple):
    """What a request gets: an HTTP status, 200 where it may be answered, and a reason in words."""

    status: int
    reason: str = ""


ALLOWED: Final = Ruling(200)
NO_TOKEN: Final = Ruling(401, "a bearer token is needed")
UNKNOWN: Final = Ruling(401, "the token is not good here")
FORBIDDEN: Final = Ruling(403, "not allowed: get on this nonResourceURL is needed")
NO_ANSWER: Final = Ruling(503, "the API server does not say who this is; come again")
TOO_MANY: Final = Ruling(503, "too many tokens to be looked at; come again")


class Asked(NamedTuple):
    """What a ruling is about. The token itself is not kept, only its SHA-256."""

    digest: bytes
    path: str


def token_of(authorizations: Sequence[str]) -> str | None:
    """The bearer token in the Authorization headers of a request; None where there is none, or
    more than one header. What is no token by its characters is none."""
    if len(authorizations) != 1:
        return None
    match = _BEARER.fullmatch(authorizations[0])
    return match[1] if match else None


def asked(token: str, path: str) -> Asked:
    """What to look for."""
    return Asked(hashlib.sha256(token.encode()).digest(), path)


class Rulings:
    """The rulings of late, at most `REMEMBERED_MAX`: who was not seen for longest is forgotten.
    O(1) each."""

    def __init__(self) -> None:
        self._known: OrderedDict[Asked, tuple[Ruling, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def of(self, question: Asked, now_s: float) -> Ruling | None:
        """What holds now; None where it must be asked."""
        found = self._known.get(question)
        if found is None:
            return None
        self._known.move_to_end(question)
        ruling, until_s = found
        return ruling if now_s < until_s else None

    def was_allowed(self, question: Asked) -> bool:
        """Whether the last ruling, over or not, was a yes."""
        found = self._known.get(question)
        return found is not None and found[0] is ALLOWED

    def remember(self, question: Asked, ruling: Ruling, asked_s: float) -> None:
        """Keep a ruling, for its time from when the review began. A 503 is none."""
        if ruling.status == NO_ANSWER.status:
            return
        lasts_s = ALLOWED_S if ruling is ALLOWED else DENIED_S
        self._known[question] = (ruling, asked_s + lasts_s)
        self._known.move_to_end(question)
        if len(self._known) > REMEMBERED_MAX:
            self._known.popitem(last=False)


class ReviewPace:
    """At most `REVIEWS_PER_S_MAX` in any second, the last of them not for strangers."""

    def __init__(self) -> None:
        self._began_s: deque[float] = deque(maxlen=REVIEWS_PER_S_MAX)

    def begin(self, now_s: float, *, is_stranger: bool) -> bool:
        """Whether one more may begin now; if so, it has."""
        while self._began_s and self._began_s[0] <= now_s - WINDOW_S:
            self._began_s.popleft()
        most = STRANGER_REVIEWS_PER_S_MAX if is_stranger else REVIEWS_PER_S_MAX
        if len(self._began_s) >= most:
            return False
        self._began_s.append(now_s)
        return True
