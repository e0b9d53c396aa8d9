"""Watched by the real Prometheus operator and a real Prometheus, as docs/observability.md says.

The chart's ServiceMonitor and rules go through the operator; what it makes of them is what
Prometheus runs with, but for the folder of its files. There is no kubelet: each replica of the
manager is a process, and its pod and the address of its endpoint are written here.
"""

from __future__ import annotations

import json
import math
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from e2e.burst.installed import OWN, Installed
from e2e.burst.scrape import account_token
from e2e.burst.tenant import Tenant
from e2e.cluster import ControlPlane
from e2e.controlplane.commands import NODES
from e2e.controlplane.failures import wait_until
from e2e.controlplane.manifests import CHART, CONFIG, templated
from e2e.monitoring.credentials import give_certificate, give_token
from e2e.monitoring.mounts import Mounts
from e2e.monitoring.operator import (
    ACCOUNT,
    API,
    NAMESPACE,
    Operator,
    configuration,
    create_account,
    create_prometheus,
    rule_files,
    stateful_set,
    verdicts,
)
from e2e.monitoring.replica import SERVICE, own_address, write_replica
from e2e.monitoring.server import Prometheus

from warmclaim.api import names
from warmclaim.loadtest.objects import CLAIMS, POOLS, claim_body

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

POOL, WARM, COLD = 12, 8, 2
SELECTED = {"release": "watch"}
"""As the Prometheus of a cluster selects what it reads: by a label that the values give."""
OTHER, STRICT = "other", "strict"
"""A Prometheus that selects another label, and an account without the role; and a Prometheus that
lets no monitor name a file of its pod, such as the one with its token."""
VALUES = (
    "metrics.serviceMonitor.enabled=true",
    "metrics.serviceMonitor.additionalLabels.release=watch",
    "metrics.serviceMonitor.interval=1s",
    "metrics.prometheusRule.enabled=true",
    "metrics.prometheusRule.additionalLabels.release=watch",
)
CERTIFICATE, TOKEN = "agent-sandbox-metrics-certs", "agent-sandbox-scraper"
MONITOR, ALERTS, DASHBOARD = (
    CONFIG / "observability" / name
    for name in ("service-monitor.yaml", "alerts.yaml", "dashboard.json")
)
MAY_BE_EMPTY = {
    "Requests that failed": "no request need fail in a calm burst",
    "Writes whose answer was lost": "no answer was lost",
}
"""Panels of what did not happen, that have no series before it does. All others have data."""


def chart(folder: Path, *more: str) -> str:
    """A folder with what helm makes of the values, for kubectl's -k."""
    folder.mkdir()
    words = ["-f", str(CHART / "examples/everything.yaml"), "--set", ",".join([*VALUES, *more])]
    (folder / "chart.yaml").write_text(yaml.safe_dump_all(templated(*words)))
    (folder / "kustomization.yaml").write_text(json.dumps({"resources": ["chart.yaml"]}))
    return str(folder)


def install(cluster: ControlPlane, rendered: str) -> None:
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-k", rendered)


@dataclass(frozen=True)
class Watched:
    """A manager that has served WARM and COLD claims, and the Prometheus that reads it."""

    cluster: ControlPlane
    operator: Operator
    tenant: Tenant
    address: str
    mounts: Mounts
    prometheus: Prometheus
    pod: str


@pytest.fixture(scope="module")
def cluster() -> Iterator[ControlPlane]:
    """One of its own: the kinds of the operator belong to the cluster."""
    with ControlPlane(nodes=20) as found:
        yield found


