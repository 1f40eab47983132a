"""Many files at once: order, failures, limits, what is written."""

import threading

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from skimage.color import rgb2lab
from support.constant_model import NONE, constant_model

from koala_face.colorizer import files
from koala_face.colorizer.colorizer import Colorizer
from koala_face.colorizer.files import colorize_files
from koala_face.colorizer.full_size import gray_version
from koala_face.colorizer.jobs import Job
from koala_face.photographs.decoding import read_photograph


def zeros(grays):
    return tf.zeros((tf.shape(grays)[0], NONE.embedding_dim))


@pytest.fixture(scope="module")
def colorizer():
    return Colorizer(constant_model(12.0, 18.0), zeros, 24)


@pytest.fixture
def jobs(tmp_path, astronaut):
    """Twenty gray photographs of different sizes; the fifth is broken."""
    jobs = []
    for i in range(20):
        source = tmp_path / f"{i:02}.png"
        Image.fromarray(astronaut[: 20 + i, : 60 - i, 0]).save(source)
        jobs.append(Job(source, tmp_path / "out" / f"{i:02}.png", "png"))
    jobs[5].source.write_bytes(jobs[5].source.read_bytes()[:100])
    return jobs


@pytest.mark.parametrize("pixels", [1, 3000, 2**25])
def test_every_job_has_one_outcome_whatever_the_limits(jobs, colorizer, monkeypatch, pixels):
    """A limit below one photograph's pixels still lets one through at a time."""
    monkeypatch.setattr(files, "PIXELS_IN_WORK", pixels)
    outcomes = {outcome.job: outcome for outcome in colorize_files(jobs, colorizer)}
    assert set(outcomes) == set(jobs)
    failed = [job for job, outcome in outcomes.items() if outcome.error]
    assert failed == [jobs[5]]
    assert "05.png" in outcomes[jobs[5]].error
    assert not jobs[5].target.exists()
    for job in jobs[:5] + jobs[6:]:
        before, after = np.asarray(Image.open(job.source)), np.asarray(Image.open(job.target))
        assert after.shape == (*before.shape, 3)
        lab = rgb2lab(after)
        assert np.abs(lab[..., 0] - rgb2lab(np.dstack([before] * 3))[..., 0]).max() * 2.55 < 1
        stages = outcomes[job].seconds
        assert list(stages) == ["decode", "descriptor", "network", "upsampling", "encode"]
        assert min(stages.values()) > 0
        assert outcomes[job].notes == ()


def test_gray_and_coloured_side_by_side(tmp_path, colorizer, astronaut):
    rgba = np.dstack([astronaut, astronaut[..., 0]])[:40, :60]
    Image.fromarray(rgba).save(tmp_path / "a.png")
    job = Job(tmp_path / "a.png", tmp_path / "b.png", "png")
    (outcome,) = colorize_files([job], colorizer, side_by_side=True)
    assert outcome.notes == ("it is in colour; it was coloured anew from its luminance",)
    result = read_photograph(job.target)
    assert result.pixels.shape == (40, 120, 3)
    gray = gray_version(rgba[..., :3])
    np.testing.assert_array_equal(result.pixels[:, :60], np.dstack([gray] * 3))
    assert result.pixels[:, 60:].std(axis=-1).mean() > 5
    np.testing.assert_array_equal(result.alpha, np.concatenate([rgba[..., 3]] * 2, axis=1))


def test_a_gray_photograph_saved_as_colour_is_not_called_coloured(tmp_path, colorizer, astronaut):
    Image.fromarray(astronaut[..., 0]).convert("RGB").save(tmp_path / "a.jpg")
    (outcome,) = colorize_files([Job(tmp_path / "a.jpg", tmp_path / "b.jpg", "jpeg")], colorizer)
    assert outcome.notes == ()


def test_an_unwritable_place_fails_its_own_job_only(tmp_path, jobs, colorizer):
    (tmp_path / "file").touch()
    jobs[2] = jobs[2]._replace(target=tmp_path / "file" / "x.png")
    outcomes = list(colorize_files(jobs[:4], colorizer))
    failed = [outcome.error for outcome in outcomes if outcome.error]
    assert len(outcomes) == 4
    assert len(failed) == 1
    assert "x.png: cannot be written" in failed[0]


def test_stopping_early_leaves_no_threads_and_no_halves(jobs, colorizer, tmp_path):
    before = threading.active_count()
    outcomes = colorize_files(jobs, colorizer)
    next(outcomes)
    outcomes.close()
    assert threading.active_count() == before
    for path in (tmp_path / "out").iterdir():
        assert path.suffix == ".png", "no hidden part remains"
        Image.open(path).load()


def test_a_defect_is_raised_not_swallowed(jobs, colorizer, monkeypatch):
    def broken(*_):
        raise ZeroDivisionError

    monkeypatch.setattr(colorizer, "finish", broken)
    with pytest.raises(ZeroDivisionError):
        list(colorize_files(jobs, colorizer))
