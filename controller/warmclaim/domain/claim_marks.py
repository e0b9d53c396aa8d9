"""What is noted about a claim once it was served: for people, dashboards and other controllers.

None of it is read to serve a claim, so none of it stands before Ready. All that is to be noted on a
claim goes into one patch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec

from warmclaim.api import names
from warmclaim.api.claim import Claim
from warmclaim.api.sandbox import Sandbox
from warmclaim.api.timestamps import rfc3339_nano, seconds_of
from warmclaim.domain.assignment import assigned_name

UNKNOWN: Final = "unknown"

_NOTED: Final = frozenset(
    (
        names.ANNOTATION_CONTROLLER_OBSERVED,
        names.ANNOTATION_FIRST_READY,
        names.ANNOTATION_TRACE_CONTEXT,
    )
)


@dataclass(frozen=True, slots=True)
class FirstTimes:
    """When a claim was first seen, and first seen Ready, in seconds since 1970. Both None where it
    was Ready before this process looked. `trace_context`: the trace that it was served in."""

    seen_s: float | None = None
    ready_s: float | None = None
    trace_context: str | None = None


def claim_marks(claim: Claim, times: FirstTimes | None) -> dict[str, dict[str, str | None]]:
    """What a merge patch changes in the metadata of a claim that is Ready; nothing where it stands
    already. Without `times` nothing is noted, and only what misleads is taken away."""
    annotations: dict[str, str | None] = {}
    if times is not None:
        annotations |= {
            key: text for key, text in _observed(times) if key not in claim.metadata.annotations
        }
    annotations |= _assignment(claim)
    labels: dict[str, str | None] = {}
    if names.ASSIGNED_SANDBOX in claim.metadata.labels:
        labels[names.ASSIGNED_SANDBOX] = None
    parts = {"annotations": annotations, "labels": labels}
    return {part: members for part, members in parts.items() if members}


def is_only_noted(old: Claim, new: Claim) -> bool:
    """Whether these are two states of one claim that differ in notes alone: in nothing that decides
    what becomes of it."""
    before, after = old.metadata, new.metadata
    if old.status != new.status or old.spec != new.spec:
        return False
    noted = before.annotations.items() ^ after.annotations.items()
    if not all(key in _NOTED for key, _ in noted):
        return False
    return after == msgspec.structs.replace(
        before, annotations=after.annotations, resource_version=after.resource_version
    )


def launch_mark(claim: Claim, sandbox: Sandbox) -> str | None:
    """The launch type to be labelled on the claim's sandbox, which older versions left out; None
    where there is one, whatever it says. To be asked before the claim loses its assignment."""
    metadata = sandbox.metadata
    if names.LABEL_LAUNCH_TYPE in metadata.labels:
        return None
    is_warm = metadata.name == assigned_name(claim) or metadata.name != claim.metadata.name
    return names.WARM if is_warm else names.COLD


def observed_since_s(claim: Claim, seen_s: float) -> float:
    """When a controller first saw the claim, if this one did at `seen_s`: earlier where another
    one noted so. What cannot be true is not believed."""
    noted_s = seconds_of(claim.metadata.annotations.get(names.ANNOTATION_CONTROLLER_OBSERVED))
    made_s = seconds_of(claim.metadata.creation_timestamp)
    if noted_s is None or made_s is None or not made_s <= noted_s <= seen_s:
        return seen_s
    return noted_s


def _observed(times: FirstTimes) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    if times.seen_s is not None:
        found.append((names.ANNOTATION_CONTROLLER_OBSERVED, rfc3339_nano(times.seen_s)))
    ready = UNKNOWN if times.ready_s is None else rfc3339_nano(times.ready_s)
    found.append((names.ANNOTATION_FIRST_READY, ready))
    if times.trace_context:
        found.append((names.ANNOTATION_TRACE_CONTEXT, times.trace_context))
    return found


def _assignment(claim: Claim) -> dict[str, str | None]:
    """Another choice than what the claim got is taken away; that of the label, where it came true,
    goes to the annotation."""
    key, published = names.ASSIGNED_SANDBOX, claim.published
    noted = claim.metadata.annotations.get(key)
    if noted == published:
        return {}
    if claim.metadata.labels.get(key) == published:
        return {key: published}
    return {} if noted is None else {key: None}
