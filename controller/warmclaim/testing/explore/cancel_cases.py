"""The worlds in which a pass is cancelled: together they reach every kind of request it makes."""

from __future__ import annotations

from typing import Any, Final

from warmclaim.api import names
from warmclaim.api.resources import CLAIM, POD, POOL, SANDBOX, SERVICE, VOLUME_CLAIM, Resource
from warmclaim.controllers.refill_gate import RefillGate
from warmclaim.domain.reservation import Reservation, member_name
from warmclaim.errors import UnknownOutcomeError
from warmclaim.seams import Request, Response
from warmclaim.testing import refusals
from warmclaim.testing.builders import (
    a_claim,
    a_pod_spec,
    a_pool,
    a_sandbox,
    a_stray,
    a_template,
    an_object,
)
from warmclaim.testing.explore.arena import Arena
from warmclaim.testing.explore.cancelling import Case, Problems, Script, Strike, nothing
from warmclaim.testing.explore.process import Turn
from warmclaim.testing.explore.worlds import claim_problems
from warmclaim.testing.json_values import Json
from warmclaim.testing.sim.objects import controller_of, part, ready_of
from warmclaim.testing.store import ObjectStore
from warmclaim.testing.virtual_loop import VirtualClock

BUSY_S: Final = 0.1
_GONE: Final = "gone"


_STRANGER: Final = a_sandbox(member_name("pool", "pool-uid", 0), pool=None)

# What happens around a request.


def _matches(request: Request, words: tuple[str, ...]) -> bool:
    line = f"{request.method} {request.path}"
    return all(word in line for word in words)


def _once(strike: Strike, *words: str) -> Strike:
    """`strike`, for the first request whose method and path hold all the words."""
    left = [strike]

    def first(request: Request) -> Response | Exception | None:
        return left.pop()(request) if left and _matches(request, words) else None

    return first


def _lost(_: Request) -> Exception:
    return UnknownOutcomeError("the answer was lost")


def _reservation_lost(_: Arena) -> Script:
    return Script(nothing, _once(_lost, "PATCH", "/sandboxes/"))


def _robbed(arena: Arena) -> Script:
    """Another claim gets the picked sandbox first."""

    def rob(request: Request) -> None:
        arena.cluster.put(a_sandbox(request.path.rpartition("/")[2], claim="rival"))

    return Script(_once(rob, "PATCH", "/sandboxes/"), nothing)


def _overtaken(arena: Arena) -> Script:
    """Another leader gives the claim another sandbox before this one is published."""

    def overtake(_: Request) -> None:
        arena.attribution.who = "m1"
        arena.cluster.put(a_sandbox("w1", claim="c0"))
        arena.cluster.put(a_claim("c0", sandbox="w1"))

    return Script(_once(overtake, "PATCH", "/sandboxclaims/", "/status"), nothing)


def _throttled(_: Arena) -> Script:
    """The server asks for a second's pause; the other claim's request waits for its end."""

    def throttle(_: Request) -> Response:
        headers = {"content-type": "text/plain", "retry-after": "1"}
        return Response(429, b"Too many requests, please try again later.", headers)

    return Script(_once(throttle, "PATCH", "/sandboxes/"), nothing)


def _create_lost(_: Arena) -> Script:
    return Script(nothing, _once(_lost, "POST"))


def _pool_reservation_lost(_: Arena) -> Script:
    return Script(nothing, _once(_lost, "PATCH", "/sandboxwarmpools/"))


def _status_lost(_: Arena) -> Script:
    return Script(nothing, _once(_lost, "PATCH", "/status"))


def _note_lost(_: Arena) -> Script:
    return Script(nothing, _once(_lost, "PATCH", "/sandboxclaims/"))


def _squatted(arena: Arena) -> Script:
    """Somebody else takes the first member's name first."""

    def squat(_: Request) -> None:
        arena.cluster.put(_STRANGER)

    return Script(_once(squat, "POST", "/sandboxes"), nothing)


def _status_refused(_: Arena) -> Script:
    def refuse(_: Request) -> Response:
        refusal = refusals.conflict(str(SANDBOX), "s0")
        return Response(refusal.code, refusal.body, refusal.headers)

    return Script(_once(refuse, "PATCH", "/status"), nothing)


