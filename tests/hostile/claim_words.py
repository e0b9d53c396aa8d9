"""Claims that say odd things: times, scripts, references, reserved labels."""

from __future__ import annotations

from collections.abc import Sequence

from tests.hostile.inputs import (
    REFUSED,
    SECRET,
    SERVED,
    Build,
    Effect,
    Ground,
    Input,
    Send,
    Step,
    claim_spec,
    condition,
    numbered,
    raw,
    sent_claim,
    stored,
    table,
    thing,
)

from warmclaim.api.resources import CLAIM

NO_POOL = condition("WarmPoolNotFound")

_TIMES_REFUSED: tuple[object, ...] = (
    "", "0", "NaN", "1e18", "-1", "yesterday", "2026-02-30T00:00:00Z", "2026-01-01T00:00:00",
    "2026-13-01T00:00:00Z", "2026-01-01T25:00:00Z", "2026-01-01", 1e18, -1, 0,
    True, {"seconds": 1}, "9" * 1_000, "now() - 1h",
)  # fmt: skip
_TIMES_TO_COME = (
    "9999-12-31T23:59:59Z", "9999-12-31T23:59:59-14:00", "9999-12-31T23:59:59.999999999Z",
)  # fmt: skip
_TIMES_PAST = (
    "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "1969-12-31T23:59:59Z",
    "2016-12-31T23:59:59.123456789+05:30",
)  # fmt: skip
_SECONDS_REFUSED: tuple[object, ...] = (-1, 1.5, "5", 2**31, 2**63, 10**30, True, [])
_ANNOTATED = (
    "yesterday", "NaN", "-1", "1e18", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00",
    "2016-12-31T23:59:60Z", "", "\u0662\u0660\u0662\u0666-01-01T00:00:00Z", "9" * 5_000,
)  # fmt: skip


def _lifecycle(**fields: object) -> Build:
    return sent_claim(claim_spec(lifecycle=fields))


def times() -> list[Input]:
    """Durations and times at every edge."""
    ttl = "ttlSecondsAfterFinished"
    refused = [(REFUSED, _lifecycle(shutdownTime=value)) for value in _TIMES_REFUSED]
    to_come = [(SERVED, _lifecycle(shutdownTime=value)) for value in _TIMES_TO_COME]
    expired = condition("ClaimExpired")
    past = [(expired, _lifecycle(shutdownTime=value)) for value in _TIMES_PAST]
    seconds = [(REFUSED, _lifecycle(**{ttl: value})) for value in _SECONDS_REFUSED]
    some = [(SERVED, _lifecycle(**{ttl: value})) for value in (0, 2**31 - 1)]
    policies = [(REFUSED, _lifecycle(shutdownPolicy=value)) for value in ("", "retain", 1)]
    older = [
        (SERVED, stored(CLAIM, claim_spec(lifecycle={"shutdownTime": value})))
        for value in (*_TIMES_REFUSED[:8], "2016-12-31T23:59:60Z", "0000-00-00T00:00:00Z")
    ]
    marks = [
        (SERVED, sent_claim(claim_spec(), annotations=dict.fromkeys(_MARKS, value)))
        for value in _ANNOTATED
    ]
    return [
        *numbered("claim times", refused, "refused"),
        *numbered("claim times", to_come, "to-come"),
        *numbered("claim times", past, "past"),
        *numbered("claim times", seconds, "seconds-refused"),
        *numbered("claim times", some, "seconds"),
        *numbered("claim times", policies, "policy"),
        *numbered("claim times", older, "older-schema"),
        *numbered("claim times", marks, "mark"),
    ]


_MARKS = (
    "agents.x-k8s.io/client-first-requested-at",
    "agents.x-k8s.io/webhook-first-observed-at",
    "agents.x-k8s.io/controller-first-observed-at",
    "agents.x-k8s.io/claim-first-ready-at",
)

