"""Which fault strikes which request: the one place where that is chosen and recorded.

Names are those of the fault model: A writes, B reads and watches, C the process. The variant after
the dot says how far the request got.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from warmclaim.seams import Request
from warmclaim.testing.sim.case import Fault
from warmclaim.testing.sim.dice import Dice

WRITE_FAULTS: Final = (
    "A1.conflict",  # 409 before anything was applied
    "A5.throttled",  # 429 as text, with Retry-After
    "A6.refused",  # 500, 503 or 504, not applied
    "A6.applied",  # the same, applied
    "A8.lost",  # time limit, never applied
    "A8.applied",  # time limit, applied at once
    "A8.late",  # time limit, applied afterwards
    "A9.unsent",  # the connection could not be made
    "A9.reset",  # reset after the request was applied
    "A10.torn",  # 200 with half a body
    "A13.unauthorized",  # 401 from a rotated token
    "A15.slow",  # applied, and answered seconds later
    "C1.before",  # the process dies before the request is sent
    "C1.applied",  # ... when it is applied and not answered
    "C1.seen",  # ... when the answer has come and nothing was done with it
    "A7.large",  # a 500 that is permanent
    "A11.mutated",  # 200, and a webhook has undone what was asked for
    "A12.denied",  # 403 from an admission webhook
    "A12.invalid",  # 422 from an admission policy
    "A12.timeout",  # 500 seconds later, since the webhook did not answer
    "A16.write",  # a proxy answers: a page, a redirect, a bad gateway
    "A17.write",  # applied, and answered byte by byte
    "A18.write",  # the connection is closed as the request is sent
)
READ_FAULTS: Final = (
    "R1.error",
    "R2.timeout",
    "R3.slow",
    "A5.read",
    "A16.read",
    "A17.read",
    "A18.read",
)
LIST_FAULTS: Final = (
    "B4.list",
    "B5.page",
    "B6.ahead",
    "B7.list",
    "R2.timeout",
    "A16.read",
    "A17.read",
    "A18.read",
    "B15.past",  # as it was before what was seen already
)
WATCH_FAULTS: Final = (
    "B1.eof",  # clean end after some pieces
    "B2.torn",  # end inside a line
    "B3.silence",  # nothing more, and no end
    "B4.http",  # 410 instead of a stream
    "B4.stream",  # ERROR event 410 under HTTP 200
    "B7.watch",  # 429 or 503 instead of a stream
    "B8.nonsense",  # an event of an unknown type
    "B9.late",  # every piece comes late
    "B10.again",  # events come twice
    "A16.watch",  # a proxy answers
    "A17.watch",  # byte by byte
    "B19.long",  # a line larger than any reader takes
    "B19.deep",  # an object nested deeper than any decoder goes
)
GROUPS: Final = {
    "write": WRITE_FAULTS,
    "read": READ_FAULTS,
    "list": LIST_FAULTS,
    "watch": WATCH_FAULTS,
}
REQUEST_FAULTS: Final = tuple(dict.fromkeys(name for names in GROUPS.values() for name in names))


def group_of(request: Request) -> str:
    """Which faults may strike a request."""
    if request.method != "GET":
        return "write"
    if any(name == "watch" for name, _ in request.query):
        return "watch"
    last = request.path.rpartition("/")[2]
    return "list" if last in _COLLECTIONS else "read"


_COLLECTIONS: Final = frozenset(
    (
        *("sandboxclaims", "sandboxes", "sandboxwarmpools", "sandboxtemplates"),
        *("pods", "services", "persistentvolumeclaims", "networkpolicies"),
    )
)


class FaultPlan:
    """Gives each request its fault, if any, and two numbers of its own.

    A request is known by its sender, its method, its path and how many such came before, so it
    keeps its fault when another one is left out. `added` go before whatever is drawn or chosen.
    `struck` is the schedule: what really happened; `writes` are the keys of all writes that
    were sent, or would have been, while faults were on, in order. `events` has all watches, and
    how many events came to their curtains; `hidden` how many of these were hidden.
    """

    def __init__(
        self,
        dice: Dice,
        rates: dict[str, float],
        chosen: dict[str, Fault] | None,
        added: dict[str, Fault] | None = None,
    ) -> None:
        self._dice = dice
        self._rates = {
            group: [(name, rates[name]) for name in names if name in rates]
            for group, names in GROUPS.items()
        }
        self._chosen = chosen
        self._added = added or {}
        self._seen: Counter[str] = Counter()
        self.is_on = True
        self.struck: dict[str, Fault] = {}
        self.writes: list[str] = []
        self.events: Counter[str] = Counter()
        self.hidden: Counter[str] = Counter()

    def key(self, sender: str, request: Request, group: str) -> str:
        """The name of this request; asked once for each."""
        stem = f"{sender} {group} {request.method} {request.path}"
        self._seen[stem] += 1
        return f"{stem} #{self._seen[stem]}"

    def draw(self, key: str, group: str) -> tuple[Fault | None, float, float]:
        """The fault of a request, and two numbers for its latency."""
        which, x, first, second = self._dice.units(key)
        if not self.is_on:
            return None, first, second
        fault = self._added.get(key)
        if fault is None:
            fault = self._drawn(which, x, group) if self._chosen is None else self._chosen.get(key)
        if fault is not None:
            self.struck[key] = fault
        return fault, first, second

    def on_event(self, key: str, is_hidden: bool) -> None:
        """An event came to the curtain of that watch."""
        self.events[key] += 1
        self.hidden[key] += is_hidden

    def forget(self, key: str) -> None:
        """The fault had no effect after all."""
        self.struck.pop(key, None)

    def counts(self) -> Counter[str]:
        """How often each fault struck."""
        return Counter(fault.name for fault in self.struck.values())

    def _drawn(self, which: float, x: float, group: str) -> Fault | None:
        for name, rate in self._rates[group]:
            if which < rate:
                return Fault(name, round(x, 6))
            which -= rate
        return None
