"""Cases of the hand-over's own patches: each is a compare-and-set that holds exactly once.

The patches come from `warmclaim.domain.patches`, made from views whose uids are references, so
that the very bytes the controller sends are judged by the server.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec
from tests.contract.bodies import claim, owner, pool, ready, sandbox
from tests.contract.steps import Call, Case, case, delete, get, merge, patch, post

from warmclaim.api import names
from warmclaim.api.claim import Claim, ClaimStatus
from warmclaim.api.pool import Pool
from warmclaim.api.sandbox import Sandbox
from warmclaim.domain import patches
from warmclaim.domain.reservation import Reservation
from warmclaim.testing.json_values import Json

V = TypeVar("V")
OWNER = {"controller": True, "blockOwnerDeletion": True}
LABELS = {names.LABEL_WARM_POOL: "abc", names.LABEL_LAUNCH_TYPE: names.WARM}


def view(value: Json, saved: str, type_: type[V]) -> V:
    """A typed view of an object whose uid is the one saved under that name."""
    metadata = {**value["metadata"], "uid": f"${saved}.uid", "namespace": "{ns}"}
    return msgspec.json.decode(msgspec.json.encode({**value, "metadata": metadata}), type=type_)


def sends(
    path: str,
    operations: Sequence[patches.Operation],
    code: int = 200,
    *,
    reason: str = "",
    **expected: Any,
) -> Call:
    """The patch as the controller sends it; a refusal is 422 Invalid if nothing else is said."""
    said = reason or ("" if code < 400 else "Invalid")
    return patch(path, *map(dict, operations), code=code, reason=said, **expected)


WARM = sandbox(labels=LABELS, ownerReferences=[owner("SandboxWarmPool", "pool", **OWNER)])
STOCK = (
    post("pools", pool(), save="pool"),
    post("sandboxes", WARM, save="box"),
    post("claims", claim("one"), save="one"),
    post("claims", claim("two"), save="two"),
)
BOX = view(WARM, "box", Sandbox)
ONE, TWO = view(claim("one"), "one", Claim), view(claim("two"), "two", Claim)
BY_ONE = patches.reservation_patch(BOX, ONE)
BY_TWO = patches.reservation_patch(BOX, TWO)
TAKEN: Json = {
    "metadata": {
        "ownerReferences": [
            {"kind": "SandboxClaim", "name": "one", "uid": "$one.uid", "controller": True}
        ],
        "labels": {names.LABEL_CLAIM_UID: "$one.uid"},
    }
}

RESERVATIONS = (
    case(
        "the first reservation of a sandbox holds, the second is refused",
        *STOCK,
        sends("sandboxes/box", BY_ONE, has=TAKEN, rv=">box", save="taken"),
        sends("sandboxes/box", BY_TWO, 422),
        get("sandboxes/box", has=TAKEN, rv="=taken"),
    ),
    case(
        "a reservation takes the labels of the pool away",
        *STOCK,
        sends("sandboxes/box", BY_ONE, has=TAKEN),
        get(
            "sandboxes",
            query={"labelSelector": f"{names.LABEL_WARM_POOL}=abc"},
            has={"items": []},
        ),
    ),
    case(
        "a reservation sent twice holds once",
        *STOCK,
        sends("sandboxes/box", BY_ONE, has=TAKEN, save="taken"),
        sends("sandboxes/box", BY_ONE, 422),
        get("sandboxes/box", rv="=taken"),
    ),
    case(
        "a write of the status in between is no conflict",
        *STOCK,
        merge("sandboxes/box/status", {"status": {"nodeName": "n1"}}),
        sends("sandboxes/box", BY_ONE, has=TAKEN),
    ),
    case(
        "a sandbox under deletion cannot be reserved",
        *STOCK,
        merge("sandboxes/box", {"metadata": {"finalizers": ["example.com/held"]}}),
        delete("sandboxes/box"),
        sends("sandboxes/box", BY_ONE, 422),
    ),
    case(
        "another sandbox of the same name cannot be reserved",
        *STOCK,
        delete("sandboxes/box"),
        post("sandboxes", WARM, save="other"),
        sends("sandboxes/box", BY_ONE, 422),
        get("sandboxes/box", rv="=other"),
    ),
    case(
        "a sandbox that is gone cannot be reserved",
        *STOCK,
        delete("sandboxes/box"),
        sends("sandboxes/box", BY_ONE, 404, reason="NotFound"),
    ),
)


def as_status(value: Json) -> ClaimStatus:
    return msgspec.json.decode(msgspec.json.encode(value), type=ClaimStatus)


def naming(name: str) -> ClaimStatus:
    """A status that publishes the sandbox of that name."""
    return as_status({"conditions": [ready()], "sandbox": {"name": name, "podIPs": ["10.0.0.1"]}})


FRESH = view(claim("one"), "one", Claim)
WAITING_STATUS: Json = {"conditions": [ready("False", "Waiting")]}
FAILED = as_status(WAITING_STATUS)
WAITING = view(
    {**claim("one", resourceVersion="$waiting.rv"), "status": WAITING_STATUS}, "one", Claim
)
PUBLISHED = view(
    {**claim("one"), "status": {**WAITING_STATUS, "sandbox": {"name": "a"}}}, "one", Claim
)
CLAIM = post("claims", claim("one"), save="one")
NAMES_A: Json = {"status": {"sandbox": {"name": "a"}}}

PUBLICATIONS = (
    case(
        "a publication on a fresh claim is written once",
        CLAIM,
        sends(
            "claims/one/status",
            patches.publication_patch(FRESH, naming("a")),
            has=NAMES_A,
            save="waiting",
        ),
        sends("claims/one/status", patches.publication_patch(FRESH, naming("b")), 422),
        sends("claims/one/status", patches.publication_patch(WAITING, naming("b")), 422),
        get("claims/one", has=NAMES_A),
    ),
    case(
        "a publication on a claim with a status is written once",
        CLAIM,
        merge("claims/one/status", {"status": WAITING_STATUS}, save="waiting"),
        sends("claims/one/status", patches.publication_patch(FRESH, naming("b")), 422),
        sends("claims/one/status", patches.publication_patch(WAITING, naming("a")), has=NAMES_A),
        sends("claims/one/status", patches.publication_patch(WAITING, naming("b")), 422),
        get("claims/one", has=NAMES_A),
    ),
    case(
        "a publication on a claim that was written since it was seen is refused",
        CLAIM,
        merge("claims/one/status", {"status": WAITING_STATUS}, save="waiting"),
        merge("claims/one", {"metadata": {"labels": {"a": "b"}}}),
        sends("claims/one/status", patches.publication_patch(WAITING, naming("a")), 422),
    ),
    case(
        "a publication sent twice holds once",
        CLAIM,
        sends("claims/one/status", patches.publication_patch(FRESH, naming("a")), save="told"),
        sends("claims/one/status", patches.publication_patch(FRESH, naming("a")), 422),
        get("claims/one", rv="=told"),
    ),
    case(
        "a claim made anew under its name is not published to",
        CLAIM,
        delete("claims/one"),
        post("claims", claim("one"), save="again"),
        sends("claims/one/status", patches.publication_patch(FRESH, naming("a")), 422),
        get("claims/one", rv="=again", lacks=("status",)),
    ),
    case(
        "a failure is told only to a claim without a sandbox",
        CLAIM,
        sends(
            "claims/one/status",
            patches.failure_patch(FRESH, FAILED),
            has={"status": {"conditions": [{"reason": "Waiting"}]}},
            save="waiting",
        ),
        sends("claims/one/status", patches.publication_patch(WAITING, naming("a")), has=NAMES_A),
        sends(
            "claims/one/status",
            patches.failure_patch(WAITING, FAILED),
            422,
        ),
        get("claims/one", has=NAMES_A),
    ),
    case(
        "a mirrored status holds under the published name only",
        CLAIM,
        sends("claims/one/status", patches.publication_patch(FRESH, naming("a")), has=NAMES_A),
        sends("claims/one/status", patches.mirror_patch(PUBLISHED, naming("a")), has=NAMES_A),
        merge("claims/one/status", {"status": {"sandbox": {"name": "b"}}}),
        sends("claims/one/status", patches.mirror_patch(PUBLISHED, naming("a")), 422),
    ),
)

ANNOTATION = names.ANNOTATION_RESERVATION
FIRST, SECOND = Reservation(0, 2, 2), Reservation(2, 4, 2)
BARE = view(pool(replicas=2), "pool", Pool)
RESERVED = view(pool(replicas=2, annotations={ANNOTATION: FIRST.encode()}), "pool", Pool)
OTHERWISE = view(pool(replicas=2, annotations={"a": "b"}), "pool", Pool)
WANTS_TWO = post("pools", pool(replicas=2), save="pool")


def reserved(by: Reservation) -> Json:
    return {"metadata": {"annotations": {ANNOTATION: by.encode()}, "generation": 1}}


CREATE_RESERVATIONS = (
    case(
        "of two create reservations from the same view one holds",
        WANTS_TWO,
        sends("pools/pool", patches.create_reservation_patch(BARE, FIRST), has=reserved(FIRST)),
        sends("pools/pool", patches.create_reservation_patch(BARE, SECOND), 422),
        get("pools/pool", has=reserved(FIRST)),
    ),
    case(
        "the next create reservation builds on the last",
        WANTS_TWO,
        sends("pools/pool", patches.create_reservation_patch(BARE, FIRST), has=reserved(FIRST)),
        sends(
            "pools/pool", patches.create_reservation_patch(RESERVED, SECOND), has=reserved(SECOND)
        ),
        sends("pools/pool", patches.create_reservation_patch(RESERVED, SECOND), 422),
    ),
    case(
        "a create reservation joins other annotations",
        post("pools", pool(replicas=2, annotations={"a": "b"}), save="pool"),
        sends("pools/pool", patches.create_reservation_patch(BARE, FIRST), 422),
        sends(
            "pools/pool", patches.create_reservation_patch(OTHERWISE, FIRST), has=reserved(FIRST)
        ),
    ),
    case(
        "a create reservation holds for the target it was made for only",
        WANTS_TWO,
        merge("pools/pool", {"spec": {"replicas": 1}}),
        sends("pools/pool", patches.create_reservation_patch(BARE, FIRST), 422),
    ),
    case(
        "a pool under deletion reserves nothing",
        post("pools", pool(replicas=2, finalizers=["example.com/held"]), save="pool"),
        delete("pools/pool"),
        sends("pools/pool", patches.create_reservation_patch(BARE, FIRST), 422),
    ),
)

CASES: tuple[Case, ...] = RESERVATIONS + PUBLICATIONS + CREATE_RESERVATIONS
