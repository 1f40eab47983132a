"""How old photographs differ from new ones: film, lens, print, years and scans, as small functions.

The paper trains on new photographs alone; what people bring are old ones. Each effect takes the
picture as sRGB-encoded gray, (H, W) float32 in 0-1, and gives the same; lengths are shares of the
picture's side, so that they mean the same at any size. `EFFECTS` is the table of them, in the
order in which a photograph meets them: each row draws its strength and calls its function. All of
it is our choice; the sources stand at each function.
"""

import io
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

# Weights of linear R, G and B: the eye's (ITU-R BT.709), and what emulsions record: ordinary ones
# blue, orthochromatic ones (Vogel, 1873) green too, panchromatic ones (common from 1930) all of it.
EYE = np.array([0.2126, 0.7152, 0.0722])
EMULSIONS = np.array([[0.0, 0.1, 0.9], [0.05, 0.55, 0.4], [0.35, 0.4, 0.25], EYE])
# How often each is drawn, and the largest share of an arbitrary mix that is blended in.
EMULSION_CHANCES = (0.1, 0.25, 0.4, 0.25)
LARGEST_MIX = 0.4


class Effect(NamedTuple):
    """A row of the table: its name, how often a portrait in training meets it, and the effect.

    apply: of the picture and a generator that draws the strength, to the picture.
    """

    name: str
    chance: float
    apply: Callable[[np.ndarray, np.random.RandomState], np.ndarray]


def expose(linear_rgb, weights=EYE) -> np.ndarray:
    """The gray that an emulsion of some spectral sensitivity records.

    Args:
        linear_rgb: (H, W, 3) linear sRGB in 0-1.
        weights: (3,), not negative, of sum 1: neutral colours stay as they are.

    Returns:
        (H, W) float32, sRGB-encoded (IEC 61966-2-1).
    """
    light = sum(linear_rgb[..., i] * np.float32(weights[i]) for i in range(3)).clip(0.0, 1.0)
    curved = 1.055 * np.maximum(light, 0.0031308) ** np.float32(1 / 2.4) - 0.055
    return np.where(light <= 0.0031308, 12.92 * light, curved).astype("float32")


def draw_sensitivity(random: np.random.RandomState) -> np.ndarray:
    """Weights for `expose`: one of `EMULSIONS`, blended with an arbitrary mix."""
    emulsion = EMULSIONS[random.choice(len(EMULSIONS), p=EMULSION_CHANCES)]
    share = LARGEST_MIX * random.rand()
    return (1 - share) * emulsion + share * random.dirichlet((1.0, 1.0, 1.0))


def blur(gray, deviation: float) -> np.ndarray:
    """A soft lens, a missed focus: convolve with a Gaussian; the border's pixels go on outside.

    Args:
        deviation: of the Gaussian, as a share of the picture's height.
    """
    pixels = max(deviation * len(gray), 1e-3)
    reach = int(4.0 * pixels + 0.5)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / pixels) ** 2)
    weights = (weights / weights.sum()).astype("float32")
    # Not as products of matrices: BLAS starts threads for them, which wait for those that train.
    for _ in range(2):
        padded = np.pad(gray, ((reach, reach), (0, 0)), mode="edge")
        gray = sum(w * padded[i : i + len(gray)] for i, w in enumerate(weights)).T
    return gray


def bend(gray, contrast: float, exposure: float) -> np.ndarray:
    """The characteristic curve of film and paper (Hurter & Driffield, 1890), a logistic one.

    The logarithm of gray/(1 - gray) is multiplied by `contrast` and moved by `exposure`: black
    and white stay, and contrast 1 with exposure 0 changes nothing.
    """
    contrast = np.float32(contrast)
    bright = np.maximum(gray, 1e-6) ** contrast
    dark = np.maximum(1.0 - gray, 1e-6) ** contrast * np.float32(np.exp(-exposure))
    return bright / (bright + dark)


def fade(gray, black: float, white: float) -> np.ndarray:
    """What light and air leave of a print: its black is lifted, its white darkened."""
    return black + (white - black) * gray


def vignette(gray, tangent: float, center=(0.5, 0.5)) -> np.ndarray:
    """The natural fall of light from the image's center, by the fourth power of the cosine.

    Args:
        tangent: of the angle at which the lens sees half the picture's diagonal off its axis.
        center: of the axis, as shares of height and width.
    """
    height, width = gray.shape
    rows, columns = (
        (np.arange(count, dtype="float32") + 0.5) / count - np.float32(middle)
        for count, middle in zip((height, width), center, strict=True)
    )
    squared = 2.0 * (rows[:, None] ** 2 + columns**2)
    # Light to encoded gray by a power of 1/2.2.
    return gray * (1.0 + np.float32(tangent**2) * squared) ** np.float32(-2.0 / 2.2)


def grain(gray, noise, amount: float, size: float) -> np.ndarray:
    """Silver grains: noise that is strongest in mid gray.

    The share of an area that grains of one size cover varies as the root of u (1 - u), where u is
    its mean (Newson, Delon & Galerne, A stochastic film grain model, 2017).

    Args:
        noise: (H, W), normal, of mean 0 and deviation 1.
        amount: deviation in mid gray.
        size: deviation of the Gaussian that makes clumps of it, as a share of the height.
    """
    clumps = blur(noise, size) if size * len(gray) > 0.3 else noise
    clumps = clumps * (amount / max(float(clumps.std()), 1e-6))
    spread = 2.0 * np.sqrt(np.clip(gray * (1.0 - gray), 0.0, 0.25))
    return np.clip(gray + clumps * spread, 0.0, 1.0)


