"""What config says, rendered by the tools of its users: kubectl's kustomize and helm."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

import yaml
from e2e.controlplane import build
from e2e.controlplane.api import Object
from e2e.controlplane.failures import ControlPlaneError

CONFIG = Path(__file__).resolve().parents[2] / "config"
CHART = CONFIG / "chart"
RELEASE = "warmclaim"

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_RENDER_S = 60.0


def kustomized(folder: str) -> list[Object]:
    """The objects of a folder, below config unless it is absolute. Raises ControlPlaneError."""
    kubectl = build.bin_dir() / "kubectl"
    return list(_objects(run([str(kubectl), "kustomize", str(CONFIG / folder)])))


def composed(scratch: Path, base: str, *components: str) -> list[Object]:
    """A folder below config with components of it, as in somebody's own kustomization, which is
    written to `scratch`."""

    def below(folder: str) -> str:
        return os.path.relpath(CONFIG / folder, scratch)

    layers = {"resources": [below(base)], "components": [below(one) for one in components]}
    (scratch / "kustomization.yaml").write_text(json.dumps(layers))
    return kustomized(str(scratch))


def templated(*words: str, with_crds: bool = False) -> list[Object]:
    """The chart's objects. Raises ControlPlaneError with what helm said."""
    crds = ["--include-crds"] if with_crds else []
    return list(_objects(helm("template", RELEASE, str(CHART), *crds, *words)))


def deployment(things: list[Object]) -> Object:
    """The only Deployment among them."""
    (found,) = [thing for thing in things if thing["kind"] == "Deployment"]
    return found


def arguments(things: list[Object]) -> list[str]:
    """The manager's, as its Deployment gives them."""
    found: list[str] = deployment(things)["spec"]["template"]["spec"]["containers"][0]["args"]
    return found


def helm(*words: str) -> str:
    """What helm printed. Raises ControlPlaneError with what it said."""
    return run([str(build.bin_dir(build.HELM) / "helm"), *words])


def run(command: Sequence[str]) -> str:
    """Standard output of a command that must succeed."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=_RENDER_S, check=False)
    if done.returncode != 0:
        # Helm tells of each link in the chart, which is meant.
        lines = [line for line in done.stderr.splitlines() if not line.startswith("walk.go")]
        raise ControlPlaneError("\n".join(lines))
    return done.stdout


def _objects(text: str) -> Iterator[Object]:
    for document in cast("Iterator[object]", yaml.load_all(text, _LOADER)):
        if isinstance(document, dict):
            yield cast("Object", document)