def _while_claims_are_served(clock: VirtualClock) -> Turn:
    until_s = clock.monotonic() + BUSY_S
    return RefillGate(clock, lambda: clock.monotonic() < until_s).turn


# How a world must end.


def _annotation_missing(store: ObjectStore) -> list[str]:
    found = [
        part(commit.object, "spec", "podTemplate", "metadata", "annotations", "note")
        for commit in store.scan(str(SANDBOX))
    ]
    return claim_problems(store) + ([] if found == ["blue"] else [f"the pod's note is {found}"])


def _unmarked(store: ObjectStore) -> list[str]:
    """What is not noted on a served claim and its sandbox, and what should not be any more."""
    problems: list[str] = []
    for commit in store.scan(str(CLAIM)):
        metadata = commit.object["metadata"]
        if names.ANNOTATION_FIRST_READY not in metadata["annotations"]:
            problems.append(f"{commit.key} does not say when it was Ready")
        if names.ASSIGNED_SANDBOX in metadata["annotations"] | metadata.get("labels", {}):
            problems.append(f"{commit.key} still names what it did not get")
    for commit in store.scan(str(SANDBOX)):
        if commit.object["metadata"]["labels"].get(names.LABEL_LAUNCH_TYPE) != names.WARM:
            problems.append(f"{commit.key} was launched warm and does not say so")
    return problems


def _claim_gone(store: ObjectStore) -> list[str]:
    return [f"{commit.key} outlives its time" for commit in store.scan(str(CLAIM))]


def _sandbox_gone(store: ObjectStore) -> list[str]:
    """The claim stays and says so."""
    kept = [f"{commit.key} outlives its claim's time" for commit in store.scan(str(SANDBOX))]
    said = [ready_of(commit.object).reason for commit in store.scan(str(CLAIM))]
    return kept if said == ["ClaimExpired"] else [*kept, f"the claim says {said}"]


def _pool_problems(store: ObjectStore) -> list[str]:
    """As many members as wanted, and the status says so."""
    pool = next(iter(store.scan(str(POOL)))).object
    wanted = int(pool["spec"]["replicas"])
    owners = [controller_of(commit.object) for commit in store.scan(str(SANDBOX))]
    members = sum(owner is not None and owner.kind == POOL.kind for owner in owners)
    shown = part(pool, "status", "replicas")
    problems = [] if members == wanted else [f"L4 {members} members, {wanted} wanted"]
    return problems + ([] if shown == wanted else [f"L4 the status shows {shown} of {wanted}"])


def _sandbox_problems(store: ObjectStore) -> list[str]:
    """Each sandbox has its pod, its Service where it wants one, and a status."""
    problems: list[str] = []
    for commit in store.scan(str(SANDBOX)):
        sandbox = commit.object
        problems += _child_problems(store, sandbox, POD)
        if sandbox["spec"].get("service"):
            problems += _child_problems(store, sandbox, SERVICE)
        if sandbox["spec"].get("volumeClaimTemplates"):
            problems += _child_problems(store, sandbox, VOLUME_CLAIM)
        if not part(sandbox, "status", "conditions"):
            problems.append(f"{commit.key} has no status")
    return problems


def _at_rest(store: ObjectStore) -> list[str]:
    """Nothing runs for the sandbox, its volume is kept, and its status tells of both."""
    left = [f"{kind.plural} {c.key}" for kind in (POD, SERVICE) for c in store.scan(str(kind))]
    said = [ready_of(commit.object).reason for commit in store.scan(str(SANDBOX))]
    kept = sum(1 for _ in store.scan(str(VOLUME_CLAIM)))
    is_well = said in (["SandboxSuspended"], ["SandboxExpired"]) and kept == 1
    return left + ([] if is_well else [f"the sandbox says {said}, {kept} volume claims"])


def _sandbox_deleted(store: ObjectStore) -> list[str]:
    return [f"{commit.key} outlives its time" for commit in store.scan(str(SANDBOX))]


