"""How skin is coloured, face by face: by its lightness, and whether people keep their differences.

The pixels of skin are found on the true portrait by a rule (`skin_mask`). Their L* holds the
lighting as well as the person: a dark bin is not a group of people.
"""

from typing import NamedTuple

import numpy as np

from koala_face.data.color_statistics import MIDDLE, SMALLEST_SHARE, skin_mask
from koala_face.evaluation.batch_coloring import Batch
from koala_face.evaluation.bootstrap import RESAMPLES, Estimate, estimate_means, share, transform
from koala_face.evaluation.tables import number, with_interval
from koala_face.figures.report import table

# Edges of the bins of mean L*; from 50 down is dark, from 70 up light.
LUMINANCE_EDGES = (50.0, 60.0, 70.0)

NOTE = (
    "Skin: pixels in the middle half of the true portrait's height and width with Cb of 77 to 127 "
    "and Cr of 133 to 173 (Chai & Ngan, 1999; BT.601), where they are a tenth of it or more "
    "({faces} of {portraits} portraits). Error: the mean distance of a pixel's a\\*, b\\* from the "
    "true; chroma and hue: of the face's mean, as predicted less as true, hue in degrees, above 0 "
    "yellower. **L\\* holds the lighting too**: the same face is dark in the shade, so that a bin "
    "is no group of people, and the rule finds no skin in tinted or very dark light."
)
DEVIATION_NOTE = (
    "Between faces: the standard deviation over faces of their skin's mean a\\* and b\\*. 1 in the "
    "last but one column would keep the differences between people, 0 paints all alike."
)


class Face(NamedTuple):
    """One portrait's skin: its mean L*, true and predicted a*, b*, and the mean error of ab."""

    luminance: float
    true: np.ndarray
    predicted: np.ndarray
    error: float


def measure_faces(batch: Batch, ab: np.ndarray) -> list[Face]:
    """The skin of a batch's portraits; those without enough of it are left out.

    Args:
        ab: (B, S, S, 2), predicted a* and b*.
    """
    size = batch.rgb.shape[1]
    middle = slice(*(round(edge * size) for edge in MIDDLE))
    faces = []
    for portrait in zip(batch.rgb, batch.luminance, batch.ab, ab, strict=True):
        rgb, luminance, true, predicted = (part[middle, middle] for part in portrait)
        mask = skin_mask(rgb)
        if mask.mean() >= SMALLEST_SHARE:
            true, predicted = true[mask], np.asarray(predicted)[mask]
            error = np.linalg.norm(predicted - true, axis=-1).mean()
            means = true.mean(axis=0), predicted.mean(axis=0)
            faces.append(Face(float(luminance[mask].mean()), *means, float(error)))
    return faces


def skin_section(
    faces: list[Face], portraits: int, resamples: int = RESAMPLES, seed: int = 0
) -> list[str]:
    """The section of the report: a table by L*, one of the deviation between faces, and words."""
    if len(faces) < 2:
        return ["## Skin", f"Skin was found in {len(faces)} of {portraits} portraits: too few."]
    return [
        "## Skin",
        table(
            ["mean L* of the skin", "faces", "error of ab", "chroma", "hue"],
            luminance_rows(faces, resamples, seed),
        ),
        NOTE.format(faces=len(faces), portraits=portraits),
        table(
            ["between faces", "true", "predicted", "predicted / true", "correlation"],
            deviation_rows(faces, resamples, seed),
        ),
        DEVIATION_NOTE,
    ]


def luminance_rows(faces: list[Face], resamples: int, seed: int) -> list[list[str]]:
    """For each bin of L* and for all faces: count, error, difference in chroma and in hue."""
    bins = np.digitize([face.luminance for face in faces], LUMINANCE_EDGES)
    low, middle, high = (f"{edge:.0f}" for edge in LUMINANCE_EDGES)
    names = (f"below {low}", f"{low} to {middle}", f"{middle} to {high}", f"{high} and above")
    rows = []
    for place, name in enumerate((*names, "all")):
        found = [face for face, bin in zip(faces, bins, strict=True) if place in (bin, len(names))]
        cells = ["–"] * 3
        if found:
            values = [(face.error, *chroma_and_hue(face)) for face in found]
            estimates = estimate_means(values, resamples, seed)
            cells = [
                with_interval(one, digits) for one, digits in zip(estimates, (2, 2, 1), strict=True)
            ]
        rows.append([name, str(len(found)), *cells])
    return rows


def chroma_and_hue(face: Face) -> tuple[float, float]:
    """Predicted less true: chroma, and hue in degrees within -180 to 180."""
    chroma = np.linalg.norm(face.predicted) - np.linalg.norm(face.true)
    turn = complex(*face.predicted) * complex(*face.true).conjugate()
    return float(chroma), float(np.degrees(np.angle(turn)))


def deviation_rows(faces: list[Face], resamples: int, seed: int) -> list[list[str]]:
    """For a* and b*: the deviation between faces, true and predicted, their ratio, correlation."""
    rows = []
    for channel, name in enumerate(("a*", "b*")):
        true, predicted, ratio, correlation = deviations(faces, channel, resamples, seed)
        cells = (with_interval(true, 2), with_interval(predicted, 2), with_interval(ratio, 2))
        rows.append([name, *cells, number(correlation.value, 2)])
    return rows


def deviations(faces: list[Face], channel: int, resamples: int, seed: int) -> list[Estimate]:
    """Deviation between faces of a* (0) or b* (1): true, predicted, their ratio; correlation."""
    true = np.array([face.true[channel] for face in faces], "float64")
    predicted = np.array([face.predicted[channel] for face in faces], "float64")
    # Resamples of the variance come from resamples of means; smaller numbers lose fewer digits.
    true, predicted = true - true.mean(), predicted - predicted.mean()
    columns = np.stack([true, true**2, predicted, predicted**2, true * predicted], axis=1)
    t, tt, p, pp, tp = estimate_means(columns, resamples, seed)
    true_deviation = transform(_deviation, t, tt)
    predicted_deviation = transform(_deviation, p, pp)
    covariance = transform(lambda tp, t, p: tp - t * p, tp, t, p)
    both = transform(np.multiply, true_deviation, predicted_deviation)
    ratio = share(predicted_deviation, true_deviation)
    return [true_deviation, predicted_deviation, ratio, share(covariance, both)]


def _deviation(mean, mean_of_squares):
    return np.sqrt(np.maximum(mean_of_squares - mean**2, 0.0))
