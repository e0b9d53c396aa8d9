"""Backoff and TokenBucket: how long to wait, told by arguments alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmqueue import Backoff, TokenBucket


class TestBackoff:
    def test_each_failure_doubles_the_delay_up_to_the_cap(self) -> None:
        backoff = Backoff(cap_s=0.03)
        assert [backoff.fail("a") for _ in range(5)] == [0.005, 0.01, 0.02, 0.03, 0.03]

    def test_keys_are_counted_apart(self) -> None:
        backoff = Backoff(base_s=1, cap_s=60)
        assert [backoff.fail("a"), backoff.fail("a"), backoff.fail("b")] == [1, 2, 1]
        assert (backoff.failures("a"), backoff.failures("b"), backoff.failures("c")) == (2, 1, 0)

    def test_forgotten_a_key_starts_over_and_takes_no_room(self) -> None:
        backoff = Backoff(base_s=1, cap_s=60)
        backoff.fail("a")
        backoff.forget("a")
        backoff.forget("never seen")
        assert len(backoff) == backoff.failures("a") == 0
        assert backoff.fail("a") == 1

    def test_any_number_of_failures_stays_at_the_cap(self) -> None:
        assert Backoff(cap_s=30).delay_s(10_000_000) == 30

    @pytest.mark.parametrize("failures", [0, -1])
    def test_without_failures_there_is_no_delay(self, failures: int) -> None:
        assert Backoff(cap_s=30).delay_s(failures, jitter=0.5) == 0

    @given(st.integers(1, 100), st.floats(0, 1, exclude_max=True))
    def test_jitter_takes_off_up_to_half(self, failures: int, jitter: float) -> None:
        backoff = Backoff(cap_s=30)
        full_s = backoff.delay_s(failures)
        assert full_s / 2 <= backoff.delay_s(failures, jitter=jitter) <= full_s

    def test_jitter_is_used_for_a_key_as_well(self) -> None:
        assert Backoff(base_s=1, cap_s=60).fail("a", jitter=0.5) == 0.75

    def test_the_factor_is_a_setting(self) -> None:
        backoff = Backoff(base_s=1, factor=3, cap_s=20)
        assert [backoff.fail("a") for _ in range(4)] == [1, 3, 9, 20]

    @pytest.mark.parametrize(
        ("base_s", "factor", "cap_s"),
        [(0, 2, 1), (-1, 2, 1), (2, 2, 1), (1, 1, 2), (1, 0.5, 2), (1, float("nan"), 2)],
    )
    def test_settings_without_sense_are_refused(
        self, base_s: float, factor: float, cap_s: float
    ) -> None:
        with pytest.raises(ValueError, match="need"):
            Backoff(base_s=base_s, factor=factor, cap_s=cap_s)


class TestTokenBucket:
    def test_the_burst_is_there_at_once_and_then_the_rate_holds(self) -> None:
        bucket = TokenBucket(rate_per_s=2, burst=3)
        assert [bucket.take(100.0) for _ in range(4)] == [True, True, True, False]
        assert bucket.ready_at(100.0) == 100.5
        assert [bucket.take(100.4), bucket.take(100.5), bucket.take(100.5)] == [False, True, False]

    def test_a_refusal_takes_nothing(self) -> None:
        bucket = TokenBucket(rate_per_s=1, burst=2)
        assert bucket.take(0.0, 2)
        assert not any(bucket.take(0.5) for _ in range(10))
        assert bucket.take(1.0)

    def test_it_does_not_fill_beyond_the_burst(self) -> None:
        bucket = TokenBucket(rate_per_s=1, burst=2)
        bucket.take(0.0, 2)
        assert [bucket.take(1000.0) for _ in range(3)] == [True, True, False]

    def test_asking_when_takes_nothing(self) -> None:
        bucket = TokenBucket(rate_per_s=1, burst=1)
        assert [bucket.ready_at(5.0), bucket.ready_at(5.0)] == [5.0, 5.0]
        assert bucket.take(5.0)

    def test_more_than_the_burst_is_refused_for_good(self) -> None:
        bucket = TokenBucket(rate_per_s=1, burst=2)
        with pytest.raises(ValueError, match="never"):
            bucket.take(0.0, 3)
        with pytest.raises(ValueError, match="never"):
            bucket.ready_at(0.0, 3)

    def test_a_new_rate_keeps_what_is_spent(self) -> None:
        bucket = TokenBucket(rate_per_s=1, burst=2)
        bucket.take(0.0, 2)
        bucket.set_rate(0.0, 4)
        assert bucket.rate_per_s == 4
        assert bucket.ready_at(0.0) == 0.25
        bucket.set_rate(0.25, 0.5)
        assert [bucket.take(0.25), bucket.take(0.25)] == [True, False]
        assert bucket.ready_at(0.25) == 2.25

    def test_a_new_rate_leaves_a_full_bucket_full(self) -> None:
        bucket = TokenBucket(rate_per_s=1, burst=2)
        bucket.set_rate(7.0, 3)
        assert bucket.take(7.0, 2)

    @pytest.mark.parametrize(("rate_per_s", "burst"), [(0, 1), (-1, 1), (1, 0), (1, -1)])
    def test_settings_without_sense_are_refused(self, rate_per_s: float, burst: float) -> None:
        with pytest.raises(ValueError, match="positive"):
            TokenBucket(rate_per_s=rate_per_s, burst=burst)
        with pytest.raises(ValueError, match="positive"):
            TokenBucket(rate_per_s=1, burst=1).set_rate(0.0, 0)

    @given(
        rate_per_s=st.floats(0.01, 1000),
        burst=st.integers(1, 20),
        start=st.floats(0, 1e9),
        counts=st.lists(st.integers(1, 20), min_size=1, max_size=50),
    )
    def test_who_sleeps_until_ready_at_is_never_refused_nor_exceeds_the_rate(
        self, rate_per_s: float, burst: int, start: float, counts: list[int]
    ) -> None:
        bucket = TokenBucket(rate_per_s=rate_per_s, burst=burst)
        now, taken = start, 0
        for count in (min(count, burst) for count in counts):
            now = bucket.ready_at(now, count)
            assert bucket.take(now, count)
            taken += count
        assert taken <= burst + (now - start) * rate_per_s * (1 + 1e-6) + 1e-3