def _label_missing(store: ObjectStore) -> list[str]:
    labels = [part(commit.object, "metadata", "labels", "tier") for commit in store.scan(str(POD))]
    return [] if labels == ["gold"] else [f"the pod's labels are {labels}"]


def _child_problems(store: ObjectStore, sandbox: Json, kind: Resource[Any]) -> list[str]:
    uid = sandbox["metadata"]["uid"]
    owners = [controller_of(commit.object) for commit in store.scan(str(kind))]
    count = sum(owner is not None and owner.uid == uid for owner in owners)
    name = sandbox["metadata"]["name"]
    return [] if count == 1 else [f"{name} has {count} of {kind.plural}"]


# The worlds.


def _fresh_sandbox(name: str, **more: Any) -> Json:
    return a_sandbox(name, ready=False, **more)


def _member(ordinal: int) -> Json:
    return a_sandbox(member_name("pool", "pool-uid", ordinal), ready=True)


def _reserved_pool(replicas: int, reservation: Reservation) -> Json:
    annotations = {names.ANNOTATION_RESERVATION: reservation.encode()}
    return a_pool(replicas=replicas, merge={"metadata": {"annotations": annotations}})


def _claims(name: str, *objects: Json, **more: Any) -> Case:
    return Case(f"claim-{name}", "claim", (a_template(), *objects), claim_problems, **more)


def _asks_for_more() -> Case:
    """A claim that has its sandbox, and was changed to ask for an annotation of its pod."""
    asked = {"spec": {"additionalPodMetadata": {"annotations": {"note": "blue"}}}}
    claim = a_claim("c0", sandbox="w0", merge=asked)
    objects = (a_template(), a_pool(), a_sandbox("w0", claim="c0"), claim)
    return Case("claim-asks-for-more", "claim", objects, _annotation_missing)


def _expired(policy: str, problems: Problems) -> Case:
    """A claim that has its sandbox, and whose time is over."""
    life = {"shutdownTime": "2025-12-31T00:00:00Z", "shutdownPolicy": policy}
    claim = a_claim("c0", sandbox="w0", merge={"spec": {"lifecycle": life}})
    objects = (a_template(), a_pool(), a_sandbox("w0", claim="c0"), claim)
    return Case(f"claim-expired-{policy.lower()}", "claim", objects, problems)


def _marks(name: str, **more: Any) -> Case:
    """A claim that another controller served, having chosen another sandbox before."""
    chosen = {names.ASSIGNED_SANDBOX: "chosen"}
    claim = a_claim("c0", sandbox="w0", merge={"metadata": {"annotations": chosen}})
    bound = a_sandbox("w0", claim="c0")
    return Case(f"marks-{name}", "marks", (bound, claim), _unmarked, **more)


def _pools(name: str, *objects: Json, **more: Any) -> Case:
    return Case(f"pool-{name}", "pool", (a_template(), *objects), _pool_problems, **more)


def _sandboxes(name: str, *objects: Json, **more: Any) -> Case:
    return Case(f"sandbox-{name}", "sandbox", objects, _sandbox_problems, **more)


def _own(kind: Resource[Any], name: str) -> Json:
    """A child that the sandbox s0 has already; a pod ends at once when it is deleted."""
    labels = {names.LABEL_NAME_HASH: names.name_hash("s0")}
    reference = {
        "apiVersion": SANDBOX.api_version,
        "kind": SANDBOX.kind,
        "name": "s0",
        "uid": "s0-uid",
        "controller": True,
    }
    metadata = {"labels": labels, "ownerReferences": [reference]}
    spec: Json = {"terminationGracePeriodSeconds": 0} if kind is POD else {}
    return an_object(kind, name, merge={"metadata": metadata, "spec": spec})


def _with_children(name: str, problems: Problems, **spec: Any) -> Case:
    """A sandbox with a pod, a Service and a volume claim, and what its spec has become."""
    volumes = [{"metadata": {"name": "data"}, "spec": {}}]
    sandbox = _fresh_sandbox("s0", pool=None, merge={"spec": {"volumeClaimTemplates": volumes}})
    sandbox["spec"] |= spec
    children = (_own(POD, "s0"), _own(SERVICE, "s0"), _own(VOLUME_CLAIM, "data-s0"))
    return Case(f"sandbox-{name}", "sandbox", (sandbox, *children), problems)


