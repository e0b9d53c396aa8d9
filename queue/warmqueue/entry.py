"""What is known of one warm sandbox, and the places it can be in."""

from dataclasses import dataclass
from enum import Enum

from warmqueue.keys import SandboxKey


class Place(Enum):
    """Where the queue keeps an entry; it is in exactly one of these, or gone."""

    READY = "ready"
    NOT_READY = "not ready"
    HELD = "held"
    IN_FLIGHT = "in flight"


@dataclass(frozen=True, slots=True)
class WarmEntry:
    """The facts of one warm sandbox; replaced as a whole when one of them changes.

    `arrival` is its place in the line, given once by the queue. Not a timestamp:
    creationTimestamp has a grain of one second, and a batch of 300 sandboxes shares it.
    """

    key: SandboxKey
    uid: str
    node: str | None
    is_ready: bool
    arrival: int
