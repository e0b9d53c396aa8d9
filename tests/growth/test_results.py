"""Results: how sizes are compared, what is written, and what the command says of wrong words."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest

from warmclaim.errors import UsageError
from warmclaim.growth.__main__ import OK, USAGE, main
from warmclaim.growth.files import RESULTS, Machine, line_of, read
from warmclaim.growth.page import written
from warmclaim.growth.result import REAL, Real, problems, rows
from warmclaim.growth.stock import Size, sizes

SMALL = Real(300, 1, 100, 0.005, 0.010, 0.004, 0.5, 80 * 1024**2, 0, 0)
LARGE = msgspec.structs.replace(SMALL, sandboxes=10_000, p99=0.030)
MANY = msgspec.structs.replace(LARGE, pools=100, claim=0.008)


def test_a_claim_that_costs_more_in_a_larger_pool_is_told() -> None:
    dear = msgspec.structs.replace(LARGE, claim=0.0053)
    (told,) = problems([SMALL, dear], REAL)
    assert told.startswith("10,000 sandboxes in 1 pools: CPU ms a claim is 1.3")
    assert problems([SMALL, LARGE], REAL) == []


def test_refill_of_many_pools_is_compared_with_as_many() -> None:
    few = msgspec.structs.replace(MANY, sandboxes=300, claim=0.006)
    assert problems([SMALL, MANY], REAL) == []
    assert len(problems([SMALL, few, MANY], REAL)) == 1


@pytest.mark.parametrize("wrong", [{"cold": 1}, {"unserved": 2}])
def test_a_claim_that_was_not_served_from_its_pool_is_told(wrong: dict[str, int]) -> None:
    assert len(problems([SMALL, msgspec.structs.replace(LARGE, **wrong)], REAL)) == 1


def test_a_ratio_stands_behind_its_figure() -> None:
    heads, (_, large) = rows([SMALL, LARGE], REAL)
    place = heads.index("P99 ms")
    assert (large[0], large[place], large[place + 1]) == ("10,000", "30.0", "3.00")


def test_results_are_read_as_they_were_written(tmp_path: Path) -> None:
    file = tmp_path / RESULTS
    file.write_bytes(line_of(Machine("one core")) + line_of(SMALL) + line_of(LARGE))
    assert read([str(file), str(file)]) == ("one core", [SMALL, LARGE] * 2)


def test_each_plot_is_a_picture_with_its_axes_and_a_mark_for_each_size(tmp_path: Path) -> None:
    page, *pictures = written([SMALL, LARGE, MANY], "one core", tmp_path)
    assert page.read_text().count("<figure>") == len(pictures) == 3
    name = "{http://www.w3.org/2000/svg}"
    for picture in pictures:
        root = ElementTree.fromstring(picture.read_text())
        texts = ["".join(one.itertext()) for one in root.iter(f"{name}text")]
        assert "sandboxes that wait, in all pools (logarithmic)" in texts
        assert any(text.startswith("100 pools") for text in texts)
        lines = list(root.iter(f"{name}path"))
        assert len(list(root.iter(f"{name}circle"))) == 3 * len(lines) // 2


def test_sizes_are_read() -> None:
    assert sizes("300x1, 3000x10") == (Size(300, 1), Size(3000, 10))


@pytest.mark.parametrize("text", ["300", "0x1", "10x3", "300x1,", "9999999x1"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--sizes"):
        sizes(text)


def test_nothing_is_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / RESULTS).write_bytes(line_of(SMALL))
    assert main(["simulated", "--sizes", "300x1", "--out", str(tmp_path)]) == USAGE
    assert "is there already" in capsys.readouterr().err


def test_the_command_runs_sizes_and_writes_what_it_found(tmp_path: Path) -> None:
    """As users start it: what is in its own module is not there in the processes that it starts."""
    words = "simulated --sizes 8x1 --singles 2 --bursts 1 --burst 4 -o json --out"
    done = subprocess.run(
        [sys.executable, "-m", "warmclaim.growth", *words.split(), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == OK, done.stderr
    machine, found = read([str(tmp_path / RESULTS)])
    assert "cores" in machine
    assert [(one.sandboxes, one.pools, one.unserved) for one in found] == [(8, 1, 0)]
    assert done.stdout.count("\n") == len(found)
    assert (tmp_path / "growth.html").exists()


def test_the_page_is_made_from_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / RESULTS
    file.write_bytes(line_of(SMALL) + line_of(LARGE))
    assert main(["page", str(file), "--out", str(tmp_path)]) == OK
    assert str(tmp_path / "growth.html") in capsys.readouterr().out


def test_a_file_that_holds_something_else_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "other"
    file.write_text('{"type":"pod"}')
    assert main(["page", str(file)]) == USAGE
    assert "holds no results of growth" in capsys.readouterr().err
