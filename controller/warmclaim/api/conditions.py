"""metav1.Condition: the types and reasons that stand in status, and the upsert rule."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from enum import StrEnum
from functools import lru_cache
from typing import Final

import msgspec

from warmclaim.api.meta import View
from warmclaim.api.timestamps import seconds_of

READY = "Ready"
FINISHED = "Finished"
SUSPENDED = "Suspended"
POD_SCHEDULED = "PodScheduled"


# What the schema of a condition admits. One that it does not would have the whole status refused.
MESSAGE_CHARS_MAX: Final = 32_768
_TYPE_CHARS_MAX: Final = 316
# Answers are remembered for conditions of so many characters: 0.3 MB at most.
_REMEMBERED_CHARS_MAX: Final = 512
_REASON_CHARS_MAX: Final = 1_024
_DOMAIN: Final = r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?"
_TYPE: Final = re.compile(
    rf"(?:{_DOMAIN}(?:\.{_DOMAIN})*/)?(?:[A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
)
_REASON: Final = re.compile(r"[A-Za-z](?:[A-Za-z0-9_,:]*[A-Za-z0-9_])?")


class Status(StrEnum):
    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


_STATUSES: Final = frozenset(Status)


class ClaimReason(StrEnum):
    """Reasons that a claim's Ready condition gets from the claim controller itself."""

    TEMPLATE_NOT_FOUND = "TemplateNotFound"
    WARM_POOL_NOT_FOUND = "WarmPoolNotFound"
    ADOPTION_CONFLICT = "AdoptionConflict"
    ADOPTION_PENDING = "AdoptionPending"
    SANDBOX_CREATE_PENDING = "SandboxCreatePending"
    INVALID_METADATA = "InvalidMetadata"
    ENV_REJECTED = "EnvVarsInjectionRejected"
    VOLUME_CLAIM_TEMPLATES = "VolumeClaimTemplatesError"
    INVALID_CONFIGURATION = "InvalidConfiguration"
    RECONCILER_ERROR = "ReconcilerError"
    CLAIM_EXPIRED = "ClaimExpired"
    SANDBOX_MISSING = "SandboxMissing"
    SANDBOX_EXPIRED = "SandboxExpired"
    SANDBOX_NOT_READY = "SandboxNotReady"


class SandboxReason(StrEnum):
    """Reasons of a Sandbox's Ready condition."""

    DEPENDENCIES_READY = "DependenciesReady"
    DEPENDENCIES_NOT_READY = "DependenciesNotReady"
    POD_SUCCEEDED = "PodSucceeded"
    POD_FAILED = "PodFailed"
    RECONCILER_ERROR = "ReconcilerError"


class Condition(View, frozen=True, gc=False, omit_defaults=False):
    """One entry of status.conditions. Times are RFC 3339 with one second grain.

    Written whole, since the schema requires a message, be it empty.
    """

    type: str
    status: str
    reason: str = ""
    message: str = ""
    last_transition_time: str = ""
    observed_generation: int = 0

    @property
    def is_true(self) -> bool:
        return self.status == Status.TRUE


def find(conditions: Iterable[Condition], type_: str) -> Condition | None:
    """The condition of this type, or None."""
    for condition in conditions:
        if condition.type == type_:
            return condition
    return None


def is_reason(text: str) -> bool:
    """Does the schema admit this as the reason of a condition?"""
    return len(text) <= _REASON_CHARS_MAX and _REASON.fullmatch(text) is not None


def is_admitted(condition: Condition) -> bool:
    """Does the schema admit this condition? Older schemas admitted more. About 0.3 us for one of
    the last few hundred: the sandboxes of a pool have the same ones, and each is asked about four
    times in a look."""
    texts = condition.message, condition.reason, condition.type, condition.status
    if sum(map(len, texts)) + len(condition.last_transition_time) > _REMEMBERED_CHARS_MAX:
        return _is_admitted(condition)
    return _known_admitted(condition)


def _is_admitted(condition: Condition) -> bool:
    return (
        len(condition.type) <= _TYPE_CHARS_MAX
        and _TYPE.fullmatch(condition.type) is not None
        and condition.status in _STATUSES
        and is_reason(condition.reason)
        and len(condition.message) <= MESSAGE_CHARS_MAX
        and seconds_of(condition.last_transition_time) is not None
        and condition.observed_generation >= 0
    )


_known_admitted = lru_cache(maxsize=512)(_is_admitted)


def upsert(conditions: Sequence[Condition], new: Condition, *, now: str) -> tuple[Condition, ...]:
    """`conditions` with `new` in its type's place, or appended; those not admitted are left out.

    lastTransitionTime moves only when `status` does: then to the one that `new` brings, else to
    `now`. Reason, message and observedGeneration are always taken over.
    """
    conditions = tuple([condition for condition in conditions if is_admitted(condition)])
    old = find(conditions, new.type)
    if old is not None and old.status == new.status:
        new = msgspec.structs.replace(new, last_transition_time=old.last_transition_time)
    elif seconds_of(new.last_transition_time) is None:
        new = msgspec.structs.replace(new, last_transition_time=now)
    if old is None:
        return (*conditions, new)
    return tuple([new if c.type == new.type else c for c in conditions])


def without(conditions: Sequence[Condition], type_: str) -> tuple[Condition, ...]:
    """`conditions` without that type."""
    return tuple([c for c in conditions if c.type != type_])