@pytest.fixture(scope="module")
def operator(cluster: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """It has the chart's objects, and Prometheus objects that take them and that do not."""
    folder = tmp_path_factory.mktemp("operator")
    with Operator(cluster, folder) as running:
        install(cluster, chart(folder / "chart"))
        cluster.kubectl("create", "namespace", NAMESPACE)
        for account in (ACCOUNT, OTHER):
            create_account(cluster.api, account)
        create_prometheus(cluster, "main", SELECTED)
        create_prometheus(cluster, OTHER, {"release": OTHER})
        create_prometheus(cluster, STRICT, SELECTED, arbitraryFSAccessThroughSMs={"deny": True})
        yield running


@pytest.fixture(scope="module")
def watched(
    cluster: ControlPlane, operator: Operator, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Watched]:
    """Up, and calm after a burst of claims."""
    folder = tmp_path_factory.mktemp("watched")
    cluster.kubectl("create", "namespace", "team")
    role = ("--clusterrole=agent-sandbox-metrics-reader", f"--serviceaccount={NAMESPACE}:{ACCOUNT}")
    cluster.kubectl("create", "clusterrolebinding", "prometheus-reads-sandboxes", *role)
    mounts = mounted(cluster, operator, folder / "pod")
    manager, address = Installed(cluster, chart(folder / "chart")), own_address()
    flags = (
        f"--metrics-bind-address={address}:{manager.metrics_port}",
        f"--claim-history-dir={folder / 'history'}",
    )
    with manager.process(folder, *flags) as process, Prometheus(mounts, folder) as prometheus:
        process.wait_ready()
        pod = write_replica(cluster.api, 0, address, manager.metrics_port)
        prometheus.wait_target(pod, "up")
        tenant = Tenant(cluster.api, "team", process)
        serve_burst(tenant, prometheus)
        yield Watched(cluster, operator, tenant, address, mounts, prometheus, pod)
        assert process.stop() == []


def mounted(
    cluster: ControlPlane, operator: Operator, root: Path, name: str = "main", bearer: str = ACCOUNT
) -> Mounts:
    """The files of the pod of a Prometheus, with a token of an account."""
    mounts = Mounts(cluster.api, stateful_set(cluster, operator, name), root)
    mounts.write(account_token(cluster.api, NAMESPACE, bearer), cluster.ca_file.read_text())
    return mounts


def serve_burst(tenant: Tenant, prometheus: Prometheus) -> None:
    """One claim of each kind first: a rate is known of series that were there before they rose."""
    tenant.pool(POOL)
    tenant.pool(0, "empty")
    tenant.wait_pool(POOL)
    warm, cold = range(WARM), range(COLD)
    for claims in ((warm[:1], cold[:1]), (warm[1:], cold[1:])):
        served = [
            *(claim(tenant, f"warm-{number}", "burst") for number in claims[0]),
            *(claim(tenant, f"cold-{number}", "empty") for number in claims[1]),
        ]
        for name in served:
            tenant.wait_served(name)
        wait_counted(prometheus, claims[0].stop + claims[1].stop)


def claim(tenant: Tenant, name: str, pool: str) -> str:
    """Create a claim that tells since when its client has wanted it; returns its name."""
    body = claim_body(name, pool)
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    body["metadata"]["annotations"] = {names.ANNOTATION_CLIENT_REQUESTED: now}
    tenant.api.create(tenant.path(CLAIMS), body)
    return name


def wait_counted(prometheus: Prometheus, count: int) -> None:
    def lacking() -> str | None:
        found = prometheus.value("sum(agent_sandbox_claim_creation_total)")
        return None if found == count else f"{found} of {count}"

    prometheus.wait("claims that were counted", lacking)


def test_the_operator_takes_monitor_and_rules_for_whom_they_are_labelled(
    cluster: ControlPlane, operator: Operator
) -> None:
    taken, refused = ("True", ""), ("False", "InvalidConfiguration")
    wanted = {"servicemonitors": refused, "prometheusrules": taken}
    for plural, strict in wanted.items():
        path = f"{API}/namespaces/{OWN}/{plural}/{SERVICE}"

        def lacking(path: str = path, strict: tuple[str, str] = strict) -> str | None:
            found = verdicts(cluster.api.get(path))
            return None if found == {"main": taken, STRICT: strict} else str(found)

        wait_until(f"{plural} judged", lacking, timeout_s=30, log=operator.log)
    wait_until("event", lambda: untold(cluster), timeout_s=30, log=operator.log)
    for name, jobs in (("main", [f"serviceMonitor/{OWN}/{SERVICE}/0"]), (OTHER, [])):
        stateful_set(cluster, operator, name)
        found = configuration(cluster, name)["scrape_configs"]
        assert [job["job_name"] for job in found] == jobs
        files = rule_files(cluster.api, name)
        assert len(files) == len(jobs)
        assert all(file.startswith(f"{OWN}-{SERVICE}-") for file in files)


def untold(cluster: ControlPlane) -> str | None:
    """What is missing until an event of the monitor says why it was refused."""
    events = cluster.api.get(f"/apis/events.k8s.io/v1/namespaces/{OWN}/events")["items"]
    notes = [one["note"] for one in events if one["regarding"]["kind"] == "ServiceMonitor"]
    said = "it accesses file system via bearer token file"
    return None if any(said in note for note in notes) else f"notes: {notes}"


def test_the_operators_kinds_take_the_component_too(
    cluster: ControlPlane, operator: Operator
) -> None:
    """A field that they do not know would be refused."""
    files = [word for one in (MONITOR, ALERTS) for word in ("-f", str(one))]
    flags = ("--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict")
    said = cluster.kubectl("apply", *flags, *files)
    assert said.count("serverside-applied (server dry run)") == 2


def test_the_target_is_up_and_counts_the_claims_that_were_served(watched: Watched) -> None:
    target = watched.prometheus.wait_target(watched.pod, "up")
    assert target["scrapeUrl"].startswith(f"https://{watched.address}:")
    wanted = {
        "job": SERVICE,
        "service": SERVICE,
        "namespace": OWN,
        "endpoint": "metrics",
        "pod": watched.pod,
    }
    assert {name: target["labels"].get(name) for name in wanted} == wanted
    selector = ", ".join(f'{name}="{text}"' for name, text in wanted.items())
    claims = f"agent_sandbox_claim_creation_total{{{selector}}}"

    def lacking() -> str | None:
        found = watched.prometheus.query(f"sum by (exported_namespace, launch_type) ({claims})")
        counted = {
            (one["metric"]["exported_namespace"], one["metric"]["launch_type"]): one["value"][1]
            for one in found
        }
        up = watched.prometheus.value(f"up{{{selector}}}")
        is_all = counted == {("team", "warm"): str(WARM), ("team", "cold"): str(COLD)}
        return None if is_all and up == 1 else f"up is {up}, counted are {counted}"

    watched.prometheus.wait("up and counted", lacking)


def test_all_rules_are_loaded_and_none_fires_while_it_is_calm(watched: Watched) -> None:
    ours = yaml.safe_load(ALERTS.read_text())["spec"]["groups"]
    wanted = [rule["alert"] for group in ours for rule in group["rules"]]

    def unevaluated() -> str | None:
        found = [one["name"] for one in watched.prometheus.rules() if one["health"] == "unknown"]
        return ", ".join(found) or None

    watched.prometheus.wait("evaluation", unevaluated)
    found = watched.prometheus.rules()
    assert [rule["name"] for rule in found] == wanted
    assert [rule for rule in found if rule["health"] != "ok" or rule.get("lastError")] == []
    assert [rule["name"] for rule in found if rule["state"] == "firing"] == []


def asked(prometheus: Prometheus) -> list[tuple[str, str]]:
    """What the panels ask, by their titles, with the dashboard's variables filled in as Grafana
    does: the one for the manager by what Prometheus answers to the query of it."""
    board = json.loads(DASHBOARD.read_text())
    (variable,) = [one for one in board["templating"]["list"] if one["type"] == "query"]
    assert variable["query"]["query"] == "label_values(agent_sandbox_build_info, job)"
    jobs = prometheus.get("label/job/values", **{"match[]": "agent_sandbox_build_info"})
    filled = {"$job": f"({'|'.join(jobs)})", "$__rate_interval": "5m", "$__range": "1h"}

    def fill(text: str) -> str:
        for name, value in filled.items():
            text = text.replace(name, value)
        assert "$" not in text
        return text

    panels = [panel for panel in board["panels"] if "targets" in panel]
    return [(one["title"], fill(target["expr"])) for one in panels for target in one["targets"]]


def has_data(prometheus: Prometheus, expression: str) -> bool:
    """Whether a series has a number: a quantile of nothing is none."""
    return any(not math.isnan(float(one["value"][1])) for one in prometheus.query(expression))


def test_each_panel_of_the_dashboard_has_data_after_a_burst(watched: Watched) -> None:
    """Prometheus refuses what it does not understand with an error, which fails as well."""
    panels = asked(watched.prometheus)
    assert MAY_BE_EMPTY.keys() <= {title for title, _ in panels}

    def empty() -> str | None:
        found = [one for one in panels if not has_data(watched.prometheus, one[1])]
        return (
            "; ".join(f"{one[0]}: {one[1]}" for one in found if one[0] not in MAY_BE_EMPTY) or None
        )

    watched.prometheus.wait("panels", empty)


@pytest.mark.parametrize(("bearer", "status"), [(OTHER, "403"), ("", "401")])
def test_without_the_role_or_a_token_the_target_is_down_and_it_is_said(
    watched: Watched, bearer: str, status: str
) -> None:
    api, prometheus = watched.cluster.api, watched.prometheus
    alert = "AgentSandboxControllerMetricsTargetsDown"
    prometheus.wait_state(alert, "inactive")
    watched.mounts.write_token(account_token(api, NAMESPACE, bearer) if bearer else "no-token")
    prometheus.wait_target(watched.pod, "down", f"server returned HTTP status {status}")
    prometheus.wait_state(alert, "pending", "firing")
    watched.mounts.write_token(account_token(api, NAMESPACE, ACCOUNT))
    prometheus.wait_target(watched.pod, "up")
    prometheus.wait_state(alert, "inactive")


def test_a_pool_of_which_nothing_gets_ready_makes_its_alert_pending(watched: Watched) -> None:
    """While KWOK, which plays the kubelets, stands still."""
    alert, cluster = "WarmclaimPoolNotReady", watched.cluster
    watched.prometheus.wait_state(alert, "inactive")
    cluster.kill(NODES, signal.SIGSTOP)
    try:
        watched.tenant.pool(2, "stuck")
        watched.prometheus.wait_state(alert, "pending")
        (found,) = watched.prometheus.get("alerts")["alerts"]
        assert found["labels"].items() >= {"alertname": alert, "pool": "stuck"}.items()
        assert found["annotations"]["summary"] == "The pool stuck has members, and none is ready."
    finally:
        cluster.kill(NODES, signal.SIGCONT)
    watched.prometheus.wait_state(alert, "inactive")
    cluster.api.delete(watched.tenant.path(POOLS, "stuck"))


def test_one_that_lets_no_monitor_name_a_file_takes_token_and_certificate_from_secrets(
    watched: Watched, tmp_path: Path
) -> None:
    """Its own account has no role. The replica before, for whose certificate nobody vouches, is
    down; and a certificate that is no good is an alert that fires."""
    cluster = watched.cluster
    files = give_certificate(cluster, CERTIFICATE, tmp_path / "certificate")
    give_token(cluster, TOKEN)
    secrets = (f"certificateSecret={CERTIFICATE}", f"serviceMonitor.tokenSecret={TOKEN}")
    rendered = chart(tmp_path / "chart", *(f"metrics.{one}" for one in secrets))
    install(cluster, rendered)
    wait_until("certificate", lambda: unchecked(cluster), timeout_s=30, log=watched.operator.log)
    manager = Installed(cluster, rendered)
    flags = (
        f"--metrics-bind-address={watched.address}:{manager.metrics_port}",
        f"--metrics-cert-path={files}",
    )
    mounts = mounted(cluster, watched.operator, tmp_path / "pod", STRICT, OTHER)
    with manager.process(tmp_path, *flags) as process, Prometheus(mounts, tmp_path) as prometheus:
        process.wait_ready()
        pod = write_replica(cluster.api, 1, watched.address, manager.metrics_port)
        prometheus.wait_target(pod, "up")
        prometheus.wait_target(watched.pod, "down", "x509: ")
        break_certificate(files, prometheus, pod)
        assert process.stop() == []


def unchecked(cluster: ControlPlane) -> str | None:
    """What is missing until the operator has made what a checked certificate takes."""
    jobs = configuration(cluster, STRICT)["scrape_configs"]
    assets = f"/api/v1/namespaces/{NAMESPACE}/secrets/prometheus-{STRICT}-tls-assets-0"
    is_there = bool(cluster.api.get(assets).get("data"))
    is_taken = ["ca_file" in job["tls_config"] for job in jobs] == [True]
    return None if is_taken and is_there else f"jobs: {jobs}"


def break_certificate(files: Path, prometheus: Prometheus, pod: str) -> None:
    """The certificate before goes on being served; that the next is no good is an alert."""
    alert = "WarmclaimCertificateRefused"
    prometheus.wait_state(alert, "inactive")
    (files / "tls.crt").write_text("none")
    prometheus.wait_state(alert, "firing")
    prometheus.wait_target(pod, "up")
