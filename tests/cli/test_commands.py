"""The sub-commands: help, exit codes, and refusals of one line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from warmclaim import __version__
from warmclaim.api.schema import crd_files
from warmclaim.cli import INTERRUPTED, OK, USAGE, dropin, guarded, main

Capture = pytest.CaptureFixture[str]

WRONG = {
    "no such command": (["rnu"], "No such command 'rnu'. Did you mean 'run'?"),
    "no such option": (["demo", "--pods", "3"], "No such option: --pods"),
    "no number": (["demo", "--pool", "x"], "Invalid value for '--pool'"),
    "no such output": (["demo", "-o", "yaml"], "'yaml' is not one of 'text', 'json'"),
    "empty pool": (["demo", "--pool", "0"], "--pool must be from 1 to 2000, not 0"),
    "huge pool": (["demo", "--pool", "2001"], "--pool must be from 1 to 2000, not 2001"),
    "no claims": (["demo", "--burst", "0"], "--burst must be from 1 to 2000, not 0"),
    "no nodes": (["demo", "--nodes", "-1"], "--nodes must be from 1 to 1000, not -1"),
    "no rate": (["demo", "--qps", "0"], "--qps must be from 1 to 1000, not 0"),
    "no rate at all": (["demo", "--qps", "nan"], "--qps must be from 1 to 1000, not nan"),
    "an extra word": (["crds", "here"], "Got unexpected extra argument(s) (here)"),
    "no folder": (["crds", "--write", "/dev/null/x"], "--write /dev/null/x: Not a directory"),
    "no such flag": (["run", "--leader-elct"], "unknown flag --leader-elct: did you mean"),
    "broken limit": (["run", "--kube-api-burst=0"], "--kube-api-burst must be at least 1, not 0"),
    "no value": (["run", "--kubeconfig"], "--kubeconfig needs a value"),
    "a word to run": (["run", "now"], "unexpected argument 'now'"),
}


@pytest.mark.parametrize(("argv", "problem"), WRONG.values(), ids=WRONG)
def test_bad_input_is_refused_with_one_line_on_stderr(
    argv: list[str], problem: str, capsys: Capture
) -> None:
    assert main(argv) == USAGE
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("warmclaim: ")
    assert problem in err
    assert err.count("\n") == 1


def test_the_dropin_program_refuses_under_its_own_name(capsys: Capture) -> None:
    assert dropin.main(["--leader-elct"]) == USAGE
    assert capsys.readouterr().err.startswith("agent-sandbox-controller: unknown flag")


def test_without_a_command_the_help_is_shown_as_a_usage_error(capsys: Capture) -> None:
    assert main([]) == USAGE
    out, err = capsys.readouterr()
    assert "Commands" in out + err
    assert "warmclaim: \n" not in err


@pytest.mark.parametrize("columns", [80, 120])
def test_the_help_teaches_the_first_steps(
    columns: int, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    assert main(["--help"]) == OK
    lines = capsys.readouterr().out.splitlines()
    for command in ("run", "demo", "crds", "version"):
        assert any(line.startswith(f"│ {command} ") for line in lines)
    assert any("warmclaim crds --write DIR " in line for line in lines)
    assert max(map(len, lines)) <= columns


def test_every_demo_option_says_its_default(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    assert main(["demo", "-h"]) == OK
    out = capsys.readouterr().out
    for option, default in {"pool": "200", "burst": "100", "qps": "50.0", "nodes": "100"}.items():
        line = next(line for line in out.splitlines() if f"--{option} " in line)
        assert f"[default: {default}]" in line


@pytest.mark.parametrize("word", ["--help", "-help", "-h"])
def test_the_help_of_run_is_that_of_its_own_flags(word: str, capsys: Capture) -> None:
    assert main(["run", "--leader-elect=false", word]) == OK
    out = capsys.readouterr().out
    assert out.startswith("Usage: warmclaim run [flags]\n")
    assert "--sandbox-warm-pool-max-batch-size int" in out


def test_the_help_of_the_dropin_names_that_program(capsys: Capture) -> None:
    assert dropin.main(["-h"]) == OK
    assert capsys.readouterr().out.startswith("Usage: agent-sandbox-controller [flags]\n")


def test_the_version_is_told_by_all_three(capsys: Capture) -> None:
    assert [main(["version"]), main(["run", "-version"]), dropin.main(["--version"])] == [OK] * 3
    assert capsys.readouterr().out == f"warmclaim {__version__}\n" * 3


def test_crds_are_printed_as_one_stream_that_kubectl_takes(capsys: Capture) -> None:
    assert main(["crds"]) == OK
    documents = list(yaml.load_all(capsys.readouterr().out, yaml.CSafeLoader))
    assert {d["kind"] for d in documents} == {"CustomResourceDefinition"}
    assert len(documents) == len(crd_files())


def test_crds_are_written_and_what_changed_is_said(tmp_path: Path, capsys: Capture) -> None:
    folder = tmp_path / "made" / "crd"
    assert main(["crds", "--write", str(folder)]) == OK
    first = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in first] == ["new"] * 4 + ["4"]

    changed = folder / next(iter(crd_files()))
    changed.write_text("other")
    assert main(["crds", "--write", str(folder)]) == OK
    second = capsys.readouterr().out.splitlines()
    assert f"changed   {changed}" in second
    assert second[-1] == "1 of 4 files written anew"

    assert main(["crds", "--write", str(folder)]) == OK
    assert capsys.readouterr().out.splitlines()[-1] == "all up to date"


def test_a_reader_that_goes_away_is_no_crash() -> None:
    shell = f"{sys.executable} -m warmclaim crds | head -1"
    ended = subprocess.run(shell, shell=True, capture_output=True, text=True, check=True)
    assert (ended.stdout, ended.stderr) == ("---\n", "")


def test_ctrl_c_ends_quietly(capsys: Capture) -> None:
    def body() -> int:
        raise KeyboardInterrupt

    assert guarded("warmclaim", body) == INTERRUPTED
    assert capsys.readouterr() == ("", "")


QUICK = {
    "--help": {"warmclaim.app", "aiohttp", "kubernetes", "prometheus_client", "uvloop"},
    "run --help": {"warmclaim.app", "aiohttp", "kubernetes", "prometheus_client", "uvloop", "rich"},
    "version": {"warmclaim.app", "aiohttp", "kubernetes", "rich", "asyncio"},
    "crds": {"warmclaim.app", "aiohttp", "kubernetes", "rich", "asyncio"},
}


@pytest.mark.parametrize("words", QUICK)
def test_a_quick_command_imports_nothing_heavy(words: str) -> None:
    code = (
        "import sys; from warmclaim.cli import main\n"
        f"main({words.split()})\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not QUICK[words] & set(ended.stderr.split())
