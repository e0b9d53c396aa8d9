"""SandboxTemplate: keeps the template's hash label and its NetworkPolicy.

A template that is as it should be costs no request. Policies that older versions made for each
claim are removed when they are seen (`LegacyPolicyReconciler`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, assert_never

import msgspec

from warmclaim.api.meta import ObjectKey
from warmclaim.api.names import LABEL_TEMPLATE_REF, name_hash
from warmclaim.api.network_policy import NetworkPolicy
from warmclaim.api.resources import NETWORK_POLICY, TEMPLATE
from warmclaim.api.template import Template
from warmclaim.controllers.claim_telemetry import Events
from warmclaim.domain.network_policy import (
    CreatePolicy,
    DeletePolicy,
    NotControlled,
    PolicySettled,
    ReplaceSpec,
    decide_policy,
    is_legacy,
    policy_name,
)
from warmclaim.errors import (
    AlreadyExistsError,
    ApiError,
    ConflictError,
    ForbiddenError,
    NamespaceTerminatingError,
    NotFoundError,
    PermanentError,
    UnknownOutcomeError,
)
from warmclaim.kube.client import ApiClient
from warmclaim.kube.informer import Informer
from warmclaim.runtime.reconciler import DONE, Result
from warmclaim.seams import Channel

_CHANNEL = Channel.REFILL  # nobody waits for a policy


@dataclass(frozen=True, slots=True)
class TemplateCaches:
    """What the template controller reads."""

    templates: Informer[Template]
    policies: Informer[NetworkPolicy]


class TemplateReconciler:
    """Labels a template, creates, updates or removes its NetworkPolicy."""

    def __init__(self, client: ApiClient, caches: TemplateCaches, events: Events) -> None:
        self._client = client
        self._caches = caches
        self._events = events

    async def reconcile(self, key: ObjectKey) -> Result:
        """Bring one template's label and policy up to date: a write for each that differs.

        Raises what the API server said, after an event told what it refused.
        """
        template = self._caches.templates.store.get(key)
        if template is None or template.metadata.is_deleting:
            return DONE  # the policy goes with its owner
        try:
            await self._label(template)
            # The answer may have brought what the watch has not: then it is no news any more.
            template = self._caches.templates.store.get(key)
            if template is not None and not template.metadata.is_deleting:
                await self._settle_policy(template)
        except NamespaceTerminatingError:
            raise  # an event could not be told there either
        except (ForbiddenError, PermanentError) as error:
            if template is not None:
                self._say_refused(template, error)
            raise
        return DONE

    async def _label(self, template: Template) -> None:
        metadata = template.metadata
        wanted = name_hash(metadata.name)
        if metadata.labels.get(LABEL_TEMPLATE_REF) == wanted:
            return
        patch = {"metadata": {"uid": metadata.uid, "labels": {LABEL_TEMPLATE_REF: wanted}}}
        try:
            written = await self._client.merge_patch(
                TEMPLATE, metadata.key, patch, channel=_CHANNEL
            )
        except NotFoundError:
            self._caches.templates.observe_absent(metadata.key, metadata.uid)
        else:
            self._caches.templates.observe(written)
            # What the server stored, not what was asked for, is the truth: a webhook may change it.
            if written.metadata.labels.get(LABEL_TEMPLATE_REF) != wanted:
                raise ConflictError(
                    409, "Conflict", f"label of {metadata.key} was stored otherwise"
                )

    async def _settle_policy(self, template: Template) -> None:
        key = ObjectKey(template.metadata.namespace, policy_name(template.metadata.name))
        try:
            decision = decide_policy(template, self._caches.policies.store.get(key))
        except msgspec.ValidationError as error:
            note = f"spec.networkPolicy is malformed: {error}"
            self._warn(template, "NetworkPolicyInvalid", note)
            return
        match decision:
            case PolicySettled():
                return
            case NotControlled():
                note = f'NetworkPolicy "{key.name}" is not controlled by this template; left alone'
                self._warn(template, "NetworkPolicyNotControlled", note)
            case CreatePolicy(body):
                await self._create(key, body)
                self._verify(template, key)
            case ReplaceSpec(policy, spec):
                await self._replace(template, policy, spec)
                self._verify(template, key)
            case DeletePolicy(policy):
                await delete_policy(self._client, self._caches.policies, policy)
            case _:
                assert_never(decision)

    def _verify(self, template: Template, key: ObjectKey) -> None:
        now = self._caches.policies.store.get(key)
        if now is not None and not isinstance(decide_policy(template, now), PolicySettled):
            raise ConflictError(409, "Conflict", f"policy {key} was stored otherwise")

    async def _create(self, key: ObjectKey, body: dict[str, Any]) -> None:
        try:
            created = await self._client.create(
                NETWORK_POLICY, key.namespace, body, channel=_CHANNEL
            )
        except (AlreadyExistsError, UnknownOutcomeError):
            await read_policy(self._client, self._caches.policies, key)
            raise
        self._caches.policies.observe(created)

    async def _replace(
        self, template: Template, policy: NetworkPolicy, spec: dict[str, Any]
    ) -> None:
        """Over the version that was compared: a policy that changed hands meanwhile has another."""
        metadata = policy.metadata
        operations: list[dict[str, object]] = [
            {"op": "test", "path": "/metadata/uid", "value": metadata.uid},
            {"op": "test", "path": "/metadata/resourceVersion", "value": metadata.resource_version},
            {"op": "replace", "path": "/spec", "value": spec},
        ]
        try:
            written = await self._client.json_patch(
                NETWORK_POLICY, metadata.key, operations, channel=_CHANNEL
            )
        except (NotFoundError, ConflictError, UnknownOutcomeError) as error:
            await read_policy(self._client, self._caches.policies, metadata.key)
            now = self._caches.policies.store.get(metadata.key)
            if now == policy and isinstance(error, ConflictError):
                self._say_refused(template, error)  # nobody else wrote: it is the spec
            raise
        self._caches.policies.observe(written)

    def _say_refused(self, template: Template, error: ApiError) -> None:
        note = f"Could not keep its NetworkPolicy: {error}"
        self._warn(template, "NetworkPolicyFailed", note)

    def _warn(self, template: Template, reason: str, note: str) -> None:
        self._events.warning(TEMPLATE, template, reason, "Reconciling", note)


class LegacyPolicyReconciler:
    """Removes a policy that an older version made for one claim. Keys are those of policies."""

    def __init__(self, client: ApiClient, policies: Informer[NetworkPolicy]) -> None:
        self._client = client
        self._policies = policies

    async def reconcile(self, key: ObjectKey) -> Result:
        """Delete it, if it is there still."""
        policy = self._policies.store.get(key)
        if policy is not None and is_legacy(policy) and not policy.metadata.is_deleting:
            await delete_policy(self._client, self._policies, policy)
        return DONE


async def delete_policy(
    client: ApiClient, policies: Informer[NetworkPolicy], policy: NetworkPolicy
) -> None:
    """Delete this very policy; one that is gone already is no error.

    Raises ConflictError if that was refused and the policy is there all the same.
    """
    key, uid = policy.metadata.key, policy.metadata.uid
    try:
        left = await client.delete(NETWORK_POLICY, key, uid=uid, channel=_CHANNEL)
    except NotFoundError:
        left = None
    except ConflictError:
        await read_policy(client, policies, key)
        now = policies.store.get(key)
        if now is not None and now.metadata.uid == uid:
            raise
        return
    policies.observe_deletion(key, uid, left)


async def read_policy(client: ApiClient, policies: Informer[NetworkPolicy], key: ObjectKey) -> None:
    """Enter what the API server says of a policy into the cache."""
    before = policies.store.get(key)
    try:
        view = await client.get(NETWORK_POLICY, key, channel=_CHANNEL)
    except NotFoundError:
        if before is not None:  # by uid: the answer may be older than what has come meanwhile
            policies.observe_absent(key, before.metadata.uid)
    else:
        policies.observe(view)
