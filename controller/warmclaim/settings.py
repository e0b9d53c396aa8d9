"""Every knob of the program: frozen, unit at the end of the name, limits checked in one place.

The defaults here are the only ones: the flag table (warmclaim.cli.goflags) prints and fills them.
A duration is a float of seconds, a size a number of bytes or items as its name says.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import NamedTuple

from warmclaim.errors import UsageError

CONTROLLERS = frozenset({"claim", "pool", "sandbox", "template"})

LEASE_JITTER = 1.2
"""A candidate waits up to (1 + this) retry periods, so renewDeadline must be longer than
retryPeriod times this, or a single late try would cost the leadership."""

TLS_VERSIONS = {"VersionTLS12": "TLSv1_2", "VersionTLS13": "TLSv1_3"}
"""What --tls-min-version takes, and Python's word for it."""

LOG_LEVELS = ("debug", "info", "warn", "error", "panic")
LOG_ENCODERS = ("json", "console")
LOG_TIME_ENCODINGS = ("epoch", "millis", "nano", "iso8601", "rfc3339", "rfc3339nano")

_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_DOMAIN = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")


class BindAddress(NamedTuple):
    """Where a server listens. `host` "" means every interface, `port` 0 any free port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def bind_address(text: str) -> BindAddress | None:
    """Read a bind address as Go writes it: ":8080", "127.0.0.1:0", "[::1]:80"; "0" or "" is off.

    Raises ValueError with the part that is wrong.
    """
    if text in {"", "0"}:
        return None
    host, colon, port = text.rpartition(":")
    if not colon:
        raise ValueError("has no port, write it as :8080 or 127.0.0.1:8080")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError("has a bare IPv6 address, write it as [::1]:8080")
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= 65535):
        raise ValueError(f"has the port {port!r}, expected a number from 0 to 65535")
    return BindAddress(host, int(port))


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """How the API server is reached. Every purpose has connections of its own."""

    kubeconfig: str = ""
    request_timeout_s: float = 10.0
    claim_connections_max: int = 32
    refill_connections_max: int = 8
    lease_connections_max: int = 2
    list_page_items: int = 500
    uses_watch_list: bool = True
    watch_silence_s_max: float = 70.0
    """The server sends a bookmark every 60 s; a watch silent for longer than this is dead."""


@dataclass(frozen=True, slots=True)
class LeaseSettings:
    """Leader election. `namespace` "" means the pod's own."""

    enabled: bool = True
    namespace: str = ""
    duration_s: float = 15.0
    renew_deadline_s: float = 10.0
    retry_period_s: float = 2.0


@dataclass(frozen=True, slots=True)
class ClaimSettings:
    """The claim controller."""

    workers: int = 50
    wait_s_max: float = 2.0
    """How long after its creation a claim may wait for a sandbox that is about to be ready."""
    adoption_attempts_max: int = 5
    events_disabled: bool = False
    observability_disabled: bool = False
    allowed_label_domains_path: str = "/etc/sandbox-config/allowed-label-domains"


@dataclass(frozen=True, slots=True)
class PoolSettings:
    """The warm pool controller. `refill_per_s_max` 0 means no limit by rate."""

    workers: int = 1
    batch_items_max: int = 300
    replenish_delay_s: float = 0.0
    refill_per_s_max: float = 0.0
    readiness_grace_s: float = 300.0
    unschedulable_recheck_s: float = 60.0
    marks_safe_to_evict: bool = True
    seal_secret: str = ""
    """NAMESPACE/NAME of the Secret with the keys of the seal; "" seals nothing."""


@dataclass(frozen=True, slots=True)
class SandboxSettings:
    """The sandbox controller."""

    workers: int = 100
    cluster_domain: str = "cluster.local"
    write_behind_s: float = 0.0


@dataclass(frozen=True, slots=True)
class TemplateSettings:
    """The template controller."""

    workers: int = 1


