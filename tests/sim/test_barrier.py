"""S8 is planted, each form of it once; and what looks like it and is none."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.sim.wired import Wired, batch, builders, in_ns, item, member

from warmclaim.api.names import ANNOTATION_RESERVATION
from warmclaim.api.resources import CLAIM, POOL, SANDBOX
from warmclaim.testing.json_values import Json
from warmclaim.testing.sim.barrier import Barrier
from warmclaim.testing.sim.wire import Audience

SANDBOXES = SANDBOX.collection("ns-0")
ANNOTATION = "/metadata/annotations/" + ANNOTATION_RESERVATION.replace("/", "~1")


class Story(Wired):
    """One claim c, one pool, and a manager that writes for both."""

    def __init__(self) -> None:
        super().__init__()
        barrier = Barrier(self.store, self.report)
        self.store.observers.append(barrier.on_commit)
        self.judged_by(Audience([barrier], [], [barrier]))
        self.put(in_ns(builders.a_claim, "c"))
        self.put(in_ns(builders.a_pool, "pool", replicas=3))

    def reserve(self, sandbox: str, *, is_answered: bool = True) -> None:
        owner = {"op": "replace", "path": "/metadata/ownerReferences"}
        body = [{**owner, "value": [builders.an_owner(CLAIM, "c")]}]
        exchange = self.send("PATCH", item(SANDBOX, sandbox), body)
        found = self.put(in_ns(builders.a_sandbox, sandbox, claim="c"))
        if is_answered:
            self.answer(exchange, found)

    def start_cold(self) -> None:
        body = in_ns(builders.a_sandbox, "c", claim="c")
        self.answer(self.send("POST", SANDBOXES, body), self.put(body))

    def create(self, ordinal: int) -> None:
        body = in_ns(builders.a_sandbox, member(ordinal), pool="pool")
        self.answer(self.send("POST", SANDBOXES, body), self.put(body))

    def batch(self, first: int, end: int) -> None:
        text = batch(first, end)
        body: list[Json] = [
            {"op": "test", "path": "/metadata/uid", "value": "pool-uid"},
            {"op": "add", "path": ANNOTATION, "value": text},
        ]
        exchange = self.send("PATCH", item(POOL, "pool"), body)
        merge: Json = {"metadata": {"annotations": {ANNOTATION_RESERVATION: text}}}
        self.answer(exchange, self.put(in_ns(builders.a_pool, "pool", replicas=3, merge=merge)))

    def publish(self, sandbox: str) -> None:
        value = in_ns(builders.a_claim, "c", sandbox=sandbox)
        body = [
            {"op": "test", "path": "/metadata/uid", "value": "c-uid"},
            {"op": "test", "path": "/status", "value": None},
            {"op": "add", "path": "/status", "value": value["status"]},
        ]
        self.answer(self.send("PATCH", item(CLAIM, "c", "status"), body), self.put(value))

    def take_back(self, shows: str) -> None:
        body: list[Json] = [
            {"op": "test", "path": "/metadata/uid", "value": "c-uid"},
            {"op": "test", "path": "/status/sandbox/name", "value": shows},
            {"op": "replace", "path": "/status", "value": {"conditions": []}},
        ]
        self.send("PATCH", item(CLAIM, "c", "status"), body)

    def remove(self, sandbox: str, **preconditions: str) -> None:
        body = {"kind": "DeleteOptions", "preconditions": preconditions}
        self.send("DELETE", item(SANDBOX, sandbox), body)


def _reserves_twice(story: Story) -> None:
    story.begin()
    story.reserve("w1")
    story.reserve("w2")


def _reserves_in_the_next_pass(story: Story) -> None:
    story.begin()
    story.reserve("w1")
    story.begin()
    story.reserve("w2")


def _starts_cold_after_a_reservation(story: Story) -> None:
    story.begin()
    story.reserve("w1")
    story.get(CLAIM, "c")
    story.start_cold()


def _starts_cold_unread(story: Story) -> None:
    story.begin()
    story.get(CLAIM, "c")
    story.begin()
    story.start_cold()


def _publishes_over(story: Story) -> None:
    story.begin()
    story.publish("w1")
    story.publish("w2")


def _takes_back_what_is_held(story: Story) -> None:
    story.begin()
    story.reserve("w1")
    story.publish("w1")
    story.get(CLAIM, "c")
    story.take_back("w1")


def _takes_back_unread(story: Story) -> None:
    story.put(in_ns(builders.a_claim, "c", sandbox="w1"))
    story.begin()
    story.take_back("w1")


def _creates_again(story: Story) -> None:
    story.batch(0, 1)
    story.create(0)
    story.delete(SANDBOX, member(0))
    story.begin("sandboxwarmpool", "pool")
    story.create(0)


def _reserves_the_same_ordinals(story: Story) -> None:
    story.batch(0, 2)
    story.create(0)
    story.create(1)
    story.batch(1, 3)


def _reserves_before_all_are_made(story: Story) -> None:
    story.batch(0, 2)
    story.create(0)
    story.batch(2, 3)


def _deletes_by_name(story: Story) -> None:
    story.remove("w1")


def _deletes_as_surplus_what_it_gave_away(story: Story) -> None:
    old = story.put(in_ns(builders.a_sandbox, "w1"))["metadata"]["resourceVersion"]
    story.begin()
    story.reserve("w1")
    story.begin("sandboxwarmpool", "pool")
    story.remove("w1", uid="w1-uid", resourceVersion=old)


def _deletes_a_member_at_any_version(story: Story) -> None:
    story.put(in_ns(builders.a_sandbox, "w1"))
    story.remove("w1", uid="w1-uid")


def _reclaims_unread(story: Story) -> None:
    story.put(in_ns(builders.a_sandbox, "w1", claim="c"))
    story.begin()
    story.remove("w1", uid="w1-uid")


def _reclaims_what_it_shows(story: Story) -> None:
    story.begin()
    story.reserve("w1")
    story.publish("w1")
    story.get(CLAIM, "c")
    story.remove("w1", uid="w1-uid")


BREAKING: list[Callable[[Story], None]] = [
    _reserves_twice,
    _reserves_in_the_next_pass,
    _starts_cold_after_a_reservation,
    _starts_cold_unread,
    _publishes_over,
    _takes_back_what_is_held,
    _takes_back_unread,
    _creates_again,
    _reserves_the_same_ordinals,
    _reserves_before_all_are_made,
    _deletes_by_name,
    _deletes_as_surplus_what_it_gave_away,
    _deletes_a_member_at_any_version,
    _reclaims_unread,
    _reclaims_what_it_shows,
]


@pytest.mark.parametrize("breaks", BREAKING, ids=lambda breaks: breaks.__name__.strip("_"))
def test_a_planted_breach_is_found(breaks: Callable[[Story], None]) -> None:
    story = Story()
    breaks(story)
    assert story.promises == ["S8"], story.texts


def test_a_sound_life_breaks_nothing() -> None:
    story = Story()
    story.begin("sandboxwarmpool", "pool")
    story.batch(0, 2)
    story.create(0)
    story.create(1)
    story.batch(2, 3)
    story.begin()
    story.reserve(member(0))
    story.publish(member(0))
    story.put(in_ns(builders.a_sandbox, member(1), claim="c"))
    story.get(CLAIM, "c")
    story.remove(member(1), uid=f"{member(1)}-uid")
    story.delete(SANDBOX, member(0))
    story.take_back(member(0))
    story.put(in_ns(builders.a_claim, "c"))
    story.get(CLAIM, "c")
    story.start_cold()
    assert story.promises == []


def test_a_claim_that_was_told_to_be_over_loses_what_it_shows() -> None:
    story = Story()
    story.begin()
    story.reserve("w1")
    story.publish("w1")
    over = {"conditions": [builders.a_condition("Ready", "False", reason="ClaimExpired")]}
    story.put(in_ns(builders.a_claim, "c", sandbox="w1", merge={"status": over}))
    story.get(CLAIM, "c")
    story.remove("w1", uid="w1-uid")
    assert story.promises == []


def test_what_was_told_of_a_claim_is_old_once_its_time_is_over() -> None:
    story = Story()
    story.begin()
    story.reserve("w1")
    story.publish("w1")
    story.get(CLAIM, "c")
    # Another leader wrote it after that read, and the watch was quicker than the read's answer.
    over = {"conditions": [builders.a_condition("Ready", "False", reason="ClaimExpired")]}
    story.put(in_ns(builders.a_claim, "c", sandbox="w1", merge={"status": over}))
    story.remove("w1", uid="w1-uid")
    assert story.promises == []


def test_taking_back_another_name_that_came_in_between_changes_nothing() -> None:
    story = Story()
    story.begin()
    story.reserve("w1")
    story.publish("w1")
    story.get(CLAIM, "c")
    story.take_back("theirs")  # refused by its own test
    assert story.promises == []


def test_what_was_lost_may_be_replaced() -> None:
    story = Story()
    story.begin()
    story.reserve("w1")
    story.put(in_ns(builders.a_sandbox, "w1", pool=None))
    story.reserve("w2")
    assert story.promises == []


def test_an_answer_that_never_came_was_not_told() -> None:
    story = Story()
    story.begin()
    story.reserve("w1", is_answered=False)
    story.reserve("w2")
    assert story.promises == []


def test_a_pass_that_was_under_way_may_have_decided_before() -> None:
    story = Story()
    old = story.put(in_ns(builders.a_sandbox, "w1"))["metadata"]["resourceVersion"]
    story.begin("sandboxwarmpool", "pool")
    early = story.send("GET", item(POOL, "pool")).work
    story.begin()
    story.reserve("w1")
    story.resume(early)
    story.remove("w1", uid="w1-uid", resourceVersion=old)
    assert story.promises == []


def test_another_process_was_told_nothing() -> None:
    story = Story()
    story.begin()
    story.reserve("w1")
    story.process = "m0-2"
    story.reserve("w2")
    assert story.promises == []


def test_a_reservation_that_others_have_replaced_binds_nobody() -> None:
    story = Story()
    story.batch(0, 2)
    merge: Json = {"metadata": {"annotations": {ANNOTATION_RESERVATION: batch(7, 9)}}}
    story.put(in_ns(builders.a_pool, "pool", replicas=3, merge=merge))
    story.batch(9, 10)
    assert story.promises == []
