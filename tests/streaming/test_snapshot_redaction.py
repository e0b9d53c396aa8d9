"""What is redacted, what is not, and that nothing else of an object changes."""

from __future__ import annotations

import json
from typing import Any, Final, cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmclaim.streaming.snapshot import PLACEHOLDER, redacted
from warmclaim.streaming.snapshot.redaction import STEP_BYTES_MAX, TEXT_BYTES_MAX, TOKEN_BYTES
from warmclaim.testing.builders import a_claim, a_pod, a_pool, a_sandbox, a_template

X = PLACEHOLDER.decode()
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N"
KEY = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----\n"


def shown(value: Any) -> Any:
    return json.loads(b"".join(redacted(msgspec.json.encode(value))))


SECRET: Final[dict[str, tuple[Any, Any]]] = {
    "an environment variable, whatever its name": (
        {"env": [{"name": "COLOUR", "value": "blue"}, {"value": "before", "name": "A"}]},
        {"env": [{"name": "COLOUR", "value": X}, {"value": X, "name": "A"}]},
    ),
    "a header": (
        {"httpGet": {"httpHeaders": [{"name": "X-Any", "value": "v"}]}},
        {"httpGet": {"httpHeaders": [{"name": "X-Any", "value": X}]}},
    ),
    "an annotation that speaks of a secret": (
        {"annotations": {"example.org/my-token-2": "t", "team": "red"}},
        {"annotations": {"example.org/my-token-2": X, "team": "red"}},
    ),
    "kubectl's copy of the whole": (
        {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": '{"env":[]}'}},
        {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": X}},
    ),
    "a member named after it": (
        {"spec": {"dbPassword": "p", "accessToken": "t", "API_KEY": "k", "nested": [{"pwd": "q"}]}},
        {"spec": {"dbPassword": X, "accessToken": X, "API_KEY": X, "nested": [{"pwd": X}]}},
    ),
    "an argument with its value": (
        {"args": ["--db-password=abc", "TOKEN=abc", "--level=3"]},
        {"args": [f"--db-password={X}", f"TOKEN={X}", "--level=3"]},
    ),
    "an argument after its option": (
        {"command": ["run", "--auth-token", "abc", "abc"]},
        {"command": ["run", "--auth-token", X, "abc"]},
    ),
    "an option that is followed by another": (
        {"args": ["--secret-dir", "--verbose", "--token", "x"]},
        {"args": ["--secret-dir", "--verbose", "--token", X]},
    ),
    "a line for a shell": (
        {"command": ["sh", "-c", "API_KEY=abc run --password 'x y' --token abc; echo done"]},
        {"command": ["sh", "-c", f"API_KEY={X} run --password {X} --token {X}; echo done"]},
    ),
    "a line with quotes that JSON escapes": (
        {"args": ['TOKEN="a \\" b" run --password "x y" --secret-file=-a']},
        {"args": [f"TOKEN={X} run --password {X} --secret-file={X}"]},
    ),
    "a web token": ({"note": f"got {JWT}, bad"}, {"note": f"got {X}, bad"}),
    "a bearer": ({"message": "Bearer abcdefgh1234 x"}, {"message": f"Bearer {X} x"}),
    "a private key": ({"a": f"cert {KEY}"}, {"a": f"cert {X}"}),
    "a service's token": (
        {"a": ["ghp_" + "a1" * 18, "AKIA" + "Z" * 16, "xoxb-1234567890-abc", "x ghp_short"]},
        {"a": [X, X, X, "x ghp_short"]},
    ),
    "a password in an address": (
        {"a": "postgres://user:pa55@db/x?y=z"},
        {"a": f"postgres://{X}@db/x?y=z"},
    ),
    "names written with escapes": (
        msgspec.Raw(rb'{"\u0065nv":[{"v\u0061lue":"x"}]}'),
        {"env": [{"value": X}]},
    ),
    "a text too long to search": (
        {"a": "a" * (TEXT_BYTES_MAX + 1), "args": ["b" * (TEXT_BYTES_MAX + 1)]},
        {"a": X, "args": [X]},
    ),
}


@pytest.mark.parametrize("name", SECRET)
def test_a_secret_is_redacted(name: str) -> None:
    value, expected = SECRET[name]
    assert shown(value) == expected


OPEN: Final[list[Any]] = [
    {"secretKeyRef": {"name": "db", "key": "token"}},
    {"volumes": [{"name": "v", "secret": {"secretName": "db"}}]},
    {"imagePullSecrets": [{"name": "registry-token"}]},
    {"tokenExpirationSeconds": 3600, "automountServiceAccountToken": False},
    {"env": [{"name": "A", "value": ""}, {"name": "B", "valueFrom": {"fieldRef": {"a": "b"}}}]},
    {"metadata": {"name": f"sk-{'a' * 30}", "uid": JWT, "namespace": f"ghp-{'b' * 20}"}},
    {"labels": {"token": "x"}, "annotations": {"agents.x-k8s.io/claim-uid": "u"}},
    {"image": "registry.example/sandbox@sha256:" + "0" * 64},
    {"a": "a" * TEXT_BYTES_MAX},
    {"args": ["--port=80", "monkey=1", "--", "a b c"]},
    {"a": [1.0, -0.0, 1e300, 2**63, True, None, {}, [], '\u2028 \\ " /']},
    {},
]


@pytest.mark.parametrize("value", OPEN, ids=str)
def test_what_is_no_secret_passes_byte_for_byte(value: Any) -> None:
    text = msgspec.json.encode(value)
    assert b"".join(redacted(text)) == text


@pytest.mark.parametrize("value", [a_claim(), a_pod(), a_pool(), a_sandbox(), a_template()])
def test_an_object_without_secrets_passes_byte_for_byte(value: Any) -> None:
    text = msgspec.json.encode(value)
    assert b"".join(redacted(text)) == text


def test_odd_spacing_is_kept() -> None:
    text = b'{ "env" : [ { "name" : "A" ,\n "value"\t: "x" } ] , "b" : 1 }'
    assert b"".join(redacted(text)) == text.replace(b'"x"', b'"' + PLACEHOLDER + b'"')


WORDS = st.sampled_from(
    ["env", "value", "name", "annotations", "args", "my-token", "password", "a", "spec", "labels"]
)
TEXTS = st.text(max_size=8) | st.sampled_from([JWT, KEY, "--token", "TOKEN=x", "://a:b@c", '"}'])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=20,
)


def leaves(value: Any, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    """Everything that is neither list nor object, with the names on the way to it; "" in a list."""
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value).items()
        return [(path, {}), *(leaf for n, of in members for leaf in leaves(of, (*path, n)))]
    if isinstance(value, list):
        inner = [leaf for of in cast("list[object]", value) for leaf in leaves(of, (*path, ""))]
        return [(path, []), *inner]
    return [(path, value)]


def is_secret(path: tuple[str, ...], text: str) -> bool:
    """Rules 1 and 3, and the tokens of rule 6, said once more."""
    name, holder = path[-1], next((n for n in reversed(path[:-1]) if n), "")
    if not text or name in ("name", "uid"):
        return False
    if holder == "env":
        return name == "value" or JWT in text
    return (holder != "labels" and name.endswith(("token", "password"))) or JWT in text


@given(VALUES)
def test_the_structure_stays_and_no_secret_does(value: Any) -> None:
    before, after = leaves({"root": value}), leaves(shown({"root": value}))
    assert [path for path, _ in before] == [path for path, _ in after]
    for (path, one), (_, other) in zip(before, after, strict=True):
        if isinstance(one, str):
            assert one == other or X in other
            assert not is_secret(path, one) or X in other
        else:
            assert one == other


LARGE: Final[dict[str, Any]] = {
    "empty lists": {"a": [[]] * 300_000},
    "environment": {"env": [{"name": "a", "value": "b"}] * 30_000},
    "names": {"a": {f"token{number}": f"v{number}" for number in range(30_000)}},
    "texts": {"a": ["x" * 100] * 8_000},
    "numbers": {"a": list(range(150_000))},
}


@pytest.mark.parametrize("value", LARGE.values(), ids=LARGE.keys())
def test_a_large_object_comes_in_small_steps(value: Any) -> None:
    text = msgspec.json.encode(value)
    pieces = list(redacted(text))
    assert len(pieces) >= len(text) / STEP_BYTES_MAX
    assert max(map(len, pieces)) <= 2 * STEP_BYTES_MAX
    tokens = max(piece.count(b'"') / 4 + piece.count(b"[") + piece.count(b"{") for piece in pieces)
    assert tokens <= 2 * STEP_BYTES_MAX / TOKEN_BYTES
