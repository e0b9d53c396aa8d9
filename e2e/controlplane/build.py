"""Build the control plane, Helm and Prometheus from their Go modules, once per version.

    python3 e2e/controlplane/build.py

Standard library only: it runs before any virtual environment exists. The binaries go to a
per-user cache whose key is the content of the go.mod and go.sum files, so every checkout of the
same versions shares one build and a change of version never meets an old binary.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

_HERE = Path(__file__).resolve().parent
_GO_LEAST = (1, 26)
EXIT_BUILD_FAILED = 1
EXIT_NO_GO = 2


@dataclass(frozen=True)
class Tool:
    """One binary: its file name, the folder of its go.mod, and the Go package of its main."""

    name: str
    module: str
    package: str


TOOLS = (
    Tool("etcd", "etcd", "go.etcd.io/etcd/server/v3"),
    Tool("kwok", "kwok", "sigs.k8s.io/kwok/cmd/kwok"),
    Tool("kube-apiserver", "kubernetes", "k8s.io/kubernetes/cmd/kube-apiserver"),
    Tool("kube-controller-manager", "kubernetes", "k8s.io/kubernetes/cmd/kube-controller-manager"),
    Tool("kube-scheduler", "kubernetes", "k8s.io/kubernetes/cmd/kube-scheduler"),
    Tool("kubectl", "kubernetes", "k8s.io/kubernetes/cmd/kubectl"),
)
"""The control plane, and what talks to it."""

HELM = (Tool("helm", "helm", "helm.sh/helm/v3/cmd/helm"),)

PROMETHEUS = (
    Tool("promtool", "prometheus", "github.com/prometheus/prometheus/cmd/promtool"),
    Tool("prometheus", "prometheus", "github.com/prometheus/prometheus/cmd/prometheus"),
)
"""The server has no pages of its own: they are made with npm, and its API is all that is asked."""

OPERATOR = (
    Tool(
        "prometheus-operator",
        "prometheus-operator",
        "github.com/prometheus-operator/prometheus-operator/cmd/operator",
    ),
)

_KUBERNETES = ("kubernetes", "k8s.io/kubernetes/cmd/kubectl")
_PROMETHEUS = ("prometheus", "github.com/prometheus/prometheus/cmd/prometheus")
SETS = (TOOLS, HELM, PROMETHEUS, OPERATOR)
"""Each with a key and a folder of its own: a newer Helm does not build the control plane again."""


class BuildError(Exception):
    """The build cannot go on. The text is one line for a human; `exit_code` is the process's."""

    def __init__(self, message: str, exit_code: int = EXIT_BUILD_FAILED) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def _module_version(module: str, package: str) -> str:
    """Version in go.mod of the module the package belongs to, as in `v1.36.3`."""
    for line in (_HERE / module / "go.mod").read_text().splitlines():
        found = re.match(r"(?:require)?\s*(\S+) (v\d\S*)", line)
        if found and package.startswith(found[1]):
            return found[2]
    raise BuildError(f"{module}/go.mod does not require the module of {package}")


def server_version() -> str:
    """Of the Prometheus server, as in `3.13.0`: its Go module, which promises no stable packages,
    writes that v0.313.0."""
    _, joined, patch = _module_version(*_PROMETHEUS).split(".")
    major, minor = divmod(int(joined), 100)
    return f"{major}.{minor}.{patch}"


def _linker_flags(tool: Tool) -> str:
    """No symbol table (a third of the size), and the version the binary reports.

    `go build` of a required module stamps nothing: without this /version says v0.0.0-master and
    a client that looks at it takes the server for an unknown one.
    """
    version = _module_version(tool.module, tool.package)
    stamps: dict[str, str] = {}
    if tool.module == "kubernetes":
        major, minor, _ = version.removeprefix("v").split(".", 2)
        for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version"):
            stamps |= {
                f"{package}.gitVersion": version,
                f"{package}.gitMajor": major,
                f"{package}.gitMinor": minor,
                f"{package}.gitTreeState": "clean",
            }
    elif tool.module == "kwok":
        stamps["sigs.k8s.io/kwok/pkg/consts.Version"] = version.removeprefix("v")
    elif tool.module == "helm":
        # The cluster that a chart is rendered for where there is none; else 1.20, too old for ours.
        major, minor, _ = _module_version(*_KUBERNETES).removeprefix("v").split(".", 2)
        for package in ("helm.sh/helm/v3/pkg/chartutil", "helm.sh/helm/v3/pkg/lint/rules"):
            stamps |= {f"{package}.k8sVersionMajor": major, f"{package}.k8sVersionMinor": minor}
        stamps["helm.sh/helm/v3/internal/version.version"] = version
    elif tool.name == "prometheus":
        stamps["github.com/prometheus/common/version.Version"] = server_version()
    return " ".join(["-s", "-w", *(f"-X {name}={value}" for name, value in stamps.items())])