def damage(gray, lines, spots, opacity: float) -> np.ndarray:
    """Scratches and dust, laid over the picture.

    Args:
        lines: of (x, y, x, y, value), from point to point, as shares of the width and height.
        spots: of (x, y, radius, value); the value, 0 or 1, is black or white.
        opacity: of both.
    """
    height, width = gray.shape
    value, mask = (Image.new("L", (width, height)) for _ in range(2))
    on_value, on_mask = ImageDraw.Draw(value), ImageDraw.Draw(mask)
    scale = np.array([width, height, width, height])
    for *ends, shade in lines:
        ends = tuple(np.asarray(ends) * scale)
        thickness = max(1, round(height / 200))
        on_value.line(ends, fill=round(255 * shade), width=thickness)
        on_mask.line(ends, fill=255, width=thickness)
    for x, y, radius, shade in spots:
        box = tuple(np.array([x - radius, y - radius, x + radius, y + radius]) * scale)
        on_value.ellipse(box, fill=round(255 * shade))
        on_mask.ellipse(box, fill=255)
    covered = np.asarray(mask, "float32") * np.float32(opacity / 255.0)
    return gray + covered * (np.asarray(value, "float32") / np.float32(255.0) - gray)


def compress(gray, quality: int) -> np.ndarray:
    """JPEG at a low quality, as pictures from the web have it."""
    file = io.BytesIO()
    Image.fromarray(to_levels(gray)).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file), "float32") / np.float32(255.0)


def to_levels(gray) -> np.ndarray:
    """Gray in 0-1 to uint8, clipped and rounded."""
    return np.round(np.clip(gray, 0.0, 1.0) * 255.0).astype(np.uint8)


def _draw_blur(gray, random):
    return blur(gray, random.uniform(0.002, 0.016))


def _draw_bend(gray, random):
    return bend(gray, np.exp(random.uniform(-0.6, 0.9)), random.uniform(-1.0, 1.0))


def _draw_vignette(gray, random):
    return vignette(gray, random.uniform(0.2, 1.0), 0.5 + random.uniform(-0.3, 0.3, 2))


def _draw_fade(gray, random):
    return fade(gray, random.uniform(0.0, 0.45), random.uniform(0.6, 1.0))


def _draw_grain(gray, random):
    noise = random.standard_normal(gray.shape).astype("float32")
    amount, size = 0.01 + 0.09 * random.rand() ** 1.5, 0.012 * random.rand() ** 2
    return grain(gray, noise, amount, size)


def _draw_damage(gray, random):
    starts, shades = random.rand(random.randint(0, 7), 2), random.randint(0, 2, 7)
    # Most scratches run along the film.
    slants = random.normal(0.0, (0.08, 0.5), (len(starts), 2))
    ends = zip(starts, starts + slants, shades[: len(starts)], strict=True)
    lines = [(*start, *end, shade) for start, end, shade in ends]
    radii = 0.002 + 0.008 * random.rand(random.randint(0, 15)) ** 3
    spots = [(*random.rand(2), radius, random.randint(0, 2)) for radius in radii]
    return damage(gray, lines, spots, random.uniform(0.3, 1.0))


def _draw_compress(gray, random):
    return compress(gray, int(random.randint(15, 90)))


# The emulsion comes before them all; see `age`. Its row has no function of gray.
FILM = "film"
EFFECTS = (
    Effect("vignette", 0.3, _draw_vignette),
    Effect("blur", 0.5, _draw_blur),
    Effect("tone", 0.6, _draw_bend),
    Effect("grain", 0.6, _draw_grain),
    Effect("fading", 0.5, _draw_fade),
    Effect("damage", 0.3, _draw_damage),
    Effect("jpeg", 0.4, _draw_compress),
)
FILM_CHANCE = 0.6
NAMES = (FILM, *(effect.name for effect in EFFECTS))
# Portraits that training leaves as they are, so that new photographs are not forgotten.
CLEAN_SHARE = 0.25


def age(linear_rgb, seed: int, position: int, effects: Sequence[str] = NAMES) -> np.ndarray:
    """Age one portrait by the named effects, each of a strength drawn from `seed` and `position`.

    What an effect draws does not depend on which others are named.

    Args:
        linear_rgb: (H, W, 3) float32 linear sRGB in 0-1.

    Returns:
        (H, W) uint8, the aged photograph's gray levels.
    """
    weights = EYE
    if FILM in effects:
        weights = draw_sensitivity(_generator(seed, position, FILM))
    gray = expose(linear_rgb, weights)
    for effect in EFFECTS:
        if effect.name in effects:
            gray = effect.apply(gray, _generator(seed, position, effect.name))
    return to_levels(gray)


def draw_effects(seed: int, position: int) -> tuple[str, ...]:
    """The effects that a portrait meets in training: none in `CLEAN_SHARE` of them."""
    random = _generator(seed, position)
    if random.rand() < CLEAN_SHARE:
        return ()
    chances = (FILM_CHANCE, *(effect.chance for effect in EFFECTS))
    draws = random.rand(len(NAMES))
    return tuple(name for name, c, d in zip(NAMES, chances, draws, strict=True) if d < c)


def _generator(seed: int, position: int, effect: str | None = None) -> np.random.RandomState:
    """Numbers of their own for each effect of each portrait.

    RandomState, because NumPy promises that its numbers never change between versions, over
    Philox, which starts eight times faster than its usual source.
    """
    counter = np.array([0, 0, 0, 1 + NAMES.index(effect) if effect else 0], "uint64")
    key = np.array([seed, position], "uint64")
    return np.random.RandomState(np.random.Philox(key=key, counter=counter))
