"""What a broken proxy, or a server of another kind, puts into watches and answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import msgspec
from tests.hostile.inputs import (
    BAD,
    IGNORED,
    SERVED,
    SKIPPED_CLAIM,
    SKIPPED_SANDBOX,
    Answer,
    Build,
    Effect,
    Ground,
    Input,
    Line,
    Send,
    Step,
    claim_spec,
    condition,
    table,
    thing,
)

from warmclaim.api.resources import CLAIM, SANDBOX, Resource
from warmclaim.seams import Response

TRANSIENT_RETRIES = 25
"""What may heal at any moment is tried again every 30 s at most."""
REOPENING_S = 1.6
"""A line that makes no sense ends its watch; the next one is opened after 0.8 s, with jitter. No
tenant can have such a line written: it takes a proxy, or a server of another kind."""
_JSON = {"content-type": "application/json"}


def _line(data: bytes, resource: Resource[Any] = CLAIM) -> Build:
    """VERSION in it becomes a version that the server has just reached."""

    def build(_: Ground) -> Sequence[Step]:
        return [Line(resource, lambda rv: data.replace(b"VERSION", b"%d" % rv) + b"\n")]

    return build


def _event(ground: Ground, type_: object, rv: int, **changes: object) -> bytes:
    body = thing(ground, CLAIM, claim_spec("ghost"), resourceVersion=str(rv), uid="spiked")
    metadata = {**body["metadata"], **changes}
    kept = {key: value for key, value in metadata.items() if value is not ...}
    return msgspec.json.encode({"type": type_, "object": {**body, "metadata": kept}}) + b"\n"


def _odd_event(type_: object = "ADDED", **changes: object) -> Build:
    return lambda ground: [Line(CLAIM, lambda rv: _event(ground, type_, rv, **changes))]


def _deep(rv: int) -> bytes:
    head = (
        b'{"type":"ADDED","object":{"metadata":{"name":"bad","resourceVersion":"%d"},"spec":' % rv
    )
    return head + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"}}\n"


def _line_of(make: Callable[[int], bytes]) -> Build:
    return lambda _: [Line(CLAIM, make)]


def lines() -> list[Input]:
    """Lines of a watch that are no event, or one about no object."""
    rows = _no_events() | _odd_events() | _odd_metadata() | _odd_notices() | _unlikely_events()
    rows["sandboxes: torn"] = (SKIPPED_SANDBOX, _line(b"{", SANDBOX))
    named = ("name a", "name in", "name of", "name with", "namespace", "17 MB")
    return [
        replace(one, delay_s=REOPENING_S)
        if one.id.startswith("error")
        or (one.expect is not IGNORED and not one.id.startswith(named))
        else one
        for one in table("watch lines", rows)
    ]


def _no_events() -> dict[str, tuple[Effect, Build]]:
    """Bytes, and JSON that is no object of a watch."""
    return {
        "torn": (SKIPPED_CLAIM, _line(b'{"type":"ADDED","obj')),
        "text": (SKIPPED_CLAIM, _line(b"<html>Bad Gateway</html>")),
        "bad utf-8": (SKIPPED_CLAIM, _line(b'\xff\xfe{"type":"ADDED"}')),
        "zeros": (SKIPPED_CLAIM, _line(b"\x00" * 64)),
        "null": (SKIPPED_CLAIM, _line(b"null")),
        "list": (SKIPPED_CLAIM, _line(b"[]")),
        "number": (SKIPPED_CLAIM, _line(b"7")),
        "empty object": (SKIPPED_CLAIM, _line(b"{}")),
        "two values": (SKIPPED_CLAIM, _line(b'{"type":"ADDED"}{"type":"ADDED"}')),
        "blank": (IGNORED, _line(b"  \n\n\t")),
    }


def _odd_events() -> dict[str, tuple[Effect, Build]]:
    """Of no known type, or about something that is no object."""
    return {
        "unknown type": (SKIPPED_CLAIM, _odd_event("EXPLODED")),
        "type a number": (SKIPPED_CLAIM, _odd_event(7)),
        "type with control characters": (SKIPPED_CLAIM, _odd_event("\u001b[2J\u202e")),
        "type of 100 KB": (SKIPPED_CLAIM, _odd_event("T" * 100_000)),
        "object null": (SKIPPED_CLAIM, _line(b'{"type":"ADDED","object":null}')),
        "object a list": (SKIPPED_CLAIM, _line(b'{"type":"ADDED","object":[]}')),
        "object a text": (SKIPPED_CLAIM, _line(b'{"type":"MODIFIED","object":"x"}')),
        "no object": (SKIPPED_CLAIM, _line(b'{"type":"DELETED"}')),
    }


def _odd_metadata() -> dict[str, tuple[Effect, Build]]:
    """About an object with a name, a place or a version that none has."""
    return {
        "no name": (SKIPPED_CLAIM, _odd_event(name=...)),
        "name empty": (SKIPPED_CLAIM, _odd_event(name="")),
        "name a path": (SKIPPED_CLAIM, _odd_event(name="../../x")),
        "name in upper case": (SKIPPED_CLAIM, _odd_event(name="Bad")),
        "name of 300": (SKIPPED_CLAIM, _odd_event(name="n" * 300)),
        "name with control characters": (SKIPPED_CLAIM, _odd_event(name="\u001b[2J\u202e")),
        "namespace a path": (SKIPPED_CLAIM, _odd_event(namespace="../kube-system")),
        "no version": (SKIPPED_CLAIM, _odd_event(resourceVersion=...)),
        "version a text": (SKIPPED_CLAIM, _odd_event(resourceVersion="newest")),
        "version negative": (SKIPPED_CLAIM, _odd_event(resourceVersion="-1")),
        "version of 30 digits": (SKIPPED_CLAIM, _odd_event(resourceVersion="9" * 30)),
        "version in other digits": (SKIPPED_CLAIM, _odd_event(resourceVersion="\u0663\u0664")),
    }


def _odd_notices() -> dict[str, tuple[Effect, Build]]:
    """Bookmarks and errors."""
    return {
        "bookmark without a version": (SKIPPED_CLAIM, _line(b'{"type":"BOOKMARK","object":{}}')),
        "bookmark of text": (SKIPPED_CLAIM, _line(b'{"type":"BOOKMARK","object":"x"}')),
        "bookmark of the past": (
            IGNORED,
            _line(b'{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"1"}}}'),
        ),
        "error of text": (SKIPPED_CLAIM, _line(b'{"type":"ERROR","object":"no"}')),
        "error of nothing": (IGNORED, _line(b'{"type":"ERROR","object":{}}')),
        "error gone": (IGNORED, _line(b'{"type":"ERROR","object":{"kind":"Status","code":410}}')),
        "error of odd types": (SKIPPED_CLAIM, _line(b'{"type":"ERROR","object":{"code":"410"}}')),
    }


def _unlikely_events() -> dict[str, tuple[Effect, Build]]:
    """Too deep, too large, too late, and a text that is none."""
    return {
        "depth 100,000": (SKIPPED_CLAIM, _line_of(_deep)),
        "17 MB": (SKIPPED_CLAIM, _line_of(lambda _: b'{"a":"' + b"x" * 17_000_000 + b'"}\n')),
        "deleted that never was": (IGNORED, _odd_event("DELETED")),
        "of the past": (IGNORED, _odd_event(resourceVersion="1")),
        "lone surrogate": (
            SKIPPED_CLAIM,
            _line(
                b'{"type":"ADDED","object":{"metadata":{"name":"\\ud800",'
                b'"resourceVersion":"VERSION"}}}'
            ),
        ),
    }


def _answered(words: tuple[str, ...], response: Response, **more: Any) -> Build:
    """A claim, and what comes back of the controller's requests for it."""

    def build(ground: Ground) -> Sequence[Step]:
        claim = Send(CLAIM, thing(ground, CLAIM, claim_spec()))
        return [Answer(words, response, **more), claim]

    return build


