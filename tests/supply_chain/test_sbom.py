"""The SBOM lists what is installed, with hashes and licences; no licence comes in unseen."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.supply_chain.locks import LICENCES, ROOT, read
from tests.supply_chain.scripts import Installed

pytestmark = pytest.mark.timeout(600)

WRITER = Path(sys.prefix) / "sbom" / "bin" / "python"


@dataclass(frozen=True)
class Sbom:
    """An SBOM as it was written."""

    path: Path

    @property
    def content(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.path.read_text(encoding="utf-8"))
        return found

    @property
    def components(self) -> dict[str, dict[str, Any]]:
        return {normal(component["name"]): component for component in self.content["components"]}

    @property
    def own(self) -> dict[str, Any]:
        component: dict[str, Any] = self.content["metadata"]["component"]
        return component


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def written(installed: Installed, report: Path, path: Path) -> subprocess.CompletedProcess[str]:
    assert WRITER.exists(), "the SBOM writer is not installed; make test does it"
    script = str(ROOT / "release" / "sbom.py")
    return subprocess.run(
        [str(WRITER), script, str(installed.tree), str(report), "-o", str(path)],
        env={"PATH": "/usr/bin:/bin", "SOURCE_DATE_EPOCH": "1700000000"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def sbom(installed: Installed, tmp_path_factory: pytest.TempPathFactory) -> Sbom:
    path = tmp_path_factory.mktemp("sbom") / "sbom.json"
    ended = written(installed, installed.report, path)
    assert ended.returncode == 0, ended.stderr
    return Sbom(path)


def test_it_lists_exactly_the_packages_that_are_locked_for_here(sbom: Sbom) -> None:
    locked = {package.name: package.version for package in read("run") if package.is_for_here()}
    listed = {name: component["version"] for name, component in sbom.components.items()}
    assert listed == locked
    assert len(sbom.content["components"]) == len(listed)


def test_each_hash_is_one_of_the_lock_file(sbom: Sbom) -> None:
    for package in read("run"):
        if package.is_for_here():
            (entry,) = sbom.components[package.name]["hashes"]
            assert entry["alg"] == "SHA-256"
            assert entry["content"] in package.hashes


def test_it_is_of_the_wheel_that_was_installed(sbom: Sbom, installed: Installed) -> None:
    digest = hashlib.sha256(installed.wheel.read_bytes()).hexdigest()
    assert sbom.own["hashes"] == [{"alg": "SHA-256", "content": digest}]
    assert sbom.own["version"] == installed.wheel.name.split("-")[1]
    assert sbom.own["purl"] == f"pkg:pypi/warmclaim@{sbom.own['version']}"


def test_it_says_who_needs_whom(sbom: Sbom) -> None:
    needs = {entry["ref"]: entry.get("dependsOn", []) for entry in sbom.content["dependencies"]}
    direct = {normal(ref.partition("==")[0]) for ref in needs[sbom.own["bom-ref"]]}
    assert {"aiohttp", "kubernetes", "zipstream-ng"} <= direct
    assert "yarl" not in direct


def test_the_same_tree_gives_the_same_bytes(
    sbom: Sbom, installed: Installed, tmp_path: Path
) -> None:
    again = tmp_path / "again.json"
    assert written(installed, installed.report, again).returncode == 0
    assert again.read_bytes() == sbom.path.read_bytes()
    assert sbom.content["metadata"]["timestamp"].startswith("2023-11-14T22:13:20")


def test_it_names_no_file_and_no_registry_of_this_machine(sbom: Sbom, installed: Installed) -> None:
    text = sbom.path.read_text(encoding="utf-8")
    assert str(installed.tree) not in text
    assert str(ROOT) not in text
    assert "file://" not in text


def test_a_tree_with_a_stowaway_gets_no_sbom(installed: Installed, tmp_path: Path) -> None:
    report = json.loads(installed.report.read_text(encoding="utf-8"))
    gone = report["install"].pop(3)["metadata"]
    changed, path = tmp_path / "report.json", tmp_path / "sbom.json"
    changed.write_text(json.dumps(report))
    ended = written(installed, changed, path)
    assert (ended.returncode, path.exists()) == (1, False)
    assert f"do not list the same packages: {normal(gone['name'])} {gone['version']}\n" in (
        ended.stderr
    )


def test_an_sbom_that_is_not_valid_is_not_written(installed: Installed, tmp_path: Path) -> None:
    report = json.loads(installed.report.read_text(encoding="utf-8"))
    report["install"][3]["download_info"]["archive_info"]["hashes"]["sha256"] = "no hash"
    changed, path = tmp_path / "report.json", tmp_path / "sbom.json"
    changed.write_text(json.dumps(report))
    ended = written(installed, changed, path)
    assert (ended.returncode, path.exists(), ended.stderr.count("\n")) == (1, False, 1)
    assert ended.stderr.startswith("sbom.py: not valid: ")


def licences_of(component: dict[str, Any]) -> set[str]:
    """Each licence that the component names; parts of an expression count by themselves."""
    found = set[str]()
    for entry in component.get("licenses", []):
        if "expression" in entry:
            found |= set(re.split(r" (?:AND|OR) ", entry["expression"].strip("()")))
        else:
            found.add(entry["license"].get("id") or entry["license"]["name"])
    return found


def not_allowed(component: dict[str, Any]) -> set[str]:
    """Licences of the component that requirements/allowed.toml does not have."""
    only = LICENCES["only"].get(normal(component["name"]), [])
    return (licences_of(component) or {"none"}) - {*LICENCES["any"], *only}


def test_no_licence_comes_in_that_is_not_allowed(sbom: Sbom) -> None:
    odd = {name: not_allowed(component) for name, component in sbom.components.items()}
    assert {name: licences for name, licences in odd.items() if licences} == {}
    assert licences_of(sbom.own) == {"Apache-2.0"}


def test_the_allowed_licences_are_in_use(sbom: Sbom) -> None:
    in_use = {name: licences_of(component) for name, component in sbom.components.items()}
    assert set(LICENCES["any"]) - set().union(*in_use.values()) == set()
    assert {name: set(words) for name, words in LICENCES["only"].items()} == {
        name: in_use[name] for name in LICENCES["only"]
    }


@pytest.mark.parametrize(
    "licences",
    [
        [{"license": {"id": "AGPL-3.0-only"}}],
        [{"license": {"name": "Other/Proprietary License"}}],
        [{"expression": "MIT AND GPL-3.0-only"}],
        [{"license": {"id": "LGPL-3.0-only"}}],
        [],
    ],
)
def test_another_packages_licence_is_noticed(licences: list[dict[str, Any]]) -> None:
    assert not_allowed({"name": "other", "licenses": licences})


def test_the_list_of_licences_is_a_line_for_each_package(sbom: Sbom) -> None:
    script = str(ROOT / "release" / "licences.py")
    ended = subprocess.run(
        [sys.executable, script, str(sbom.path)], capture_output=True, text=True, check=True
    )
    lines = [re.split(r" {2,}", line) for line in ended.stdout.splitlines()]
    assert len(lines) == 1 + len(sbom.components)
    assert lines[0] == [f"warmclaim {sbom.own['version']}", "Apache-2.0"]
    assert [words[1] for words in lines if words[0].startswith("zipstream")] == ["LGPL-3.0-only"]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"metadata": 1}'])
def test_a_file_that_is_no_sbom_is_said(tmp_path: Path, text: str) -> None:
    path = tmp_path / "sbom.json"
    path.write_text(text)
    ended = subprocess.run(
        [sys.executable, str(ROOT / "release" / "licences.py"), str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.endswith("is no SBOM in CycloneDX's JSON; run make sbom\n")
