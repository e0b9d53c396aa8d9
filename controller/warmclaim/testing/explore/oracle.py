"""Holds a run against the reference: the same end, and nothing made for nothing.

What a crash may change, and no more:

* *When* a claim is served. So a claim that a tenant deletes soon may get a sandbox that it did
  not get in the reference, or the other way round: each such handing-out explains one sandbox.
* *Whether a pool's surplus is deleted or handed out.* A target that is lowered while claims come
  makes a surplus of d members; in the reference some claims took theirs out of it. After a crash
  all d may be deleted first: that explains d minus those that the reference deleted.
* *Warm or cold.* A claim's wait for a member is counted anew by a new process, and its pool may be
  filled later. So a claim's sandbox has to look like some claim's in the reference, or like a
  cold one.

A crash by itself explains no sandbox: what the dead process had reserved or created is found by
the next one. So a living claim never owns more sandboxes, one after the other, than in the
reference, and in all no more are made than there and explained above.
"""

from __future__ import annotations

from collections.abc import Iterator

from warmclaim.testing.explore.books import Books


def differences(books: Books, reference: Books, cold_shapes: frozenset[bytes]) -> Iterator[str]:
    """In words, each way in which a run ended otherwise than the reference explains."""
    yield from _end(books, reference)
    yield from _shapes(books, reference, cold_shapes)
    yield from _counts(books, reference)


def _end(books: Books, reference: Books) -> Iterator[str]:
    is_state, wanted = books.end(), reference.end()
    for what in sorted({*is_state, *wanted}):
        if is_state.get(what) != wanted.get(what):
            yield f"{what}: {is_state.get(what)}, in the reference {wanted.get(what)}"


def _shapes(books: Books, reference: Books, cold: frozenset[bytes]) -> Iterator[str]:
    known = {*reference.claims_shapes().values(), *cold}
    for key, shape in books.claims_shapes().items():
        if shape not in known:
            yield f"the sandbox of {key} is like none in the reference: {shape.decode()}"


def _counts(books: Books, reference: Books) -> Iterator[str]:
    explained = 0
    living = books.living_claims()
    for claim, sandboxes in books.handed.items():
        more = len(sandboxes) - len(reference.handed.get(claim, ()))
        if more > 0 and claim in living:
            yield f"claim {claim} was given {more} sandboxes more than in the reference"
        explained += max(0, more)
    surplus_max = max(reference.surplus, reference.lowered, books.lowered)
    if books.surplus > surplus_max:
        yield f"{books.surplus} surplus members were deleted, {surplus_max} explained"
    explained += max(0, books.surplus - reference.surplus)
    if books.made > reference.made + explained:
        yield (
            f"{books.made} sandboxes were made, {reference.made} in the reference, "
            f"{explained} explained"
        )
