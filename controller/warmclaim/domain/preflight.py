"""Whether a manager can work on a cluster: facts that were gathered there, told as findings.

Nothing here is asked for. Each finding that is not well says what to do about it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import msgspec

from warmclaim.api.names import VERSION
from warmclaim.domain.wording import duration_text

MINOR_LEAST, MINOR_TRIED = 29, 36
"""Of Kubernetes 1: the rules in the definitions are enforced from the first on; the tests run on
the second."""

SKEW_S_MAX: Final = 5.0
"""Clocks that differ by more end claims too early or too late."""

OLD_VERSION: Final = "v1alpha1"


class Level(StrEnum):
    """How bad a finding is; only a problem fails the check."""

    OK = "ok"
    NOTE = "note"
    PROBLEM = "problem"


class Finding(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line; `fix` says what to do."""

    check: str
    level: Level
    text: str
    fix: str = ""


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """`ahead_s`: how far the server's clock is before ours. None is what it did not tell."""

    url: str
    version: str
    minor: int | None
    ahead_s: float | None
    has_watch_list: bool | None
    has_policies: bool | None


@dataclass(frozen=True, slots=True)
class KindFacts:
    """A kind of ours. `stored` and `converter` None: its definition could not be read.

    `converter`: the Service ("namespace/name", "?" for another address) that is asked to convert
    its objects, "" where none is. `trusts`: the PEM certificates that are trusted there.
    """

    name: str
    served: frozenset[str]
    stored: tuple[str, ...] | None = None
    converter: str | None = None
    trusts: bytes = b""


@dataclass(frozen=True, slots=True)
class PermissionFacts:
    """A permission that is needed, in words, by whom, and whether it is there; `problem`: why
    that could not be asked."""

    text: str
    parts: tuple[str, ...]
    is_granted: bool
    problem: str = ""


@dataclass(frozen=True, slots=True)
class LeaseFacts:
    """`holder` None: there is none yet; `problem`: why it could not be read."""

    name: str
    holder: str | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class WebhookFacts:
    """The conversion webhook. `unfit`: why its certificate must not be served; None where it is
    fit, or was not asked for."""

    is_enabled: bool
    service: str
    has_secret: bool = False
    unfit: str | None = None
    problem: str = ""
    authorities: bytes = b""


@dataclass(frozen=True, slots=True)
class Facts:
    """All that was gathered. `gaps`: what could not be asked, each a line."""

    server: ServerFacts
    kinds: Sequence[KindFacts]
    permissions: Sequence[PermissionFacts]
    lease: LeaseFacts | None
    webhook: WebhookFacts
    gaps: Sequence[str] = ()


def findings(facts: Facts) -> list[Finding]:
    """All of them, well or not, in the order in which one would mend them. O(facts)."""
    return [
        *_server(facts.server),
        *_clock(facts.server),
        *_features(facts.server),
        *(found for kind in facts.kinds for found in _kind(kind, facts.webhook)),
        *_permissions(facts.permissions),
        *_lease(facts.lease),
        *_webhook(facts.webhook, facts.kinds),
        *(Finding("not asked", Level.NOTE, gap) for gap in facts.gaps),
    ]


def is_ready(found: Iterable[Finding]) -> bool:
    """Whether nothing stands in the way."""
    return all(finding.level is not Level.PROBLEM for finding in found)


def unreachable(url: str, error: str) -> Finding:
    """The only finding there is where nothing could be asked."""
    fix = "is it up, and does the kubeconfig name its address and a user that it knows?"
    return Finding("server", Level.PROBLEM, f"{url} gives no answer: {error}", fix)


def _server(server: ServerFacts) -> Iterator[Finding]:
    text = f"{server.url} is Kubernetes {server.version or 'of a version that it does not tell'}"
    if server.minor is not None and server.minor < MINOR_LEAST:
        fix = f"upgrade the cluster: 1.{MINOR_LEAST} is the oldest that is supported"
        yield Finding("server", Level.PROBLEM, text, fix)
    elif server.minor is not None and server.minor > MINOR_TRIED:
        more = f"{text}, newer than what was tried with this version (1.{MINOR_TRIED})"
        yield Finding("server", Level.NOTE, more)
    else:
        yield Finding("server", Level.OK, text)


def _clock(server: ServerFacts) -> Iterator[Finding]:
    if server.ahead_s is None:
        yield Finding("clock", Level.NOTE, "the server does not tell its time")
        return
    if abs(server.ahead_s) < 1:  # what a server tells has whole seconds
        yield Finding("clock", Level.OK, "the server's clock is the same as this one's")
        return
    by = duration_text(round(abs(server.ahead_s), 1))
    word = "ahead of" if server.ahead_s > 0 else "behind"
    text = f"the server's clock is {by} {word} this one"
    if abs(server.ahead_s) > SKEW_S_MAX:
        fix = f"set both by NTP: claims end by them, more than {SKEW_S_MAX:g}s is too much"
        yield Finding("clock", Level.PROBLEM, text, fix)
    else:
        yield Finding("clock", Level.OK, text)


