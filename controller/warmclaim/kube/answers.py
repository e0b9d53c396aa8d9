"""What an answer of the API server means: which error, which wait, which object.

Pure: bytes and numbers in, values and errors out. The rules (which status is which error) are
those of a real kube-apiserver, several of them surprising: a 500 that is permanent, a 504 that
asks for another list, a 422 that is a lost race.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Final, TypeVar, cast

import msgspec

from warmclaim.api.meta import ObjectKey, ObjectMeta
from warmclaim.api.names import is_object_name
from warmclaim.errors import (
    AlreadyExistsError,
    ApiError,
    ConflictError,
    ExpiredError,
    ForbiddenError,
    NamespaceTerminatingError,
    NotFoundError,
    NotPermittedError,
    PermanentError,
    ThrottledError,
    TransientError,
    UnauthorizedError,
)

V = TypeVar("V")

TEXT_CHARS_MAX: Final = 256
RETRY_AFTER_S_MAX: Final = 300.0

# The reason that `TransientError` carries for a version that the server has not reached yet. The
# server says "Timeout" and puts this word among the causes.
VERSION_TOO_LARGE: Final = "ResourceVersionTooLarge"
# Reasons of our own, for answers that are no Kubernetes answers.
NO_ANSWER: Final = "NoAnswer"
BAD_ANSWER: Final = "BadAnswer"
ANSWER_TOO_LARGE: Final = "AnswerTooLarge"

# msgspec's own errors, nesting deeper than the decoder goes, and bytes that are no UTF-8.
DECODE_ERRORS: Final = (msgspec.MsgspecError, RecursionError, ValueError)

# An admission plug-in, policy or webhook may say anything, but puts its own words after the colon.
_OF_AUTHORIZER: Final = re.compile(
    r'\S+(?: "[^"]*")? is forbidden: User ".*" cannot \S+ (?:resource|path) "', re.DOTALL
)
_TERMINATING: Final = "NamespaceTerminating"

_TOO_LARGE_TEXTS = ("request is too large", "trying to send message larger than max")


class _Cause(msgspec.Struct):
    reason: str = ""


class _Details(msgspec.Struct, rename="camel"):
    causes: list[_Cause] | None = None
    retry_after_seconds: float = 0


class Status(msgspec.Struct):
    """metav1.Status: the body of a refusal, and the object of an ERROR event."""

    kind: str = ""
    code: int = 0
    reason: str = ""
    message: str = ""
    details: _Details | None = None

    def has_cause(self, word: str) -> bool:
        causes = self.details.causes if self.details else None
        return any(cause.reason == word for cause in causes or ())

    @property
    def retry_after_s(self) -> float | None:
        seconds = self.details.retry_after_seconds if self.details else 0
        return min(seconds, RETRY_AFTER_S_MAX) if seconds > 0 else None


class _Metadata(msgspec.Struct, rename="camel"):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""


class Identity(msgspec.Struct):
    """The least that names an object; read from objects whose view does not decode."""

    metadata: _Metadata

    @property
    def key(self) -> ObjectKey | None:
        name = self.metadata.name
        return ObjectKey(self.metadata.namespace, name) if name else None

    @property
    def version(self) -> int | None:
        return version_number(self.metadata.resource_version)


class Kind(msgspec.Struct):
    """What an answer is: the object, or a Status that tells of it."""

    kind: str = ""


@dataclass(frozen=True, slots=True)
class Expected:
    """What an answered object must be; "" where it is not known."""

    name: str = ""
    namespace: str = ""
    uid: str = ""

    def other_than(self, metadata: ObjectMeta) -> str | None:
        """By what the object is another one; None where it is the one."""
        pairs = (
            (self.name, metadata.name),
            (self.namespace, metadata.namespace),
            (self.uid, metadata.uid),
        )
        return next((given for wanted, given in pairs if wanted and wanted != given), None)


_decoders: dict[type, msgspec.json.Decoder[Any]] = {}


def decoder_for(view: type[V]) -> msgspec.json.Decoder[V]:
    """The decoder of a type, built once; there are a few dozen types in all."""
    known = _decoders.get(view)
    if known is None:
        known = _decoders[view] = msgspec.json.Decoder(view)
    decoder: msgspec.json.Decoder[V] = known
    return decoder


def version_number(resource_version: str) -> int | None:
    """A resourceVersion as the integer it is on every known server; None if it is none."""
    is_number = resource_version.isascii() and resource_version.isdecimal()
    return int(resource_version) if is_number and len(resource_version) <= 20 else None


def is_sound(metadata: ObjectMeta) -> bool:
    """Does the object have what every object has: a name, and a version that is a number?

    No API server stores another kind of name, and none may become part of a request's path.
    """
    is_placed = not metadata.namespace or is_object_name(metadata.namespace)
    is_named = is_placed and is_object_name(metadata.name)
    return is_named and version_number(metadata.resource_version) is not None


def identity_of(raw: bytes | msgspec.Raw) -> Identity | None:
    """Name, uid and version of an object in JSON, or None where there is no reading it."""
    try:
        return decoder_for(Identity).decode(raw)
    except DECODE_ERRORS:
        return None


def plain(text: str) -> str:
    """Text from outside, fit for an error or a log line: one line, printable, cut at 256."""
    cut = text[:TEXT_CHARS_MAX]
    return "".join(c if c.isprintable() else " " for c in cut).strip()


def retry_after_s(headers: Mapping[str, str], wall: Callable[[], float]) -> float | None:
    """The Retry-After header in seconds from now, 0 to 300; None if absent or unreadable."""
    value = headers.get("retry-after", "").strip()
    if not value:
        return None
    try:
        seconds = float(value) if value[0].isdigit() else _until(value, wall())
    except (ValueError, OverflowError):
        return None
    return min(max(seconds, 0.0), RETRY_AFTER_S_MAX) if math.isfinite(seconds) else None


def _until(http_date: str, now: float) -> float:
    return parsedate_to_datetime(http_date).timestamp() - now


def status_of(code: int, body: bytes) -> Status:
    """The Status in a body. Where there is none (429 is text/plain), the text is the message."""
    try:
        status = decoder_for(Status).decode(body)
    except DECODE_ERRORS:
        status = Status(message=body[:TEXT_CHARS_MAX].decode("utf-8", "replace"))
    if status.kind != "Status":
        status = Status(message=status.message)
    status.code = code
    return status


def error_for(status: Status, *, verb: str = "", retry_s: float | None = None) -> ApiError:
    """The typed error of a refusal.

    `verb` matters twice: a 409 on a create may be a taken name, and a 422 on a JSON patch is a
    failed `test` as a rule. That 422 may also be a schema error or a denial by admission, so its
    receiver resolves it by one authoritative GET and never repeats the patch blindly.
    """
    kind, reason = _kind_of(status, verb)
    wait_s = retry_s if retry_s is not None else status.retry_after_s
    return kind(status.code, plain(reason), plain(status.message), retry_after_s=wait_s)


_BY_CODE: Final[dict[int, type[ApiError]]] = {
    401: UnauthorizedError,
    408: TransientError,
    409: ConflictError,
    410: ExpiredError,
    429: ThrottledError,
}


def _kind_of(status: Status, verb: str) -> tuple[type[ApiError], str]:
    code, reason = status.code, status.reason
    if code == 404:
        # Without a Status it is a proxy's, or the kind itself is not served: no word about the
        # object, so nobody may conclude that it is gone.
        return (NotFoundError if reason == "NotFound" else TransientError), reason
    if code == 403:
        return _kind_of_403(status), reason
    if code == 409 and verb == "create" and reason == "AlreadyExists":
        return AlreadyExistsError, reason
    if code == 422 and verb == "json_patch":
        return ConflictError, reason
    if code >= 500:
        return _kind_of_5xx(status)
    return _BY_CODE.get(code, PermanentError), reason


def _kind_of_403(status: Status) -> type[ForbiddenError]:
    if status.has_cause(_TERMINATING):
        return NamespaceTerminatingError
    return NotPermittedError if _OF_AUTHORIZER.match(status.message) else ForbiddenError


def _kind_of_5xx(status: Status) -> tuple[type[ApiError], str]:
    if any(text in status.message for text in _TOO_LARGE_TEXTS):
        return PermanentError, status.reason
    is_ahead = status.has_cause(VERSION_TOO_LARGE) or "Too large resource version" in status.message
    return TransientError, VERSION_TOO_LARGE if is_ahead else status.reason


def is_version_too_large(error: BaseException) -> bool:
    """Does the server lag behind the version asked for?"""
    return isinstance(error, TransientError) and error.reason == VERSION_TOO_LARGE


def member(value: object, *names: str) -> str:
    """The string at a path of nested mappings, "" where there is none."""
    for name in names:
        if not isinstance(value, Mapping):
            return ""
        value = cast(Mapping[str, object], value).get(name)
    return value if isinstance(value, str) else ""
