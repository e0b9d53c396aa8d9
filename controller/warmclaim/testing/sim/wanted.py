"""What a claim and a sandbox are to show in the end: by what they ask for, and what befell them."""

from __future__ import annotations

from typing import Final

from warmclaim.api.timestamps import seconds_of
from warmclaim.testing.json_values import Json
from warmclaim.testing.sim.objects import part
from warmclaim.testing.sim.tenants import asks_for_forbidden, moment_of

INVALID: Final = "InvalidMetadata"


def is_over(claim: Json, wall_s: float) -> bool:
    """Whether the claim's time has come."""
    moment = moment_of(claim)
    return moment is not None and moment <= wall_s


def goes_with_its_end(claim: Json) -> bool:
    """Whether its policy says that the claim itself is to be deleted then."""
    return part(claim, "spec", "lifecycle", "shutdownPolicy") in ("Delete", "DeleteForeground")


def refusals(claim: Json, template: Json | None) -> frozenset[str]:
    """The reasons for which a claim without a sandbox is rightly refused one; mostly none."""
    if asks_for_forbidden(claim):
        return frozenset((INVALID,))
    found: set[str] = set()
    if part(claim, "spec", "env") and not _grants(template, "envVarsInjectionPolicy"):
        found.add("EnvVarsInjectionRejected")
    wants_volumes = part(claim, "spec", "volumeClaimTemplates")
    if wants_volumes and not _grants(template, "volumeClaimTemplatesPolicy"):
        found.add("VolumeClaimTemplatesError")
    return frozenset(found)


def _grants(template: Json | None, policy: str) -> bool:
    return part(template, "spec", policy) in ("Allowed", "Overrides")


def has_no_pod(sandbox: Json, wall_s: float) -> str:
    """Why a sandbox rightly has no pod, as its Ready condition says it; "" if it is to have one."""
    ends_s = seconds_of(part(sandbox, "spec", "shutdownTime"))
    if ends_s is not None and ends_s <= wall_s:
        return "SandboxExpired"
    is_suspended = part(sandbox, "spec", "operatingMode") == "Suspended"
    return "SandboxSuspended" if is_suspended else ""


def resting(sandbox: Json, pod: Json | None, wall_s: float) -> str:
    """Why it is rightly not Ready; "" if it is to be."""
    phase = part(pod, "status", "phase")
    ended = f"Pod{phase}" if phase in ("Succeeded", "Failed") else ""
    return has_no_pod(sandbox, wall_s) or ended