def _features(server: ServerFacts) -> Iterator[Finding]:
    if server.has_watch_list:
        yield Finding("watch-list", Level.OK, "initial lists are streamed")
    elif server.has_watch_list is False:
        text = "the server streams no lists; they are read in pages instead"
        yield Finding("watch-list", Level.NOTE, text)
    if server.has_policies:
        text = "the server has ValidatingAdmissionPolicies"
        yield Finding("admission policies", Level.OK, text)
    elif server.has_policies is False:
        text = "the server has no ValidatingAdmissionPolicies; RBAC alone keeps tenants apart"
        fix = "Kubernetes 1.30 and later have them"
        yield Finding("admission policies", Level.NOTE, text, fix)


def _kind(kind: KindFacts, webhook: WebhookFacts) -> Iterator[Finding]:
    if VERSION not in kind.served:
        others = f", only {', '.join(sorted(kind.served))}" if kind.served else ""
        text = f"{kind.name} is not served as {VERSION}{others}"
        yield Finding("definitions", Level.PROBLEM, text, "kubectl apply -k config/crd")
        return
    served = f"{kind.name} is served as {', '.join(sorted(kind.served))}"
    if kind.stored is None:
        yield Finding("definitions", Level.OK, served)
        return
    stored = f"{served}, stored as {', '.join(kind.stored)}"
    if OLD_VERSION in kind.stored and not kind.converter:
        fix = (
            "kubectl apply -k config/with-v1alpha1, or store all objects again and take"
            f" {OLD_VERSION} off status.storedVersions"
        )
        text = f"{stored}, and nobody converts what is of {OLD_VERSION}"
        yield Finding("definitions", Level.PROBLEM, text, fix)
    elif kind.converter and not webhook.is_enabled:
        text = f"{stored}; {kind.converter} is asked to convert, which this manager does not"
        yield Finding("definitions", Level.NOTE, text)
    else:
        yield Finding("definitions", Level.OK, stored)


def _permissions(permissions: Sequence[PermissionFacts]) -> Iterator[Finding]:
    granted = sum(permission.is_granted for permission in permissions)
    if granted == len(permissions):
        yield Finding("permissions", Level.OK, f"all {granted} that are needed are there")
        return
    for missing in (one for one in permissions if not one.is_granted):
        if missing.problem:
            text = f"whether it may {missing.text} could not be asked: {missing.problem}"
            yield Finding("permissions", Level.PROBLEM, text, "try again, or as another account")
            continue
        text = f"may not {missing.text}, which the {' and the '.join(missing.parts)} must"
        fix = "grant it to this account; config/rbac has a role for each controller"
        yield Finding("permissions", Level.PROBLEM, text, fix)


def _lease(lease: LeaseFacts | None) -> Iterator[Finding]:
    if lease is None:
        yield Finding("lease", Level.NOTE, "there is no leader election: run one process alone")
    elif lease.problem:
        fix = "give the namespace of the manager with --leader-election-namespace"
        text = f"{lease.name} cannot be read: {lease.problem}"
        yield Finding("lease", Level.PROBLEM, text, fix)
    elif lease.holder is None:
        text = f"{lease.name} is not there yet; the first manager makes it"
        yield Finding("lease", Level.OK, text)
    else:
        held = f"held by {lease.holder}" if lease.holder else "free"
        yield Finding("lease", Level.OK, f"{lease.name} is {held}")


def _webhook(webhook: WebhookFacts, kinds: Sequence[KindFacts]) -> Iterator[Finding]:
    asking = [kind for kind in kinds if kind.converter]
    if not webhook.is_enabled or not asking:
        return
    for kind in asking:
        if kind.converter != webhook.service:
            text = f"{kind.name} asks {kind.converter} to convert, not {webhook.service}"
            fix = "check --webhook-namespace and --webhook-service-name; the manager corrects it"
            yield Finding("webhook", Level.NOTE, text, fix)
    yield _certificate(webhook, asking)


def _certificate(webhook: WebhookFacts, asking: Sequence[KindFacts]) -> Finding:
    look = "the log of a running manager says why it does not renew it"
    if webhook.problem:
        text = f"its certificate cannot be read: {webhook.problem}"
        return Finding("webhook", Level.PROBLEM, text, "grant rbac/webhook to this account")
    if not webhook.has_secret:
        text = "there is no certificate yet; the first manager makes it"
        return Finding("webhook", Level.OK, text)
    if webhook.unfit:
        return Finding("webhook", Level.PROBLEM, f"its certificate is unfit: {webhook.unfit}", look)
    strangers = [kind.name for kind in asking if webhook.authorities.strip() != kind.trusts.strip()]
    if strangers:
        text = f"{strangers[0]} does not trust the certificate that is served"
        return Finding("webhook", Level.PROBLEM, text, look)
    return Finding("webhook", Level.OK, "its certificate is valid and trusted")
