"""What one look at a sandbox brings together, for `decide_sandbox`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from warmclaim.api import names
from warmclaim.api.pod import Pod, Service
from warmclaim.api.sandbox import Sandbox
from warmclaim.api.timestamps import rfc3339
from warmclaim.api.volume_claim import VolumeClaim
from warmclaim.domain.sandbox_children import Child, Problem


@dataclass(frozen=True, slots=True)
class SandboxFacts:
    """`pods`: those that the sandbox controls, terminating ones too. `namesake`: a pod that has
    the name of its own and that it does not control. `service`: the Service of its name, whoever
    owns it. `volumes`: the volume claims of the names that it needs, whoever owns them.

    `rival`: another sandbox with a pod, whose name has the same hash, if a Service would mix them.

    `tried`: children that this pass has changed, or tried to, with what its user shall know of it;
    nothing is tried twice. `asked`: children that the API server itself was asked for.
    `has_turn`: it may do now what others come before.

    `quiet_s`: seconds since the pod was made or first seen, or since the last status write.
    `drift_s`: seconds since its pod's metadata was first seen to differ. `wall_s`: now.
    """

    sandbox: Sandbox
    wall_s: float
    pods: Sequence[Pod] = ()
    namesake: Pod | None = None
    service: Service | None = None
    volumes: Mapping[str, VolumeClaim] = field(default_factory=dict[str, VolumeClaim])
    rival: str = ""
    tried: Mapping[Child, Problem | None] = field(default_factory=dict[Child, Problem | None])
    asked: frozenset[Child] = frozenset()
    has_turn: bool = False
    quiet_s: float = 0.0
    drift_s: float = 0.0
    interim_delay_s: float = 1.0
    write_behind_s: float = 0.0
    cluster_domain: str = "cluster.local"

    @property
    def now(self) -> str:
        """Now, as the API writes it."""
        return rfc3339(self.wall_s)

    @property
    def refusals(self) -> list[Problem]:
        """What went wrong in this pass."""
        return [problem for problem in self.tried.values() if problem is not None]


def tracked_pod_name(sandbox: Sandbox) -> str:
    """The name that its pod has, or will have: the sandbox's own, unless it names another."""
    noted = sandbox.metadata.annotations.get(names.ANNOTATION_POD_NAME, "")
    return noted if names.is_object_name(noted) else sandbox.metadata.name
