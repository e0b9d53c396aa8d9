"""The flags of our own HTTP endpoints, of traces and of logs."""

from __future__ import annotations

from warmclaim.cli.flag import GROUPS, Flag
from warmclaim.cli.flagvalues import Kind

_SERVING = next(group for group in GROUPS if group.startswith("Serving"))

SERVING_FLAGS: tuple[Flag, ...] = (
    Flag(
        "metrics-bind-address",
        Kind.TEXT,
        _SERVING,
        "serving.metrics_address",
        "Where /metrics is served, plain HTTP unless --metrics-secure is given; 0 is off.",
    ),
    Flag(
        "metrics-secure",
        Kind.BOOL,
        _SERVING,
        "serving.metrics_secure",
        "Serve metrics over TLS, to bearers of a token that the API server knows and lets get the "
        "nonResourceURL /metrics.",
    ),
    Flag(
        "metrics-cert-path",
        Kind.TEXT,
        _SERVING,
        "serving.metrics_cert_dir",
        "Folder of the certificate and key for the secure endpoints, read again when they change. "
        "Empty: one is made in memory that nobody vouches for.",
    ),
    Flag("metrics-cert-name", Kind.TEXT, _SERVING, "serving.metrics_cert_name", "Its file."),
    Flag("metrics-cert-key", Kind.TEXT, _SERVING, "serving.metrics_cert_key", "Its key's file."),
    Flag(
        "metrics-cert-hosts",
        Kind.NAMES,
        _SERVING,
        "serving.metrics_cert_hosts",
        "Names that a certificate must be for, or it is not taken. Empty: those of the first one.",
    ),
    Flag(
        "tls-min-version",
        Kind.TEXT,
        _SERVING,
        "serving.tls_min_version",
        "Oldest TLS of the secure endpoints: VersionTLS12 or VersionTLS13.",
    ),
    Flag(
        "auth-token-audiences",
        Kind.NAMES,
        _SERVING,
        "serving.token_audiences",
        "Audiences of which a token must be for one. Empty: those of the API server.",
    ),
    Flag(
        "health-probe-bind-address",
        Kind.TEXT,
        _SERVING,
        "serving.probe_address",
        "Where /healthz, /livez and /readyz are served; 0 is off.",
    ),
    Flag(
        "diagnostics-bind-address",
        Kind.TEXT,
        _SERVING,
        "serving.diagnostics_address",
        "Where /get-snapshot is served, to this machine or pod alone unless --diagnostics-secure "
        "is given; empty or 0 is off.",
    ),
    Flag(
        "diagnostics-secure",
        Kind.BOOL,
        _SERVING,
        "serving.diagnostics_secure",
        "Serve it as --metrics-secure does, with the same certificate, by the path of each.",
    ),
    Flag(
        "enable-profiling",
        Kind.BOOL,
        _SERVING,
        "serving.profiles",
        "Serve /debug/profile (needs the extra `profiling`), /debug/tasks and /debug/memory there, "
        "too.",
    ),
    Flag(
        "shutdown-timeout",
        Kind.DURATION,
        _SERVING,
        "serving.shutdown_s_max",
        "Longest time for a clean stop after SIGTERM.",
    ),
    Flag(
        "enable-tracing",
        Kind.BOOL,
        _SERVING,
        "serving.traces",
        "Send a span for each pass over OTLP/gRPC, where the OTEL_EXPORTER_OTLP_* variables say. "
        "Needs the extra `tracing`.",
    ),
    Flag("zap-encoder", Kind.TEXT, _SERVING, "logs.encoder", "Log as json, or for the console."),
    Flag(
        "zap-log-level",
        Kind.LEVEL,
        _SERVING,
        "logs.level",
        "Least level that is logged: debug, info, warn, error, panic; a number from 1 is debug.",
    ),
)
