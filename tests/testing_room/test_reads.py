"""Get and list: versions, pages, selectors, what discovery says."""

from __future__ import annotations

import pytest

from warmclaim.testing.api import FakeApiServer
from warmclaim.testing.builders import a_claim
from warmclaim.testing.cluster import Cluster
from warmclaim.testing.json_values import Json
from warmclaim.testing.probe import Probe
from warmclaim.testing.transport import InProcessTransport
from warmclaim.testing.virtual_loop import World, run_virtual

GROUP = "/apis/extensions.agents.x-k8s.io/v1beta1"
CLAIMS = f"{GROUP}/namespaces/default/sandboxclaims"
PODS = "/api/v1/namespaces/default/pods"


def _claim(name: str, **metadata: object) -> Json:
    new: Json = {"uid": None, "resourceVersion": None, **metadata}
    return a_claim(name, merge={"metadata": new})


async def _three(api: Probe) -> None:
    for name in ("b", "a", "c"):
        await api.post(CLAIMS, _claim(name))


# ----------------------------------------------------------------------- lists


async def test_a_list_has_the_kind_the_newest_version_and_all_items_by_name(
    api: Probe, server: FakeApiServer
) -> None:
    await _three(api)
    reply = await api.get(CLAIMS)
    assert (reply.body["kind"], reply.body["apiVersion"]) == (
        "SandboxClaimList",
        "extensions.agents.x-k8s.io/v1beta1",
    )
    assert reply.rv == str(server.cluster.store.rv)
    assert reply.names == ["a", "b", "c"]
    assert reply.items[0]["kind"] == "SandboxClaim"


async def test_items_of_a_built_in_kind_carry_neither_kind_nor_version(api: Probe) -> None:
    reply = await api.get("/api/v1/namespaces")
    assert reply.body["kind"] == "NamespaceList"
    assert reply.names == ["default", "kube-node-lease", "kube-public", "kube-system"]
    assert {"kind", "apiVersion"}.isdisjoint(reply.items[0])
    assert (await api.get("/api/v1/namespaces/default")).body["kind"] == "Namespace"


async def test_a_list_of_one_namespace_or_of_all(api: Probe) -> None:
    await api.post("/api/v1/namespaces", {"metadata": {"name": "default-2"}})
    await _three(api)
    other = CLAIMS.replace("default", "default-2")
    await api.post(other, _claim("z", namespace="default-2"))
    assert (await api.get(CLAIMS)).names == ["a", "b", "c"]
    assert (await api.get(other)).names == ["z"]
    assert (await api.get(f"{GROUP}/sandboxclaims")).names == ["z", "a", "b", "c"]
    assert (await api.get(CLAIMS.replace("default", "nowhere"))).items == []


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ("app=x", ["a"]),
        ("app==x", ["a"]),
        ("app!=x", ["b", "c"]),
        ("app", ["a", "b"]),
        ("!app", ["c"]),
        ("app in (x,y)", ["a", "b"]),
        ("app notin (x, z)", ["b", "c"]),
        ("app in (x,y),tier=front", ["b"]),
        ("example.io/k=v", ["c"]),
        ("app=", []),
    ],
)
async def test_label_selectors(api: Probe, selector: str, names: list[str]) -> None:
    await api.post(CLAIMS, _claim("a", labels={"app": "x"}))
    await api.post(CLAIMS, _claim("b", labels={"app": "y", "tier": "front"}))
    await api.post(CLAIMS, _claim("c", labels={"example.io/k": "v"}))
    assert (await api.get(CLAIMS, labelSelector=selector)).names == names


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ("metadata.name=a", ["a"]),
        ("metadata.name!=a", ["b", "c"]),
        ("metadata.name=a,metadata.namespace=other", []),
        ("metadata.namespace==default", ["a", "b", "c"]),
    ],
)
async def test_field_selectors(api: Probe, selector: str, names: list[str]) -> None:
    await _three(api)
    assert (await api.get(CLAIMS, fieldSelector=selector)).names == names


