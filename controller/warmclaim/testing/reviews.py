"""TokenReview and SubjectAccessReview: who a token is, and what somebody may do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from warmclaim.testing import refusals
from warmclaim.testing.json_values import Json, is_object

_TOKEN = "/apis/authentication.k8s.io/v1/tokenreviews"
_ACCESS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
_SELF_ACCESS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"

_BAD_TOKEN = "invalid bearer token"


class Reviews:
    """Answers reviews. `users` maps a token to its user; `may` is asked with the spec of an access
    review (by default everybody may everything). A token in `audiences` is for those
    alone, any other for all."""

    def __init__(self) -> None:
        self.users: dict[str, str] = {}
        self.audiences: dict[str, frozenset[str]] = {}
        self.may: Callable[[Json], bool] = lambda _: True

    def serves(self, path: str) -> bool:
        return path in (_TOKEN, _ACCESS, _SELF_ACCESS)

    def answer(self, path: str, body: Any) -> Json:
        """The review with its status. Refuses (400, 422) one that asks nothing."""
        if not is_object(body):
            raise refusals.bad_request("a review must be an object")
        spec: Json = body.get("spec") or {}
        head = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview"}
        if path == _SELF_ACCESS:
            head["kind"] = "SelfSubjectAccessReview"
        elif path == _ACCESS and not (spec.get("user") or spec.get("groups")):
            said = 'Invalid value: "": at least one of user or group must be specified'
            found = refusals.cause("FieldValueInvalid", said, "spec.user")
            raise refusals.invalid("", "authorization.k8s.io", "", [found])
        if path != _TOKEN:
            return {**body, **head, "metadata": {}, "status": {"allowed": self.may(spec)}}
        if not spec.get("token"):
            raise refusals.bad_request("token is required for TokenReview in authentication")
        head = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview"}
        token, wanted = str(spec.get("token", "")), frozenset(spec.get("audiences") or ())
        user, named = self.users.get(token), wanted & self.audiences.get(token, wanted)
        if user is None or (wanted and not named) or (not wanted and token in self.audiences):
            return {**body, **head, "metadata": {}, "status": {"user": {}, "error": _BAD_TOKEN}}
        status: Json = {"authenticated": True, "user": {"username": user}}
        if named:
            status["audiences"] = sorted(named)
        return {**body, **head, "metadata": {}, "status": status}
