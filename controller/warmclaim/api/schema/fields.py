"""Words to define a field of our own with: each returns the OpenAPI schema of one field.

A schema here is a plain dict, fresh on every call, in the form that a CustomResourceDefinition
carries it (apiextensions.k8s.io/v1 JSONSchemaProps). Every field has a description; a field
borrowed from Kubernetes comes from `core_types` and has one only at its top.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

Schema: TypeAlias = dict[str, Any]


def string(
    description: str,
    *,
    default: str | None = None,
    enum: Sequence[str] = (),
    pattern: str | None = None,
    min_length: int | None = None,
    max_length: int | None = None,
) -> Schema:
    """Text, or one of the words of `enum`."""
    return _field(
        "string",
        description,
        default=default,
        enum=list(enum) or None,
        pattern=pattern,
        minLength=min_length,
        maxLength=max_length,
    )


def timestamp(description: str) -> Schema:
    """A moment, as RFC 3339 text."""
    return _field("string", description, format="date-time")


def boolean(description: str) -> Schema:
    """True, false or unset; never defaulted, since unset has a meaning of its own."""
    return _field("boolean", description)


def int32(
    description: str,
    *,
    default: int | None = None,
    minimum: int | None = None,
    maximum: int | None = None,
) -> Schema:
    """A count."""
    return _field(
        "integer", description, format="int32", default=default, minimum=minimum, maximum=maximum
    )


def generation(description: str) -> Schema:
    """A copy of some metadata.generation."""
    return _field("integer", description, format="int64", minimum=0)


def object_(
    description: str, properties: Mapping[str, Schema], *, required: Sequence[str] = ()
) -> Schema:
    """A structure with exactly these fields: the server drops any other."""
    return _field(
        "object",
        description,
        properties=dict(properties),
        required=sorted(required) or None,
    )


def string_map(description: str) -> Schema:
    """Free keys with text values, like labels."""
    return _field("object", description, additionalProperties={"type": "string"})


def array(description: str, items: Schema, *, atomic: bool = False) -> Schema:
    """A list. `atomic`: server-side apply gives it one owner instead of merging entries."""
    return _field(
        "array",
        description,
        items=items,
        **{"x-kubernetes-list-type": "atomic" if atomic else None},
    )


def described(description: str, schema: Schema) -> Schema:
    """A borrowed schema as a field of ours."""
    return {**schema, "description": description}


def with_rule(schema: Schema, rule: str, message: str) -> Schema:
    """The schema plus a CEL rule that the API server checks on each write."""
    return {**schema, "x-kubernetes-validations": [{"rule": rule, "message": message}]}


def _field(type_: str, description: str, **keywords: Any) -> Schema:
    given = {key: value for key, value in keywords.items() if value is not None}
    return {"type": type_, "description": description, **given}
