"""TokenReview and the reviews of access: who bears a token, and what somebody may do."""

from __future__ import annotations

from warmclaim.api.meta import View
from warmclaim.api.resources import Resource


class UserInfo(View, frozen=True, gc=False):
    """Somebody, as the authenticator knows him."""

    username: str = ""
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: dict[str, tuple[str, ...]] = {}


class TokenStatus(View, frozen=True, gc=False):
    """The answer; `audiences` are those asked for that the token is good for."""

    authenticated: bool = False
    user: UserInfo = UserInfo()
    audiences: tuple[str, ...] = ()
    error: str = ""


class TokenReview(View, frozen=True, gc=False):
    status: TokenStatus = TokenStatus()


class AccessStatus(View, frozen=True, gc=False):
    """The answer. `denied` overrules `allowed`, as the API says."""

    allowed: bool = False
    denied: bool = False


class AccessReview(View, frozen=True, gc=False):
    status: AccessStatus = AccessStatus()

    @property
    def is_allowed(self) -> bool:
        return self.status.allowed and not self.status.denied


TOKEN_REVIEW = Resource(
    "authentication.k8s.io", "v1", "tokenreviews", "TokenReview", TokenReview, is_namespaced=False
)
ACCESS_REVIEW = Resource(
    "authorization.k8s.io",
    "v1",
    "subjectaccessreviews",
    "SubjectAccessReview",
    AccessReview,
    is_namespaced=False,
)
OWN_ACCESS_REVIEW = Resource(
    "authorization.k8s.io",
    "v1",
    "selfsubjectaccessreviews",
    "SelfSubjectAccessReview",
    AccessReview,
    is_namespaced=False,
)
"""Whether the one who asks may do something."""
