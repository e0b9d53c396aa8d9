"""The contract of an API server, on a real one: tests/contract/ has the cases.

Each case must hold here, and what the server says must be what the embedded one says to the same
requests, but for the differences explained in tests/contract/differences.toml. Then seeded random
sequences of requests, with two watchers each, are sent to both.

WARMCLAIM_DIFF_SEQUENCES: how many sequences (2,000; some 7 a second on two cores).
WARMCLAIM_DIFF_SEED: the seed of the first one (1).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator

import pytest
from e2e.cluster import ControlPlane
from e2e.controlplane.objects import create_namespace
from tests.contract.catalogue import CASES
from tests.contract.comparison import comparable, first_difference
from tests.contract.fake import NAMESPACE, play_on_fake
from tests.contract.real import RealBackend, RealServer
from tests.contract.runner import Run, Said
from tests.contract.steps import Case
from tests.contract.tournament import Tournament

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(60),
    # Bodies beyond 1 MB are what some cases are about.
    pytest.mark.filterwarnings("ignore:Sending a large body"),
]

SEQUENCES = int(os.environ.get("WARMCLAIM_DIFF_SEQUENCES", "2000"))
FIRST_SEED = int(os.environ.get("WARMCLAIM_DIFF_SEED", "1"))
REAL_NAMESPACE = "contract-real"


@pytest.fixture(scope="module")
def server(control_plane: ControlPlane) -> Iterator[RealServer]:
    """The control plane's server, with a namespace for all cases: they clean up behind them."""
    create_namespace(control_plane.api, REAL_NAMESPACE)
    yield RealServer(
        control_plane.server,
        control_plane.token(),
        control_plane.ca_file,
        control_plane.etcd_url,
    )
    control_plane.api.delete(f"/api/v1/namespaces/{REAL_NAMESPACE}")


async def play_on_real(case: Case, server: RealServer) -> list[Said]:
    """Runs a case to its end and returns what was said. Raises AssertionError as `Run.play`."""
    backend = RealBackend(server)
    try:
        run = Run(backend, REAL_NAMESPACE)
        try:
            await run.play(case)
        finally:
            await run.clean()
    finally:
        await backend.transport.close()
    return run.said


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in CASES])
async def test_a_real_server_keeps(case: Case, server: RealServer) -> None:
    try:
        said = await play_on_real(case, server)
    except AssertionError as error:
        pytest.fail(str(error), pytrace=False)
    if case.fake_bug:
        return
    of_fake = comparable(await asyncio.to_thread(play_on_fake, case), NAMESPACE)
    differs = first_difference(comparable(said, REAL_NAMESPACE), of_fake)
    if differs:
        pytest.fail(f"{case.name}: real and embedded differ at {differs}", pytrace=False)


@pytest.mark.timeout(0)
async def test_random_sequences_are_answered_alike(server: RealServer) -> None:
    async with Tournament(server) as tournament:
        result = await tournament.play(range(FIRST_SEED, FIRST_SEED + SEQUENCES))
    print(f"\n{result}")
    if result.differences:
        pytest.fail("\n".join([str(result), *result.differences[:3]]), pytrace=False)
