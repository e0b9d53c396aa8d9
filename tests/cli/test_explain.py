"""`warmclaim explain claim` against an embedded API server and a manager, both over real HTTP."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from warmclaim.api.resources import CLAIM
from warmclaim.app import App, Outside
from warmclaim.cli import FAILED, OK, USAGE, main
from warmclaim.cli.explain import page
from warmclaim.domain.claim_steps import Step
from warmclaim.domain.explanation import Explanation, Finding, Topic
from warmclaim.runtime.health import Probes, Serving
from warmclaim.seams import SystemClock, SystemRng
from warmclaim.settings import LeaseSettings, ServingSettings, Settings
from warmclaim.testing.api import FakeApiServer
from warmclaim.testing.builders import a_claim, a_pool, a_sandbox, a_template
from warmclaim.testing.cluster import Cluster
from warmclaim.testing.crds import agent_sandbox_crds
from warmclaim.testing.http_front import serve
from warmclaim.testing.transport import InProcessTransport

Capture = pytest.CaptureFixture[str]


class Rig:
    """A cluster with a pool of two warm members, and a manager that serves its claims."""

    def __init__(self, kubeconfig: Path, cluster: Cluster, app: App) -> None:
        self.kubeconfig, self.cluster, self.app = kubeconfig, cluster, app
        self.address = ""

    async def served(self, name: str) -> None:
        """Wait until the claim has its sandbox."""
        async with asyncio.timeout(10):
            while not self._published(name):  # noqa: ASYNC110 - the store has no such event
                await asyncio.sleep(0.005)

    def _published(self, name: str) -> bool:
        found = self.cluster.store.get(str(CLAIM), f"default/{name}")
        return bool(found and found.object.get("status", {}).get("sandbox"))

    async def explain(self, name: str, *more: str, address: str = "") -> int:
        """The exit code; in a thread of its own, as in a process of its own."""
        words = ["explain", "claim", name, "--kubeconfig", str(self.kubeconfig), *more]
        return await asyncio.to_thread(main, [*words, "--address", address or self.address])


@asynccontextmanager
async def rig(folder: Path) -> AsyncGenerator[Rig]:
    server = FakeApiServer(Cluster(clock=SystemClock(), rng=SystemRng(), crds=agent_sandbox_crds()))
    for value in (a_template("python"), a_pool("pool", replicas=2)):
        server.cluster.put(value)
    for name, node in (("w1", "n1"), ("w2", "n1")):
        server.cluster.put(a_sandbox(name, pool="pool", node=node))
    settings = Settings(
        controllers=frozenset({"claim"}),
        lease=LeaseSettings(enabled=False),
        serving=ServingSettings(metrics_address="127.0.0.1:0", probe_address="0"),
    )
    outside = Outside(InProcessTransport(server), SystemClock(), SystemRng(), "m0", "default")
    app = App(settings, outside)
    serving = Serving(settings.serving, Probes(), lambda: b"", app.diagnose)
    stop = asyncio.Event()
    async with serve(server) as front:
        found = Rig(front.write_kubeconfig(folder / "kubeconfig"), server.cluster, app)
        await serving.start()
        found.address = f"127.0.0.1:{serving.metrics_port}"
        task = asyncio.create_task(app.run(stop))
        await app.caches.wait_synced()
        try:
            yield found
        finally:
            stop.set()
            await task
            await serving.close()


async def test_a_ready_claim_says_which_sandbox_it_got_and_why(
    tmp_path: Path, capsys: Capture
) -> None:
    async with rig(tmp_path) as world:
        world.cluster.put(a_claim("c", pool="pool"))
        await world.served("c")
        assert await world.explain("default/c") == OK
    out = capsys.readouterr().out
    assert out.startswith("Claim default/c\n\nReady: it has sandbox w1 on node n1.\n")
    assert "2 waited in the pool, 2 of them on node n1" in out
    steps = [line.split()[1] for line in out.partition("Steps of the controller:\n")[2].splitlines()
             if line.startswith("  2")]  # fmt: skip
    assert steps[:3] == ["picked", "adopted", "published"]


async def test_for_programs_the_same_comes_as_json(tmp_path: Path, capsys: Capture) -> None:
    async with rig(tmp_path) as world:
        world.cluster.put(a_claim("c", pool="pool"))
        await world.served("c")
        assert await world.explain("default/c", "-o", "json") == OK
    told = json.loads(capsys.readouterr().out)
    assert (told["claim"], told["is_ready"], told["sandbox"]) == ("default/c", True, "w1")
    assert told["findings"][0]["topic"] == "verdict"
    assert [step["step"] for step in told["steps"]][:3] == ["picked", "adopted", "published"]
    assert told["steps"][0]["facts"]["waiting_on_node"] == 2


async def test_a_claim_that_is_not_ready_says_why_and_what_to_do(
    tmp_path: Path, capsys: Capture
) -> None:
    async with rig(tmp_path) as world:
        world.cluster.put(a_claim("c", pool="nowhere"))
        async with asyncio.timeout(10):
            while not world.app.remembered()["claim journal"]:  # noqa: ASYNC110 - no such event
                await asyncio.sleep(0.005)
        assert await world.explain("default/c") == FAILED
    out = capsys.readouterr().out
    assert 'Not Ready: WarmPoolNotFound: SandboxWarmPool "nowhere" not found' in out
    assert "-> create the pool" in out
    assert "refused      reason=WarmPoolNotFound" in out


async def test_without_a_manager_it_explains_from_the_api_and_says_so(
    tmp_path: Path, capsys: Capture
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        nobody = f"127.0.0.1:{free.getsockname()[1]}"
    async with rig(tmp_path) as world:
        world.cluster.put(a_claim("c", pool="pool"))
        await world.served("c")
        assert await world.explain("default/c", address=nobody) == OK
    out = capsys.readouterr().out
    assert "Ready: it has sandbox w1" in out
    assert "why this one is not recorded here" in out
    assert "no manager answers there" in out
    assert "port-forward" in out


async def test_what_answers_there_may_be_something_else(tmp_path: Path, capsys: Capture) -> None:
    async with rig(tmp_path) as world, serve(FakeApiServer()) as other:
        world.cluster.put(a_claim("c", pool="pool"))
        await world.served("c")
        assert await world.explain("default/c", address=other.url.removeprefix("http://")) == OK
    assert "it answered 404" in capsys.readouterr().out


async def test_events_of_the_claim_are_told(tmp_path: Path, capsys: Capture) -> None:
    async with rig(tmp_path) as world:
        world.cluster.put(a_claim("c", pool="pool"))
        await world.served("c")
        async with asyncio.timeout(10):
            while not list(world.cluster.store.scan("events.events.k8s.io")):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert await world.explain("default/c") == OK
    assert 'Normal SandboxAdopted: Adopted warm pool Sandbox "w1"' in capsys.readouterr().out


async def test_a_running_manager_tells_its_record(tmp_path: Path, capsys: Capture) -> None:
    server = FakeApiServer(Cluster(clock=SystemClock(), rng=SystemRng(), crds=agent_sandbox_crds()))
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    flags = ("--leader-elect=false", "--enable-webhook=false", "--controllers=claim",
             f"--metrics-bind-address={address}", "--health-probe-bind-address=0")  # fmt: skip
    async with serve(server) as front:
        kubeconfig = front.write_kubeconfig(tmp_path / "kubeconfig")
        server.cluster.put(a_claim("c", pool="nowhere"))
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "warmclaim", "run", f"--kubeconfig={kubeconfig}", *flags),
            stderr=asyncio.subprocess.DEVNULL,
        )
        words = ["explain", "claim", "default/c", "--kubeconfig", str(kubeconfig)]
        try:
            async with asyncio.timeout(30):
                while "refused      reason=WarmPoolNotFound" not in capsys.readouterr().out:
                    assert await asyncio.to_thread(main, [*words, "--address", address]) == FAILED
        finally:
            process.terminate()
            await process.wait()


def test_what_users_wrote_cannot_move_the_cursor() -> None:
    evil = "\x1b[2Jgone\r\nReady"
    step = Step("failed", "2026-01-01T00:00:00Z", facts={"error": evil})
    finding = Finding(Topic.VERDICT, evil, hint=evil)
    text = page(Explanation("a/b", False, "", [finding], (step,), [evil]))
    assert text.splitlines()[2] == "?[2Jgone??Ready"
    assert len(text.splitlines()) == 10
    assert text.replace("\n", "").isprintable()


async def test_an_unknown_claim_is_2(tmp_path: Path, capsys: Capture) -> None:
    async with rig(tmp_path) as world:
        assert await world.explain("default/nobody") == USAGE
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("warmclaim: there is no claim default/nobody")


@pytest.mark.parametrize(
    ("argv", "problem"),
    [
        (["c"], "name the claim as NAMESPACE/NAME, not 'c'"),
        (["a/b/c"], "name the claim as NAMESPACE/NAME"),
        (["a/../x"], "name the claim as NAMESPACE/NAME"),
        (["a/b", "--address", "0"], "--address takes HOST:PORT"),
        (["a/b", "--address", "127.0.0.1:0"], "--address takes HOST:PORT"),
        (["a/b", "--address", "x:y"], "--address 'x:y'"),
        (["a/b", "-o", "yaml"], "'yaml' is not one of 'text', 'json'"),
        (["a/b", "--kubeconfig", "/nowhere/config"], "/nowhere/config"),
    ],
)
def test_bad_input_is_2(argv: list[str], problem: str, capsys: Capture) -> None:
    assert main(["explain", "claim", *argv]) == USAGE
    out, err = capsys.readouterr()
    assert out == ""
    assert problem in err
    assert err.count("\n") == 1


def test_an_api_server_that_is_away_is_no_verdict(tmp_path: Path, capsys: Capture) -> None:
    kubeconfig = serve(FakeApiServer(), port=1).write_kubeconfig(tmp_path / "kubeconfig")
    assert main(["explain", "claim", "a/b", "--kubeconfig", str(kubeconfig)]) == USAGE
    assert "claim a/b could not be read" in capsys.readouterr().err


def test_the_help_teaches(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    assert main(["explain", "claim", "--help"]) == OK
    out = capsys.readouterr().out
    assert "port-forward deploy/agent-sandbox-controller 8080" in out
    assert "0 the claim is Ready; 1 it is not; 2 there is no such claim" in out
    assert max(map(len, out.splitlines())) <= 100
