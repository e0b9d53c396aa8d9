"""What the values of the chart do: those of the Go manager's chart work, bad ones are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from e2e.controlplane.failures import ControlPlaneError
from e2e.controlplane.manifests import CHART, arguments, deployment, helm, templated

from warmclaim.cli.goflags import parse_settings

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

GO_VALUES: dict[str, Any] = {
    "namespace": {"create": False, "name": "elsewhere"},
    "image": {"repository": "example/manager", "tag": "v1", "pullPolicy": "Always"},
    "replicaCount": 3,
    "podAnnotations": {"a": "b"},
    "podLabels": {"team": "x"},
    "controller": {
        "leaderElect": True,
        "clusterDomain": "cluster.example",
        "leaderElectionNamespace": "leases",
        "extensions": True,
        "enableTracing": True,
        "enablePprof": True,
        "enablePprofDebug": True,
        "pprofBlockProfileRate": 1000000,
        "pprofMutexProfileFraction": 10,
        "kubeApiQps": -1.0,
        "kubeApiBurst": 10,
        "sandboxConcurrentWorkers": 101,
        "sandboxClaimConcurrentWorkers": 51,
        "sandboxWarmPoolConcurrentWorkers": 2,
        "sandboxTemplateConcurrentWorkers": 3,
        "sandboxWarmPoolMaxBatchSize": 301,
        "sandboxWarmPoolReadinessGracePeriod": "6m",
        "sandboxWarmPoolUnschedulableRecheckInterval": "2m",
        "enableWarmPoolEviction": False,
        "extraArgs": ["--zap-log-level=debug"],
    },
    "resources": {"limits": {"memory": "2Gi"}},
    "nodeSelector": {"disk": "ssd"},
    "tolerations": [{"key": "k", "operator": "Exists"}],
    "affinity": {"nodeAffinity": {}},
    "podSecurityContext": {"runAsUser": 1000},
    "containerSecurityContext": None,
    "webhookServiceName": "hook",
    "service": {"name": "figures"},
    "metrics": {
        "serviceMonitor": {"enabled": True, "additionalLabels": {"release": "x"}},
        "prometheusRule": {"enabled": True, "rules": [{"name": "g", "rules": []}]},
    },
}
"""Each value of the Go manager's chart, other than its default."""


def test_every_value_of_the_go_managers_chart_is_taken(tmp_path: Path) -> None:
    """Those that make flags make flags that the manager knows."""
    file = tmp_path / "values.yaml"
    file.write_text(yaml.safe_dump(GO_VALUES))
    things = templated("-f", str(file))
    settings = parse_settings(arguments(things), dropin=True).settings
    pools = settings.pools
    assert (settings.sandboxes.workers, settings.claims.workers, pools.workers) == (101, 51, 2)
    assert (settings.pools.batch_items_max, settings.pools.readiness_grace_s) == (301, 360)
    assert (settings.templates.workers, settings.pools.unschedulable_recheck_s) == (3, 120)
    assert not settings.pools.marks_safe_to_evict
    assert settings.serving.traces
    assert settings.logs.level == "debug"
    assert (settings.lease.namespace, settings.webhook.namespace) == ("leases", "elsewhere")
    assert (settings.sandboxes.cluster_domain, settings.webhook.service_name) == (
        "cluster.example",
        "hook",
    )
    spec = deployment(things)["spec"]
    pod = spec["template"]["spec"]
    assert spec["replicas"] == 3
    assert pod["containers"][0]["image"] == "example/manager:v1"
    assert (pod["securityContext"]["runAsUser"], pod["nodeSelector"]) == (1000, {"disk": "ssd"})
    assert spec["template"]["metadata"]["labels"]["team"] == "x"
    assert {(t["kind"], t["metadata"]["name"]) for t in things} >= {
        ("Service", "figures"),
        ("Service", "hook"),
        ("ServiceMonitor", "agent-sandbox-controller"),
        ("PrometheusRule", "agent-sandbox-controller"),
    }
    assert {t["metadata"]["namespace"] for t in things if t["kind"] == "Role"} == {
        "leases",
        "elsewhere",
    }


def test_the_history_goes_where_the_values_say(tmp_path: Path) -> None:
    file = tmp_path / "values.yaml"
    given = {"enabled": True, "target": "s3://bucket/claims", "spoolBytes": 2**40,
             "keepBytes": 7, "volumeSizeLimit": "3Ti"}  # fmt: skip
    file.write_text(yaml.safe_dump({"claimHistory": given}))
    things = templated("-f", str(file))
    history = parse_settings(arguments(things), dropin=True).settings.history
    assert history.target == "s3://bucket/claims"
    assert (history.spool_bytes_max, history.keep_bytes_max) == (2**40, 7)
    pod = deployment(things)["spec"]["template"]["spec"]
    assert {"name": "claim-history", "emptyDir": {"sizeLimit": "3Ti"}} in pod["volumes"]
    mounts = {one["name"]: one for one in pod["containers"][0]["volumeMounts"]}
    assert mounts["claim-history"] == {"name": "claim-history", "mountPath": history.directory}


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("replicaCount=many", "at '/replicaCount'"),
        ("controller.kubeApiBurst=0", "at '/controller/kubeApiBurst'"),
        ("controller.controllers={claims}", "at '/controller/controllers/0'"),
        ("controller.sandboxWarmPoolReadinessGracePeriod=soon",
         "at '/controller/sandboxWarmPoolReadinessGracePeriod'"),
        ("controller.workers=3", "at '/controller': additional properties 'workers'"),
        ("metrics.serviceMonitor.interval=5", "at '/metrics/serviceMonitor/interval'"),
        ("metrics.secure=yes", "at '/metrics/secure'"),
        ("metrics.secure=false,metrics.certificateSecret=c", "at '/metrics/certificateSecret'"),
        ("metrics.secure=false,metrics.serviceMonitor.tokenSecret=c",
         "at '/metrics/serviceMonitor/tokenSecret'"),
        ("metrics.serviceMonitor.tokenSecret=Not_A_Name",
         "at '/metrics/serviceMonitor/tokenSecret'"),
        ("tenantGuard.enabled=perhaps", "at '/tenantGuard/enabled'"),
        ("tenantGuard.controllers.x=", "at '/tenantGuard/controllers/x'"),
        ("tenantGuard.users.x=y", "at '/tenantGuard': additional properties 'users'"),
        ("namespace.name=Not_A_Name", "at '/namespace/name'"),
        ("snapshot.enabled=sure", "at '/snapshot/enabled'"),
        ("snapshot.port=8083", "at '/snapshot': additional properties 'port'"),
        ("claimHistory.enabled=1", "at '/claimHistory/enabled'"),
        ("claimHistory.target=bucket", "at '/claimHistory/target'"),
        ("claimHistory.spoolBytes=512Mi", "at '/claimHistory/spoolBytes'"),
        ("claimHistory.keepBytes=0", "at '/claimHistory/keepBytes'"),
        ("claimHistory.volumeSizeLimit=2 GB", "at '/claimHistory/volumeSizeLimit'"),
        ("claimHistory.keepDays=3", "at '/claimHistory': additional properties 'keepDays'"),
        ("controller.sandboxWarmPoolSealSecret=seal",
         "at '/controller/sandboxWarmPoolSealSecret'"),
    ],
)  # fmt: skip
def test_a_bad_value_is_refused_with_the_path_of_its_field(value: str, said: str) -> None:
    with pytest.raises(ControlPlaneError) as refused:
        templated("--set", value)
    assert said in str(refused.value)


def test_the_chart_is_sound() -> None:
    assert "0 chart(s) failed" in helm("lint", str(CHART))