@dataclass(frozen=True, slots=True)
class ServingSettings:
    """Our own HTTP servers, addresses as `bind_address` reads them, and how we stop. One that is
    secure speaks TLS and asks the API server who bears a token and what he may read."""

    metrics_address: str = ":8080"
    metrics_secure: bool = False
    metrics_cert_dir: str = ""
    """"" makes a certificate that nobody vouches for."""
    metrics_cert_name: str = "tls.crt"
    metrics_cert_key: str = "tls.key"
    metrics_cert_hosts: tuple[str, ...] = ()
    tls_min_version: str = "VersionTLS13"
    token_audiences: tuple[str, ...] = ()
    probe_address: str = ":8081"
    diagnostics_address: str = ""
    diagnostics_secure: bool = False
    profiles: bool = False
    shutdown_s_max: float = 30.0
    traces: bool = False


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """The conversion webhook. It serves only where a CRD asks for it."""

    enabled: bool = True
    manages_certs: bool = True
    """Certificates are made, renewed and told to the CRDs; else `cert_dir` must hold them."""
    port: int = 9443
    cert_dir: str = "/tmp/k8s-webhook-server/serving-certs"
    cert_name: str = "tls.crt"
    key_name: str = "tls.key"
    service_name: str = "agent-sandbox-webhook-service"
    namespace: str = "agent-sandbox-system"


@dataclass(frozen=True, slots=True)
class LogSettings:
    """What is logged, and how a record looks."""

    encoder: str = "json"
    level: str = "info"


@dataclass(frozen=True, slots=True)
class HistorySettings:
    """What is kept of claims that are gone. `directory` "" keeps nothing, `target` "" archives
    within it; 0 for any `_max` is no limit."""

    directory: str = ""
    target: str = ""
    archive_every_s: float = 600.0
    keep_days_max: int = 90
    keep_bytes_max: int = 10 * 2**30
    spool_bytes_max: int = 4 * 2**30


@dataclass(frozen=True, slots=True)
class CompatSettings:
    """Accepted and checked, so that a Deployment of the Go manager starts unchanged; never used."""

    api_connections: int = 1
    api_qps: float = -1.0
    api_burst: int = 10
    separate_watch_connection: bool = False
    caches_by_label: bool = False
    pprof: bool = False
    pprof_debug: bool = False
    pprof_block_profile_rate: int = 1_000_000
    pprof_mutex_profile_fraction: int = 10
    log_devel: bool = False
    log_stacktrace_level: str = "error"
    log_time_encoding: str = "rfc3339"


@dataclass(frozen=True, slots=True)
class Settings:
    """All of it. `namespaces` empty means the whole cluster."""

    controllers: frozenset[str] = CONTROLLERS
    namespaces: tuple[str, ...] = ()
    api: ApiSettings = field(default_factory=ApiSettings)
    lease: LeaseSettings = field(default_factory=LeaseSettings)
    claims: ClaimSettings = field(default_factory=ClaimSettings)
    pools: PoolSettings = field(default_factory=PoolSettings)
    sandboxes: SandboxSettings = field(default_factory=SandboxSettings)
    templates: TemplateSettings = field(default_factory=TemplateSettings)
    serving: ServingSettings = field(default_factory=ServingSettings)
    webhook: WebhookSettings = field(default_factory=WebhookSettings)
    history: HistorySettings = field(default_factory=HistorySettings)
    logs: LogSettings = field(default_factory=LogSettings)
    compat: CompatSettings = field(default_factory=CompatSettings)

    def check(self) -> None:
        """Hold every value against its limit; raise UsageError for the first that breaks one."""
        _check_counts(self)
        _check_durations(self)
        _check_lease(self.lease)
        _check_words(self)
        _check_scope(self)

    def warnings(self) -> tuple[str, ...]:
        """What is allowed but probably not meant, one line each; for the log at start."""
        parts = (self.sandboxes, self.claims, self.pools, self.templates)
        workers = sum(part.workers for part in parts)
        if workers > 1000:
            return (f"{workers} workers in all: more than 1000 mostly wait for each other",)
        return ()


