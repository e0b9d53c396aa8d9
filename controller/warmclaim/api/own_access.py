"""SelfSubjectAccessReview: whether the one who asks may do something."""

from __future__ import annotations

from typing import Final

from warmclaim.api.meta import ObjectMeta, View
from warmclaim.api.resources import Resource

_NAMELESS: Final = ObjectMeta("")


class AccessStatus(View, frozen=True, gc=False):
    """The answer. `denied` overrules `allowed`, as the API says."""

    allowed: bool = False
    denied: bool = False


class OwnAccess(View, frozen=True, gc=False):
    """The review with its answer; nothing of it is stored."""

    status: AccessStatus = AccessStatus()

    @property
    def metadata(self) -> ObjectMeta:
        """Every object has it; a review's has no name."""
        return _NAMELESS

    @property
    def is_allowed(self) -> bool:
        return self.status.allowed and not self.status.denied


OWN_ACCESS: Final = Resource(
    "authorization.k8s.io",
    "v1",
    "selfsubjectaccessreviews",
    "SelfSubjectAccessReview",
    OwnAccess,
    is_namespaced=False,
)