def cache_root() -> Path:
    """Where all builds of this user live: $XDG_CACHE_HOME or ~/.cache."""
    base = os.environ.get("XDG_CACHE_HOME")
    root = Path(base) if base else Path.home() / ".cache"
    return root / "warmclaim" / "controlplane"


def cache_key(tools: tuple[Tool, ...] = TOOLS) -> str:
    """Twelve hex digits over everything that decides what is built, the Go release excepted.

    A patch release of Go gives the same control plane; it is not worth 12 minutes, and without
    it a cached build can be used on a machine that has no Go.
    """
    digest = hashlib.sha256(f"{sys.platform}/{platform.machine()}".encode())
    for tool in tools:
        digest.update(f"{tool} {_linker_flags(tool)}".encode())
    for module in sorted({tool.module for tool in tools}):
        for name in ("go.mod", "go.sum"):
            digest.update((_HERE / module / name).read_bytes())
    return digest.hexdigest()[:12]


def bin_dir(tools: tuple[Tool, ...] = TOOLS) -> Path:
    """Folder of the binaries of this checkout's versions; it need not exist yet."""
    return cache_root() / cache_key(tools) / "bin"


def missing_tools(tools: tuple[Tool, ...] = TOOLS) -> list[Tool]:
    """Tools that are not built yet. A file is there only when it is whole."""
    folder = bin_dir(tools)
    return [tool for tool in tools if not (folder / tool.name).is_file()]


def _missing() -> list[tuple[Tool, Path]]:
    """Of all sets, each with the folder that it belongs into."""
    return [(tool, bin_dir(tools)) for tools in SETS for tool in missing_tools(tools)]


def _find_go() -> str:
    """Path of a Go command that is new enough.

    Raises:
        BuildError: none is on PATH, or it is too old; exit code 2.
    """
    need = f"Go >= {_GO_LEAST[0]}.{_GO_LEAST[1]}"
    go = shutil.which("go")
    if go is None:
        raise BuildError(f"{need} is needed to build the control plane, none on PATH", EXIT_NO_GO)
    answer = subprocess.run(
        [go, "env", "GOVERSION"], env=_go_environment(), capture_output=True, text=True, check=False
    )
    found = re.match(r"go(\d+)\.(\d+)", answer.stdout)
    if found is None:
        said = (answer.stderr or answer.stdout).strip()
        raise BuildError(f"{need} is needed to build the control plane, {go}: {said}", EXIT_NO_GO)
    if (int(found[1]), int(found[2])) < _GO_LEAST:
        raise BuildError(
            f"{need} is needed to build the control plane, {go} is {answer.stdout.strip()}",
            EXIT_NO_GO,
        )
    return go


def _go_environment() -> dict[str, str]:
    """The user's environment, but static binaries and no download of another Go toolchain."""
    return os.environ | {
        "CGO_ENABLED": "0",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
        "GOFLAGS": "-buildvcs=false -mod=readonly",
    }


@contextlib.contextmanager
def _only_one(folder: Path) -> Generator[None]:
    """Keep a second build of the same versions waiting; the lock goes with the process."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("controlplane: waiting for another build of the same versions", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build(go: str, tool: Tool, folder: Path) -> None:
    """Build one tool under a temporary name and rename it, so a killed build leaves no half file.

    Raises:
        BuildError: the Go command failed; the message carries the last lines it said.
    """
    half = folder / f".{tool.name}.half"
    command = [go, "build", "-trimpath", "-ldflags", _linker_flags(tool), "-o", str(half)]
    done = subprocess.run(
        [*command, tool.package],
        cwd=_HERE / tool.module,
        env=_go_environment(),
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        half.unlink(missing_ok=True)
        said = "\n".join(done.stderr.strip().splitlines()[-15:])
        raise BuildError(f"go build {tool.package} failed ({done.returncode}):\n{said}")
    half.replace(folder / tool.name)


def build() -> None:
    """Build what is missing, with a line per tool.

    Raises:
        BuildError: Go is missing or too old, or a build failed.
    """
    root = cache_root()
    if not _missing():
        print(f"controlplane: already built in {root}")
        return
    go = _find_go()
    with _only_one(root):
        missing = _missing()
        print(f"controlplane: building {len(missing)} tools, 3 to 20 minutes on 2 cores")
        begun = time.monotonic()
        for place, (tool, folder) in enumerate(missing, start=1):
            started = time.monotonic()
            print(f"controlplane: [{place}/{len(missing)}] {tool.name} ...", flush=True)
            folder.mkdir(parents=True, exist_ok=True)
            _build(go, tool, folder)
            size_mib = (folder / tool.name).stat().st_size / 2**20
            now = time.monotonic()
            print(
                f"controlplane: [{place}/{len(missing)}] {tool.name} {size_mib:.0f} MiB "
                f"in {now - started:.0f} s ({now - begun:.0f} s in all)",
                flush=True,
            )
    print(f"controlplane: built in {root}")


def main() -> int:
    """Run from the command line; the exit code is 0, 1 (build failed) or 2 (no usable Go)."""
    try:
        build()
    except BuildError as error:
        print(f"controlplane: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
