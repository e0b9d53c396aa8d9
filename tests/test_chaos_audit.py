"""The auditor of the chaos runs: it must find each breach in a history, and none in a good one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from e2e.chaos.audit import Audit, Findings
from e2e.chaos.etcd import Change
from e2e.chaos.stored import CLAIM_KIND, CLAIMS, POOL_KIND, POOLS, SANDBOXES, Place, key_of

POOL_OWNER = (POOL_KIND, "pool")
DELETING: dict[str, Any] = {"deletionTimestamp": "2026-01-01T00:00:00Z"}


class History:
    """Commits as etcd has them; every object's uid is `uid-<name>`."""

    def __init__(self) -> None:
        self.audit = Audit()
        self.revision = 1

    def put(self, plural: str, name: str, namespace: str = "ns", **body: Any) -> None:
        """Write an object with this spec, status, and further metadata."""
        meta = {"name": name, "namespace": namespace, "uid": f"uid-{name}"} | body.pop("meta", {})
        self._commit(plural, name, namespace, json.dumps({"metadata": meta, **body}).encode())

    def delete(self, plural: str, name: str, namespace: str = "ns") -> None:
        """Delete an object."""
        self._commit(plural, name, namespace, None)

    def pool(self, replicas: int, name: str = "pool") -> None:
        """Create a pool, or change its target."""
        self.put(POOLS, name, spec={"replicas": replicas})

    def sandbox(self, name: str, owner: tuple[str, str] | None = POOL_OWNER, **meta: Any) -> None:
        """Create a sandbox, or change its owner."""
        namespace = meta.pop("namespace", "ns")
        if owner is not None:
            kind, whose = owner
            reference = {"kind": kind, "name": whose, "uid": f"uid-{whose}", "controller": True}
            meta["ownerReferences"] = [reference]
        self.put(SANDBOXES, name, namespace, meta=meta)

    def claim(self, name: str, shows: str = "") -> None:
        """Create a claim, or publish the name of a sandbox in it."""
        self.put(CLAIMS, name, status={"sandbox": {"name": shows}} if shows else {})

    def _commit(self, plural: str, name: str, namespace: str, value: bytes | None) -> None:
        self.revision += 1
        self.audit.feed(Change(self.revision, key_of(Place(plural, namespace, name)), value))

    @property
    def findings(self) -> Findings:
        """What the audit found."""
        return self.audit.findings

    @property
    def promises(self) -> list[str]:
        """Which promises were found broken, in order."""
        return [breach.promise for breach in self.findings.breaches]


@pytest.fixture
def served() -> History:
    """A pool of two; claim `c` was given `a` and shows it, and `d` waits."""
    history = History()
    history.pool(2)
    history.sandbox("a")
    history.sandbox("b")
    history.claim("c")
    history.claim("d")
    history.sandbox("a", (CLAIM_KIND, "c"))
    history.claim("c", "a")
    return history


def test_a_good_history_has_no_breach_and_is_counted(served: History) -> None:
    served.sandbox("e")
    served.sandbox("own", (CLAIM_KIND, "d"))
    served.claim("d", "own")
    served.delete(CLAIMS, "c")
    served.sandbox("a", (CLAIM_KIND, "c"), **DELETING)
    served.delete(SANDBOXES, "a")
    served.delete(POOLS, "pool")
    served.delete(SANDBOXES, "b")
    found = served.findings
    assert served.promises == []
    assert (found.adoptions, found.cold_starts, found.publications) == (1, 1, 2)
    assert (found.commits, found.revision) == (15, served.revision)


def test_a_double_give_is_found(served: History) -> None:
    served.sandbox("a", (CLAIM_KIND, "d"))
    assert served.promises == ["S1"]
    assert "from SandboxClaim c to SandboxClaim d" in str(served.findings.breaches[0])
    assert f"revision {served.revision}" in str(served.findings.breaches[0])


def test_a_sandbox_that_goes_back_to_its_pool_is_found(served: History) -> None:
    served.sandbox("a")
    assert served.promises == ["S1"]


def test_a_sandbox_that_goes_back_and_to_another_is_found_twice(served: History) -> None:
    served.sandbox("a")
    served.sandbox("a", (CLAIM_KIND, "d"))
    assert served.promises == ["S1", "S1"]


