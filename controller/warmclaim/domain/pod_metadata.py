"""additionalPodMetadata: which labels and annotations a claim may add to its pod, and how.

Pods are selected by labels (Services, policies, schedulers), so a claim may set only those of
domains that the operator opened to it. What is wrong is found before a sandbox is reserved.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from warmclaim.api.claim import PodMetadata
from warmclaim.api.names import ANNOTATION_SAFE_TO_EVICT
from warmclaim.domain.wording import shown

DEFAULT_LABEL_DOMAINS: Final = frozenset({"sandbox.users.io"})
FORBIDDEN_ANNOTATION_DOMAINS: Final = ("kubernetes.io", "k8s.io", "agents.x-k8s.io")

BYTES_MAX: Final = 256 * 1024
"""Of all keys and values together: what the API server admits for annotations alone."""

_LABEL_VALUE = re.compile(r"(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
_NAME = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_DNS_LABEL: Final = r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?"
_DOMAIN = re.compile(rf"{_DNS_LABEL}(?:\.{_DNS_LABEL})*")
_DOMAIN_CHARS_MAX: Final = 253


def parse_label_domains(text: str) -> frozenset[str]:
    """The domains in the operator's file, by comma or line; the default where it names none."""
    found = {part.strip().lower() for part in re.split(r"[,\n]", text)}
    return frozenset(found - {""}) or DEFAULT_LABEL_DOMAINS


def why_invalid(extra: PodMetadata, domains: frozenset[str]) -> str | None:
    """What is wrong with it, in one line; None if nothing is. The first in order of keys."""
    size = sum(len(key.encode()) + len(value.encode()) for key, value in _pairs(extra))
    if size > BYTES_MAX:
        return f"{size} bytes of labels and annotations, at most {BYTES_MAX} are allowed"
    for key, value in sorted(extra.labels.items()):
        if problem := _label_problem(key, value, domains):
            return f'failed to validate label "{shown(key)}": {problem}'
    for key in sorted(extra.annotations):
        if problem := _annotation_problem(key):
            return f'failed to validate annotation "{shown(key)}": {problem}'
    return None


def why_conflicting(extra: PodMetadata, template: Mapping[str, Mapping[str, str]]) -> str | None:
    """Which key the template's pod metadata (`{"labels": ..., "annotations": ...}`) gives another
    value; None if there is none."""
    for kind, wanted in (("label", extra.labels), ("annotation", extra.annotations)):
        there = template.get(f"{kind}s", {})
        for key, value in sorted(wanted.items()):
            if key in there and there[key] != value:
                return (
                    f'metadata override conflict: {kind} "{shown(key)}" is defined in template '
                    f'with value "{shown(there[key])}", but claim requests "{shown(value)}"'
                )
    return None


def _label_problem(key: str, value: str, domains: frozenset[str]) -> str | None:
    if problem := _key_problem(key):
        return problem
    if key.lower() == "app" and value.lower() == "sandbox-router":
        return "it would make the pod pass for the sandbox router"
    domain = _domain_of(key)
    if not any(_is_within(domain, allowed) for allowed in domains):
        return f"its domain must be one of {', '.join(sorted(domains))}, or below one of them"
    if _LABEL_VALUE.fullmatch(value) is None:
        return f'"{shown(value)}" is no label value'
    return None


def _annotation_problem(key: str) -> str | None:
    if problem := _key_problem(key):
        return problem
    if key == ANNOTATION_SAFE_TO_EVICT:
        return None
    domain = _domain_of(key)
    for forbidden in FORBIDDEN_ANNOTATION_DOMAINS:
        if _is_within(domain, forbidden):
            return f"the domain {forbidden} is reserved"
    return None


def _key_problem(key: str) -> str | None:
    domain, slash, name = key.rpartition("/")
    is_domain = len(domain) <= _DOMAIN_CHARS_MAX and _DOMAIN.fullmatch(domain) is not None
    if slash and not is_domain:
        return "what is before the slash is no domain name"
    if _NAME.fullmatch(name) is None:
        return "it is no qualified name"
    return None


def _domain_of(key: str) -> str:
    return key.rpartition("/")[0].lower()


def _is_within(domain: str, parent: str) -> bool:
    return domain == parent or domain.endswith(f".{parent}")


def _pairs(extra: PodMetadata) -> Iterable[tuple[str, str]]:
    yield from extra.labels.items()
    yield from extra.annotations.items()
