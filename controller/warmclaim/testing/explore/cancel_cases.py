"""The worlds in which a pass is cancelled: together they reach every kind of request it makes."""

from __future__ import annotations

from typing import Any, Final

from warmclaim.api import names
from warmclaim.api.resources import (
    NETWORK_POLICY,
    POD,
    SANDBOX,
    SERVICE,
    TEMPLATE,
    VOLUME_CLAIM,
    Resource,
)
from warmclaim.controllers.pool_growth import SURE_S_MAX
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
    an_owner,
)
from warmclaim.testing.explore.arena import Arena
from warmclaim.testing.explore.cancel_ends import (
    annotation_missing,
    at_rest,
    claim_gone,
    label_missing,
    pool_problems,
    sandbox_deleted,
    sandbox_gone,
    sandbox_problems,
    unmarked,
    unsettled,
)
from warmclaim.testing.explore.cancelling import Case, Problems, Script, Strike, nothing
from warmclaim.testing.explore.process import Turn
from warmclaim.testing.explore.worlds import claim_problems
from warmclaim.testing.json_values import Json
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


def _policy_changed(arena: Arena) -> Script:
    """Somebody opens the template's policy just before it is replaced."""

    def open_it(_: Request) -> None:
        arena.cluster.put(_own_policy(ingress=[{}], egress=[{}]))

    return Script(_once(open_it, "PATCH", "/networkpolicies/"), nothing)


def _status_refused(_: Arena) -> Script:
    def refuse(_: Request) -> Response:
        refusal = refusals.conflict(str(SANDBOX), "s0")
        return Response(refusal.code, refusal.body, refusal.headers)

    return Script(_once(refuse, "PATCH", "/status"), nothing)


def _while_claims_are_served(clock: VirtualClock) -> Turn:
    until_s = clock.monotonic() + BUSY_S
    return RefillGate(clock, lambda: clock.monotonic() < until_s).turn


def _after_long(clock: VirtualClock) -> Turn:
    """Longer than a reservation's word counts: it is asked about first."""
    return lambda: clock.sleep(SURE_S_MAX + 1)


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
    return Case("claim-asks-for-more", "claim", objects, annotation_missing)


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
    return Case(f"marks-{name}", "marks", (bound, claim), unmarked, **more)


def _pools(name: str, *objects: Json, **more: Any) -> Case:
    return Case(f"pool-{name}", "pool", (a_template(), *objects), pool_problems, **more)


def _sandboxes(name: str, *objects: Json, **more: Any) -> Case:
    return Case(f"sandbox-{name}", "sandbox", objects, sandbox_problems, **more)


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


def _templates(name: str, *objects: Json, **more: Any) -> Case:
    return Case(f"template-{name}", "template", objects, unsettled, **more)


def _own_policy(**spec: Any) -> Json:
    """The one that the template has already."""
    owners = [an_owner(TEMPLATE, "python")]
    merge: Json = {"metadata": {"ownerReferences": owners}, "spec": spec}
    return an_object(NETWORK_POLICY, "python-network-policy", merge=merge)


_OVER: Final = {"shutdownTime": "2025-12-31T00:00:00Z"}
_UNMANAGED: Final = {"spec": {"networkPolicyManagement": "Unmanaged"}}
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
    _expired("Delete", claim_gone),
    _expired("Retain", sandbox_gone),
    _marks("upgraded"),
    _marks("yields", turn=_while_claims_are_served),
    _marks("answer-lost", script=_note_lost),
    _pools("fill", a_pool(replicas=3)),
    _pools("yields", a_pool(replicas=3), turn=_while_claims_are_served),
    _pools("goes-on-later", a_pool(replicas=2), turn=_after_long),
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
    _with_children("suspended", at_rest, operatingMode="Suspended", service=False),
    _with_children("expired-retain", at_rest, **_OVER, shutdownPolicy="Retain"),
    _with_children("expired-delete", sandbox_deleted, **_OVER, shutdownPolicy="Delete"),
    _with_children(
        "pod-relabelled",
        label_missing,
        podTemplate={"metadata": {"labels": {"tier": "gold"}}, "spec": a_pod_spec()},
    ),
    _templates("new", a_template()),
    _templates("create-answer-lost", a_template(), script=_create_lost),
    _templates("edited", a_template(), _own_policy(ingress=[{}])),
    _templates("changed-meanwhile", a_template(), _own_policy(), script=_policy_changed),
    _templates("given-up", a_template(merge=_UNMANAGED), _own_policy()),
    _sandboxes("status-refused", _fresh_sandbox("s0", pool=None), script=_status_refused),
    _sandboxes("status-answer-lost", _fresh_sandbox("s0", pool=None), script=_status_lost),
)
