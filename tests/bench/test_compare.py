"""Two files of figures side by side."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from tests.bench.compare import USAGE, main
from tests.bench.figures import Figures, findings, newest


def a_file(folder: Path, name: str, **values: float) -> str:
    path = folder / name
    path.write_bytes(msgspec.json.encode(findings(values)))
    return str(path)


def test_figures_are_ordered_by_change_and_those_of_one_side_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = a_file(
        tmp_path, "a", same_us=2, half_us=8, more_us=1, gone_us=3, nothing_us=0, up_us=0
    )
    after = a_file(tmp_path, "b", same_us=2, half_us=4, more_us=3, new_us=5, nothing_us=0, up_us=1)
    assert main([before, after]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line[:1] for line in lines[:2]] == ["A", "B"]
    rows = [(line.split()[0], line.split()[-1]) for line in lines[3:-2]]
    assert rows == [
        *(("3.000", "more_us"), ("0.500", "half_us"), ("1.000", "same_us")),
        *(("same", "nothing_us"), ("-", "up_us")),
    ]
    assert [line.split()[:2] for line in lines[-2:]] == [["only", "A"], ["only", "B"]]


def test_what_is_no_file_of_figures_is_said_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = a_file(tmp_path, "good", a_us=1)
    (tmp_path / "text").write_text("{}")
    other = msgspec.structs.replace(findings({}), format=7)
    (tmp_path / "other").write_bytes(msgspec.json.encode(other))
    for words, said in (
        ([], USAGE),
        ([good, ""], USAGE),
        ([good, str(tmp_path / "none")], "none: No such file"),
        ([str(tmp_path / "text"), good], "text: no figures of `make bench`: "),
        ([good, str(tmp_path / "other")], "other: format 7"),
    ):
        assert main(words) == 2
        told = capsys.readouterr()
        assert told.out == ""
        assert said in told.err
        assert told.err.count("\n") == 1


def test_a_run_is_written_beside_earlier_ones_and_the_newest_is_found(tmp_path: Path) -> None:
    assert newest(tmp_path) is None
    figures = Figures()
    figures.add("queue, 300 entries", take_us=3.5, ratio=7)
    path = figures.write(tmp_path / "out")
    (tmp_path / "out" / "00000000-000000-old.json").write_text("not read")
    found = newest(path.parent)
    assert found is not None
    assert found.figures == {
        "queue, 300 entries: take_us": 3.5,
        "queue, 300 entries: ratio": 7.0,
    }
    assert found.commit in path.name
    assert found.machine.cores > 0
    assert "warmclaim" in found.versions
