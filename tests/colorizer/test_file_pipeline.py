"""Many files at once: order, failures, limits, what is written."""

import os
import threading
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from skimage.color import rgb2lab
from support.constant_model import NONE, constant_model
from threadpoolctl import threadpool_info, threadpool_limits

from koala_face.colorizer import files, threads
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


@pytest.mark.parametrize("error", [ZeroDivisionError("defect"), MemoryError(), OSError(28, "full")])
@pytest.mark.parametrize("place", ["read_photograph", "write_photograph"])
def test_any_error_in_a_worker_fails_its_own_photograph_only(
    jobs, colorizer, monkeypatch, error, place
):
    """Unforeseen ones too: the others are done, and the line names the photograph and the error."""
    whole = getattr(files, place)

    def broken(path, *rest):
        if Path(path).name == "02.png":
            raise error
        return whole(path, *rest)

    monkeypatch.setattr(files, place, broken)
    outcomes = {outcome.job: outcome for outcome in colorize_files(jobs[:5], colorizer)}
    assert set(outcomes) == set(jobs[:5])
    failed = [job for job in jobs[:5] if outcomes[job].error]
    assert failed == [jobs[2]]
    line = outcomes[jobs[2]].error
    assert "02.png" in line
    assert "not enough memory" in line or type(error).__name__ in line
    assert "\n" not in line


@pytest.mark.parametrize("stage", ["embed", "predict"])
def test_an_error_in_the_networks_fails_its_own_photograph_only(
    jobs, colorizer, monkeypatch, stage
):
    """As too little memory for eight at once: those that go through alone are done."""
    whole = getattr(colorizer, stage)
    last = colorizer.prepare(read_photograph(jobs[3].source).pixels)

    def narrow(inputs, *rest):
        if any((seen[0] == last[0]).all() for seen in inputs):
            raise MemoryError
        return whole(inputs, *rest)

    monkeypatch.setattr(colorizer, stage, narrow)
    outcomes = {outcome.job: outcome for outcome in colorize_files(jobs[:5], colorizer)}
    assert [job for job in jobs[:5] if outcomes[job].error] == [jobs[3]]
    assert "03.png: not enough memory" in outcomes[jobs[3]].error


def test_what_is_no_file_is_said_and_not_waited_for(tmp_path, jobs, colorizer):
    """A pipe would keep its reader for ever; a circle of links never ends; a name is too long."""
    odd = [tmp_path / "pipe.png", tmp_path / "circle.png", tmp_path / ("n" * 300 + ".png")]
    os.mkfifo(odd[0])
    odd[1].symlink_to(odd[1])
    more = [Job(path, tmp_path / "out" / f"odd{i}.png", "png") for i, path in enumerate(odd)]
    too_long = Job(jobs[0].source, tmp_path / "out" / ("n" * 253 + ".png"), "png")
    folder = Job(jobs[1].source, tmp_path / "out" / "folder.png", "png")
    folder.target.mkdir(parents=True)
    outcomes = {
        o.job: o.error for o in colorize_files([*more, too_long, folder, *jobs[:2]], colorizer)
    }
    for job, reason in zip(
        [*more, too_long, folder],
        ["is no file", *["cannot be opened"] * 2, *["cannot be written"] * 2],
        strict=True,
    ):
        assert reason in outcomes.pop(job)
    assert set(outcomes.values()) == {None}


def test_numpys_products_stay_in_one_thread():
    """Their idle threads would take the cores of other photographs, and change last bits."""
    with threadpool_limits(2, "blas"):
        if _blas_threads() != {2}:
            pytest.skip("NumPy's BLAS has no second thread here")
        threads.use_single_threads()
        assert _blas_threads() == {1}


def _blas_threads() -> set[int]:
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}
