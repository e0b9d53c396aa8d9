"""S14 is broken in each way once, and not by notes in their time."""

from __future__ import annotations

import pytest
from tests.sim.wired import Wired, builders, in_ns, item

from warmclaim.api.names import ANNOTATION_FIRST_READY, ASSIGNED_SANDBOX
from warmclaim.api.resources import CLAIM
from warmclaim.testing.json_values import Json
from warmclaim.testing.sim.notes import Notes
from warmclaim.testing.sim.wire import Audience

MERGE = "application/merge-patch+json"
SERVED: Json = in_ns(builders.a_claim, "c", sandbox="w1")


class Noting(Wired):
    """A manager that notes when a claim was first Ready."""

    def __init__(self) -> None:
        super().__init__()
        notes = Notes(self.store, self.report)
        self.store.observers.append(notes.on_commit)
        self.judged_by(Audience(writes=[notes], answers=[notes]))
        self.put(in_ns(builders.a_claim, "c"))

    def serve(self) -> None:
        self.put(SERVED)

    def note(self, *, is_told: bool, annotation: str = ANNOTATION_FIRST_READY) -> None:
        """In a pass of its own."""
        self.begin("claim-marks")
        annotations = {annotation: builders.T0}
        body: Json = {"metadata": {"uid": "c-uid", "annotations": annotations}}
        exchange = self.send("PATCH", item(CLAIM, "c"), body, content_type=MERGE)
        noted = self.put({**SERVED, "metadata": {**SERVED["metadata"], **body["metadata"]}})
        if is_told:
            self.answer(exchange, noted)


def test_once_after_ready() -> None:
    manager = Noting()
    manager.serve()
    manager.note(is_told=True)
    assert manager.promises == []


def test_before_the_claim_was_ready() -> None:
    manager = Noting()
    manager.note(is_told=True)
    assert manager.promises == ["S14"]


@pytest.mark.parametrize(("is_told", "promises"), [(True, ["S14"]), (False, [])])
def test_again_is_excused_by_a_lost_answer_only(is_told: bool, promises: list[str]) -> None:
    manager = Noting()
    manager.serve()
    manager.note(is_told=is_told)
    manager.note(is_told=True)
    assert manager.promises == promises


def test_again_after_somebody_took_it_off() -> None:
    manager = Noting()
    manager.serve()
    manager.note(is_told=True)
    manager.serve()
    manager.note(is_told=True)
    assert manager.promises == []


def test_other_annotations_are_no_notes() -> None:
    manager = Noting()
    manager.note(is_told=True, annotation=ASSIGNED_SANDBOX)
    assert manager.promises == []