_SCRIPTS = {
    "composed": "caf\u00e9",
    "decomposed": "cafe\u0301",
    "right to left": "\u202egnp.exe\u202c",
    "isolates": "\u2066\u05d0\u2069",
    "joiners": "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "nothing": "\u200b\u200c\u200d\u2060\ufeff",
    "zero": "a\u0000b",
    "terminal codes": "\u001b[2J\u001b]0;owned\u0007\u001b[31m",
    "line feeds": '\r\n{"level":"error","msg":"forged"}\n',
    "line separators": "\u2028\u2029\u0085",
    "delete and C1": "\u007f\u0080\u009b31m",
    "noncharacters": "\ufffe\uffff\U0010ffff",
    "look-alike": "\u0440\u043e\u043e\u04cf",
    "combining by the hundred": "a" + "\u0301" * 200,
    "format words": "%s%n%(name)s{0}{name!r}",
    "html": "<script>alert(1)</script>",
    "shell": "$(reboot);`reboot`",
}


def scripts() -> list[Input]:
    """Unicode and control characters in a text that comes back in a condition and in the log."""
    asked = {name: (NO_POOL, sent_claim(claim_spec(text))) for name, text in _SCRIPTS.items()}
    noted: dict[str, tuple[Effect, Build]] = {
        f"annotation {name}": (SERVED, sent_claim(claim_spec(), annotations={"note": text}))
        for name, text in _SCRIPTS.items()
        if name in ("right to left", "zero", "terminal codes", "line feeds")
    }
    head = (
        b'{"apiVersion":"extensions.agents.x-k8s.io/v1beta1","kind":"SandboxClaim",'
        b'"metadata":{"name":"bad"},"spec":{"warmPoolRef":{"name":"'
    )
    bytes_: dict[str, tuple[Effect, Build]] = {
        "lone surrogate": (NO_POOL, raw(CLAIM, head + b'\\ud800"}}}')),
        "surrogates the wrong way round": (NO_POOL, raw(CLAIM, head + b'\\udc00\\ud800"}}}')),
        "overlong slash": (NO_POOL, raw(CLAIM, head + b'\xc0\xaf"}}}')),
        "raw control character": (REFUSED, raw(CLAIM, head + b'\x01"}}}')),
    }
    return table("claim scripts", asked | noted | bytes_)


_PLACES = (
    "pool/../pool", "../../../../etc/passwd", "other/pool", "good/pool", "/pool", "pool/",
    "pool%2Fstatus", "pool?force=true", "pool#x", "pool\n", " pool", "POOL", "..", ".", "-",
    "Namespace/good", "nodes/node-000", "clusterroles/admin", "https://good/pool", "pool,good",
)  # fmt: skip


def references() -> list[Input]:
    """References that want to lead elsewhere, in the spec and in a forged status."""
    asked = [(NO_POOL, sent_claim(claim_spec(place))) for place in _PLACES]
    published = [
        (SERVED, sent_claim(claim_spec(), status={"sandbox": {"name": place}})) for place in _PLACES
    ]
    victim: dict[str, tuple[Effect, Build]] = {
        "another claim's sandbox": (SERVED, _points_at_anothers),
        "owned by another's claim": (SERVED, _owned_by_anothers),
    }
    return [
        *numbered("claim references", asked, "asked"),
        *numbered("claim references", published, "published"),
        *table("claim references", victim),
    ]


def _points_at_anothers(ground: Ground) -> Sequence[Step]:
    mine = {"status": {"sandbox": {"name": "first", "podIPs": ["10.0.0.1"]}}}
    return [
        Send(CLAIM, thing(ground, CLAIM, claim_spec(), name="first")),
        Send(CLAIM, thing(ground, CLAIM, claim_spec(), name="second"), mine["status"]),
    ]


def _owned_by_anothers(ground: Ground) -> Sequence[Step]:
    whose = {"apiVersion": CLAIM.api_version, "kind": CLAIM.kind, "name": "g-1", "uid": "good-g-1"}
    owner = {**whose, "controller": True, "blockOwnerDeletion": True}
    return [Send(CLAIM, thing(ground, CLAIM, claim_spec(), ownerReferences=[owner]))]