def _fail(flag: str, problem: str) -> UsageError:
    return UsageError(f"--{flag} {problem}")


def _check_counts(s: Settings) -> None:
    for flag, value, least in (
        ("sandbox-concurrent-workers", s.sandboxes.workers, 1),
        ("sandbox-claim-concurrent-workers", s.claims.workers, 1),
        ("sandbox-warm-pool-concurrent-workers", s.pools.workers, 1),
        ("sandbox-template-concurrent-workers", s.templates.workers, 1),
        ("sandbox-warm-pool-max-batch-size", s.pools.batch_items_max, 1),
        ("claim-adoption-attempts", s.claims.adoption_attempts_max, 1),
        ("api-connections", s.compat.api_connections, 1),
        ("kube-api-burst", s.compat.api_burst, 1),
        ("claim-connections", s.api.claim_connections_max, 1),
        ("refill-connections", s.api.refill_connections_max, 1),
        ("lease-connections", s.api.lease_connections_max, 1),
        ("list-page-size", s.api.list_page_items, 1),
        ("webhook-port", s.webhook.port, 0),
        ("claim-history-keep-days", s.history.keep_days_max, 0),
        ("claim-history-keep-bytes", s.history.keep_bytes_max, 0),
        ("claim-history-spool-bytes", s.history.spool_bytes_max, 0),
    ):
        if value < least:
            raise _fail(flag, f"must be at least {least}, not {value}")
    if s.webhook.port > 65535:
        raise _fail("webhook-port", f"must be at most 65535, not {s.webhook.port}")
    rate = s.pools.refill_per_s_max
    if not math.isfinite(rate) or rate < 0:
        raise _fail("sandbox-warm-pool-max-refill-rate", f"must be 0 or more, not {rate}")


def _check_durations(s: Settings) -> None:
    for flag, value, may_be_zero in (
        ("sandbox-warm-pool-readiness-grace-period", s.pools.readiness_grace_s, False),
        (
            "sandbox-warm-pool-unschedulable-recheck-interval",
            s.pools.unschedulable_recheck_s,
            False,
        ),
        ("sandbox-warm-pool-replenish-delay", s.pools.replenish_delay_s, True),
        ("sandbox-write-behind-window", s.sandboxes.write_behind_s, True),
        ("claim-wait", s.claims.wait_s_max, True),
        ("api-request-timeout", s.api.request_timeout_s, False),
        ("watch-silence-max", s.api.watch_silence_s_max, False),
        ("shutdown-timeout", s.serving.shutdown_s_max, False),
        ("leader-elect-lease-duration", s.lease.duration_s, False),
        ("leader-elect-renew-deadline", s.lease.renew_deadline_s, False),
        ("leader-elect-retry-period", s.lease.retry_period_s, False),
        ("claim-history-archive-interval", s.history.archive_every_s, False),
    ):
        if value < 0 or (value == 0 and not may_be_zero):
            least = "0 or more" if may_be_zero else "more than 0"
            raise _fail(flag, f"must be {least}, not {value:g}s")


def _check_lease(lease: LeaseSettings) -> None:
    if lease.duration_s < 1:
        # The Lease object stores whole seconds, and 0 is no valid duration there.
        raise _fail("leader-elect-lease-duration", f"must be 1s or more, not {lease.duration_s:g}s")
    if lease.duration_s <= lease.renew_deadline_s:
        raise _fail(
            "leader-elect-lease-duration",
            f"({lease.duration_s:g}s) must be longer than "
            f"--leader-elect-renew-deadline ({lease.renew_deadline_s:g}s)",
        )
    if lease.renew_deadline_s <= lease.retry_period_s * LEASE_JITTER:
        raise _fail(
            "leader-elect-renew-deadline",
            f"({lease.renew_deadline_s:g}s) must be longer than {LEASE_JITTER} times "
            f"--leader-elect-retry-period ({lease.retry_period_s:g}s)",
        )


