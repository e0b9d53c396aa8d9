"""With the seal on no hostile sandbox is given to a claim, and nobody else notices."""

from __future__ import annotations

from tests.hostile import seals
from tests.hostile.judge import Judge
from tests.hostile.seals import CLAIMANT
from tests.hostile.world import GOOD, HostileWorld

from warmclaim.api.resources import CLAIM, SANDBOX, SECRET
from warmclaim.api.secret import encoded
from warmclaim.settings import PoolSettings
from warmclaim.testing.builders import an_object
from warmclaim.testing.json_values import Json
from warmclaim.testing.virtual_loop import World, run_virtual


def given(world: HostileWorld, namespace: str, claim: str) -> Json:
    """The pod template of the sandbox that a claim has."""
    claims = {one["metadata"]["name"]: one for one in world.objects(CLAIM, namespace)}
    name = claims[claim]["status"]["sandbox"]["name"]
    sandboxes = {one["metadata"]["name"]: one for one in world.objects(SANDBOX, namespace)}
    found: Json = sandboxes[name]["spec"]["podTemplate"]
    return found


def test_whoever_forges_copies_or_edits_harms_nobody() -> None:
    async def main(loop: World) -> list[str]:
        world = HostileWorld(loop, pools=PoolSettings(seal_secret="keys/seal"))
        keys = {"data": encoded({"current": b"k" * 32})}
        world.cluster.put({**an_object(SECRET, "seal", "keys"), **keys})
        async with world:
            problems = await Judge(world, seals.inputs(), replicas=1).run()
            genuine = given(world, GOOD, "g-1")
            for number, one in enumerate(seals.inputs()):
                found = given(world, f"h-{number}", CLAIMANT)
                if found["spec"] != genuine["spec"] or "open" in found["metadata"]["labels"]:
                    problems.append(f"{one}: the claim got {found}")
            return problems

    problems = run_virtual(main)
    assert not problems, "\n" + "\n".join(problems)
