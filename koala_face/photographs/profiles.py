"""Convert samples from the colours of an ICC profile to sRGB, at 8 or 16 bits."""

import functools
import io

import imagecodecs
import numpy as np
from PIL import Image, ImageCms

# ICC.1:2010, 7.2: the header names the profile's colour space at this place.
COLOR_SPACE = slice(16, 20)
SPACES = {b"GRAY": 1, b"RGB ": 3, b"CMYK": 4}
RELATIVE = ImageCms.Intent.RELATIVE_COLORIMETRIC
NO_OPTIMIZATION = 0x0100  # lcms2.h, cmsFLAGS_NOOPTIMIZE


def convert_to_srgb(samples: np.ndarray, profile: bytes | None) -> tuple[np.ndarray, list[str]]:
    """Convert gray, RGB or CMYK samples to gray or RGB ones in gamma-encoded sRGB.

    A profile that is broken, or made for other colours than the samples have, is ignored
    with a note; CMYK without a profile is mixed by multiplying with the ink's complement.

    Args:
        samples: (H, W) gray, (H, W, 3) RGB or (H, W, 4) CMYK, uint8 or uint16.

    Returns:
        (H, W) or (H, W, 3) of the same dtype, and a list of notes.
    """
    channels = 1 if samples.ndim == 2 else samples.shape[2]
    notes = []
    if profile:
        try:
            return _convert(samples, channels, profile), notes
        except (ImageCms.PyCMSError, imagecodecs.CmsError, ValueError, OSError):
            notes.append("its colour profile is broken or for other colours, and was ignored")
    return (mix_inks(samples) if channels == 4 else samples), notes


def mix_inks(cmyk: np.ndarray) -> np.ndarray:
    """CMYK without a profile to RGB: each ink darkens its channel, black darkens all."""
    top = np.iinfo(cmyk.dtype).max
    light = (top - cmyk[..., :3]).astype(np.float32)
    light *= (top - cmyk[..., 3:]).astype(np.float32) / top
    return np.round(light).astype(cmyk.dtype)


@functools.lru_cache
def srgb_profile() -> bytes:
    """The ICC profile of sRGB, to lie in files that are written."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def _convert(samples, channels: int, profile: bytes):
    space = SPACES.get(profile[COLOR_SPACE])
    gray = channels == 1
    if gray and space == 3:
        # Equal channels stay equal, so a gray photograph may carry an RGB profile.
        samples = np.stack([samples] * 3, axis=-1)
    elif space != channels:
        raise ValueError(f"a profile for {profile[COLOR_SPACE]!r}")
    if space == 3 and _is_srgb(profile):
        return samples[..., 0] if gray else samples
    if space == 1:
        return _gray_table(profile, samples.dtype.name)[samples]
    rgb = _transform(samples, profile)
    return np.ascontiguousarray(rgb[..., 1]) if gray else rgb


def _transform(samples, profile: bytes, flags: int = 0) -> np.ndarray:
    """(H, W) gray, (H, W, 3) RGB or (H, W, 4) CMYK through the profile to (H, W, 3) sRGB.

    At 16 bits every sample takes the whole way: lcms's shortcut, a grid of 33 points a side, is
    up to 28 of 255 wrong in the darks of large gamuts. At 8 bits it is another, and right.
    """
    channels = 1 if samples.ndim == 2 else samples.shape[2]
    if samples.dtype == np.uint8:
        image = Image.fromarray(samples, {1: "L", 3: "RGB", 4: "CMYK"}[channels])
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        target = ImageCms.createProfile("sRGB")
        return np.array(
            ImageCms.profileToProfile(image, source, target, RELATIVE, "RGB", flags=flags)
        )
    return imagecodecs.cms_transform(
        samples,
        profile,
        srgb_profile(),
        colorspace={1: "gray", 3: "rgb", 4: "cmyk"}[channels],
        outcolorspace="rgb",
        outdtype=samples.dtype,
        intent=int(RELATIVE),
        flags=NO_OPTIMIZATION,
    )


@functools.lru_cache(maxsize=32)
def _gray_table(profile: bytes, dtype: str) -> np.ndarray:
    """The sRGB gray of every level; exact, where lcms would interpolate between few levels."""
    levels = np.arange(np.iinfo(dtype).max + 1, dtype=dtype).reshape(1, -1)
    return _transform(levels, profile, NO_OPTIMIZATION)[0, :, 1]


@functools.lru_cache(maxsize=32)
def _is_srgb(profile: bytes) -> bool:
    """Whether the profile leaves a grid of colours where they are; sRGB has many profiles."""
    steps = np.linspace(0, 255, 9).astype(np.uint8)
    grid = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), -1).reshape(1, -1, 3)
    moved = _transform(grid, profile).astype(int) - grid
    return bool(np.abs(moved).max() <= 1)
