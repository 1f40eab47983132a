"""What each step sees depends on the seed and on a position alone."""

import numpy as np
import pytest

from koala_face.data import pipeline
from koala_face.data.portraits import Portraits
from koala_face.training import sampling


def test_sample_order_shows_every_portrait_before_any_again():
    order = sampling.sample_order(10, seed=1, start=0, stop=30)
    for shuffle in order.reshape(3, 10):
        assert sorted(shuffle) == list(range(10))
    assert len({tuple(shuffle) for shuffle in order.reshape(3, 10)}) == 3


def test_sample_order_goes_on_from_any_position():
    whole = sampling.sample_order(7, seed=3, start=0, stop=100)
    for start, stop in ((0, 0), (0, 7), (6, 8), (14, 14), (13, 50), (99, 100)):
        assert sampling.sample_order(7, 3, start, stop).tolist() == whole[start:stop].tolist()
    assert whole.tolist() != sampling.sample_order(7, 4, 0, 100).tolist()


def test_sample_order_is_the_same_with_every_numpy():
    """By hand: NumPy's frozen generator, seeded with (0, seed, number of the shuffle)."""
    expected = np.random.RandomState([0, 5, 2]).permutation(4)
    assert sampling.sample_order(4, 5, 8, 12).tolist() == expected.tolist()


def test_sample_flips_go_on_from_any_position():
    whole = sampling.sample_flips(0, 0, 10_000)
    assert whole.dtype == bool
    assert 0.48 < whole.mean() < 0.52
    for start, stop in ((0, 0), (4095, 4097), (4096, 9000), (8192, 8192)):
        assert np.array_equal(sampling.sample_flips(0, start, stop), whole[start:stop])
    assert not np.array_equal(whole, sampling.sample_flips(1, 0, 10_000))


def test_nothing_to_draw_from_is_an_error():
    with pytest.raises(ValueError, match="at least one portrait"):
        sampling.sample_order(0, 0, 0, 1)
    with pytest.raises(ValueError, match="start=3, stop=2"):
        sampling.sample_order(5, 0, 3, 2)


def test_sample_windows_lie_inside_and_go_on_from_any_position():
    whole = sampling.sample_windows(0.25, 0, 0, 10_000)
    top, left, bottom, right = whole.T
    assert min(top.min(), left.min()) >= 0
    assert max(bottom.max(), right.max()) <= 1.00001
    np.testing.assert_allclose(bottom - top, right - left, atol=1e-5)
    assert (bottom - top).min() == pytest.approx(0.75, abs=0.001)
    assert (bottom - top).max() == pytest.approx(1.0, abs=0.001)
    assert np.corrcoef(top, left)[0, 1] < 0.7
    assert np.array_equal(sampling.sample_windows(0.25, 0, 4095, 4100), whole[4095:4100])
    assert not np.array_equal(whole, sampling.sample_windows(0.25, 1, 0, 10_000))


def test_noise_on_embeddings_depends_on_seed_and_step_alone():
    random = np.random.default_rng(0)
    noise = Portraits(
        ["a", "b", "c", "d"],
        random.integers(0, 256, (4, 16, 16, 3), "uint8"),
        random.random((4, 5), "float32"),
        {},
    )
    pairs = pipeline.batches(noise, [0, 1, 2, 3], 2)
    deviation = np.array([0, 1, 1, 1, 100], "float32")

    def vectors(seed, step):
        varied = sampling.vary_embeddings(pairs, deviation, seed, step, batch_size=2)
        return [e.numpy() for (_, e), _ in varied]

    first, second = vectors(seed=5, step=7)
    assert np.array_equal(first[:, 0], noise.embeddings[:2, 0])
    assert np.abs(first - noise.embeddings[:2])[:, 1:].min() > 0
    assert np.allclose(second - noise.embeddings[2:4], vectors(5, 8)[0] - noise.embeddings[:2])
    assert not np.allclose(first, vectors(6, 7)[0])


def test_shares_hold_on_average_and_each_folder_shows_all_before_any_again():
    rows = sampling.sample_shares((7, 50), (1.0, 3.0), 0, 0, 12_000)
    small, large = rows[rows < 7], rows[rows >= 7]
    assert len(small) / len(rows) == pytest.approx(0.25, abs=0.005)
    for shuffle in small[: 7 * 400].reshape(-1, 7):
        assert sorted(shuffle) == list(range(7))
    for shuffle in large[: 50 * 100].reshape(-1, 50):
        assert sorted(shuffle) == list(range(7, 57))


def test_shares_go_on_from_any_position():
    def rows(start, stop, seed=0):
        return sampling.sample_shares((3, 40, 5), (0.2, 0.7, 0.1), seed, start, stop)

    whole = rows(0, 9000)
    for start, stop in ((0, 1), (4095, 4097), (4096, 8192), (5000, 9000), (77, 77)):
        assert np.array_equal(rows(start, stop), whole[start:stop])
    assert not np.array_equal(rows(0, 9000, seed=1), whole)


def test_without_shares_the_folders_are_one():
    expected = sampling.sample_order(12, 3, 5, 40)
    assert np.array_equal(sampling.sample_shares((5, 7), (), 3, 5, 40), expected)


@pytest.fixture(scope="module")
def portraits():
    random = np.random.default_rng(1)
    colors = random.integers(0, 256, (6, 4, 4, 3), "uint8").repeat(8, axis=1).repeat(8, axis=2)
    return Portraits(list("abcdef"), colors, random.random((6, 5), "float32"), {})


def batches(portraits, start, stop, **settings):
    varied = {"flip": True, "crop": 0.2, **settings}
    return list(sampling.training_batches(portraits, start, stop, 4, 0, **varied))


def test_aged_portraits_are_seen_and_their_own_colours_are_asked(portraits):
    for aged, clean in zip(
        batches(portraits, 0, 8, aged=True), batches(portraits, 0, 8), strict=True
    ):
        (seen, embedding), (ab, luminance) = aged
        assert seen.shape == luminance.shape == (4, 32, 32, 1)
        assert -1e-5 < seen.numpy().min() <= seen.numpy().max() < 1 + 1e-5
        np.testing.assert_array_equal(embedding, clean[0][1])
        for ours, theirs in zip((ab,), clean[1], strict=True):
            np.testing.assert_array_equal(ours, theirs)
        np.testing.assert_array_equal(clean[0][0], luminance)


def test_the_portraits_left_clean_are_as_they_were(portraits):
    """But for the rounding to 8 bits and back from Lab; a step of gray is 0.4 of L* or less."""
    differences = []
    for (seen, _), (_, luminance) in batches(portraits, 0, 25, aged=True):
        differences += list(np.abs(seen - luminance).max(axis=(1, 2, 3)))
    clean = [sampling.ageing.draw_effects(0, position) == () for position in range(100)]
    assert 10 < np.sum(clean) < 40
    assert np.array(differences)[clean].max() < 0.006
    assert np.median(np.array(differences)[~np.array(clean)]) > 0.05


def test_ageing_goes_on_from_any_step(portraits):
    whole = batches(portraits, 0, 6, aged=True)
    for ours, theirs in zip(batches(portraits, 4, 6, aged=True), whole[4:], strict=True):
        np.testing.assert_array_equal(ours[0][0], theirs[0][0])
