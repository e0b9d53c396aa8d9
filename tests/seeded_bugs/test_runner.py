"""The hunt itself: what counts as caught, what does not, and what stops it."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest
from tests.seeded_bugs.__main__ import main
from tests.seeded_bugs.bugs import (
    SOURCES,
    Bug,
    CatalogueError,
    chosen,
    read_catalogue,
    rewrite_seeds,
)
from tests.seeded_bugs.campaign import hunt_all, row, seeds_for
from tests.seeded_bugs.hunt import Hunt, Play, failures_of_clean_code, hunt, plays
from tests.seeded_bugs.tree import ROOT, copied_tree, require_applicable

OUTCOME = "controller/warmclaim/domain/outcome.py"
ADOPTION = "controller/warmclaim/domain/adoption.py"

TABLE = """
[[bug]]
name = "{name}"
what = "Nothing."
file = "{file}"
was = "a"
becomes = "b"
caught_by = {caught_by}
seed = 3
"""


def _bug(
    was: str, becomes: str, *, file: str = OUTCOME, caught_by: tuple[str, ...] = ("S2",)
) -> Bug:
    return Bug("planted", "A bug for a test.", file, was, becomes, caught_by, seed=0)


CRASHING = _bug(
    "    if facts.claim.metadata.is_deleting:\n        return Nothing()\n",
    '    raise RuntimeError("planted")\n',
    file=ADOPTION,
)
ENDLESS = _bug(
    CRASHING.was, "    while True:\n        pass\n", file=ADOPTION, caught_by=("L1", "S2")
)


@pytest.mark.parametrize("was", ["no such text", "the"], ids=["never", "often"])
def test_a_bug_whose_text_does_not_stand_once_stops_the_run(was: str) -> None:
    bug = _bug(was, "x")
    with pytest.raises(CatalogueError, match=rf"planted: .* {OUTCOME}"):
        hunt(bug, [0])
    with pytest.raises(CatalogueError, match="planted"):
        list(hunt_all([bug]))


def test_a_bug_in_a_file_that_is_gone_stops_the_run() -> None:
    file = "controller/warmclaim/domain/gone.py"
    with pytest.raises(CatalogueError, match=f"planted: there is no file {file}"):
        require_applicable(_bug("a", "b", file=file))


def test_a_planted_bug_is_in_the_copy_and_not_in_the_tree() -> None:
    bug = _bug('ADOPTED = "adopted"', 'ADOPTED = "stolen"')
    before = (ROOT / OUTCOME).read_text(encoding="utf-8")
    with copied_tree(bug) as tree:
        assert (tree / OUTCOME).read_text(encoding="utf-8") == before.replace(
            "adopted", "stolen", 1
        )
    assert (ROOT / OUTCOME).read_text(encoding="utf-8") == before


def test_the_copy_is_what_is_played(tmp_path: Path) -> None:
    for source in SOURCES:
        shutil.copytree(ROOT / source, tmp_path / source)
    simulation = tmp_path / "controller/warmclaim/testing/sim/simulation.py"
    simulation.write_text(
        "from types import SimpleNamespace as Bare\n"
        "def drawn_case(seed): return seed\n"
        "def run_case(seed): return Bare(breach=Bare(promise=f'S{seed}', text='of the copy'))\n",
        encoding="utf-8",
    )
    assert list(plays(tmp_path, [4, 2])) == [
        Play(4, "S4", "of the copy"),
        Play(2, "S2", "of the copy"),
    ]


def test_a_crash_catches_nothing() -> None:
    found = hunt(CRASHING, [0, 1])
    assert found.catches == []
    assert found.others == {"crash": 2}
    assert "NOT CAUGHT" in row(found)


@pytest.mark.timeout(60)
def test_a_seed_that_never_ends_catches_nothing_and_keeps_no_other_from_being_played() -> None:
    with copied_tree(ENDLESS) as tree:
        played = list(plays(tree, [0, 1], limit_s=3))
    assert [(play.seed, play.promise) for play in played] == [(0, "no answer"), (1, "no answer")]
    assert all(not play.promises for play in played)


@pytest.mark.parametrize(
    ("promise", "text", "broken"),
    [
        ("S2", "published b over a; L1 S3", {"S2"}),
        ("W9", "an event came twice", {"W9"}),
        ("liveness", "2 x L1, 1 x L4: L5 ns/a has lost its owner", {"L1", "L4"}),
        ("stability", "1 x L3: L3 ns/c has more than one sandbox", {"L3"}),
        ("crash", "S2: in a message", set[str]()),
        ("simulator", "L1", set[str]()),
        ("no answer", "", set[str]()),
        ("", "", set[str]()),
    ],
)
def test_only_promises_by_name_count(promise: str, text: str, broken: set[str]) -> None:
    assert Play(0, promise, text).promises == broken


def test_another_promise_than_the_bug_names_does_not_count() -> None:
    found = Hunt(_bug("a", "b", caught_by=("S2", "L1")))
    found.add(Play(0, "S4", "deleted"))
    assert not found.catches
    found.add(Play(1, "liveness", "1 x L1: L1 ns/c has no sandbox"))
    assert [play.seed for play in found.catches] == [1]
    assert (found.tried, found.others) == (2, {"S4": 1})


def test_seeds_that_fail_without_a_bug_are_found_out(tmp_path: Path) -> None:
    for source in SOURCES:
        shutil.copytree(ROOT / source, tmp_path / source)
    adoption = tmp_path / ADOPTION
    text = adoption.read_text(encoding="utf-8")
    adoption.write_text(text.replace(CRASHING.was, CRASHING.becomes), encoding="utf-8")
    assert [play.promise for play in failures_of_clean_code([0], tmp_path)] == ["crash"]


def test_the_seed_that_showed_it_is_tried_first_and_once() -> None:
    bug = msgspec.structs.replace(CRASHING, seed=2)
    assert seeds_for(bug, 4) == [2, 0, 1, 3]


@pytest.mark.parametrize(
    ("file", "caught_by", "problem"),
    [
        ("controller/warmclaim/testing/store.py", '["S1"]', "no production code"),
        ("tests/views.py", '["S1"]', "no production code"),
        (OUTCOME, "[]", "must name promises"),
        (OUTCOME, '["crash"]', "must name promises"),
    ],
)
def test_an_odd_bug_is_refused(tmp_path: Path, file: str, caught_by: str, problem: str) -> None:
    table = TABLE.format(name="odd", file=file, caught_by=caught_by)
    (tmp_path / "odd.toml").write_text(table, encoding="utf-8")
    with pytest.raises(CatalogueError, match=f"odd in odd.toml: .*{problem}"):
        read_catalogue(tmp_path)


def test_two_bugs_of_one_name_are_refused(tmp_path: Path) -> None:
    table = TABLE.format(name="twin", file=OUTCOME, caught_by='["S1"]')
    (tmp_path / "a.toml").write_text(table, encoding="utf-8")
    (tmp_path / "b.toml").write_text(table, encoding="utf-8")
    with pytest.raises(CatalogueError, match=r"twin in b.toml: there are two"):
        read_catalogue(tmp_path)


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(CatalogueError, match="no such bug: nobody"):
        chosen([CRASHING], ["planted", "nobody"])


def test_the_command_line_refuses_an_unknown_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--bug", "nobody"]) == 2
    assert "no such bug: nobody" in capsys.readouterr().err


def test_each_bug_of_the_catalogue_can_be_planted() -> None:
    for bug in read_catalogue():
        require_applicable(bug)


def test_only_the_seeds_that_are_given_are_rewritten(tmp_path: Path) -> None:
    names = ("first", "second", "third")
    tables = [TABLE.format(name=name, file=OUTCOME, caught_by='["S1"]') for name in names]
    path = tmp_path / "family.toml"
    path.write_text("# Words.\n" + "".join(tables), encoding="utf-8")
    before = path.read_text(encoding="utf-8")
    rewrite_seeds({"second": 417}, tmp_path)
    assert [bug.seed for bug in read_catalogue(tmp_path)] == [3, 417, 3]
    assert path.read_text(encoding="utf-8").replace("417", "3") == before
