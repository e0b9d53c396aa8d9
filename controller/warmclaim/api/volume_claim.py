"""PersistentVolumeClaim: a sandbox's volume, as far as it is ever read: whose it is."""

from __future__ import annotations

from warmclaim.api.meta import ObjectMeta, View


class VolumeClaim(View, frozen=True, gc=False):
    """The spec is written once, from its template, and never compared."""

    metadata: ObjectMeta
