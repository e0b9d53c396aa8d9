"""The actions of tenants, admins, machines and enemies, drawn before the run begins."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from warmclaim.testing.sim.case import Action, Options, Uses
from warmclaim.testing.sim.dice import Dice

_ON_CLAIMS: Final = frozenset(("hostile.status", "hostile.clear", "hostile.squat"))
_ON_MANAGERS: Final = frozenset(("manager.kill", "manager.stop", "manager.cut", "server.switch"))
_ON_SERVERS: Final = frozenset(("server.freeze", "server.thaw"))
_ON_NAMESPACES: Final = frozenset(("namespace.renew", "rbac.lose"))


def namespace_name(number: int) -> str:
    return f"ns-{number}"


def pool_target(options: Options, number: int) -> str:
    """ "namespace/name" of the pool with that number."""
    return f"{namespace_name(number % options.namespaces)}/pool-{number}"


def claim_target(options: Options, number: int) -> str:
    """ "namespace/name" of the claim with that number."""
    return f"{namespace_name(number % options.namespaces)}/c-{number}"


def pools_of(options: Options, namespace: str) -> list[str]:
    """Names of the pools of a namespace; there is at least one."""
    targets = (pool_target(options, number) for number in range(len(options.replicas)))
    return [name for space, _, name in (t.partition("/") for t in targets) if space == namespace]


def drawn_actions(options: Options) -> tuple[Action, ...]:
    """All of them, in order of time."""
    dice = Dice(options.seed)
    actions = [*_claims(options, dice)]
    for name, often in options.acts.items():
        for number in range(_count(dice, name, often)):
            actions.append(_action(options, dice, name, number))
    return tuple(sorted(actions, key=lambda action: (action.at, action.do, action.target)))


def _claims(options: Options, dice: Dice) -> Iterator[Action]:
    for number in range(options.claims):
        when, x, kind, _ = dice.units(f"claim {number}")
        # With a burst of 4 half of the claims come in the first sixteenth of the time.
        at = options.span_s * 0.8 * when**options.burst
        do = _creation(options.uses, kind)
        yield Action(round(at, 4), do, claim_target(options, number), round(x, 6))


def _creation(uses: Uses, kind: float) -> str:
    """By which action a claim is made."""
    shares = (
        ("claim.brief", uses.brief_share),
        ("claim.dress", uses.dressed_share),
        ("claim.own", uses.own_share),
    )
    for do, share in shares:
        if kind < share:
            return do
        kind -= share
    return "claim.create"


def _count(dice: Dice, name: str, often: float) -> int:
    """The expected number, spread by chance between none and twice as many."""
    return int(dice.unit(f"count {name}") * 2 * often + 0.5)


def _action(options: Options, dice: Dice, name: str, number: int) -> Action:
    when, which, x, _ = dice.units(f"{name} {number}")
    target = ""
    if name in _ON_CLAIMS or name.startswith("claim."):
        target = claim_target(options, int(which * options.claims))
    elif name in _ON_MANAGERS:
        target = f"m{int(which * 2)}"
    elif name in _ON_SERVERS:
        target = f"s{int(which * options.servers)}"
    elif name in _ON_NAMESPACES:
        target = namespace_name(int(which * options.namespaces))
    elif name.startswith(("pool.", "template.", "policy.", "hostile.")):
        target = pool_target(options, int(which * len(options.replicas)))
    return Action(round(options.span_s * when, 4), name, target, round(x, 6))
