"""What happens around the manager: signals, names, and what is logged at start."""

from __future__ import annotations

import asyncio
import os
import platform
import signal
import threading
from pathlib import Path

import pytest

from warmclaim.cli.manage import close_within
from warmclaim.cli.run import StopSignals, identity, label_domains, lease_namespace
from warmclaim.domain.pod_metadata import DEFAULT_LABEL_DOMAINS
from warmclaim.errors import UsageError
from warmclaim.seams import SystemRng
from warmclaim.settings import LeaseSettings, Settings

NOWHERE = Path("/nonexistent")


def settings(*, enabled: bool = True, namespace: str = "") -> Settings:
    return Settings(lease=LeaseSettings(enabled=enabled, namespace=namespace))


@pytest.fixture
def pod(tmp_path: Path) -> Path:
    (tmp_path / "namespace").write_text("of-the-pod\n")
    return tmp_path


async def test_the_first_signal_asks_for_a_stop_and_the_second_ends_the_process() -> None:
    codes: list[int] = []
    stop = StopSignals(codes.append)
    stop.install()
    os.kill(os.getpid(), signal.SIGTERM)
    async with asyncio.timeout(2):
        await stop.requested.wait()
    assert codes == []
    stop.arrived(signal.SIGINT)
    assert codes == [1]


async def test_signals_of_both_kinds_are_heard() -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        stop = StopSignals(list[int]().append)
        stop.arrived(number)
        assert stop.requested.is_set()


def test_an_identity_is_the_host_and_new_for_each_start() -> None:
    first, second = identity(SystemRng()), identity(SystemRng())
    assert first.startswith(f"{platform.node()}_")
    assert first != second
    assert len(first.rpartition("_")[2]) == 8


def test_the_lease_namespace_is_the_flag_before_all_else(pod: Path) -> None:
    assert lease_namespace(settings(namespace="a"), {"POD_NAMESPACE": "b"}, pod) == "a"


def test_the_lease_namespace_is_the_pods_own(pod: Path) -> None:
    assert lease_namespace(settings(), {"POD_NAMESPACE": "b"}, pod) == "of-the-pod"
    assert lease_namespace(settings(), {"POD_NAMESPACE": "b"}, NOWHERE) == "b"


def test_leader_election_outside_of_a_pod_says_what_to_give() -> None:
    with pytest.raises(UsageError, match=r"--leader-election-namespace, or --leader-elect=false"):
        lease_namespace(settings(), {}, NOWHERE)
    assert lease_namespace(settings(enabled=False), {}, NOWHERE) == ""


def test_label_domains_are_the_operators_or_the_apis_own(tmp_path: Path) -> None:
    file = tmp_path / "domains"
    assert label_domains(str(file)) == DEFAULT_LABEL_DOMAINS
    file.write_text("Team.example, other.example\n")
    assert label_domains(str(file)) == {"team.example", "other.example"}


@pytest.mark.parametrize("content", [None, b"\xff\xfe"], ids=["a folder", "no text"])
def test_a_file_of_label_domains_that_cannot_be_read_is_refused(
    content: bytes | None, tmp_path: Path
) -> None:
    file = tmp_path / "domains"
    file.mkdir() if content is None else file.write_bytes(content)
    with pytest.raises(UsageError, match=r"^--allowed-label-domains-file .*domains: .") as told:
        label_domains(str(file))
    assert "\n" not in str(told.value)


def test_what_does_not_close_in_time_is_left() -> None:
    never, closed = threading.Event(), threading.Event()
    close_within(0.05, never.wait)
    close_within(5.0, closed.set)
    assert closed.is_set()
    never.set()