def reserved() -> list[Input]:
    """Labels and annotations that only the controller may set."""
    prefix, trace = "agents.x-k8s.io/", "opentelemetry.io/trace-context"
    assigned = prefix + "sandbox-name"

    def labels(**values: str) -> Build:
        named = {prefix + key.replace("_", "-"): value for key, value in values.items()}
        return sent_claim(claim_spec(), labels=named)

    def annotations(values: dict[str, str]) -> Build:
        return sent_claim(claim_spec(), annotations=values)

    def added(**parts: object) -> Build:
        return sent_claim(claim_spec(additionalPodMetadata=parts))

    invalid = condition("InvalidMetadata")
    rows: dict[str, tuple[Effect, Build]] = {
        "creator unknown": (SERVED, labels(created_by="mallory")),
        "creator empty": (SERVED, labels(created_by="")),
        "member of a pool": (SERVED, labels(warm_pool_sandbox="811c9dc5", launch_type="warm")),
        "uid of another claim": (SERVED, labels(claim_uid="good-g-1")),
        "hashes": (SERVED, labels(sandbox_template_hash="0", sandbox_name_hash="0")),
        "trace that is none": (SERVED, annotations({trace: '{"traceparent": ['})),
        "trace of 200 KB": (SERVED, annotations({trace: "t" * 200_000})),
        "trace of 256 KiB": (condition("ReconcilerError"), annotations({trace: _ROOM})),
        "reservation": (
            SERVED,
            annotations({"extensions.agents.x-k8s.io/create-reservation": '{"first":0,"end":9}'}),
        ),
        "assigned sandbox": (SERVED, annotations({prefix + "sandbox-name": "first"})),
        "assigned sandbox of no name": (SERVED, annotations({assigned: "../../../etc"})),
        "assigned sandbox of another": (SERVED, annotations({assigned: "good-g-1"})),
        "assigned itself": (SERVED, annotations({assigned: "bad"})),
        "assigned sandbox of 200 KB": (SERVED, annotations({assigned: "w" * 200_000})),
        "assigned by label": (SERVED, labels(sandbox_name="first")),
        "assigned by label and otherwise": (SERVED, _assigned_twice),
        "annotations to the last byte": (SERVED, annotations({"note": _FULL})),
        "pod name": (SERVED, annotations({prefix + "pod-name": "../x"})),
        "saved older version": (
            SERVED,
            annotations({"api.agents.x-k8s.io/v1alpha1-sandboxclaim-state": '{"spec":'}),
        ),
        "pod label of the controller": (invalid, added(labels={prefix + "claim-uid": "x"})),
        "pod label of a router": (invalid, added(labels={"app": "sandbox-router"})),
        "pod annotation of the cluster": (
            invalid,
            added(annotations={"container.apparmor.security.beta.kubernetes.io/x": "unconfined"}),
        ),
        "pod annotation with a secret": (
            invalid,
            added(annotations={"kubernetes.io/token": SECRET}),
        ),
        "pod label of no shape": (invalid, added(labels={"a b": "c d"})),
    }
    odd = stored(CLAIM, claim_spec(), labels={prefix + "created-by": "not a label value!" * 9})
    rows["past creator of no shape"] = condition("ReconcilerError"), odd
    return table("claim reserved", rows)


def _assigned_twice(ground: Ground) -> Sequence[Step]:
    key = "agents.x-k8s.io/sandbox-name"
    marks = thing(ground, CLAIM, claim_spec(), labels={key: "first"}, annotations={key: "second"})
    return [Send(CLAIM, marks)]


_FULL = "f" * (256 * 1024 - len("note"))
"""Leaves no room on the claim for anything that is to be noted there."""

_ROOM = "t" * (256 * 1024 - 40)
"""Fits on the claim; not on a sandbox that has annotations of its own."""


def inputs() -> list[Input]:
    """All of them."""
    return [*times(), *scripts(), *references(), *reserved()]
