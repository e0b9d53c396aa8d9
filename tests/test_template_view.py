"""A template that no sandbox could be made from does not decode, so nobody works with it."""

from __future__ import annotations

import msgspec
import pytest

from warmclaim.api.template import Template
from warmclaim.domain.blueprint import blueprint_of
from warmclaim.testing.builders import a_template, as_view


@pytest.mark.parametrize(
    "pod_template",
    [
        {"spec": None},
        {"spec": []},
        {"spec": {}, "metadata": None},
        {"spec": {}, "metadata": []},
        {"spec": {}, "metadata": {"labels": []}},
        {"spec": {}, "metadata": {"labels": {"a": 1}}},
        {"spec": {}, "metadata": {"annotations": None}},
    ],
    ids=str,
)
def test_parts_of_the_wrong_type_are_refused(pod_template: object) -> None:
    value = a_template()
    value["spec"]["podTemplate"] = pod_template
    with pytest.raises(msgspec.ValidationError):
        as_view(value, Template)


def test_parts_that_are_missing_are_made() -> None:
    value = a_template()
    value["spec"]["podTemplate"] = {}
    blueprint = blueprint_of(as_view(value, Template))
    assert blueprint.spec["podTemplate"]["spec"]["automountServiceAccountToken"] is False
