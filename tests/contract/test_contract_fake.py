"""The contract of an API server, on the embedded one. e2e/ runs the same on a real one."""

from __future__ import annotations

import pytest
from tests.contract.catalogue import CASES
from tests.contract.fake import play_on_fake
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