async def test_pods_are_selected_by_their_node_and_phase(api: Probe) -> None:
    for name, node in (("p", "n1"), ("q", "")):
        spec = {"containers": [{"name": "c"}], **({"nodeName": node} if node else {})}
        await api.post(PODS, {"metadata": {"name": name}, "spec": spec})
    assert (await api.get(PODS, fieldSelector="spec.nodeName=n1")).names == ["p"]
    assert (await api.get(PODS, fieldSelector="spec.nodeName=")).names == ["q"]
    assert (await api.get(PODS, fieldSelector="status.phase=Pending")).names == ["p", "q"]


@pytest.mark.parametrize(
    "query",
    [
        {"labelSelector": "a b"},
        {"labelSelector": "a in x"},
        {"fieldSelector": "spec.pool=x"},
        {"fieldSelector": "metadata.name"},
        {"limit": "many"},
        {"resourceVersion": "-1"},
        {"resourceVersion": "1_0"},
        {"continue": "%%%"},
        {"continue": "e30="},
    ],
    ids=str,
)
async def test_a_query_that_cannot_be_read_is_a_bad_request(
    api: Probe, query: dict[str, str]
) -> None:
    reply = await api.get(CLAIMS, **query)
    assert (reply.code, reply.reason) == (400, "BadRequest")


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"resourceVersionMatch": "Exact"}, "unless resourceVersion is provided"),
        ({"resourceVersionMatch": "Exact", "resourceVersion": "0"}, "forbidden for resourceV"),
        ({"resourceVersionMatch": "Near", "resourceVersion": "1"}, "Unsupported value"),
        ({"sendInitialEvents": "true"}, "sendInitialEvents is forbidden for list"),
    ],
    ids=str,
)
async def test_list_options_that_make_no_sense_are_422(
    api: Probe, query: dict[str, str], said: str
) -> None:
    reply = await api.get(CLAIMS, **query)
    assert (reply.code, reply.reason, said in reply.message) == (422, "Invalid", True), reply.text


# ----------------------------------------------------------------------- pages


async def test_pages_are_all_of_the_version_of_the_first(api: Probe) -> None:
    await _three(api)
    first = await api.get(CLAIMS, limit=2)
    assert (first.names, first.metadata["remainingItemCount"]) == (["a", "b"], 1)
    await api.delete(f"{CLAIMS}/c")
    await api.post(CLAIMS, _claim("d"))
    query = {"limit": 2, "continue": first.metadata["continue"]}
    second = await api.get(CLAIMS, **query)
    assert (second.names, second.rv) == (["c"], first.rv)
    assert second.metadata["continue"] == ""
    assert (await api.get(CLAIMS)).names == ["a", "b", "d"]


async def test_an_expired_page_is_410_with_a_token_that_goes_on_from_now(
    api: Probe, server: FakeApiServer
) -> None:
    await _three(api)
    first = await api.get(CLAIMS, limit=1)
    await api.delete(f"{CLAIMS}/c")
    server.cluster.store.compact()
    gone = await api.get(CLAIMS, **{"limit": 1, "continue": first.metadata["continue"]})
    assert (gone.code, gone.reason) == (410, "Expired")
    assert "too old to display a consistent list" in gone.message
    rest = await api.get(CLAIMS, **{"continue": gone.metadata["continue"]})
    assert (rest.code, rest.names) == (200, ["b"])


async def test_a_page_of_a_selection_does_not_count_what_remains(api: Probe) -> None:
    for name in ("a", "b", "c"):
        await api.post(CLAIMS, _claim(name, labels={"l": "x"}))
    reply = await api.get(CLAIMS, limit=1, labelSelector="l=x")
    assert reply.metadata["continue"]
    assert "remainingItemCount" not in reply.metadata


async def test_version_zero_ignores_the_limit(api: Probe) -> None:
    await _three(api)
    assert (await api.get(CLAIMS, limit=1, resourceVersion="0")).names == ["a", "b", "c"]


# -------------------------------------------------------------------- versions


