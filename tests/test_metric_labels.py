"""G15: what tenants write on their objects chooses among few label values, or is counted apart."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from warmclaim.api import names
from warmclaim.api.resources import POOL
from warmclaim.api.sandbox import Sandbox
from warmclaim.domain.sandbox_marks import gauge_labels
from warmclaim.telemetry.metrics import Metrics
from warmclaim.telemetry.register import OPEN_LABELS
from warmclaim.testing.builders import a_sandbox, an_owner, as_view
from warmclaim.testing.json_values import Json

CLOSED = {
    "ready_condition": {"true", "false"},
    "expired": {"true", "false"},
    "launch_type": {"warm", "cold"},
    "owned_by": {"SandboxClaim", "SandboxWarmPool", "None"},
    "created_by": {"go-client", "python-client", "controller", "unknown"},
}
WORDS = st.one_of(st.text(max_size=30), st.sampled_from(["warm", "controller", "True", "\n{}"]))
LABELS = st.dictionaries(
    st.sampled_from([names.LABEL_LAUNCH_TYPE, names.LABEL_CREATED_BY, "team"]), WORDS
)
OWNERS = st.one_of(st.none(), WORDS.map(lambda kind: an_owner(POOL, "p") | {"kind": kind}))


@st.composite
def sandboxes(draw: st.DrawFn) -> Sandbox:
    """A sandbox as a tenant may have written it, status included."""
    owner = draw(OWNERS)
    condition = {"type": draw(st.sampled_from(["Ready", "x"])), "status": draw(WORDS)}
    merge: Json = {
        "metadata": {
            "namespace": f"n{draw(st.integers(0, 10_000))}",
            "labels": draw(LABELS),
            "annotations": {names.ANNOTATION_TEMPLATE_REF: draw(WORDS)},
            "ownerReferences": [owner] if owner else [],
        },
        "status": {"conditions": [condition | {"reason": draw(WORDS)}]},
    }
    return as_view(a_sandbox(pool=None, merge=merge), Sandbox)


@given(st.lists(sandboxes(), max_size=20))
def test_g15_what_a_tenant_writes_is_no_label_value(found: list[Sandbox]) -> None:
    metrics = Metrics(CollectorRegistry())
    rows = [gauge_labels(sandbox) for sandbox in found]
    metrics.sandboxes.count_from(lambda: rows)
    (family,) = (f for f in metrics.registry.collect() if f.name == "agent_sandboxes")
    assert sum(sample.value for sample in family.samples) == len(found)
    for sample in family.samples:
        for label, value in sample.labels.items():
            assert label in OPEN_LABELS or value in CLOSED[label], (label, value)
