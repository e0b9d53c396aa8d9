"""Lists in JSON: a corpus of odd ones, and any that there can be."""

from __future__ import annotations

from typing import cast

from hypothesis import strategies as st

Value = dict[str, object]


def items_of(value: Value) -> list[object]:
    """The items of one of these lists."""
    return cast("list[object]", value["items"])


_HEAD: Value = {"kind": "PodList", "apiVersion": "v1"}
_POD: Value = {"metadata": {"name": "a", "resourceVersion": "7"}, "spec": {"containers": []}}
_ODD_TEXTS = [
    '"},{"metadata":{"name":"x"}',
    '\\"},{\\',
    "\\\\",
    "]}",
    '"items":[',
    "\u0000\u001f\u007f\u2028\u2029",
    "naïve ☃ 𝄞",
    "</script>&<>",
    "",
]

CORPUS: dict[str, Value] = {
    "empty": {**_HEAD, "metadata": {"resourceVersion": "7"}, "items": []},
    "one": {**_HEAD, "metadata": {"resourceVersion": "7"}, "items": [_POD]},
    "many": {**_HEAD, "metadata": {"resourceVersion": "7"}, "items": [_POD] * 40},
    "page": {
        **_HEAD,
        "metadata": {"resourceVersion": "7", "continue": "eyJ2Ijoi=", "remainingItemCount": 12},
        "items": [_POD, _POD],
    },
    "empty continue": {**_HEAD, "metadata": {"continue": "", "selfLink": ""}, "items": [_POD]},
    "members in order of names": {
        "apiVersion": "v1",
        "items": [_POD, _POD],
        "kind": "PodList",
        "metadata": {"resourceVersion": "7"},
    },
    "items first": {"items": [_POD], **_HEAD},
    "items alone": {"items": [_POD]},
    "null members": {"kind": None, "apiVersion": None, "metadata": None, "items": [_POD]},
    "null items in it": {**_HEAD, "items": [None, _POD, None]},
    "lists in it": {**_HEAD, "items": [{"items": [{"items": []}]}, {"items": None}]},
    "more members": {**_HEAD, "metadata": {}, "items": [_POD], "extra": {"a": [1, {"b": "}],"}]}},
    "empty objects": {**_HEAD, "metadata": {}, "items": [{}, {}, {"a": {}}]},
    "odd texts": {
        **_HEAD,
        "metadata": {"resourceVersion": _ODD_TEXTS[0]},
        "items": [{"metadata": {"name": text, "annotations": {text: text}}} for text in _ODD_TEXTS],
    },
    "odd numbers": {
        **_HEAD,
        "items": [{"n": [0, -1, 2**63 - 1, -(2**63), 2**64 - 1, 0.1, 1e300, -0.0, 5e-324, 1e16]}],
    },
    "deep": {**_HEAD, "items": [{"a": [[[[[[{"b": [{"c": {}}]}]]]]]]}]},
    "one longer than a buffer": {**_HEAD, "items": [{"a": "x" * 300_000}, _POD]},
}

_numbers = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
_texts = st.text(max_size=12) | st.sampled_from(_ODD_TEXTS)
_leaves = st.none() | st.booleans() | _numbers | _texts
values = st.recursive(
    _leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_texts, inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(_texts, values, max_size=4)


@st.composite
def lists(draw: st.DrawFn, items: st.SearchStrategy[object] = values) -> Value:
    """Any list: members of any names in any order, items anywhere among them."""
    members = draw(st.dictionaries(_texts.filter(lambda name: name != "items"), values, max_size=4))
    entries: list[tuple[str, object]] = list(members.items())
    entries.insert(draw(st.integers(0, len(entries))), ("items", draw(st.lists(items, max_size=5))))
    return dict(entries)
