"""What is told and logged about a pool: each thing once, when it begins and when it ends."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import NamedTuple

from warmclaim.api.pool import Pool
from warmclaim.api.resources import POOL
from warmclaim.controllers.claim_telemetry import Events
from warmclaim.controllers.pool_members import PoolMemory
from warmclaim.domain.readiness import Progress, not_progressing_note
from warmclaim.errors import NamespaceTerminatingError, NotPermittedError, WarmclaimError
from warmclaim.runtime.reconciler import DONE, Result, again
from warmclaim.settings import PoolSettings
from warmqueue import Lane

_log = logging.getLogger("warmclaim.pool")

TEMPLATE_GRACE_S = 2.0
"""A template applied together with its pool comes by another watch, a little before or after."""

_NAME_CHARS_MAX = 253


class LeftAlone(NamedTuple):
    """A sandbox that a pool does not take in, and what speaks against it."""

    name: str
    why: str


class PoolTelemetry:
    """One method for each thing worth telling; each says when to look again, if it has to."""

    def __init__(self, events: Events, settings: PoolSettings) -> None:
        self._events = events
        self._settings = settings

    def template(self, pool: Pool, memory: PoolMemory, now_s: float, *, is_missing: bool) -> Result:
        """There is nothing to make members from; the template's coming wakes the pool."""
        if not is_missing:
            memory.lacks_template_since_s, memory.is_lack_told = None, False
            return DONE
        if memory.lacks_template_since_s is None:
            memory.lacks_template_since_s = now_s
        left_s = memory.lacks_template_since_s + TEMPLATE_GRACE_S - now_s
        if left_s > 0:
            return again(left_s, Lane.REFILL)
        if not memory.is_lack_told:
            name = pool.spec.sandbox_template_ref.name[:_NAME_CHARS_MAX]
            note = f'SandboxTemplate "{name}" not found; no sandboxes are created'
            self._events.warning(POOL, pool, "TemplateNotFound", "Reconciling", note)
            memory.is_lack_told = True
        return DONE

    def progress(self, pool: Pool, memory: PoolMemory, progress: Progress) -> Result:
        """No node takes the pool's pods, or it goes on again."""
        if progress.held and not memory.is_held_up:
            note = not_progressing_note(pool, progress.held, self._settings.readiness_grace_s)
            self._events.warning(POOL, pool, "WarmPoolNotProgressing", "Reconciling", note)
        elif memory.is_held_up and not progress.held:
            note = "Warm pool is progressing again"
            self._events.normal(POOL, pool, "WarmPoolProgressing", "Reconciling", note)
        memory.is_held_up = bool(progress.held)
        looks = [self._settings.unschedulable_recheck_s] if progress.held else []
        if progress.look_again_s is not None:
            looks.append(progress.look_again_s)
        return again(min(looks), Lane.REFILL) if looks else DONE

    def create_refused(self, pool: Pool, memory: PoolMemory, error: BaseException) -> None:
        """The API server wants no further member. Told once until the pool is full: a quota that
        gives way for one member and closes again is the same quota."""
        if isinstance(error, NamespaceTerminatingError):
            return  # nobody needs to know
        # A missing permission has a log line of its own.
        level = logging.DEBUG if isinstance(error, NotPermittedError) else logging.WARNING
        _log.log(level, "create refused: %s", error, extra={"pool": str(pool.metadata.key)})
        if isinstance(error, WarmclaimError) and not memory.is_refusal_told:
            note = f"Could not create a sandbox, tried again with growing pauses: {error}"
            self._events.warning(POOL, pool, "SandboxCreateFailed", "Creating", note)
            memory.is_refusal_told = True

    def orphans(self, pool: Pool, memory: PoolMemory, left_alone: Sequence[LeftAlone]) -> None:
        """Sandboxes of the pool's mark that are nobody's and stay so. Told once until there are
        none."""
        if left_alone and not memory.are_orphans_told:
            first, more = left_alone[0], len(left_alone) - 1
            others = f"; {more} more have this pool's label and no owner" if more else ""
            note = (
                f'Sandbox "{first.name}" has this pool\'s label and no owner and is left alone: '
                f"{first.why}{others}"
            )
            self._events.warning(POOL, pool, "OrphanLeftAlone", "Reconciling", note)
        memory.are_orphans_told = bool(left_alone)

    def name_taken(self, pool: Pool, name: str) -> None:
        """Somebody else's sandbox has a name that this pool would give."""
        note = f'Sandbox "{name}" has a name of this pool and no owner; name skipped'
        self._events.warning(POOL, pool, "SandboxNameTaken", "Creating", note)
