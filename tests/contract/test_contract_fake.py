"""The contract of an API server, on the embedded one. e2e/ runs the same on a real one."""

from __future__ import annotations

import pytest
from tests.contract import tournament
from tests.contract.catalogue import CASES
from tests.contract.differences import DIFFERENCES_MAX, explained
from tests.contract.fake import play_on_fake
from tests.contract.sequences import sequence
from tests.contract.steps import Case


def _parameter(case: Case) -> object:
    marks = [pytest.mark.xfail(reason=case.fake_bug, strict=True)] if case.fake_bug else []
    return pytest.param(case, id=case.name, marks=marks)


@pytest.mark.parametrize("case", [_parameter(case) for case in CASES])
def test_the_embedded_server_keeps(case: Case) -> None:
    try:
        play_on_fake(case)
    except AssertionError as error:
        pytest.fail(str(error), pytrace=False)


def test_each_case_has_a_name_of_its_own() -> None:
    names = [case.name for case in CASES]
    assert len(names) == len(set(names))


def test_each_difference_has_a_reason_and_there_are_few() -> None:
    differences = explained()
    assert len(differences) <= DIFFERENCES_MAX
    assert len({difference.id for difference in differences}) == len(differences)
    assert all(len(difference.reason) > 20 for difference in differences)


@pytest.mark.parametrize("seed", range(1, 26))
def test_a_random_sequence_leaves_the_books_in_order(seed: int) -> None:
    order = sequence(seed)
    said = tournament.play_on_fake(order)
    assert len(said) >= len(order.operations)
    assert not [one for one in said if one.code == 500]


def test_a_seed_is_one_sequence() -> None:
    assert sequence(7) == sequence(7) != sequence(8)
