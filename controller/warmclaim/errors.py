"""Every error the program raises on purpose, and what the caller shall do about it.

WarmclaimError
├── UsageError              the user's: a flag, a file; said in one line, exit 2
├── SealKeyError            the seal's keys cannot be used; those read before go on being used
├── CertificateError        a serving certificate that must not be used; the one before stays
├── ConversionError         an object cannot become another version of its kind: told to its writer
├── ApiError                the API server answered, and the answer was no
│   ├── TransientError      5xx: retry with back-off; a write's outcome is unknown
│   │   └── ThrottledError  429: not applied; wait `retry_after_s`
│   ├── ConflictError       409, or 422 from a failed `test`: read again, decide again
│   ├── AlreadyExistsError  409 on a create
│   ├── NotFoundError       404
│   ├── ExpiredError        410: this resourceVersion or token is gone; list again
│   ├── UnauthorizedError   401: credentials are read again once, then back-off
│   ├── ForbiddenError      403: a quota or an admission plug-in refused this object; say which
│   │   ├── NotPermittedError          a permission is missing; said once for all requests
│   │   └── NamespaceTerminatingError  whatever it was for will be deleted; forget it
│   └── PermanentError      400, 413, 422, too large: the same request never succeeds
│       └── StoredOtherwiseError       it was made, but not as it was sent: admission changed it
├── NotSentError            no byte of the request left: surely not applied
├── UnknownOutcomeError     applied or not: read back, never guess
├── StreamError             a watch broke or made no sense: resume from the last version
├── BrokenListError         a list is cut, or holds what is no object: nothing of it counts
├── BrokenSnapshotError     a file is no snapshot, or one that is cut: nothing of it is used
└── InvariantError          ours: a promise would be broken; refuse the step, count it
"""

from __future__ import annotations


class WarmclaimError(Exception):
    """Base of all errors raised on purpose."""


class UsageError(WarmclaimError):
    """Bad input by the user; the message is one line that says what to do. Exit code 2."""


class SealKeyError(WarmclaimError):
    """The Secret of the seal holds no keys that may be used; the message says why, never a key."""


class CertificateError(WarmclaimError):
    """A certificate that must not be served; the message says which, and why."""


class ConversionError(WarmclaimError):
    """An object cannot become another version of its kind; the message says why."""


class ApiError(WarmclaimError):
    """The API server refused a request.

    `status` is the HTTP code, `reason` the machine-readable word of the Status object ("" where
    the body was not one), `message` its text, `retry_after_s` the server's wish or None.
    """

    def __init__(
        self, status: int, reason: str, message: str, *, retry_after_s: float | None = None
    ) -> None:
        super().__init__(f"{status} {reason}: {message}" if reason else f"{status}: {message}")
        self.status = status
        self.reason = reason
        self.message = message
        self.retry_after_s = retry_after_s


class TransientError(ApiError):
    """A 5xx answer. A write may have been applied all the same."""


class ThrottledError(TransientError):
    """429: the server refused before looking; surely not applied."""


class ConflictError(ApiError):
    """The object is not what the caller thought: stale version or a failed `test`."""


class AlreadyExistsError(ApiError):
    """The name of a create is taken."""


class NotFoundError(ApiError):
    """No such object, or no such kind."""


class ExpiredError(ApiError):
    """410: history before this point is gone; only a new list helps."""


class UnauthorizedError(ApiError):
    """401: the credentials are not, or no longer, good."""


class ForbiddenError(ApiError):
    """403: a quota is full, a policy or a webhook says no, or one of the two below."""


class NotPermittedError(ForbiddenError):
    """403 of the authorizer: this account may not do such a thing."""


class NamespaceTerminatingError(ForbiddenError):
    """403: nothing new may be made in this namespace. Everything in it is being deleted."""


class PermanentError(ApiError):
    """The request itself is refused; sending it again gives the same answer."""


class StoredOtherwiseError(PermanentError):
    """An object was made and is not what was sent: the next one will not be, either."""


class NotSentError(WarmclaimError):
    """The connection could not be made; the request surely was not applied."""


class UnknownOutcomeError(WarmclaimError):
    """The answer was lost, late or unreadable; only reading back tells what happened."""


class StreamError(WarmclaimError):
    """A watch ended in a way that is not a clean end."""


class BrokenListError(WarmclaimError):
    """What should be a list is not a whole one; what was read of it must be dropped."""


class BrokenSnapshotError(WarmclaimError):
    """What should be a snapshot is none, or not a whole one; the message says what is wrong."""


def means_no_service(error: BaseException) -> bool:
    """Whether an error may come from the API server, or its database, being away: no answer, one
    that no API server gives, or a 5xx. A 429 comes from a server that is there."""
    if isinstance(error, TransientError):
        return not isinstance(error, ThrottledError) and not 0 < error.status < 500
    return isinstance(error, NotSentError | UnknownOutcomeError)


class InvariantError(WarmclaimError):
    """A step that would break one of the promises; it was not taken.

    `invariant` names the promise, for example "S3".
    """

    def __init__(self, invariant: str, message: str) -> None:
        super().__init__(f"{invariant}: {message}")
        self.invariant = invariant