_OVER: Final = {"shutdownTime": "2025-12-31T00:00:00Z"}
_UNMARKED: Final = a_sandbox("w0", merge={"metadata": {"labels": {names.LABEL_LAUNCH_TYPE: None}}})
_TWO: Final = (a_sandbox("w0"), a_sandbox("w1"))
_WITH_SERVICE: Final = {"spec": {"service": True}}

CASES: Final = (
    _claims("warm", a_pool(), a_sandbox("w0"), a_claim("c0")),
    _claims("two", a_pool(replicas=2), *_TWO, a_claim("c0"), a_claim("c1")),
    _claims("cold", a_pool(replicas=0), a_claim("c0")),
    _claims("waits-then-cold", a_pool(), a_claim("c0")),
    _claims("cold-answer-lost", a_pool(replicas=0), a_claim("c0"), script=_create_lost),
    _claims("answer-lost", a_pool(replicas=2), *_TWO, a_claim("c0"), script=_reservation_lost),
    _claims(
        "throttled",
        a_pool(replicas=2),
        *_TWO,
        a_claim("c0"),
        a_claim("c1"),
        script=_throttled,
    ),
    _claims(
        "robbed",
        a_pool(replicas=2),
        *_TWO,
        a_claim("c0"),
        a_claim("rival", sandbox="w0"),
        script=_robbed,
    ),
    _claims("overtaken", a_pool(replicas=2), *_TWO, a_claim("c0"), script=_overtaken),
    _claims("publication-lost", a_pool(), a_sandbox("w0"), a_claim("c0"), script=_status_lost),
    _claims("sandbox-missing", a_pool(), a_sandbox("w0"), a_claim("c0", sandbox=_GONE)),
    _asks_for_more(),
    _expired("Delete", _claim_gone),
    _expired("Retain", _sandbox_gone),
    _marks("upgraded"),
    _marks("yields", turn=_while_claims_are_served),
    _marks("answer-lost", script=_note_lost),
    _pools("fill", a_pool(replicas=3)),
    _pools("yields", a_pool(replicas=3), turn=_while_claims_are_served),
    _pools("answer-lost", a_pool(replicas=2), script=_pool_reservation_lost),
    _pools("create-answer-lost", a_pool(replicas=2), script=_create_lost),
    _pools("name-taken", a_pool(replicas=1), script=_squatted),
    _pools(
        "taken-over",
        of_manager=(_reserved_pool(3, Reservation(0, 3, 3)), _member(0)),
    ),
    _pools("takes-in", a_stray(), a_pool(replicas=2)),
    _pools("takes-in-answer-lost", a_stray(), a_pool(), script=_reservation_lost),
    _pools("marks", _UNMARKED, a_pool()),
    _pools("shrinks", a_pool(replicas=1), *(a_sandbox(f"w{n}") for n in range(4))),
    _sandboxes("alone", _fresh_sandbox("s0", pool=None, merge=_WITH_SERVICE)),
    _sandboxes("member", _fresh_sandbox("s0"), turn=_while_claims_are_served),
    _sandboxes(
        "create-answer-lost",
        _fresh_sandbox("s0", pool=None, merge=_WITH_SERVICE),
        script=_create_lost,
    ),
    _sandboxes(
        "with-a-volume",
        _fresh_sandbox(
            "s0",
            pool=None,
            merge={"spec": {"volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {}}]}},
        ),
    ),
    _with_children("suspended", _at_rest, operatingMode="Suspended", service=False),
    _with_children("expired-retain", _at_rest, **_OVER, shutdownPolicy="Retain"),
    _with_children("expired-delete", _sandbox_deleted, **_OVER, shutdownPolicy="Delete"),
    _with_children(
        "pod-relabelled",
        _label_missing,
        podTemplate={"metadata": {"labels": {"tier": "gold"}}, "spec": a_pod_spec()},
    ),
    _sandboxes("status-refused", _fresh_sandbox("s0", pool=None), script=_status_refused),
    _sandboxes("status-answer-lost", _fresh_sandbox("s0", pool=None), script=_status_lost),
)
