"""Which events wake which templates, and which policies are looked at for removal."""

from __future__ import annotations

from warmclaim.api.meta import ObjectKey
from warmclaim.api.network_policy import NetworkPolicy
from warmclaim.api.template import Template
from warmclaim.controllers.template import TemplateCaches
from warmclaim.domain.network_policy import is_legacy, owning_template, policy_name
from warmclaim.kube.informer import Change
from warmclaim.runtime.async_workqueue import AsyncWorkqueue
from warmqueue import Lane

_SUFFIX = policy_name("")


class TemplateEvents:
    """Subscribes to the caches; answers to own writes wake nobody. What is gone is told as well: a
    standby drops its key then."""

    def __init__(
        self,
        caches: TemplateCaches,
        templates: AsyncWorkqueue[ObjectKey],
        legacy: AsyncWorkqueue[ObjectKey],
    ) -> None:
        self._templates = templates
        self._legacy = legacy
        caches.templates.subscribe(self._template_changed)
        caches.policies.subscribe(self._policy_changed)

    def _template_changed(self, change: Change[Template]) -> None:
        template = change.new or change.old
        if template is not None and (change.new is None or not change.is_own):
            self._templates.add(template.metadata.key, lane=Lane.HOUSEKEEPING)

    def _policy_changed(self, change: Change[NetworkPolicy]) -> None:
        policy = change.new or change.old
        if policy is not None and is_legacy(policy):
            self._legacy.add(policy.metadata.key, lane=Lane.HOUSEKEEPING)
        if change.is_own:
            return
        for seen in (change.old, change.new):
            if seen is not None:
                self._wake(seen)

    def _wake(self, policy: NetworkPolicy) -> None:
        """The template that owns it, and the one whose name it has: it may stand in its way."""
        namespace, name = policy.metadata.key
        owner = owning_template(policy)
        wanted = {owner.name} if owner else set[str]()
        if name.endswith(_SUFFIX):
            wanted.add(name.removesuffix(_SUFFIX))
        for template in sorted(wanted):
            self._templates.add(ObjectKey(namespace, template), lane=Lane.HOUSEKEEPING)
