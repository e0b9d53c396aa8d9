"""Claims that are too much: huge texts, thousands of labels, names at the limit."""

from __future__ import annotations

from tests.hostile.inputs import (
    REFUSED,
    SECRET,
    SERVED,
    Build,
    Effect,
    Input,
    claim_spec,
    condition,
    sent_claim,
    table,
)

NO_POOL = condition("WarmPoolNotFound")
MILLION = 1_400_000
ENV_REJECTED = condition("EnvVarsInjectionRejected")
_METADATA_REJECTED = condition("InvalidMetadata")


def _env(*values: str) -> Build:
    env = [{"name": f"V{number}", "value": value} for number, value in enumerate(values)]
    return sent_claim(claim_spec(env=env))


def _pod_metadata(**parts: object) -> Build:
    return sent_claim(claim_spec(additionalPodMetadata=parts))


def _published(name: str, addresses: list[str]) -> Build:
    return sent_claim(claim_spec(), status={"sandbox": {"name": name, "podIPs": addresses}})


def _conditions(count: int, message: str) -> Build:
    stamp = {"lastTransitionTime": "2026-01-01T00:00:00Z"}
    words = {"status": "Unknown", "reason": "Odd", "message": message, **stamp}
    status = {"conditions": [{"type": f"x.example/C{n}", **words} for n in range(count)]}
    return sent_claim(claim_spec(), status=status)


def texts() -> list[Input]:
    """Huge strings wherever a tenant may write one."""
    rows: dict[str, tuple[Effect, Build]] = {
        "pool name of 300": (NO_POOL, sent_claim(claim_spec("p" * 300))),
        "pool name of 40,000": (NO_POOL, sent_claim(claim_spec("p" * 40_000))),
        "pool name of 1.4 MB": (NO_POOL, sent_claim(claim_spec("p" * MILLION))),
        "env value of 1.4 MB": (ENV_REJECTED, _env(SECRET * (MILLION // len(SECRET)))),
        "env of 10,000": (ENV_REJECTED, _env(*[SECRET] * 10_000)),
        "env name of 100,000": (
            ENV_REJECTED,
            sent_claim(claim_spec(env=[{"name": "N" * 100_000, "value": "1"}])),
        ),
        "pod annotation of 1.2 MB": (
            _METADATA_REJECTED,
            _pod_metadata(annotations={"note": SECRET * 50_000}),
        ),
        "2 MB": (REFUSED, sent_claim(claim_spec("p" * 2_000_000))),
        "4 MB": (REFUSED, sent_claim(claim_spec("p" * 4_000_000))),
        "published name of 1.4 MB": (SERVED, _published("s" * MILLION, [])),
        "published addresses by the 50,000": (SERVED, _published("ghost", ["10.0.0.1"] * 50_000)),
        "condition of 32,768": (SERVED, _conditions(1, "m" * 32_768)),
        "condition of 32,769": (REFUSED, _conditions(1, "m" * 32_769)),
        "40 conditions of 32,768": (SERVED, _conditions(40, "m" * 32_768)),
    }
    return table("claim texts", rows)


def labels() -> list[Input]:
    """Metadata by the thousand and at its limits."""
    many = {f"x.example/l{number}": "v" for number in range(10_000)}
    full = {"note": "n" * (256 * 1024 - 4)}
    owners = [
        {"apiVersion": "v1", "kind": "ConfigMap", "name": f"c{n}", "uid": f"u{n}"}
        for n in range(1_000)
    ]

    def meta(**metadata: object) -> Build:
        return sent_claim(claim_spec(), **metadata)

    rows: dict[str, tuple[Effect, Build]] = {
        "10,000 labels": (SERVED, meta(labels=many)),
        "10,000 annotations": (SERVED, meta(annotations=many)),
        "annotations of 256 KiB": (SERVED, meta(annotations=full)),
        "annotations beyond 256 KiB": (REFUSED, meta(annotations={"note": "n" * 300_000})),
        "label value of 63": (SERVED, meta(labels={"a": "v" * 63})),
        "label value of 64": (REFUSED, meta(labels={"a": "v" * 64})),
        "label value with spaces": (REFUSED, meta(labels={"a": "v v"})),
        "label key of 64": (REFUSED, meta(labels={"k" * 64: "v"})),
        "label prefix of 253": (SERVED, meta(labels={"p" * 253 + "/k": "v"})),
        "label prefix of 254": (REFUSED, meta(labels={"p" * 254 + "/k": "v"})),
        "label key empty": (REFUSED, meta(labels={"": "v"})),
        "label value a number": (REFUSED, meta(labels={"a": 1})),
        "labels a list": (REFUSED, meta(labels=["a"])),
        "annotation value null": (SERVED, meta(annotations={"a": None})),
        "1,000 owners": (SERVED, meta(ownerReferences=owners)),
        "1,000 finalizers": (SERVED, meta(finalizers=[f"x.example/f{n}" for n in range(1_000)])),
        "finalizer without a domain": (SERVED, meta(finalizers=["mine"])),
        "finalizer of no shape": (REFUSED, meta(finalizers=["not a name!"])),
        "uid of one's own": (SERVED, meta(uid="00000000-0000-4000-8000-000000000000")),
        "creation time of one's own": (SERVED, meta(creationTimestamp="0001-01-01T00:00:00Z")),
        "generation of one's own": (SERVED, meta(generation=2**62)),
        "deletion time of one's own": (SERVED, meta(deletionTimestamp="2020-01-01T00:00:00Z")),
        "version of one's own": (REFUSED, meta(resourceVersion="7")),
        "another namespace": (REFUSED, meta(namespace="kube-system")),
    }
    return table("claim labels", rows)


_SOUND = {
    "253": "n" * 253,
    "253 with dots": "n." * 126 + "n",
    "64": "n" * 64,
    "a digit first": "0claim",
    "as a path": "status",
    "as a query": "watch",
    "punycode": "xn--80ak6aa92e.example",
    "as a number": "12345",
    "as null": "null",
}
_UNSOUND = {
    "254": "n" * 254,
    "upper case": "Claim",
    "two dots": "a..b",
    "dash last": "claim-",
    "dot": ".",
    "parent": "..",
    "slash": "a/b",
    "escaped slash": "a%2Fb",
    "umlaut": "cl\u00e4im",
    "space": "my claim",
    "line feed": "claim\n",
    "empty": "",
    "number": 7,
    "null": None,
}


def names() -> list[Input]:
    """Names at the limit of 253 and beyond what a name is."""
    sound = {k: (SERVED, sent_claim(claim_spec(), name=v)) for k, v in _SOUND.items()}
    unsound = {k: (REFUSED, sent_claim(claim_spec(), name=v)) for k, v in _UNSOUND.items()}
    generated = {
        "generated from 248": (SERVED, _generated("g" * 248)),
        "generated from upper case": (REFUSED, _generated("Claim")),
    }
    return table("claim names", {**sound, **unsound, **generated})


def _generated(prefix: str) -> Build:
    return sent_claim(claim_spec(), name=None, generateName=prefix)


def inputs() -> list[Input]:
    """All of them."""
    return [*texts(), *labels(), *names()]
