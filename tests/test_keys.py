"""Keys name a thing and hold nothing that can change about it."""

import dataclasses

import pytest

from warmqueue import PoolKey, SandboxKey, WarmEntry


@pytest.mark.parametrize("kind", [SandboxKey, PoolKey])
class TestKey:
    def test_equal_words_make_equal_keys(self, kind: type[SandboxKey | PoolKey]) -> None:
        assert kind("ns", "a") == kind("ns", "a")
        assert len({kind("ns", "a"), kind("ns", "a"), kind("ns", "b")}) == 2

    def test_order_is_by_namespace_then_name(self, kind: type[SandboxKey | PoolKey]) -> None:
        ordered = [kind("a", "z"), kind("b", "a"), kind("b", "b")]
        assert sorted(reversed(ordered)) == ordered

    def test_text_is_namespace_slash_name(self, kind: type[SandboxKey | PoolKey]) -> None:
        assert str(kind("ns", "a")) == "ns/a"

    @pytest.mark.parametrize("field", ["namespace", "name"])
    def test_a_key_does_not_change(self, kind: type[SandboxKey | PoolKey], field: str) -> None:
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(kind("ns", "a"), field, "other")


def test_a_pool_and_a_sandbox_of_one_name_are_two_things() -> None:
    keys: set[object] = {SandboxKey("ns", "a"), PoolKey("ns", "a")}
    assert len(keys) == 2


def test_a_sandbox_key_names_and_does_not_describe() -> None:
    assert [field.name for field in dataclasses.fields(SandboxKey)] == ["namespace", "name"]


def test_an_entry_is_replaced_and_not_changed() -> None:
    entry = WarmEntry(SandboxKey("ns", "a"), "uid", "n1", True, 1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(entry, "node", "n2")  # noqa: B010
    assert dataclasses.replace(entry, node="n2").key == entry.key
