"""Limits of settings: each broken one is refused in one line that names the flag."""

from dataclasses import replace
from typing import Any

import pytest

from warmclaim.errors import UsageError
from warmclaim.settings import BindAddress, Settings, bind_address


def changed(place: str, value: Any) -> Settings:
    group, _, attribute = place.rpartition(".")
    base = Settings()
    if not group:
        return replace(base, **{attribute: value})
    return replace(base, **{group: replace(getattr(base, group), **{attribute: value})})


def test_the_defaults_are_within_their_limits() -> None:
    Settings().check()
    assert Settings().warnings() == ()
    assert Settings().controllers == {"claim", "pool", "sandbox", "template"}
    assert Settings().claims.wait_s_max == 2.0


@pytest.mark.parametrize(
    ("flag", "place", "value"),
    [
        ("sandbox-concurrent-workers", "sandboxes.workers", 0),
        ("sandbox-claim-concurrent-workers", "claims.workers", -1),
        ("sandbox-warm-pool-concurrent-workers", "pools.workers", 0),
        ("sandbox-template-concurrent-workers", "templates.workers", 0),
        ("sandbox-warm-pool-max-batch-size", "pools.batch_items_max", 0),
        ("sandbox-warm-pool-max-refill-rate", "pools.refill_per_s_max", float("nan")),
        ("sandbox-warm-pool-max-refill-rate", "pools.refill_per_s_max", float("inf")),
        ("sandbox-warm-pool-max-refill-rate", "pools.refill_per_s_max", -0.5),
        ("sandbox-warm-pool-readiness-grace-period", "pools.readiness_grace_s", 0.0),
        ("sandbox-warm-pool-unschedulable-recheck-interval", "pools.unschedulable_recheck_s", 0.0),
        ("sandbox-warm-pool-replenish-delay", "pools.replenish_delay_s", -1.0),
        ("sandbox-warm-pool-seal-secret", "pools.seal_secret", "no-namespace"),
        ("sandbox-warm-pool-seal-secret", "pools.seal_secret", "a/b/c"),
        ("sandbox-warm-pool-seal-secret", "pools.seal_secret", "/name"),
        ("sandbox-warm-pool-seal-secret", "pools.seal_secret", "namespace/"),
        ("sandbox-write-behind-window", "sandboxes.write_behind_s", -1.0),
        ("claim-wait", "claims.wait_s_max", -0.1),
        ("api-connections", "compat.api_connections", 0),
        ("kube-api-burst", "compat.api_burst", 0),
        ("claim-history-archive-interval", "history.archive_every_s", 0.0),
        ("claim-history-keep-days", "history.keep_days_max", -1),
        ("claim-history-keep-bytes", "history.keep_bytes_max", -1),
        ("claim-history-spool-bytes", "history.spool_bytes_max", -1),
        ("claim-history-target", "history.target", "s3://bucket"),
        ("webhook-port", "webhook.port", 70_000),
        ("webhook-cert-name", "webhook.cert_name", " "),
        ("webhook-service-name", "webhook.service_name", "a/b"),
        ("webhook-namespace", "webhook.namespace", ""),
        ("zap-encoder", "logs.encoder", "xml"),
        ("zap-time-encoding", "compat.log_time_encoding", "sundial"),
        ("metrics-bind-address", "serving.metrics_address", "8080"),
        ("health-probe-bind-address", "serving.probe_address", "::1:8080"),
        ("diagnostics-bind-address", "serving.diagnostics_address", "8082"),
        ("tls-min-version", "serving.tls_min_version", "VersionTLS11"),
        ("metrics-cert-path", "serving.metrics_cert_dir", "/certs"),
        ("metrics-cert-name", "serving.metrics_cert_name", " "),
        ("metrics-cert-key", "serving.metrics_cert_key", ""),
        ("diagnostics-secure", "serving.diagnostics_secure", True),
        ("enable-profiling", "serving.profiles", True),
        ("cluster-domain", "sandboxes.cluster_domain", "a b"),
        ("namespaces", "namespaces", ("Team B",)),
        ("namespaces", "namespaces", ("team-a", "team-b")),
        ("namespaces", "namespaces", ("",)),
        ("leader-election-namespace", "lease.namespace", "../x"),
        ("leader-elect-lease-duration", "lease.duration_s", 10.0),
        ("leader-elect-lease-duration", "lease.duration_s", 0.5),
        ("leader-elect-renew-deadline", "lease.renew_deadline_s", 2.4),
        ("leader-elect-retry-period", "lease.retry_period_s", 0.0),
        ("controllers", "controllers", frozenset({"claims"})),
        ("controllers", "controllers", frozenset[str]()),
    ],
)
def test_a_broken_limit_names_its_flag_in_one_line(flag: str, place: str, value: Any) -> None:
    with pytest.raises(UsageError, match=rf"^--{flag} ") as caught:
        changed(place, value).check()
    assert "\n" not in str(caught.value)


def test_more_than_a_thousand_workers_is_only_a_warning() -> None:
    settings = changed("claims.workers", 1000)
    settings.check()
    assert settings.warnings()[0].startswith("1102 workers")


def test_a_rate_that_has_no_effect_is_no_warning() -> None:
    settings = changed("compat.api_qps", 5.0)
    settings.check()
    assert settings.warnings() == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", None),
        ("", None),
        (":8080", BindAddress("", 8080)),
        ("127.0.0.1:0", BindAddress("127.0.0.1", 0)),
        ("localhost:9", BindAddress("localhost", 9)),
        ("[::1]:80", BindAddress("::1", 80)),
    ],
)
def test_bind_addresses_are_read_as_go_writes_them(text: str, expected: BindAddress | None) -> None:
    assert bind_address(text) == expected
    if expected is not None:
        assert bind_address(str(expected)) == expected


@pytest.mark.parametrize("text", ["8080", "host", ":99999", ":-1", ":http", "::1:80", ":٣", ":"])
def test_bad_bind_addresses_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="has "):
        bind_address(text)
