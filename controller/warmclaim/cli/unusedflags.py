"""The flags that are accepted for the Go manager's sake, and why each has no effect here."""

from __future__ import annotations

from warmclaim.cli.flag import UNUSED, Flag
from warmclaim.cli.flagvalues import Kind

_BY_PURPOSE = "Connections are limited by purpose: --claim-connections and its neighbours."
_NO_RATE = "There is no limit by rate; the server's own flow control and its 429 are obeyed."
_NO_PPROF = "There are no Go profiles here."


def _unused(name: str, kind: Kind, setting: str, reason: str) -> Flag:
    return Flag(name, kind, UNUSED, f"compat.{setting}", reason)


UNUSED_FLAGS: tuple[Flag, ...] = (
    _unused("api-connections", Kind.INT, "api_connections", _BY_PURPOSE),
    _unused("separate-watch-connection", Kind.BOOL, "separate_watch_connection", _BY_PURPOSE),
    _unused(
        "cache-label-selectors",
        Kind.BOOL,
        "caches_by_label",
        "Only Pods and Services with the tracking label are watched in any case.",
    ),
    _unused("kube-api-qps", Kind.FLOAT, "api_qps", _NO_RATE),
    _unused("kube-api-burst", Kind.INT, "api_burst", _NO_RATE),
    _unused("enable-pprof", Kind.BOOL, "pprof", _NO_PPROF),
    _unused("enable-pprof-debug", Kind.BOOL, "pprof_debug", _NO_PPROF),
    _unused("pprof-block-profile-rate", Kind.INT, "pprof_block_profile_rate", _NO_PPROF),
    _unused("pprof-mutex-profile-fraction", Kind.INT, "pprof_mutex_profile_fraction", _NO_PPROF),
    _unused(
        "zap-devel",
        Kind.BOOL,
        "log_devel",
        "Use --zap-encoder=console --zap-log-level=debug instead.",
    ),
    _unused(
        "zap-stacktrace-level",
        Kind.LEVEL,
        "log_stacktrace_level",
        "The record of an exception always has its stack.",
    ),
    _unused(
        "zap-time-encoding",
        Kind.TEXT,
        "log_time_encoding",
        "Times are always RFC 3339, in UTC.",
    ),
)
