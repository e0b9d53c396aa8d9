"""ConversionReview: the API server's question, and the answer to it. Pure."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from warmclaim.domain.conversion import JsonObject, convert
from warmclaim.errors import ConversionError

_GROUP: Final = "apiextensions.k8s.io/"
_UID_CHARS_MAX: Final = 256
_MESSAGE_CHARS_MAX: Final = 1024


class MalformedReview(Exception):
    """This is no ConversionReview; the text says what is wrong with it."""


class _Request(msgspec.Struct, rename="camel"):
    uid: str
    desired_api_version: str = msgspec.field(name="desiredAPIVersion")
    objects: list[JsonObject] = []


class _Review(msgspec.Struct, rename="camel"):
    api_version: str
    kind: str
    request: _Request


_decoder = msgspec.json.Decoder(_Review)


def answer(raw: bytes) -> bytes:
    """The review with its response: all objects converted, in order, or a failure and why.

    One object that cannot be converted fails the review: the API server takes all or none.
    Raises MalformedReview. Cost: O(bytes).
    """
    review = _decoded(raw)
    request = review.request
    response: dict[str, Any] = {"uid": request.uid}
    try:
        response["convertedObjects"] = [
            convert(value, request.desired_api_version) for value in request.objects
        ]
        response["result"] = {"status": "Success"}
    except ConversionError as error:
        response["convertedObjects"] = []
        response["result"] = {"status": "Failure", "message": str(error)[:_MESSAGE_CHARS_MAX]}
    body = {"apiVersion": review.api_version, "kind": review.kind, "response": response}
    return msgspec.json.encode(body)


def _decoded(raw: bytes) -> _Review:
    try:
        review = _decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedReview(str(error)) from None
    is_review = review.kind == "ConversionReview" and review.api_version.startswith(_GROUP)
    if not is_review or not 0 < len(review.request.uid) <= _UID_CHARS_MAX:
        raise MalformedReview("expected a ConversionReview with a request and its uid")
    return review
