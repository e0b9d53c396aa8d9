"""v1alpha1 and v1beta1 of the four kinds, each made from the other.

v1beta1 is what is stored. An object that is taken up from v1alpha1 carries the whole of it in an
annotation, so that the way down gives back what v1beta1 has no field for; the way down strips it.
v1alpha1 has no word for a pool that is called `default` or `none`: a claim on one, written back by
an older client, comes to refer to the shadow pool of that name.
The API server lets a conversion change labels and annotations, and nothing else of the metadata.

Objects are plain JSON: a conversion must also work for what an older schema let in, so a part
that has not the expected shape is left as it is. Inputs are never changed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, cast

import msgspec

from warmclaim.api.names import EXTENSIONS_GROUP, SANDBOX_GROUP, VERSION
from warmclaim.errors import ConversionError

JsonObject: TypeAlias = dict[str, Any]

ALPHA, BETA = "v1alpha1", VERSION
SHADOW_POOL_PREFIX: Final = "shadow-pool-"
"""A claim that named only a template in v1alpha1 refers to the pool of this prefix and its name."""

ANNOTATION_VOLUME_CLAIM_POLICY: Final = "api.agents.x-k8s.io/v1beta1-volume-claim-templates-policy"
_POLICIES: Final = ("Disallowed", "Allowed", "Overrides")
_ANY_POOL: Final = ("", "default", "none")


def convert(value: JsonObject, api_version: str) -> JsonObject:
    """The object in another version of its own group, as `group/version`.

    Raises ConversionError for a kind, group or version that is not ours, and for an annotation
    that would become a field with a value that the field cannot have.
    """
    group, _, version = str(value.get("apiVersion", "")).partition("/")
    kind = str(value.get("kind", ""))
    rules = _RULES.get((group, kind))
    wanted_group, _, wanted = api_version.partition("/")
    if rules is None or wanted_group != group or {version, wanted} - {ALPHA, BETA}:
        raise ConversionError(f"no conversion of {kind} from {group}/{version} to {api_version}")
    if version == wanted:
        return value
    return _up(value, rules) if wanted == BETA else _down(value, rules)


def state_annotation(kind: str) -> str:
    """The annotation in which an object of this kind carries its v1alpha1 form."""
    return f"api.agents.x-k8s.io/v1alpha1-{kind.lower()}-state"


def _up(alpha: JsonObject, rules: _Rules) -> JsonObject:
    saved = state_annotation(alpha["kind"])
    bare = _without_annotation(alpha, saved)
    beta = rules.up({**bare, "apiVersion": f"{rules.group}/{BETA}"})
    return _with_annotation(beta, saved, msgspec.json.encode(bare).decode())


def _down(beta: JsonObject, rules: _Rules) -> JsonObject:
    name = state_annotation(beta["kind"])
    saved = _saved_state(_part(beta, "metadata", "annotations").get(name))
    bare = _without_annotation(beta, name)
    return rules.down({**bare, "apiVersion": f"{rules.group}/{ALPHA}"}, saved)


def _saved_state(text: object) -> JsonObject:
    """What the annotation holds, {} where it is absent or odd: anybody may have written it, and
    an error for one object would fail the list of all."""
    if not isinstance(text, str):
        return {}
    try:
        found: object = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return {}
    return cast(JsonObject, found) if isinstance(found, dict) else {}


# ------------------------------------------------------------------ sandboxes


def _sandbox_up(sandbox: JsonObject) -> JsonObject:
    spec, status = _copy(sandbox, "spec"), _copy(sandbox, "status")
    if spec is not None:
        spec["operatingMode"] = "Suspended" if spec.pop("replicas", 1) == 0 else "Running"
    if status is not None:
        status.pop("replicas", None)
    return _with(sandbox, spec=spec, status=status)


def _sandbox_down(sandbox: JsonObject, saved: JsonObject) -> JsonObject:
    spec, status = _copy(sandbox, "spec"), _copy(sandbox, "status")
    replicas = 1
    if spec is not None:
        replicas = spec["replicas"] = 0 if spec.pop("operatingMode", "") == "Suspended" else 1
    if status is not None:
        status.pop("nodeName", None)
        status["replicas"] = _part(saved, "status").get("replicas", replicas)
    return _with(sandbox, spec=spec, status=status)


# --------------------------------------------------------------------- claims


def _claim_up(claim: JsonObject) -> JsonObject:
    spec = _copy(claim, "spec")
    if spec is None:
        return claim
    template, pool = _name_of(spec.pop("sandboxTemplateRef", None)), spec.pop("warmpool", "")
    if pool in _ANY_POOL:
        pool = _pool_of_sandbox(claim) or SHADOW_POOL_PREFIX + template
    return _with(claim, spec={**spec, "warmPoolRef": {"name": pool}})


def _pool_of_sandbox(claim: JsonObject) -> str:
    """The pool that the claim's sandbox came from, by the sandbox's name, "" where it did not."""
    sandbox = _published(claim)
    if not sandbox or sandbox == _part(claim, "metadata").get("name"):
        return ""  # a cold start has the claim's own name
    return sandbox.rpartition("-")[0] or sandbox


def _claim_down(claim: JsonObject, saved: JsonObject) -> JsonObject:
    spec = _copy(claim, "spec")
    if spec is None:
        return claim
    spec.pop("volumeClaimTemplates", None)
    pool = _name_of(spec.pop("warmPoolRef", None))
    template, warmpool = _template_and_pool(claim, pool, _part(saved, "spec"))
    spec["sandboxTemplateRef"] = {"name": template}
    if warmpool is not None:
        spec["warmpool"] = warmpool
    return _with(claim, spec=spec)


def _template_and_pool(claim: JsonObject, pool: str, saved: JsonObject) -> tuple[str, str | None]:
    """sandboxTemplateRef and warmpool. What was saved counts as long as the pool is still the one
    that the way up made of it; None: there was no warmpool."""
    original = _name_of(saved.get("sandboxTemplateRef"))
    if original:
        same = (saved.get("warmpool"), _published(claim), _pool_of_sandbox(claim))
        if (pool and pool in same) or pool.startswith(SHADOW_POOL_PREFIX):
            return original, saved.get("warmpool")
        return original, pool
    if pool.startswith(SHADOW_POOL_PREFIX):
        return pool.removeprefix(SHADOW_POOL_PREFIX), "default"
    return pool, pool


def _published(claim: JsonObject) -> str:
    return _name_of(_part(claim, "status").get("sandbox"))


# ------------------------------------------------------- templates and pools


def _template_up(template: JsonObject) -> JsonObject:
    policy = _part(template, "metadata", "annotations").get(ANNOTATION_VOLUME_CLAIM_POLICY)
    spec = _copy(template, "spec")
    if policy is None or spec is None:
        return template
    if policy not in _POLICIES:
        allowed = ", ".join(_POLICIES)
        name = ANNOTATION_VOLUME_CLAIM_POLICY
        raise ConversionError(f"annotation {name} is {policy!r:.80}, must be one of {allowed}")
    spec["volumeClaimTemplatesPolicy"] = policy
    return _with(_without_annotation(template, ANNOTATION_VOLUME_CLAIM_POLICY), spec=spec)


def _template_down(template: JsonObject, _: JsonObject) -> JsonObject:
    spec = _copy(template, "spec")
    if spec is None:
        return template
    policy = spec.pop("volumeClaimTemplatesPolicy", None)
    older = _with(template, spec=spec)
    # Without the annotation the way up leaves the default to the API server: the same.
    if policy in (None, "Disallowed"):
        return _without_annotation(older, ANNOTATION_VOLUME_CLAIM_POLICY)
    return _with_annotation(older, ANNOTATION_VOLUME_CLAIM_POLICY, policy)


def _pool_up(pool: JsonObject) -> JsonObject:
    return pool


def _pool_down(pool: JsonObject, _: JsonObject) -> JsonObject:
    spec, status = _copy(pool, "spec"), _copy(pool, "status")
    if spec is not None:
        spec.setdefault("replicas", 1)  # v1alpha1 requires it
    if status is not None:
        status.pop("observedGeneration", None)
    return _with(pool, spec=spec, status=status)


# -------------------------------------------------------------------- helpers


@dataclass(frozen=True, slots=True)
class _Rules:
    """How the spec and the status of a kind change; apiVersion and state are not their matter."""

    group: str
    up: Callable[[JsonObject], JsonObject]
    down: Callable[[JsonObject, JsonObject], JsonObject]


_RULES: Final = {
    (SANDBOX_GROUP, "Sandbox"): _Rules(SANDBOX_GROUP, _sandbox_up, _sandbox_down),
    (EXTENSIONS_GROUP, "SandboxClaim"): _Rules(EXTENSIONS_GROUP, _claim_up, _claim_down),
    (EXTENSIONS_GROUP, "SandboxTemplate"): _Rules(EXTENSIONS_GROUP, _template_up, _template_down),
    (EXTENSIONS_GROUP, "SandboxWarmPool"): _Rules(EXTENSIONS_GROUP, _pool_up, _pool_down),
}


def _part(value: JsonObject, *path: str) -> JsonObject:
    """The object at a path, {} where there is none. Not to be changed."""
    found = value
    for name in path:
        below: object = found.get(name)
        found = cast(JsonObject, below) if isinstance(below, dict) else {}
    return found


def _copy(value: JsonObject, name: str) -> JsonObject | None:
    """A copy, one level deep, of the object of that name; None where there is none."""
    found = value.get(name)
    return dict(cast(JsonObject, found)) if isinstance(found, dict) else None


def _with(value: JsonObject, **parts: JsonObject | None) -> JsonObject:
    return {**value, **{name: part for name, part in parts.items() if part is not None}}


def _with_annotation(value: JsonObject, name: str, text: str) -> JsonObject:
    metadata = _part(value, "metadata")
    annotations = {**_part(metadata, "annotations"), name: text}
    return {**value, "metadata": {**metadata, "annotations": annotations}}


def _without_annotation(value: JsonObject, name: str) -> JsonObject:
    metadata = _part(value, "metadata")
    annotations = _part(metadata, "annotations")
    if name not in annotations:
        return value
    kept = {key: text for key, text in annotations.items() if key != name}
    others = {key: part for key, part in metadata.items() if key != "annotations"}
    return {**value, "metadata": {**others, "annotations": kept} if kept else others}


def _name_of(reference: object) -> str:
    name = cast(JsonObject, reference).get("name") if isinstance(reference, dict) else None
    return name if isinstance(name, str) else ""
