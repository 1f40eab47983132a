"""The benchmark's counts by hand, its timing on made clocks, and every row once, tiny."""

import itertools

import pytest

from koala_face import models
from koala_face.benchmark import (
    __main__,
    arithmetic,
    distribution_row,
    memory_row,
    start_row,
    timing,
)
from koala_face.foundation.errors import KoalaFaceError
from koala_face.photographs.sample_portraits import write_sample_portraits

# Of Tables I-III at 256x256 with VGG-Face's 2622: positions x filters x kernel x channels.
TABLES = {
    "encoder 1": 128**2 * 64 * 9 * 1,
    "encoder 2": 64**2 * 128 * 9 * 64,
    "encoder 3": 32**2 * 256 * 9 * 128,
    "encoder 4": 32**2 * 512 * 9 * 256,
    "encoder 5": 32**2 * 256 * 9 * 512,
    "fusion": 32**2 * 256 * 1 * 2878,
    "decoder 1": 64**2 * 128 * 9 * 256,
    "decoder 2": 64**2 * 64 * 9 * 128,
    "decoder 3": 128**2 * 32 * 9 * 64,
    "decoder 4": 128**2 * 16 * 9 * 32,
    "decoder 5": 128**2 * 2 * 4 * 16,
}
# What is left: a stride of 1 takes 36 products for 16 outputs instead of 144, one of 2
# takes 25 for 4 instead of 36, after upsampling 9 for 4 instead of 36.
REWRITTEN = {
    **TABLES,
    **{row: TABLES[row] * 36 // 144 for row in ("encoder 4", "encoder 5")},
    **{row: TABLES[row] * 36 // 144 for row in ("decoder 2", "decoder 4")},
    **{row: TABLES[row] * 25 // 36 for row in ("encoder 2", "encoder 3")},
    **{row: TABLES[row] * 9 // 36 for row in ("decoder 1", "decoder 3")},
    "fusion": 32**2 * 256 * 256 + 256 * 2622,
}
TINY = [
    *("--size", "32", "--portraits", "4", "--repeats", "1", "--batch-sizes", "2"),
]


def test_multiply_adds_by_hand():
    assert arithmetic.multiply_adds(256, 2622) == sum(TABLES.values())
    # The issue of the paper's arithmetic: about 5.7 G multiply-adds, 3 x 2 of them a step.
    assert round(sum(TABLES.values()) / 1e9, 1) == 5.7
    assert arithmetic.step_flops(sum(TABLES.values()), 10) == 60 * sum(TABLES.values())


def test_rewritten_multiply_adds_by_hand():
    assert arithmetic.fast_multiply_adds(256, 2622) == sum(REWRITTEN.values())


def test_a_steps_messages_by_hand():
    """The paper's weights that train, and four sums of each channel that batch norm has."""
    normalized = 64 + 128 + 256 + 512 + 256 + 256 + 128 + 64 + 32 + 16
    trained = 3_865_650 - 2 * normalized  # without the moving averages
    assert distribution_row.message_bytes(16) == 4 * (trained + 4 * normalized)


def test_multiply_adds_grow_with_the_area():
    without_fusion = arithmetic.multiply_adds(64, 1) - arithmetic.multiply_adds(32, 1)
    assert without_fusion == 3 * arithmetic.multiply_adds(32, 1)
    assert models.REDUCTION == 8


def test_median_leaves_the_first_call_out():
    """Each call takes as long as its number says: 100 s at first, then 3, 1 and 2 s."""
    now = [0.0]
    lengths = {"ours": itertools.chain([100, 3, 1, 2]), "theirs": itertools.chain([50, 9, 9, 8])}
    order = []

    def way(name):
        def call():
            order.append(name)
            now[0] += next(lengths[name])

        return call

    ways = {name: way(name) for name in lengths}
    seconds = timing.median_seconds(ways, repeats=3, clock=lambda: now[0])
    assert seconds == {"ours": 2, "theirs": 9}
    assert order == ["ours", "theirs"] * 4


def test_compare_divides_speeds():
    line = timing.compare("row", 12.0, 4.0, "partner", "portraits/s", "ratio >= 2")
    assert line == ("row", "12 portraits/s", "partner: 4", "3.00", "ratio >= 2")
    assert timing.number(1234.5) == "1234"


def test_links_repeat_the_photographs(tmp_path):
    sources = write_sample_portraits(tmp_path / "samples")
    links = timing.link_photographs(sources, tmp_path / "links", 5)
    contents = [link.read_bytes() for link in links]
    assert len(links) == 5
    assert contents[0] == contents[2] == contents[4] == sources[0].read_bytes()
    assert contents[1] == contents[3] == sources[1].read_bytes()


def test_peak_memory_sees_an_array():
    """A process that fills 300 MB has at least those more than one that does not."""
    small = memory_row.peak_memory("import numpy\n")
    large = memory_row.peak_memory("import numpy\narray = numpy.ones(300_000_000, 'uint8')\n")
    assert 290_000_000 < large - small < 400_000_000


def test_start_takes_medians_of_commands_in_turns():
    """The first turn is left out: 100 s; then 12, 10 and 11 s beside 4, 5 and 6 s."""
    spent = {"colorize": [(100, 50), (12, 6), (10, 9), (11, 7)]}
    spent["import"] = [(90, 40), (4, 1), (5, 4), (6, 2)]
    order, turn = [], {name: iter(values) for name, values in spent.items()}

    def spend(command):
        order.append(command[0])
        return start_row.Spent(*next(turn[command[0]]))

    ours, theirs = start_row.in_turns([["colorize"], ["import"]], 3, spend)
    assert order == ["colorize", "import"] * 4
    assert (ours, theirs) == ((11, 7), (5, 2))
    wall, cpu = start_row.lines(ours, theirs)
    assert wall[0].endswith("wall time")
    assert wall[1:4] == ("11 s", "import tensorflow: 5 s", "2.20")
    assert cpu[1:4] == ("7 s", "import tensorflow: 2 s", "3.50")


def test_unknown_row_lists_the_rows():
    with pytest.raises(KoalaFaceError, match="training, networks, input, color.*Received: 'speed'"):
        __main__.main(["--rows", "speed"])


@pytest.mark.parametrize("flag", ["--portraits", "--repeats", "--batch-sizes"])
def test_counts_must_be_positive(flag):
    with pytest.raises(KoalaFaceError, match="1 or more. Received: 0"):
        __main__.main(["--rows", "color", flag, "0"])


def test_missing_photographs_are_an_error(tmp_path):
    with pytest.raises(KoalaFaceError, match="nowhere"):
        __main__.main(["--data", str(tmp_path / "nowhere")])


def test_table_of_two_rows(tmp_path, capsys):
    file = tmp_path / "new" / "table.md"
    portraits = tmp_path / "portraits"
    write_sample_portraits(portraits)
    arguments = ["--rows", "color,input", "--data", str(portraits), "--output", str(file)]
    assert __main__.main([*arguments, *TINY]) == 0
    table = file.read_text(encoding="utf-8")
    assert capsys.readouterr().out.strip() == table.strip()
    lines = [line.split("|")[1:-1] for line in table.splitlines() if line.startswith("|")]
    assert {len(line) for line in lines} == {5}
    measured = [line[0].strip() for line in lines[2:]]
    assert [name.split(",")[0] for name in measured] == ["color", "color", *["input"] * 3]
    assert all(float(line[3]) > 0 for line in lines[2:])
    assert "TensorFlow" in table.splitlines()[-1]
    assert "cores" in table.splitlines()[-1]


@pytest.mark.slow
@pytest.mark.parametrize(
    "row",
    [
        *("training", "networks", "embedding", "memory", "files", "upsampling", "distribution"),
        *("start", "growth", "runtimes"),
    ],
)
def test_slow_row(row, capsys):
    assert __main__.main(["--rows", row, *TINY]) == 0
    assert f"| {row}, " in capsys.readouterr().out
