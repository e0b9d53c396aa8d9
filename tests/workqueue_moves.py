"""Work queues to test with, and what one gives."""

from warmqueue import Backoff, Lane, Work, Workqueue


def queue_of(
    *keys: str,
    lane: Lane = Lane.STATUS,
    length_max: int | None = None,
    starved_s_max: float | None = None,
) -> Workqueue[str]:
    """Keys are `namespace/name`; these are added at moment 0."""
    queue = Workqueue[str](
        namespace_of=lambda key: key.partition("/")[0],
        backoff=Backoff(base_s=1, cap_s=10),
        length_max=length_max,
        starved_s_max=starved_s_max,
    )
    for key in keys:
        queue.add(key, 0.0, lane=lane)
    return queue


def take(queue: Workqueue[str], now: float) -> Work[str]:
    work = queue.next(now)
    queue.check()
    assert work is not None, "nothing is due"
    return work


def drain(queue: Workqueue[str], now: float) -> list[str]:
    """All that is due, in order, each done before the next."""
    order: list[str] = []
    while (work := queue.next(now)) is not None:
        queue.check()
        order.append(work.key)
        queue.done(work.key, now)
        assert len(order) < 1000, "the queue feeds itself"
    return order
