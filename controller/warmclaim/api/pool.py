"""SandboxWarmPool (extensions.agents.x-k8s.io/v1beta1): how many sandboxes wait, from what."""

from __future__ import annotations

from warmclaim.api.meta import ObjectMeta, View


class TemplateRef(View, frozen=True, gc=False):
    name: str = ""


class UpdateStrategy(View, frozen=True, gc=False):
    type: str = "OnReplenish"


class PoolSpec(View, frozen=True, gc=False):
    replicas: int = 1
    sandbox_template_ref: TemplateRef = TemplateRef()
    update_strategy: UpdateStrategy = UpdateStrategy()

    @property
    def recreates(self) -> bool:
        """Whether members of an older blueprint are replaced, and never handed out."""
        return self.update_strategy.type == "Recreate"


class PoolStatus(View, frozen=True, gc=False):
    replicas: int = 0
    ready_replicas: int = 0
    selector: str = ""
    observed_generation: int = 0


class Pool(View, frozen=True, gc=False):
    metadata: ObjectMeta
    spec: PoolSpec = PoolSpec()
    status: PoolStatus | None = None