def _check_words(s: Settings) -> None:
    for flag, word, choices in (
        ("zap-encoder", s.logs.encoder, LOG_ENCODERS),
        ("zap-log-level", s.logs.level, LOG_LEVELS),
        ("zap-stacktrace-level", s.compat.log_stacktrace_level, LOG_LEVELS),
        ("zap-time-encoding", s.compat.log_time_encoding, LOG_TIME_ENCODINGS),
    ):
        if word not in choices:
            raise _fail(flag, f"must be one of {', '.join(choices)}, not {word!r}")
    _check_serving(s.serving)
    _check_seal(s.pools.seal_secret)
    for flag, address in (
        ("metrics-bind-address", s.serving.metrics_address),
        ("health-probe-bind-address", s.serving.probe_address),
        ("diagnostics-bind-address", s.serving.diagnostics_address),
    ):
        try:
            bind_address(address)
        except ValueError as error:
            raise _fail(flag, f"{error}: {address!r}") from None
    if not _NAMESPACE.fullmatch(s.webhook.service_name):
        problem = f"must be the name of a Service, not {s.webhook.service_name!r}"
        raise _fail("webhook-service-name", problem)
    for flag, name in (
        ("webhook-cert-dir", s.webhook.cert_dir),
        ("webhook-cert-name", s.webhook.cert_name),
        ("webhook-key-name", s.webhook.key_name),
    ):
        if s.webhook.enabled and not name.strip():
            raise _fail(flag, "must not be empty")
    if s.history.target and not s.history.directory:
        raise _fail("claim-history-target", "needs --claim-history-dir, where rows wait for it")
    if not _DOMAIN.fullmatch(s.sandboxes.cluster_domain):
        raise _fail("cluster-domain", f"must be a domain name, not {s.sandboxes.cluster_domain!r}")


def _check_serving(s: ServingSettings) -> None:
    if s.tls_min_version not in TLS_VERSIONS:
        choices = ", ".join(TLS_VERSIONS)
        raise _fail("tls-min-version", f"must be one of {choices}, not {s.tls_min_version!r}")
    if s.metrics_cert_dir and not (s.metrics_secure or s.diagnostics_secure):
        raise _fail("metrics-cert-path", "needs --metrics-secure or --diagnostics-secure")
    for flag, name in (
        ("metrics-cert-name", s.metrics_cert_name),
        ("metrics-cert-key", s.metrics_cert_key),
    ):
        if not name.strip():
            raise _fail(flag, "must not be empty")
    is_on = s.diagnostics_address not in {"", "0"}
    for flag, is_wanted in (
        ("diagnostics-secure", s.diagnostics_secure),
        ("enable-profiling", s.profiles),
    ):
        if is_wanted and not is_on:
            raise _fail(flag, "needs --diagnostics-bind-address")


def _check_seal(secret: str) -> None:
    namespace, _, name = secret.partition("/")
    if secret and not (_NAMESPACE.fullmatch(namespace) and _DOMAIN.fullmatch(name)):
        problem = f"must name a Secret as NAMESPACE/NAME, not {secret!r}"
        raise _fail("sandbox-warm-pool-seal-secret", problem)


def _check_scope(s: Settings) -> None:
    unknown = sorted(s.controllers - CONTROLLERS)
    known = ", ".join(sorted(CONTROLLERS))
    if unknown:
        raise _fail("controllers", f"knows no {unknown[0]!r}, only {known}")
    if not s.controllers:
        raise _fail("controllers", f"must name at least one of {known}")
    named = [("namespaces", namespace) for namespace in s.namespaces]
    named.append(("webhook-namespace", s.webhook.namespace))
    if s.lease.namespace:
        named.append(("leader-election-namespace", s.lease.namespace))
    for flag, namespace in named:
        if not _NAMESPACE.fullmatch(namespace):
            raise _fail(flag, f"must be a namespace name, not {namespace!r}")
    if len(s.namespaces) > 1:
        raise _fail("namespaces", "takes one namespace in this version, or none for all")
