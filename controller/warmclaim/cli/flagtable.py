"""Every flag, as data. Defaults are not here but in warmclaim.settings, where `place` points."""

from __future__ import annotations

from warmclaim.cli.flag import GROUPS, Flag
from warmclaim.cli.flagvalues import Kind
from warmclaim.cli.servingflags import SERVING_FLAGS
from warmclaim.cli.unusedflags import UNUSED_FLAGS

_WHAT, _API, _LEASE, _CLAIMS, _POOLS, _SANDBOXES, _, _WEBHOOK, _HISTORY, _ = GROUPS

FLAGS: tuple[Flag, ...] = (
    Flag("version", Kind.BOOL, _WHAT, "", "Print the version and exit."),
    Flag(
        "controllers",
        Kind.SET,
        _WHAT,
        "controllers",
        "Which controllers this process runs. Others may run elsewhere, under a Lease of their "
        "own; overrides --extensions.",
    ),
    Flag(
        "extensions",
        Kind.BOOL,
        _WHAT,
        "",
        "Run the claim, warm pool and template controllers besides the sandbox controller. Off by "
        "default only in the drop-in program.",
    ),
    Flag(
        "namespaces",
        Kind.NAMES,
        _WHAT,
        "namespaces",
        "Watch only this namespace; then Roles are enough, no ClusterRole is needed. Empty: the "
        "whole cluster.",
    ),
    Flag(
        "kubeconfig",
        Kind.TEXT,
        _API,
        "api.kubeconfig",
        "File that says which cluster and as whom. Empty: the pod's own account, else $KUBECONFIG, "
        "else ~/.kube/config.",
    ),
    Flag(
        "api-request-timeout",
        Kind.DURATION,
        _API,
        "api.request_timeout_s",
        "Longest time for one request, answer included. A write cut off here is looked up before "
        "anything else is done.",
    ),
    Flag(
        "claim-connections",
        Kind.INT,
        _API,
        "api.claim_connections_max",
        "Connections for requests that a waiting claim depends on.",
    ),
    Flag(
        "refill-connections",
        Kind.INT,
        _API,
        "api.refill_connections_max",
        "Connections for refill and housekeeping; fewer means that a refill disturbs claims less.",
    ),
    Flag(
        "lease-connections",
        Kind.INT,
        _API,
        "api.lease_connections_max",
        "Connections for the Lease alone, so that no burst can cost the leadership.",
    ),
    Flag(
        "list-page-size",
        Kind.INT,
        _API,
        "api.list_page_items",
        "Objects for each page of a list, where the server cannot stream the initial state.",
    ),
    Flag(
        "watch-list",
        Kind.BOOL,
        _API,
        "api.uses_watch_list",
        "Ask the server to stream the initial state through the watch; falls back to lists.",
    ),
    Flag(
        "watch-silence-max",
        Kind.DURATION,
        _API,
        "api.watch_silence_s_max",
        "Take a watch for dead after this silence; the server sends a sign of life every minute.",
    ),
    Flag(
        "leader-elect",
        Kind.BOOL,
        _LEASE,
        "lease.enabled",
        "Act only while holding the Lease. Without it a second process only wastes work, no claim "
        "is given two sandboxes.",
    ),
    Flag(
        "leader-election-namespace",
        Kind.TEXT,
        _LEASE,
        "lease.namespace",
        "Namespace of the Lease. Empty: the pod's own.",
    ),
    Flag(
        "leader-elect-lease-duration",
        Kind.DURATION,
        _LEASE,
        "lease.duration_s",
        "How long others wait after the last renewal before they take over. At least 1.5 times the "
        "renew deadline tolerates machines whose clocks run at different speeds.",
    ),
    Flag(
        "leader-elect-renew-deadline",
        Kind.DURATION,
        _LEASE,
        "lease.renew_deadline_s",
        "The leader steps down when it could not renew for this long.",
    ),
    Flag(
        "leader-elect-retry-period",
        Kind.DURATION,
        _LEASE,
        "lease.retry_period_s",
        "Pause between two tries to take or renew the Lease.",
    ),
    Flag(
        "sandbox-claim-concurrent-workers",
        Kind.INT,
        _CLAIMS,
        "claims.workers",
        "Claims worked on at once.",
    ),
    Flag(
        "claim-wait",
        Kind.DURATION,
        _CLAIMS,
        "claims.wait_s_max",
        "How long after its creation a claim may wait for a warm sandbox that is about to be "
        "ready, before it gets a new one; 0 does not wait.",
    ),
    Flag(
        "claim-adoption-attempts",
        Kind.INT,
        _CLAIMS,
        "claims.adoption_attempts_max",
        "Candidates tried in one pass before the claim backs off.",
    ),
    Flag(
        "disable-claim-events",
        Kind.BOOL,
        _CLAIMS,
        "claims.events_disabled",
        "Send no Kubernetes Events about claims.",
    ),
    Flag(
        "disable-claim-observability-annotations",
        Kind.BOOL,
        _CLAIMS,
        "claims.observability_disabled",
        "Do not write the time stamps of first sight and first readiness onto claims.",
    ),
    Flag(
        "allowed-label-domains-file",
        Kind.TEXT,
        _CLAIMS,
        "claims.allowed_label_domains_path",
        "File with the domains of labels that a claim may put onto its pod; it may be missing.",
    ),
    Flag(
        "sandbox-warm-pool-concurrent-workers",
        Kind.INT,
        _POOLS,
        "pools.workers",
        "Warm pools worked on at once.",
    ),
    Flag(
        "sandbox-warm-pool-max-batch-size",
        Kind.INT,
        _POOLS,
        "pools.batch_items_max",
        "Sandboxes created or deleted in one pass over a pool.",
    ),
    Flag(
        "sandbox-warm-pool-replenish-delay",
        Kind.DURATION,
        _POOLS,
        "pools.replenish_delay_s",
        "Pause before a pool that lost members is refilled.",
    ),
    Flag(
        "sandbox-warm-pool-max-refill-rate",
        Kind.FLOAT,
        _POOLS,
        "pools.refill_per_s_max",
        "Sandboxes created for each second and pool; 0 leaves it to what the server can bear.",
    ),
    Flag(
        "sandbox-warm-pool-readiness-grace-period",
        Kind.DURATION,
        _POOLS,
        "pools.readiness_grace_s",
        "A member that is not ready for this long is replaced.",
    ),
    Flag(
        "sandbox-warm-pool-unschedulable-recheck-interval",
        Kind.DURATION,
        _POOLS,
        "pools.unschedulable_recheck_s",
        "How often members that found no node are looked at again.",
    ),
    Flag(
        "enable-warm-pool-eviction",
        Kind.BOOL,
        _POOLS,
        "pools.marks_safe_to_evict",
        "Let the cluster autoscaler evict pods that no claim has taken.",
    ),
    Flag(
        "sandbox-warm-pool-seal-secret",
        Kind.TEXT,
        _POOLS,
        "pools.seal_secret",
        "NAMESPACE/NAME of a Secret with keys by which members of pools are sealed; then a claim "
        "gets no warm sandbox that was forged or edited. Empty: nothing is sealed.",
    ),
    Flag(
        "sandbox-concurrent-workers",
        Kind.INT,
        _SANDBOXES,
        "sandboxes.workers",
        "Sandboxes worked on at once.",
    ),
    Flag(
        "sandbox-template-concurrent-workers",
        Kind.INT,
        _SANDBOXES,
        "templates.workers",
        "Templates worked on at once.",
    ),
    Flag(
        "cluster-domain",
        Kind.TEXT,
        _SANDBOXES,
        "sandboxes.cluster_domain",
        "The cluster's DNS domain, for the host names of Services.",
    ),
    Flag(
        "sandbox-write-behind-window",
        Kind.DURATION,
        _SANDBOXES,
        "sandboxes.write_behind_s",
        "Merge changes of a Pod's metadata that come within this time, a second at most, into one "
        "write; 0 writes at once.",
    ),
    *SERVING_FLAGS,
    Flag(
        "enable-webhook",
        Kind.BOOL,
        _WEBHOOK,
        "webhook.enabled",
        "Serve v1alpha1 beside v1beta1, where the CRDs ask for it. Off: for CRDs of one version.",
    ),
    Flag(
        "manage-webhook-certs",
        Kind.BOOL,
        _WEBHOOK,
        "webhook.manages_certs",
        "Make and renew the certificate, in a Secret, and tell the CRDs its authority. Off: "
        "somebody else does, and puts it into --webhook-cert-dir.",
    ),
    Flag("webhook-port", Kind.INT, _WEBHOOK, "webhook.port", "Port that serves /convert."),
    Flag(
        "webhook-cert-dir",
        Kind.TEXT,
        _WEBHOOK,
        "webhook.cert_dir",
        "Folder of the certificate and key. It is written to unless --manage-webhook-certs is off.",
    ),
    Flag("webhook-cert-name", Kind.TEXT, _WEBHOOK, "webhook.cert_name", "File of a given one."),
    Flag("webhook-key-name", Kind.TEXT, _WEBHOOK, "webhook.key_name", "File of its key."),
    Flag(
        "webhook-service-name",
        Kind.TEXT,
        _WEBHOOK,
        "webhook.service_name",
        "Service through which the API server reaches the webhook.",
    ),
    Flag(
        "webhook-namespace",
        Kind.TEXT,
        _WEBHOOK,
        "webhook.namespace",
        "Namespace of that Service and of the Secret with the certificate.",
    ),
    Flag(
        "claim-history-dir",
        Kind.TEXT,
        _HISTORY,
        "history.directory",
        "Folder in which a row is kept of each claim that is gone; warmclaim history reads it. "
        "Empty: none is kept.",
    ),
    Flag(
        "claim-history-target",
        Kind.TEXT,
        _HISTORY,
        "history.target",
        "Where the rows of past hours go as Parquet files: a folder, or a URL such as "
        "s3://bucket/claims. Empty: to the folder archive within --claim-history-dir. Needs the "
        "extra `archive`.",
    ),
    Flag(
        "claim-history-archive-interval",
        Kind.DURATION,
        _HISTORY,
        "history.archive_every_s",
        "Pause between two looks for past hours, in a process of its own.",
    ),
    Flag(
        "claim-history-keep-days",
        Kind.INT,
        _HISTORY,
        "history.keep_days_max",
        "Archived days that are kept; 0 keeps all.",
    ),
    Flag(
        "claim-history-keep-bytes",
        Kind.INT,
        _HISTORY,
        "history.keep_bytes_max",
        "Size of the archive beyond which its oldest files go; 0 keeps all.",
    ),
    Flag(
        "claim-history-spool-bytes",
        Kind.INT,
        _HISTORY,
        "history.spool_bytes_max",
        "Size of what is not archived yet beyond which its oldest hours go; 0 keeps all.",
    ),
    *UNUSED_FLAGS,
)