def _status(code: int, reason: object = "", message: object = "", **more: object) -> Response:
    body = {"kind": "Status", "code": code, "reason": reason, "message": message, **more}
    return Response(code, msgspec.json.encode(body), _JSON)


def _other(kind: str, **metadata: object) -> Response:
    meta = {"name": BAD, "namespace": "elsewhere", "uid": "other", "resourceVersion": "9"}
    value = {"apiVersion": CLAIM.api_version, "kind": kind, "metadata": {**meta, **metadata}}
    return Response(200, msgspec.json.encode(value), _JSON)


_BODIES: dict[str, bytes] = {
    "empty": b"",
    "html": b"<html>Welcome to the guest network</html>",
    "torn": b'{"kind":"Sandbox","metadata":{"name":"b',
    "null": b"null",
    "list": b"[]",
    "number": b"7",
    "object": b"{}",
    "bad utf-8": b"\xff" * 1_000,
    "depth 100,000": b'{"metadata":' * 100_000,
    "10 MB of zeros": b"\x00" * 10_000_000,
}


def answers() -> list[Input]:
    """Answers that are none, once and for ever."""
    reserve, publish = ("PATCH", "/sandboxes/"), ("PATCH", "/sandboxclaims/bad/status")
    rows: dict[str, tuple[Effect, Build]] = {}
    for name, body in _BODIES.items():
        response = Response(200, body, _JSON)
        rows[f"{name} after the reservation"] = SERVED, _answered(reserve, response)
        rows[f"{name} after the publication"] = SERVED, _answered(publish, response)
    odd = {
        "another's object": _other("SandboxClaim"),
        "another uid": _other("SandboxClaim", namespace="h-0"),
        "no content": Response(204, b"", {}),
        "a redirect": Response(302, b"", {"location": "http://169.254.169.254/"}),
        "a teapot": Response(418, b"short and stout", {"content-type": "text/plain"}),
        "500 of html": Response(500, b"<html>", {"content-type": "text/html"}),
        "503 for NaN seconds": Response(503, b"x", {"retry-after": "NaN"}),
        "429 for minus one second": Response(429, b"slow down", {"retry-after": "-1"}),
        "429 for soon": Response(429, b"slow down", {"retry-after": "soon"}),
        "409 of odd types": _status(409, reason=7, message=[], details=[]),
        "409 of 1 MB": _status(409, message="m" * 1_000_000),
        "422 of terminal codes": _status(422, reason="Invalid", message="\u001b[2J\r\n\u202e"),
        "422 with causes of numbers": _status(422, details={"causes": [7]}),
        "404 of no object": Response(404, b"page not found", {"content-type": "text/plain"}),
        "401": _status(401, reason="Unauthorized"),
    }
    rows |= {name: (SERVED, _answered(publish, response)) for name, response in odd.items()}
    rows.pop("a teapot")  # a refusal for good: below
    return [*table("answers", rows), *for_ever()]


def for_ever() -> list[Input]:
    """Refusals that stay: what is permanent is asked once a minute, the rest backs off."""
    error = condition("ReconcilerError")
    reserve = ("PATCH", "/sandboxes/")
    stays: dict[str, tuple[Response, int]] = {
        "denied by admission": (_status(422, "Invalid", "admission webhook denied it"), 10),
        "400": (_status(400, "BadRequest", "no"), 10),
        "a teapot": (Response(418, b"short and stout", {"content-type": "text/plain"}), 10),
        "too large": (_status(500, "", "etcdserver: request is too large"), 10),
        "forbidden": (_status(403, "Forbidden", "no right"), TRANSIENT_RETRIES),
    }
    return [
        Input("answers", f"for ever: {name}", error,
              _answered(reserve, response, times=1_000_000, is_instead=True), retries_max=retries)
        for name, (response, retries) in stays.items()
    ]  # fmt: skip


def inputs() -> list[Input]:
    """All of them."""
    return [*lines(), *answers()]