async def test_a_version_means_not_older_and_with_exact_or_a_limit_just_that(api: Probe) -> None:
    await api.post(CLAIMS, _claim("a"))
    then = (await api.get(CLAIMS)).rv
    await api.post(CLAIMS, _claim("b"))
    assert (await api.get(CLAIMS, resourceVersion=then)).names == ["a", "b"]
    match: dict[str, object] = {"resourceVersion": then, "resourceVersionMatch": "NotOlderThan"}
    assert (await api.get(CLAIMS, **match)).names == ["a", "b"]
    exact = await api.get(CLAIMS, resourceVersion=then, resourceVersionMatch="Exact")
    assert (exact.names, exact.rv) == (["a"], then)
    assert (await api.get(CLAIMS, resourceVersion=then, limit=5)).names == ["a"]


async def test_an_exact_version_that_is_compacted_away_is_410(
    api: Probe, server: FakeApiServer
) -> None:
    await _three(api)
    server.cluster.store.compact()
    reply = await api.get(CLAIMS, resourceVersion="3", resourceVersionMatch="Exact")
    assert (reply.code, reply.reason) == (410, "Expired")


def test_fact_a_version_too_large_is_504_after_3_s_with_cause_and_retry_after_1() -> None:
    async def scenario(world: World) -> None:
        server = FakeApiServer(Cluster(clock=world.clock, rng=world.rng))
        api = Probe(InProcessTransport(server))
        for path in ("/api/v1/pods", "/api/v1/namespaces/default"):
            before = world.clock.monotonic()
            reply = await api.get(path, resourceVersion="999999")
            assert world.clock.monotonic() - before == pytest.approx(3.0)
            assert (reply.code, reply.reason) == (504, "Timeout")
            assert reply.message == "Timeout: Too large resource version: 999999, current: 5"
            details = reply.body["details"]
            assert details["retryAfterSeconds"] == 1
            assert details["causes"][0]["reason"] == "ResourceVersionTooLarge"
            assert reply.headers["retry-after"] == "1"

    run_virtual(scenario)


def test_a_version_that_comes_while_the_server_waits_is_answered_at_once() -> None:
    async def scenario(world: World) -> None:
        server = FakeApiServer(Cluster(clock=world.clock, rng=world.rng))
        api = Probe(InProcessTransport(server))
        wanted = server.cluster.store.rv + 1

        async def write_soon() -> None:
            await world.clock.sleep(1)
            await api.post("/api/v1/namespaces", {"metadata": {"name": "new"}})

        writer = world.loop.create_task(write_soon())
        reply = await api.get("/api/v1/namespaces", resourceVersion=wanted)
        assert "new" in reply.names
        assert world.clock.monotonic() == pytest.approx(1.0)
        await writer

    run_virtual(scenario)


# ------------------------------------------------------------------- discovery


async def test_discovery_lists_groups_versions_and_resources(api: Probe) -> None:
    assert (await api.get("/api")).body["versions"] == ["v1"]
    groups = {group["name"] for group in (await api.get("/apis")).body["groups"]}
    assert {"agents.x-k8s.io", "extensions.agents.x-k8s.io", "coordination.k8s.io"} <= groups
    group = (await api.get("/apis/agents.x-k8s.io")).body
    assert group["preferredVersion"]["groupVersion"] == "agents.x-k8s.io/v1beta1"
    listed = (await api.get(GROUP)).body
    names = {resource["name"]: resource for resource in listed["resources"]}
    assert names["sandboxwarmpools/scale"]["kind"] == "Scale"
    assert names["sandboxclaims"]["namespaced"] is True
    assert "sandboxtemplates/status" not in names
    core = (await api.get("/api/v1")).body
    pods = next(r for r in core["resources"] if r["name"] == "pods")
    assert pods["shortNames"] == ["po"]
    assert (await api.get("/apis/nobody.io")).code == 404
    assert (await api.get("/apis/agents.x-k8s.io/v9")).code == 404


@pytest.mark.parametrize("path", ["/healthz", "/livez", "/readyz", "/readyz/ping"])
async def test_health(api: Probe, path: str) -> None:
    reply = await api.get(path)
    assert (reply.code, reply.text) == (200, "ok")


async def test_version_names_the_release_it_copies(api: Probe) -> None:
    reply = await api.get("/version")
    assert (reply.body["major"], reply.body["minor"]) == ("1", "36")
