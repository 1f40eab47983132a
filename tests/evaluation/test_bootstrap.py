"""Bootstrap intervals against normal theory and cases with one possible answer."""

import numpy as np
import pytest

from koala_face.evaluation.bootstrap import Estimate, difference, estimate_means, share


def test_the_mean_is_the_mean():
    estimates = estimate_means([[1, 10], [2, 20], [6, 30]], resamples=10)
    assert [estimate.value for estimate in estimates] == [3, 20]


def test_the_interval_is_that_of_normal_theory():
    values = np.random.default_rng(1).normal(50, 10, size=(900, 1))
    (estimate,) = estimate_means(values, resamples=4000)
    low, high = estimate.interval
    half_width = 1.96 * values.std() / 30
    assert low == pytest.approx(values.mean() - half_width, abs=0.05)
    assert high == pytest.approx(values.mean() + half_width, abs=0.05)


def test_equal_portraits_leave_no_doubt():
    (estimate,) = estimate_means([[7.0]] * 5)
    assert estimate.interval == (7, 7)


def test_the_seed_decides_the_draws():
    values = np.random.default_rng(0).random((20, 2))
    intervals = [estimate_means(values, 100, seed)[0].interval for seed in (3, 3, 4)]
    assert intervals[0] == intervals[1] != intervals[2]


def test_differences_and_shares_are_paired():
    # One coloring is worse by exactly 5 on each of very different portraits: no doubt at all.
    one = np.random.default_rng(0).random((30, 1)) * 1000
    (better,), (worse,) = estimate_means(one), estimate_means(one + 5)
    assert difference(worse, better).interval == pytest.approx((5, 5))
    assert not difference(worse, better).is_noise
    (doubled,) = estimate_means(2 * one)
    assert share(doubled, better).interval == pytest.approx((2, 2))


def test_a_difference_around_zero_is_noise():
    changes = np.random.default_rng(0).normal(0, 1, (50, 1))
    (nothing,), (something,) = estimate_means(changes), estimate_means(changes + 3)
    assert nothing.is_noise
    assert not something.is_noise


def test_a_share_of_nothing_has_no_interval():
    nothing = Estimate(0.0, np.zeros(4))
    assert np.isnan(share(nothing, nothing).interval).all()


def test_no_portraits_are_an_error():
    with pytest.raises(ValueError, match="row per portrait"):
        estimate_means(np.zeros((0, 3)))


def test_trainings_are_drawn_too_each_models_for_itself():
    """Of two trainings a constant apart, half the draws hold one twice: a quarter each."""
    values = np.ones((2, 5, 1)) * [[[0.0]], [[4.0]]]
    one, other = (estimate_means(values, 4000, model=model)[0] for model in (0, 1))
    assert one.value == 2
    for drawn in (0, 2, 4):
        assert np.mean(one.resampled == drawn) == pytest.approx(
            0.5 if drawn == 2 else 0.25, abs=0.03
        )
    assert np.std(difference(one, other).resampled) == pytest.approx(2, abs=0.1)
    portraits = np.arange(5.0)[:, None]
    (alone,), (twice,) = (estimate_means(x, 50) for x in (portraits, np.stack([portraits] * 2)))
    assert twice.resampled == pytest.approx(alone.resampled)
