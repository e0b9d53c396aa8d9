"""Building the control plane, with a stand-in for Go: errors, atomicity, nothing done twice."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from e2e.controlplane.build import SETS

pytestmark = pytest.mark.e2e

_SCRIPT = Path(__file__).resolve().parent / "controlplane" / "build.py"
_ALL = [tool for tools in SETS for tool in tools]
_NEW = "go1.26.8"
# `go build ... -o FILE PACKAGE` writes what it was asked to build.
_BUILDS = 'for a; do test "$last" = -o && out=$a; last=$a; done; echo "$last" > "$out"'


@dataclass
class Sandbox:
    """A PATH with nothing but a stand-in for Go, and a cache of its own."""

    folder: Path

    def put_go(self, version: str, build: str = _BUILDS) -> None:
        """A `go` that says this version and runs this shell text as its build command."""
        go = self.folder / "bin" / "go"
        go.parent.mkdir(exist_ok=True)
        go.write_text(f'#!/bin/sh\nif [ "$1" = env ]; then echo {version}; exit; fi\n{build}\n')
        go.chmod(0o755)

    def run(self) -> subprocess.CompletedProcess[str]:
        """Run the build script."""
        environment = {"PATH": f"{self.folder / 'bin'}", "XDG_CACHE_HOME": str(self.folder)}
        return subprocess.run(
            [sys.executable, _SCRIPT], env=environment, capture_output=True, text=True, check=False
        )

    def built(self) -> set[str]:
        """Names in the folder of the binaries, half ones included."""
        return {path.name for path in self.folder.glob("warmclaim/controlplane/*/bin/*")}


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    """One without Go yet."""
    return Sandbox(tmp_path)


def test_without_go_one_line_says_what_is_needed(sandbox: Sandbox) -> None:
    done = sandbox.run()
    assert done.returncode == 2
    assert done.stderr == (
        "controlplane: Go >= 1.26 is needed to build the control plane, none on PATH\n"
    )


def test_an_old_go_is_refused_by_its_version(sandbox: Sandbox) -> None:
    sandbox.put_go("go1.25.11")
    done = sandbox.run()
    assert done.returncode == 2
    assert done.stderr.endswith("/go is go1.25.11\n")
    assert done.stderr.count("\n") == 1


def test_it_builds_each_tool_once_with_a_line_each(sandbox: Sandbox) -> None:
    sandbox.put_go(_NEW)
    done = sandbox.run()
    assert done.returncode == 0, done.stderr
    assert all(f"{tool.name} 0 MiB in 0 s" in done.stdout for tool in _ALL)
    assert sandbox.built() == {tool.name for tool in _ALL}
    sandbox.put_go("none", "exit 1")
    begun = time.monotonic()
    again = sandbox.run()
    assert time.monotonic() - begun < 1
    assert (again.returncode, again.stdout.count("\n")) == (0, 1)


def test_a_failed_build_says_why_and_leaves_no_half_binary(sandbox: Sandbox) -> None:
    sandbox.put_go(_NEW, f"{_BUILDS}; echo no space >&2; exit 1")
    done = sandbox.run()
    assert done.returncode == 1
    assert done.stderr.endswith("failed (1):\nno space\n")
    assert sandbox.built() == set()


def test_a_killed_build_goes_on_where_it_was(sandbox: Sandbox) -> None:
    """The third tool's build kills the script after it has written its output."""
    sandbox.put_go(_NEW, f'{_BUILDS}; case "$last" in *apiserver) kill -9 $PPID;; esac')
    done = sandbox.run()
    assert done.returncode == -9
    assert sandbox.built() == {"etcd", "kwok", ".kube-apiserver.half"}
    sandbox.put_go(_NEW)
    done = sandbox.run()
    assert f"building {len(_ALL) - 2} tools" in done.stdout
    assert sandbox.built() == {tool.name for tool in _ALL}
