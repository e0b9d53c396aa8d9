"""metav1.Condition: the types and reasons that stand in status, and the upsert rule."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum

import msgspec

from warmclaim.api.meta import View

READY = "Ready"
FINISHED = "Finished"
SUSPENDED = "Suspended"
POD_SCHEDULED = "PodScheduled"


class Status(StrEnum):
    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class ClaimReason(StrEnum):
    """Reasons that a claim's Ready condition gets from the claim controller itself."""

    TEMPLATE_NOT_FOUND = "TemplateNotFound"
    WARM_POOL_NOT_FOUND = "WarmPoolNotFound"
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
    return next((c for c in conditions if c.type == type_), None)


def upsert(conditions: Sequence[Condition], new: Condition, *, now: str) -> tuple[Condition, ...]:
    """`conditions` with `new` in its type's place, or appended.

    lastTransitionTime moves only when `status` does: then to the one that `new` brings, else to
    `now`. Reason, message and observedGeneration are always taken over.
    """
    old = find(conditions, new.type)
    if old is not None and old.status == new.status:
        new = msgspec.structs.replace(new, last_transition_time=old.last_transition_time)
    elif not new.last_transition_time:
        new = msgspec.structs.replace(new, last_transition_time=now)
    if old is None:
        return (*conditions, new)
    return tuple(new if c.type == new.type else c for c in conditions)


def without(conditions: Sequence[Condition], type_: str) -> tuple[Condition, ...]:
    """`conditions` without that type."""
    return tuple(c for c in conditions if c.type != type_)
