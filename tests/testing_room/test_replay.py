"""A recorded state, put into the embedded server: what stays, what is left out, what is said."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import pytest

from warmclaim.api.resources import CLAIM, POD, POOL, SANDBOX, TEMPLATE, Resource
from warmclaim.streaming.snapshot import SnapshotText, lines
from warmclaim.testing.builders import a_claim, a_pod, a_pool, a_sandbox, a_template
from warmclaim.testing.cluster import Cluster
from warmclaim.testing.crds import agent_sandbox_crds
from warmclaim.testing.replay import Recorded, replayed, restore

State = list[tuple[Resource[Any], str, list[dict[str, Any]]]]


def recorded(state: State, *, nodes: tuple[str, ...] = (), is_whole: bool = True) -> Recorded:
    text = SnapshotText()
    found = [text.begin()]
    for resource, source, items in state:
        head = {"apiVersion": resource.api_version, "kind": resource.kind, "source": source}
        found.append(text.group("rawObjects", str(resource), head, "items"))
        found += [text.element() + msgspec.json.encode(item) for item in items]
        found.append(text.end_group({"isWhole": is_whole}))
    found.append(text.group("rawObjects", "nodes", {"apiVersion": "v1", "kind": "Node"}, "items"))
    found += [text.element() + msgspec.json.encode({"metadata": {"name": n}}) for n in nodes]
    found.append(text.end_group({"isWhole": True}))
    return Recorded.of(lines(io.BytesIO(b"".join([*found, text.end()]))))


def restored(state: State, *, nodes: tuple[str, ...] = ()) -> Cluster:
    cluster = Cluster(crds=agent_sandbox_crds())
    restore(cluster, recorded(state, nodes=nodes))
    return cluster


def stored(cluster: Cluster, resource: Resource[Any]) -> list[dict[str, Any]]:
    return [commit.object for commit in cluster.store.scan(str(resource))]


def bare(value: dict[str, Any]) -> dict[str, Any]:
    return {name: of for name, of in value.items() if name not in ("apiVersion", "kind")}


def without_version(value: dict[str, Any]) -> dict[str, Any]:
    metadata = {n: of for n, of in value["metadata"].items() if n != "resourceVersion"}
    return {**value, "metadata": metadata}


def test_uids_owners_and_status_stay_and_kinds_are_said() -> None:
    pool, box, pod = a_pool("pool"), a_sandbox("w", pool="pool"), a_pod("w")
    cluster = restored([(POOL, "api", [pool]), (SANDBOX, "api", [box]), (POD, "api", [bare(pod)])])
    for resource, value in ((POOL, pool), (SANDBOX, box)):
        assert [without_version(v) for v in stored(cluster, resource)] == [without_version(value)]
    (found,) = stored(cluster, POD)
    assert (found["apiVersion"], found["kind"]) == ("v1", "Pod")
    assert found["status"] == pod["status"]
    assert found["metadata"]["uid"] == pod["metadata"]["uid"]


def test_resource_versions_are_new() -> None:
    claim = a_claim("c")
    claim["metadata"]["resourceVersion"] = "987654321"
    (found,) = stored(restored([(CLAIM, "api", [claim])]), CLAIM)
    assert int(found["metadata"]["resourceVersion"]) < 1_000


def test_owners_that_are_not_there_are_left_out_and_told() -> None:
    claim = a_claim("c")
    claim["metadata"]["ownerReferences"] = [
        {"apiVersion": "example.org/v1", "kind": "Run", "name": "r", "uid": "r-uid"}
    ]
    found = recorded([(CLAIM, "api", [claim])])
    assert found.objects[0]["metadata"]["ownerReferences"] == []
    assert found.notes == ["1 owners are not in the snapshot and were left out"]


def test_views_and_lists_that_broke_off_are_told() -> None:
    state: State = [(POD, "view", [{"metadata": {"name": "p", "namespace": "default"}}])]
    found = recorded(state, is_whole=False)
    assert found.notes == [
        "pods: not all of them are in the snapshot",
        "pods: only what a manager reads of each",
    ]


def test_namespaces_and_nodes_are_made() -> None:
    claim = a_claim("c", merge={"metadata": {"namespace": "team"}})
    cluster = restored([(CLAIM, "api", [claim])], nodes=("n-b", "n-a"))
    nodes = [commit.object["metadata"]["name"] for commit in cluster.store.scan("nodes")]
    assert nodes == ["n-a", "n-b"]
    assert cluster.store.get("namespaces", "team") is not None


def test_without_nodes_some_are_made() -> None:
    assert restored([]).store.count("nodes") == 10


def test_an_object_without_a_name_makes_no_sense() -> None:
    with pytest.raises(msgspec.ValidationError):
        recorded([(CLAIM, "api", [{"metadata": {}}])])


async def test_a_manager_goes_on_where_the_record_ends() -> None:
    """A claim that waits is served from the recorded pool, which is then filled again."""
    claim, pool = a_claim("c", pool="pool"), a_pool("pool", template="python", replicas=3)
    boxes = [a_sandbox(f"w{n}", pool="pool", node="n1") for n in range(3)]
    state: State = [
        (CLAIM, "api", [claim]),
        (SANDBOX, "api", boxes),
        (POOL, "api", [pool]),
        (TEMPLATE, "api", [a_template("python")]),
        (POD, "api", [a_pod(f"w{n}") for n in range(3)]),
    ]
    with tempfile.TemporaryDirectory() as folder:
        async with replayed(recorded(state, nodes=("n1",)), Path(folder)) as replay:
            assert await replay.settled(within_s=40)
            outcome = replay.outcome()
    assert outcome.is_good
    assert (outcome.claims_ready, outcome.sandboxes) == (1, 4)
    assert outcome.pools == {"default/pool": (3, 3)}


async def test_what_was_handed_out_twice_is_found() -> None:
    def owned(name: str) -> dict[str, Any]:
        return a_sandbox(name, pool=None, claim="c")

    claims = [
        a_claim(name, merge={"status": {"sandbox": {"name": "w0"}}, "metadata": {"uid": name}})
        for name in ("a", "b")
    ]
    state: State = [
        (CLAIM, "api", [a_claim("c"), *claims]),
        (SANDBOX, "api", [owned("w0"), owned("w1")]),
    ]
    with tempfile.TemporaryDirectory() as folder:
        async with replayed(recorded(state), Path(folder)) as replay:
            assert replay.outcome().handed_out_twice == ["claim c-uid", "sandbox default/w0"]
            assert not replay.outcome().is_good
