"""Secret (v1), as far as the webhook's own certificates need it."""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from collections.abc import Mapping

from warmclaim.api.meta import ObjectMeta, View


class Secret(View, frozen=True, gc=False):
    """`data` is base64 text, as it travels."""

    metadata: ObjectMeta
    data: dict[str, str] = {}

    def decoded(self) -> dict[str, bytes]:
        """The values; one that is no base64 counts as absent."""
        values: dict[str, bytes] = {}
        for name, text in self.data.items():
            try:
                values[name] = b64decode(text, validate=True)
            except (binascii.Error, ValueError):
                continue
        return values

    def __repr__(self) -> str:
        return f"Secret({self.metadata.key}, {', '.join(sorted(self.data))})"


def encoded(data: Mapping[str, bytes]) -> dict[str, str]:
    """Values as a Secret's `data`."""
    return {name: b64encode(value).decode() for name, value in data.items()}
