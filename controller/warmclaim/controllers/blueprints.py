"""What each template makes of a sandbox, computed once for each version of it."""

from __future__ import annotations

from warmclaim.api.meta import ObjectKey
from warmclaim.api.pool import Pool
from warmclaim.api.template import Template
from warmclaim.domain.blueprint import Blueprint, blueprint_of
from warmclaim.kube.informer import Change, Informer


class Blueprints:
    """Shared by the pool and the claim controller; bounded by the templates that live.

    A lookup that hits costs two dictionary reads.
    """

    def __init__(self, templates: Informer[Template]) -> None:
        self._templates = templates
        self._known: dict[ObjectKey, tuple[Template, Blueprint]] = {}
        templates.subscribe(self._changed)

    def __len__(self) -> int:
        return len(self._known)

    def template_of(self, pool: Pool) -> Template | None:
        """The template that the pool refers to, None while there is none."""
        key = ObjectKey(pool.metadata.namespace, pool.spec.sandbox_template_ref.name)
        return self._templates.store.get(key)

    def of(self, pool: Pool) -> Blueprint | None:
        """The blueprint of the pool's sandboxes, None while there is no template."""
        template = self.template_of(pool)
        if template is None:
            return None
        known = self._known.get(template.metadata.key)
        if known is None or known[0] is not template:
            known = self._known[template.metadata.key] = (template, blueprint_of(template))
        return known[1]

    def _changed(self, change: Change[Template]) -> None:
        if change.new is None and change.old is not None:
            self._known.pop(change.old.metadata.key, None)
