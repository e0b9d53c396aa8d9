"""The wheel and the sdist of a commit are the same bytes wherever and whenever they are built."""

from __future__ import annotations

import hashlib
import os
import subprocess
import tarfile
import zipfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.supply_chain.locks import ROOT
from tests.supply_chain.scripts import run_script

pytestmark = pytest.mark.timeout(240)


@dataclass(frozen=True)
class Built:
    """What release/dist.sh made in a copy of the repository, and the time of the commit."""

    copy: Path
    dist: Path
    commit_s: int

    def hashes(self) -> dict[str, str]:
        return {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(self.dist.iterdir())
        }


def git(folder: Path, *words: str) -> str:
    ended = subprocess.run(
        ["git", "-C", folder, *words], capture_output=True, text=True, check=True
    )
    return ended.stdout.strip()


def built(copy: Path, umask: int, **environ: str) -> Built:
    """Clone the repository to `copy` and build it there, in a world of its own."""
    git(ROOT, "clone", "--quiet", str(ROOT), str(copy))
    (copy / "controller" / "warmclaim" / f"left_over_{umask}.py").write_text("x = 1\n")
    before = os.umask(umask)
    try:
        ended = run_script("dist.sh", str(copy / "dist"), folder=copy, environ=environ)
    finally:
        os.umask(before)
    assert ended.returncode == 0, ended.stderr
    return Built(copy, copy / "dist", int(git(copy, "show", "--no-patch", "--format=%ct")))


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> tuple[Built, Built]:
    if not (ROOT / ".git").exists():
        pytest.skip("a release is built from a commit, and this is no repository")
    folder = tmp_path_factory.mktemp("dist")
    world = {"TZ": "Asia/Kathmandu", "LC_ALL": "C", "PYTHONHASHSEED": "7", "HOME": str(folder)}
    first = built(folder / "a", 0o022, PYTHONHASHSEED="1")
    second = built(folder / "much" / "longer path", 0o077, SOURCE_DATE_EPOCH="1", **world)
    return first, second


def test_two_builds_give_the_same_bytes(two: tuple[Built, Built]) -> None:
    first, second = (one.hashes() for one in two)
    assert [name.rpartition(".")[2] for name in sorted(first)] == ["SHA256SUMS", "whl", "gz"]
    assert first == second


def test_the_sums_are_those_of_the_files(two: tuple[Built, Built]) -> None:
    subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=two[0].dist, check=True)


def test_every_time_in_the_archives_is_the_commits(two: tuple[Built, Built]) -> None:
    dist, commit_s = two[0].dist, two[0].commit_s
    (sdist,), (wheel,) = dist.glob("*.tar.gz"), dist.glob("*.whl")
    with tarfile.open(sdist) as archive:
        assert {member.mtime for member in archive} == {commit_s}
        assert {(member.uid, member.gid) for member in archive} == {(0, 0)}
    moment = datetime.fromtimestamp(commit_s, UTC)
    two_seconds = (*moment.timetuple()[:5], moment.second // 2 * 2)
    with zipfile.ZipFile(wheel) as archive_:
        assert {info.date_time for info in archive_.infolist()} == {two_seconds}


def test_what_is_not_committed_is_not_in_it(two: tuple[Built, Built]) -> None:
    (wheel,) = two[0].dist.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert "warmclaim/seams.py" in names
    assert not [name for name in names if "left_over" in name]


def test_a_folder_with_something_in_it_is_left_as_it_is(two: tuple[Built, Built]) -> None:
    before = two[0].hashes()
    ended = run_script("dist.sh", str(two[0].dist), folder=two[0].copy)
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)
    assert "give a new folder" in ended.stderr
    assert two[0].hashes() == before


def test_a_commit_that_is_none_is_said(two: tuple[Built, Built], tmp_path: Path) -> None:
    ended = run_script("dist.sh", str(tmp_path / "new"), "nonesuch", folder=two[0].copy)
    assert (ended.returncode, list(tmp_path.iterdir())) == (2, [])
    assert ended.stderr == "dist.sh: nonesuch is no commit of this repository\n"
