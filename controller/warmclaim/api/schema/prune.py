"""Refreshes core_types.json from the OpenAPI document of a Kubernetes release.

    python -m warmclaim.api.schema.prune SWAGGER_JSON RELEASE

SWAGGER_JSON is `api/openapi-spec/swagger.json` of the Go module k8s.io/kubernetes at RELEASE
(`go mod download -json k8s.io/kubernetes@RELEASE` prints the folder). Of its 4 MB only what
`ROOTS` reach is kept, without descriptions, so that CRDs are generated with neither Go nor network.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from warmclaim.api.schema.core_types import CORE_TYPES, INT_OR_STRING, OPAQUE
from warmclaim.api.schema.fields import Schema
from warmclaim.errors import UsageError

ROOTS = (
    "io.k8s.api.core.v1.PersistentVolumeClaimSpec",
    "io.k8s.api.core.v1.PodSpec",
    "io.k8s.api.networking.v1.NetworkPolicyEgressRule",
    "io.k8s.api.networking.v1.NetworkPolicyIngressRule",
)

_REF_PREFIX = "#/definitions/"
_KEPT = frozenset(
    {
        "type",
        "format",
        "required",
        "x-kubernetes-list-map-keys",
        "x-kubernetes-list-type",
        "x-kubernetes-map-type",
    }
)
# A CRD cannot carry these: patch strategies are of the built-in types only, unions have no
# counterpart in JSONSchemaProps (the server checks them when the pod itself is created).
_DROPPED = frozenset(
    {
        "description",
        "x-kubernetes-patch-merge-key",
        "x-kubernetes-patch-strategy",
        "x-kubernetes-unions",
    }
)


def prune(swagger: Mapping[str, Any]) -> dict[str, Schema]:
    """The definitions that `ROOTS` reach, by last part of their name, in order of it.

    Raises UsageError on a missing definition, on a keyword that nobody has decided about and on
    two definitions with the same last part: a new release needs a look, not a guess.
    """
    definitions = swagger.get("definitions", {})
    kept: dict[str, Schema] = {}
    full_names: dict[str, str] = {}
    pending: list[str] = list(ROOTS)
    while pending:
        full_name = pending.pop()
        name = _short(full_name)
        if full_names.setdefault(name, full_name) != full_name:
            raise UsageError(f"two definitions end in {name}: {full_names[name]}, {full_name}")
        if name in kept or name in OPAQUE or name in INT_OR_STRING:
            continue
        if full_name not in definitions:
            raise UsageError(f"no definition {full_name} in this OpenAPI document")
        kept[name] = _reduced(definitions[full_name], full_name)
        pending.extend(_references(definitions[full_name]))
    return dict(sorted(kept.items()))


def dump(definitions: Mapping[str, Schema], release: str) -> str:
    """The text of core_types.json: one definition a line, so that a refresh has a readable diff."""
    lines = [
        f"{json.dumps(name)}:{json.dumps(schema, sort_keys=True, separators=(',', ':'))}"
        for name, schema in definitions.items()
    ]
    body = ",\n".join(lines)
    return f'{{"release":{json.dumps(release)},"definitions":{{\n{body}\n}}}}\n'


def _short(full_name: str) -> str:
    return full_name.rpartition(".")[2]


def _reduced(schema: Mapping[str, Any], place: str) -> Schema:
    kept: Schema = {}
    for keyword, value in schema.items():
        if keyword == "$ref":
            kept[keyword] = _short(value)
        elif keyword == "properties":
            kept[keyword] = {
                name: _reduced(field, f"{place}.{name}") for name, field in value.items()
            }
        elif keyword in ("items", "additionalProperties"):
            kept[keyword] = _reduced(value, f"{place}.{keyword}")
        elif keyword in _KEPT:
            kept[keyword] = value
        elif keyword not in _DROPPED:
            raise UsageError(f"unknown keyword {keyword!r} at {place}: keep or drop it in prune.py")
    return kept


def _references(schema: Mapping[str, Any]) -> Iterator[str]:
    if "$ref" in schema:
        yield schema["$ref"].removeprefix(_REF_PREFIX)
    for keyword in ("items", "additionalProperties"):
        if keyword in schema:
            yield from _references(schema[keyword])
    for field in schema.get("properties", {}).values():
        yield from _references(field)


def main(arguments: list[str]) -> int:
    """The command; returns its exit code."""
    if len(arguments) != 2:
        print(
            "usage: python -m warmclaim.api.schema.prune SWAGGER_JSON RELEASE  (like v1.36.3)",
            file=sys.stderr,
        )
        return 2
    source, release = arguments
    try:
        swagger = json.loads(Path(source).read_text(encoding="utf-8"))
        CORE_TYPES.write_text(dump(prune(swagger), release), encoding="utf-8")
    except (OSError, ValueError, UsageError) as error:
        print(f"prune: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