def test_a_sandbox_of_nobody_is_found(served: History) -> None:
    served.sandbox("stray", None)
    assert served.promises == ["S1"]


def test_a_republication_is_found(served: History) -> None:
    served.sandbox("b", (CLAIM_KIND, "c"))
    served.claim("c", "b")
    assert served.promises == ["S2"]


def test_taking_back_what_is_there_is_found_and_what_is_gone_is_not(served: History) -> None:
    served.claim("c")
    assert served.promises == ["S2"]
    served.sandbox("own", (CLAIM_KIND, "d"))
    served.claim("d", "own")
    served.delete(SANDBOXES, "own")
    served.claim("d")
    assert served.promises == ["S2", "S4"]


@pytest.mark.parametrize("prepare", ["nothing", "anothers", "deleting"])
def test_publishing_what_the_claim_does_not_have_is_found(served: History, prepare: str) -> None:
    if prepare == "deleting":
        served.sandbox("b", (CLAIM_KIND, "d"))
        served.sandbox("b", (CLAIM_KIND, "d"), **DELETING)
    served.claim("d", {"nothing": "none", "anothers": "a", "deleting": "b"}[prepare])
    assert served.promises == ["S3"]


def test_two_claims_that_show_one_sandbox_are_found(served: History) -> None:
    served.claim("d", "a")
    assert served.promises == ["S3"]
    assert "belongs to SandboxClaim c" in str(served.findings.breaches[0])


@pytest.mark.parametrize("is_gradual", [False, True])
def test_deleting_what_a_claim_shows_is_found_once(served: History, is_gradual: bool) -> None:
    if is_gradual:
        served.sandbox("a", (CLAIM_KIND, "c"), **DELETING)
    served.delete(SANDBOXES, "a")
    assert served.promises == ["S4"]


def test_deleting_a_second_reservation_is_no_breach(served: History) -> None:
    served.sandbox("b", (CLAIM_KIND, "c"))
    served.delete(SANDBOXES, "b")
    assert served.promises == []


def test_a_claim_of_another_namespace_is_found(served: History) -> None:
    served.sandbox("far", (CLAIM_KIND, "d"), namespace="other")
    assert served.promises == ["S5"]


def test_an_over_full_pool_is_found_however_it_came_to_it(served: History) -> None:
    served.sandbox("b", **DELETING)
    served.sandbox("e")
    assert served.promises == []
    served.sandbox("f")
    assert served.promises == ["S6"]
    assert "3 members of SandboxWarmPool pool, 2 allowed" in str(served.findings.breaches[0])


def test_a_pool_with_a_lower_target_may_only_shrink(served: History) -> None:
    served.sandbox("e")
    served.pool(0)
    assert served.promises == []
    served.delete(SANDBOXES, "e")
    assert served.promises == []
    served.sandbox("f")
    assert served.promises == ["S6"]


def test_adopting_from_a_pool_that_is_gone_is_found(served: History) -> None:
    served.delete(POOLS, "pool")
    served.sandbox("b", (CLAIM_KIND, "d"))
    assert served.promises == ["S7"]


def test_adopting_what_is_being_deleted_is_found(served: History) -> None:
    served.sandbox("b", **DELETING)
    served.sandbox("b", (CLAIM_KIND, "d"), **DELETING)
    assert served.promises == ["S7"]


def test_the_writer_is_named_as_a_hint(served: History) -> None:
    fields = [
        {"manager": "e2e", "time": "2026-01-01T00:00:00Z"},
        {"manager": "warmclaim", "time": "2026-01-01T00:00:01Z"},
    ]
    served.sandbox("stray", None, managedFields=fields)
    assert str(served.findings.breaches[0]).endswith("made without an owner (by warmclaim)")


def test_other_keys_are_passed_over() -> None:
    audit = Audit()
    for key in (
        "/registry/pods/ns/a",
        "/registry/apiextensions.k8s.io/x",
        "/registry/events/a/b/c",
    ):
        audit.feed(Change(3, key, b"\x00protobuf"))
    assert (audit.findings.commits, audit.findings.revision) == (0, 3)
