"""NetworkPolicy (networking.k8s.io/v1): which traffic the pods of a template may have."""

from __future__ import annotations

import msgspec

from warmclaim.api.meta import ObjectMeta, View, shared_raw


class NetworkPolicy(View, frozen=True, gc=False):
    """`spec` stays JSON: a cluster has many policies, and only the own ones are ever read."""

    metadata: ObjectMeta
    spec: msgspec.Raw = msgspec.Raw(b"{}")

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "spec", shared_raw(self.spec))
