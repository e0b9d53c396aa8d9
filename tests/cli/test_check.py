"""`warmclaim check` against an embedded API server, over real HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from warmclaim.api.names import SANDBOX_GROUP
from warmclaim.cli import FAILED, OK, USAGE, main
from warmclaim.seams import SystemClock, SystemRng
from warmclaim.testing.api import FakeApiServer
from warmclaim.testing.cluster import Cluster
from warmclaim.testing.crds import agent_sandbox_crds
from warmclaim.testing.http_front import serve
from warmclaim.testing.json_values import Json

Capture = pytest.CaptureFixture[str]
Asked = Callable[[Json], bool]


def attributes(spec: Json) -> Json:
    found: Json = spec["resourceAttributes"]
    return found


class Rig:
    """A server, and the command as in a process of its own."""

    def __init__(self, server: FakeApiServer, kubeconfig: Path) -> None:
        self.server, self.kubeconfig = server, kubeconfig

    async def check(self, *more: str) -> int:
        words = ["check", "--kubeconfig", str(self.kubeconfig), *more]
        return await asyncio.to_thread(main, words)


@asynccontextmanager
async def rig(folder: Path, may: Asked = lambda _: True) -> AsyncGenerator[Rig]:
    server = FakeApiServer(Cluster(clock=SystemClock(), rng=SystemRng(), crds=agent_sandbox_crds()))
    server.reviews.may = may
    async with serve(server) as front:
        yield Rig(server, front.write_kubeconfig(folder / "kubeconfig"))


async def test_a_cluster_that_has_all_is_fit(tmp_path: Path, capsys: Capture) -> None:
    async with rig(tmp_path) as world:
        assert await world.check("--no-webhook") == OK
        asked = {entry.verb for entry in world.server.requests.last if entry.resource}
    out = capsys.readouterr().out
    assert "problem" not in out
    assert "Kubernetes v1.36.3" in out
    assert "initial lists are streamed" in out
    assert "sandboxclaims.extensions.agents.x-k8s.io is served as" in out
    assert "agent-sandbox-system/a3317529.agent-sandbox.x-k8s.io is not there yet" in out
    assert asked <= {"get", "watch", "list"}, "nothing is written"


async def test_each_permission_is_asked_where_it_is_needed(tmp_path: Path, capsys: Capture) -> None:
    asked: list[Json] = []

    def may(spec: Json) -> bool:
        asked.append(attributes(spec))
        return True

    async with rig(tmp_path, may) as world:
        flags = ["--controllers=claim,pool", "--namespaces=team", "--no-webhook"]
        assert await world.check(*flags, "--leader-election-namespace=own") == OK
    questions = [tuple(sorted(one.items())) for one in asked]
    assert len(questions) == len(set(questions)), "nothing is asked twice"
    places = {(one["resource"], one["namespace"]) for one in asked}
    assert places == {
        ("sandboxclaims", "team"),
        ("sandboxwarmpools", "team"),
        ("sandboxtemplates", "team"),
        ("sandboxes", "team"),
        ("events", "team"),
        ("events", "own"),
        ("leases", "own"),
        ("tokenreviews", ""),
        ("subjectaccessreviews", ""),
    }
    named = {one["verb"] for one in asked if one["name"].endswith("-claim-pool")}
    assert named == {"get", "update", "watch"}
    assert {one["subresource"] for one in asked if one["verb"] == "patch"} == {"", "status"}
    assert f"all {len(asked)} that are needed are there" in capsys.readouterr().out


async def test_who_serves_plain_metrics_need_not_ask_for_tokens(tmp_path: Path) -> None:
    asked: set[str] = set()

    def may(spec: Json) -> bool:
        asked.add(str(attributes(spec)["resource"]))
        return True

    async with rig(tmp_path, may) as world:
        assert await world.check("--no-webhook", "--no-metrics-secure") == OK
    assert "sandboxclaims" in asked
    assert not asked & {"tokenreviews", "subjectaccessreviews"}


async def test_what_is_missing_is_a_line_each_and_fails(tmp_path: Path, capsys: Capture) -> None:
    def may(spec: Json) -> bool:
        return str(attributes(spec)["resource"]) != "networkpolicies"

    async with rig(tmp_path, may) as world:
        assert await world.check("-o", "json", "--no-webhook") == FAILED
    found = json.loads(capsys.readouterr().out)
    problems = [one for one in found if one["level"] == "problem"]
    assert len(problems) == 6
    assert problems[0] == {
        "check": "permissions",
        "level": "problem",
        "text": "may not get networkpolicies.networking.k8s.io at the cluster scope,"
        " which the template controller must",
        "fix": "grant it to this account; config/rbac has a role for each controller",
    }


async def test_a_cluster_without_our_kinds_says_how_to_get_them(
    tmp_path: Path, capsys: Capture
) -> None:
    server = FakeApiServer(Cluster(clock=SystemClock(), rng=SystemRng(), crds=()))
    async with serve(server) as front:
        world = Rig(server, front.write_kubeconfig(tmp_path / "kubeconfig"))
        assert await world.check("--no-webhook") == FAILED
    out = capsys.readouterr().out
    assert out.count("-> kubectl apply -k config/crd") == 4
    assert f"sandboxes.{SANDBOX_GROUP} is not served as v1beta1" in out


async def test_a_server_that_gives_no_answer_is_a_problem_and_bad_input_is_another_thing(
    tmp_path: Path, capsys: Capture
) -> None:
    async with rig(tmp_path) as world:
        pass
    assert await world.check() == FAILED
    assert "gives no answer" in capsys.readouterr().out
    assert await world.check("--controllers=nonsense") == USAGE
    assert "--controllers knows no 'nonsense'" in capsys.readouterr().err
    world.kubeconfig = tmp_path / "missing"
    assert await world.check() == USAGE
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "missing" in err


def test_the_help_teaches(capsys: Capture) -> None:
    assert main(["check", "--help"]) == OK
    assert "Exit codes" in capsys.readouterr().out
