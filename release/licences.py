"""The licence of each package of a release, from its SBOM: one line each, to read or to pipe."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any


def main() -> int:
    """The program. Returns its exit code."""
    parser = argparse.ArgumentParser(description="Prints the licence of each package of an SBOM.")
    parser.add_argument("sbom", type=Path, help="what make sbom wrote")
    path: Path = parser.parse_args().sbom
    try:
        found = licences(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError):
        print(f"licences.py: {path} is no SBOM in CycloneDX's JSON; run make sbom", file=sys.stderr)
        return 2
    width = max(map(len, found), default=0)
    lines = [f"{package:{width}}  {', '.join(names)}\n" for package, names in found.items()]
    sys.stdout.write("".join(lines))
    return 0


def licences(sbom: dict[str, Any]) -> dict[str, list[str]]:
    """Licences by name and version of the package, the project's own first. A list of several is
    what the package says in several places, not a choice."""
    components = [sbom["metadata"]["component"], *sbom["components"]]
    return {
        f"{component['name']} {component['version']}": [
            entry["expression"]
            if "expression" in entry
            else entry["license"].get("id") or entry["license"]["name"]
            for entry in component.get("licenses", [])
        ]
        for component in components
    }


if __name__ == "__main__":
    sys.exit(main())
