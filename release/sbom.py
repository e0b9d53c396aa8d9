"""The SBOM of a tree that release/install.sh made, in CycloneDX 1.6.

cyclonedx-py says what is installed, with licences and who needs whom; pip's report adds the hash of
each file that was installed. The result is checked against the schema before it is written. Run by
the Python of the venv that holds cyclonedx-bom; with SOURCE_DATE_EPOCH set, the same tree gives the
same bytes.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from cyclonedx.schema import SchemaVersion  # pyright: ignore[reportMissingModuleSource]
from cyclonedx.validation.json import (  # pyright: ignore[reportMissingModuleSource]
    JsonStrictValidator,
)

ROOT = Path(__file__).resolve().parent.parent
OWN = "warmclaim"


class SbomError(Exception):
    """No SBOM can be made; the message is one line."""


def main() -> int:
    """The program. Returns its exit code."""
    parser = argparse.ArgumentParser(description="Writes the CycloneDX SBOM of an installed tree.")
    parser.add_argument("tree", type=Path, help="the folder that release/install.sh filled")
    parser.add_argument("report", type=Path, help="the report that it wrote")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE")
    words = parser.parse_args()
    try:
        bom = with_hashes(listed(words.tree), installed(words.report))
        text = json.dumps(bom, indent=2, sort_keys=True) + "\n"
        check(text)
        words.output.write_text(text, encoding="utf-8")
    except (SbomError, OSError) as error:
        print(f"sbom.py: {error}", file=sys.stderr)
        return 1
    return 0


def listed(tree: Path) -> dict[str, Any]:
    """What cyclonedx-py finds in the tree, and nowhere else: -S keeps this venv's packages out."""
    ended = subprocess.run(
        [
            *(sys.executable, "-m", "cyclonedx_py", "environment", "-S", sys.executable),
            *("--pyproject", str(ROOT / "pyproject.toml"), "--sv", "1.6", "--no-validate"),
            *("--output-reproducible", "--short-PURLs", "-o", "-"),
        ],
        env={**os.environ, "PYTHONPATH": str(tree.resolve())},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode:
        raise SbomError(f"cyclonedx-py failed: {ended.stderr.strip()[-600:]}")
    bom: dict[str, Any] = json.loads(ended.stdout)
    return bom


def installed(report: Path) -> dict[str, tuple[str, str]]:
    """Version and SHA-256 of each file that pip installed, by its package's normal name."""
    items = json.loads(report.read_text(encoding="utf-8"))["install"]
    return {
        normal(item["metadata"]["name"]): (
            item["metadata"]["version"],
            item["download_info"]["archive_info"]["hashes"]["sha256"],
        )
        for item in items
    }


def with_hashes(bom: dict[str, Any], files: dict[str, tuple[str, str]]) -> dict[str, Any]:
    """The SBOM with a hash on each component. Raises SbomError where tree and report differ."""
    own = bom["metadata"]["component"]
    own["version"] = files.get(OWN, ("", ""))[0]
    components = [own, *bom["components"]]
    found = {(normal(component["name"]), component["version"]) for component in components}
    expected = {(name, version) for name, (version, _) in files.items()}
    if found != expected:
        odd = ", ".join(" ".join(pair) for pair in sorted(found ^ expected))
        raise SbomError(f"the tree and pip's report do not list the same packages: {odd}")
    for component in components:
        digest = files[normal(component["name"])][1]
        component["hashes"] = [{"alg": "SHA-256", "content": digest}]
    own["purl"] = f"pkg:pypi/{OWN}@{own['version']}"
    return bom


def check(text: str) -> None:
    """Raise SbomError if this is no valid CycloneDX 1.6."""
    problem = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if problem is not None:
        raise SbomError(f"not valid: {str(problem).splitlines()[0][:600]}")


def normal(name: str) -> str:
    """A package's name as registries compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    sys.exit(main())
