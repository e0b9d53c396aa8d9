"""Labels, annotations and names of the agent-sandbox API (its own words, to match exactly)."""

from __future__ import annotations

import re
from functools import lru_cache

_PREFIX = "agents.x-k8s.io/"

LABEL_NAME_HASH = _PREFIX + "sandbox-name-hash"
LABEL_WARM_POOL = _PREFIX + "warm-pool-sandbox"
LABEL_TEMPLATE_REF = _PREFIX + "sandbox-template-ref-hash"
LABEL_TEMPLATE_HASH = _PREFIX + "sandbox-template-hash"
LABEL_POD_TEMPLATE_HASH = _PREFIX + "sandbox-pod-template-hash"
LABEL_LAUNCH_TYPE = _PREFIX + "launch-type"
LABEL_CREATED_BY = _PREFIX + "created-by"
LABEL_CLAIM_UID = _PREFIX + "claim-uid"
LABEL_ADOPTABLE = _PREFIX + "adoptable"

# On a claim: an annotation, and in older versions a label (domain.assignment).
ASSIGNED_SANDBOX = _PREFIX + "sandbox-name"

ANNOTATION_POD_NAME = _PREFIX + "pod-name"
ANNOTATION_TEMPLATE_REF = _PREFIX + "sandbox-template-ref"
ANNOTATION_CLIENT_REQUESTED = _PREFIX + "client-first-requested-at"
ANNOTATION_WEBHOOK_OBSERVED = _PREFIX + "webhook-first-observed-at"
ANNOTATION_CONTROLLER_OBSERVED = _PREFIX + "controller-first-observed-at"
ANNOTATION_FIRST_READY = _PREFIX + "claim-first-ready-at"
ANNOTATION_TRACE_CONTEXT = "opentelemetry.io/trace-context"
ANNOTATION_SAFE_TO_EVICT = "cluster-autoscaler.kubernetes.io/safe-to-evict"
ANNOTATION_PROPAGATED_LABELS = _PREFIX + "propagated-labels"
ANNOTATION_PROPAGATED_ANNOTATIONS = _PREFIX + "propagated-annotations"

# Ours: which keys of a sandbox's pod metadata its claim gave (domain.claim_request).
ANNOTATION_CLAIM_METADATA = "extensions.agents.x-k8s.io/claim-pod-metadata"

# Ours: the last batch of create ordinals that was reserved on a pool (domain.reservation).
ANNOTATION_RESERVATION = "extensions.agents.x-k8s.io/create-reservation"

# Ours: on a pool's member, the proof that its pool's controller made it (domain.seal).
ANNOTATION_SEAL = "extensions.agents.x-k8s.io/warm-seal"

WARM, COLD = "warm", "cold"
RESERVED_PREFIXES = (_PREFIX, "extensions." + _PREFIX)

SANDBOX_GROUP = "agents.x-k8s.io"
EXTENSIONS_GROUP = "extensions.agents.x-k8s.io"
VERSION = "v1beta1"

_FNV_OFFSET, _FNV_PRIME = 0x811C9DC5, 0x01000193


_OBJECT_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")


def is_object_name(text: str) -> bool:
    """Whether an object can have this name. Anything else in a field that should hold a name is
    a tenant's, and must never become part of a request's path."""
    return _OBJECT_NAME.fullmatch(text) is not None


@lru_cache(maxsize=128)
def name_hash(name: str) -> str:
    """The hash of an object's name, of which the last few are asked for again and again.

    The API uses it for label values, since names may be longer than a label value.
    """
    return text_hash(name)


def text_hash(text: str) -> str:
    """FNV-1a, 32 bit, of the UTF-8 bytes, as 8 lower-case hex digits. 0.1 us for each byte."""
    value = _FNV_OFFSET
    for byte in text.encode():
        value = (value ^ byte) * _FNV_PRIME & 0xFFFFFFFF
    return f"{value:08x}"
