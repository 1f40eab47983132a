"""Which portraits train, and which are held out."""

import contextlib

import numpy as np
import pytest

from koala_face.data import selection
from koala_face.data.portraits import Portraits
from koala_face.data.row_file import Key, RowFile, RowKind, Rows, create_rows


def portraits_of(paths, rgb=None):
    paths = list(paths)
    count = len(paths)
    if rgb is None:
        rgb = np.random.default_rng(0).integers(0, 256, (count, 8, 8, 3), "uint8")
    embeddings = np.arange(2.0 * count, dtype="float32").reshape(count, 2)
    return Portraits(paths, rgb, embeddings, {})


def stored(path, rows):
    """A file of rows, opened for reading."""
    kind = RowKind("rows", rows.shape[1:], "float32", {})
    keys = [Key(str(n), bytes([n + 1]) * 32) for n in range(len(rows))]
    create_rows(path, kind, [key.path for key in keys])
    with contextlib.closing(RowFile(path, kind, writable=True)) as file:
        file.write(keys, rows)
    return RowFile(path, kind)


def test_the_names_of_helen_say_the_shoot():
    """Helen's names are ID_k.jpg: two photographs of one ID are of one shoot."""
    assert selection.shoot("a/100040721_1.jpg") == selection.shoot("b/100040721_2.jpg")
    assert selection.shoot("100040721_1.jpg") == "100040721"
    assert selection.shoot("00004.jpg") == "00004"
    assert selection.shoot("_1.jpg") == "_1"


def test_shoots_stay_together_and_every_portrait_goes_somewhere():
    portraits = portraits_of(f"{n // 3}_{n % 3}.jpg" for n in range(600))
    train, held = selection.hold_out(portraits, 0.25)
    assert sorted([*train.paths, *held.paths]) == sorted(portraits.paths)
    assert not {selection.shoot(p) for p in train.paths} & {selection.shoot(p) for p in held.paths}
    assert 0.15 < len(held) / len(portraits) < 0.35
    row = portraits.paths.index(held.paths[5])
    assert np.array_equal(held.rgb[5], portraits.rgb[row])
    assert np.array_equal(held.embeddings[5], portraits.embeddings[row])


def test_a_photograph_stays_where_it_is_when_others_come():
    few = portraits_of(f"{n}_1.jpg" for n in range(100))
    many = portraits_of(f"{n}_1.jpg" for n in range(300))
    held = set(selection.hold_out(many, 0.2)[1].paths)
    assert set(selection.hold_out(few, 0.2)[1].paths) == held & set(few.paths)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_share_that_leaves_nothing_is_an_error(share):
    with pytest.raises(selection.SelectionError, match="--validation"):
        selection.hold_out(portraits_of(["a_1.jpg", "b_1.jpg"]), share)


def test_gray_and_sepia_are_left_out_and_pale_colours_are_not(astronaut):
    gray = np.repeat(astronaut[:, :, 1:2], 3, axis=-1)
    sepia = np.clip(gray * np.array([1.0, 0.97, 0.9]), 0, 255).astype("uint8")
    pale = (0.6 * gray + 0.4 * astronaut).astype("uint8")
    pictures = np.stack([gray, sepia, pale, astronaut])
    portraits = portraits_of(["gray.png", "sepia.png", "pale.png", "true.png"], pictures)
    assert selection.without_gray(portraits).paths == ["pale.png", "true.png"]
    with pytest.raises(selection.SelectionError, match="gray or tinted"):
        selection.without_gray(selection.take(portraits, [0, 1]))


def test_spread_by_hand():
    """Half the pixels of a* = 3, b* = 4 more than the others: spread 5 / 2."""
    from skimage.color import lab2rgb

    lab = np.full((16, 16, 3), [60.0, 3.0, 4.0])
    lab[:, :8, 1:] = 0.0
    rgb = np.round(255 * lab2rgb(lab)).astype("uint8")[None]
    spread = selection.color_spread(portraits_of(["half.png"], rgb))
    np.testing.assert_allclose(spread, [2.5], atol=0.3)


def test_parts_of_a_folder_are_indexed_as_arrays_are():
    portraits = portraits_of(f"{n}.jpg" for n in range(6))
    rows = [4, 0, 3]
    part, whole = selection.take(portraits, rows), portraits.rgb[rows]
    for index in (0, -1, slice(1, 3), [2, 0, 2], np.array([1])):
        assert np.array_equal(part.rgb[index], whole[index])
    assert (len(part), part.rgb.shape, part.rgb.dtype) == (3, whole.shape, np.uint8)


def test_two_folders_are_indexed_as_one_array():
    first, second = portraits_of(["a.jpg", "b.jpg"]), portraits_of(["c.jpg", "d.jpg", "e.jpg"])
    both = selection.join(first, second)
    whole = np.concatenate([first.rgb, second.rgb])
    assert both.paths == ["a.jpg", "b.jpg", "c.jpg", "d.jpg", "e.jpg"]
    for index in (0, 4, -2, slice(1, 4), [4, 0, 2, 2], []):
        assert np.array_equal(both.rgb[index], whole[index])
    assert both.embeddings[[2]].tolist() == second.embeddings[:1].tolist()


def test_portraits_on_the_disk_stay_there_when_they_are_chosen_and_joined(tmp_path):
    """By the arrays that the two files were made of; one row of the second is left."""
    arrays = np.arange(60, dtype="float32").reshape(5, 4, 3)
    files = [stored(tmp_path / f"{n}.h5", part) for n, part in enumerate((arrays[:2], arrays[2:]))]
    first, second = (
        Portraits([f"{file.path.stem}-{n}" for n in range(len(file))], rows, rows, {})
        for file in files
        for rows in [Rows([(file, n) for n in range(len(file))])]
    )
    both = selection.join(first, selection.take(second, [2, 0]))
    whole = arrays[[0, 1, 4, 2]]
    assert isinstance(both.rgb, Rows)
    assert both.paths == ["0-0", "0-1", "1-2", "1-0"]
    for index in (0, -1, slice(1, 4), [3, 0, 2, 2], np.array([], int), whole[:, 0, 0] > 5):
        assert np.array_equal(both.rgb[index], whole[index])
    other = stored(tmp_path / "other.h5", np.zeros((2, 3), "float32"))
    with pytest.raises(ValueError, match="one shape"):
        Rows([*both.rgb.pairs, (other, 0)])
