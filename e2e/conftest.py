"""Fixtures of the tests on a real control plane."""

from __future__ import annotations

import itertools
from collections.abc import Generator, Iterator

import pytest
from e2e.burst.guarded import COMPONENTS, USERS, Guarded, wait_in_force
from e2e.burst.installed import Installed
from e2e.cluster import ControlPlane
from e2e.controlplane.api import ApiError
from e2e.controlplane.manifests import composed
from e2e.controlplane.objects import create_namespace
from e2e.figures import RunFigures, where

_NUMBERS = itertools.count(1)
_FIGURES = pytest.StashKey[RunFigures]()


@pytest.fixture(scope="session")
def control_plane() -> Iterator[ControlPlane]:
    """One control plane with 100 nodes and our CRDs, shared by all tests of the run."""
    with ControlPlane() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """A cluster where a platform team installed the manager with the tenants' guard and roles."""
    folder = tmp_path_factory.mktemp("guarded")
    with ControlPlane(nodes=20, users=USERS) as cluster:
        everything = str(folder)
        composed(folder, "overlays/everything", *COMPONENTS)
        cluster.kubectl("apply", "--server-side", "--force-conflicts", "-k", everything)
        installed = Installed(cluster, everything)
        wait_in_force(cluster.api, "default")
        with installed.process(folder / "manager") as process:
            process.wait_ready()
            place = Guarded(cluster, process, installed.user, everything)
            yield place
            place.close()
            assert process.stop() == []


def pytest_configure(config: pytest.Config) -> None:
    """A run's figures outlive its fixtures: they are told last."""
    config.stash[_FIGURES] = RunFigures()


@pytest.fixture(scope="session")
def run_figures(request: pytest.FixtureRequest) -> RunFigures:
    """Takes what tests measure."""
    return request.config.stash[_FIGURES]


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """What was measured, beside its budgets, whether all tests passed or not."""
    found = config.stash[_FIGURES]
    if text := found.text():
        terminalreporter.write_line("")
        terminalreporter.write(text)
        terminalreporter.write_line(f"  -> {where(found.write())}")


@pytest.fixture
def namespace(control_plane: ControlPlane) -> Iterator[str]:
    """A namespace of the test's own; its content is being deleted when the test has ended."""
    name = f"test-{next(_NUMBERS)}"
    create_namespace(control_plane.api, name)
    yield name
    try:
        control_plane.api.delete(f"/api/v1/namespaces/{name}")
    except ApiError as error:
        if error.reason != "NotFound":
            raise


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the ends of the components' logs to the report of a failed test."""
    report = yield
    if report.failed and isinstance(item, pytest.Function):
        cluster = item.funcargs.get("control_plane")
        if isinstance(cluster, ControlPlane):
            for component, tail in cluster.log_tails().items():
                report.sections.append((f"tail of the {component} log", tail))
    return report
