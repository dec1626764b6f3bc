"""Pictures that lines start from: read from anybody's files, and kept as PNG, named by what they show."""

from __future__ import annotations

import hashlib
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from songreel.ground import files, shortage
from songreel.ground.errors import DamageError, UserError

if TYPE_CHECKING:  # takes longer to import than a plan does to be read
    from PIL import Image

Pixels = NDArray[np.uint8]  # [height, width, 3], RGB

SUFFIXES = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".avif", ".tif", ".tiff", ".gif", ".bmp")
KINDS = "PNG, JPEG, WebP, AVIF, TIFF, GIF or BMP"
GREY = (128, 128, 128)  # what lies behind a picture that is transparent
SPARE = 2  # a JPEG is decoded to no less than so many times the size that is wanted
QUICK = 1  # PNG's compression: the next ones take many times as long for a tenth of the bytes


def fitted(path: Path, size: tuple[int, int]) -> Pixels:
    """The middle of a picture, cut to the shape of `size` (width, height in pixels) and scaled to it.

    It is turned as the camera was held, and of a moving one the first picture is taken. Raises UserError when
    the file cannot be read as a picture.
    """
    from PIL import Image, ImageOps

    try:
        with warnings.catch_warnings(), files.opened(path) as file, Image.open(file) as image:
            warnings.simplefilter("ignore")  # of large ones, and of notes that are not as they should be
            image.draft("RGB", (SPARE * max(size),) * 2)
            upright = ImageOps.exif_transpose(image)
            opaque = _opaque(upright)
            return np.array(ImageOps.fit(opaque, size, Image.Resampling.LANCZOS), np.uint8)
    except Exception as error:  # each of Pillow's readers has its own
        if shortage.sentence(error):
            raise
        reason = " ".join(str(error).split())[:80] or type(error).__name__
        raise UserError(
            f"{path}: found a file that cannot be read as a picture ({reason}), expected {KINDS}; replace it,"
            f" or take it out of the album."
        ) from None


def _opaque(image: Image.Image) -> Image.Image:
    """A picture as RGB with 8 bits, on grey where it is transparent."""
    from PIL import Image

    if image.mode.startswith("I"):  # 16 bits, which Pillow would cut off and not scale
        scaled = np.clip(np.asarray(image, np.float64) / 257, 0, 255)
        image = Image.fromarray(scaled.round().astype(np.uint8))
    if not image.has_transparency_data:
        return image.convert("RGB")
    behind = Image.new("RGBA", image.size, (*GREY, 255))
    return Image.alpha_composite(behind, image.convert("RGBA")).convert("RGB")


def digest(pixels: Pixels) -> str:
    """What names a picture: the sha256 of its size and its pixels."""
    height, width, _ = pixels.shape
    return hashlib.sha256(f"{width}x{height}\n".encode() + pixels.tobytes()).hexdigest()


def keep(pixels: Pixels, path: Path) -> None:
    """Write a picture as PNG."""
    from PIL import Image

    with files.replacing(path, lasting=False) as temporary:
        Image.fromarray(pixels).save(temporary, "PNG", compress_level=QUICK)


def load(path: Path, sha256: str) -> Pixels:
    """The picture of that name.

    Raises DamageError when the file holds anything else, OSError when it cannot be opened.
    """
    from PIL import Image

    files.check_is_file(path, "a picture")
    try:
        with files.opened(path) as file, Image.open(file, formats=["PNG"]) as image:
            pixels: Any = np.array(image.convert("RGB"), np.uint8)
    except Exception as error:
        if shortage.sentence(error) or isinstance(error, PermissionError):
            raise
        raise DamageError(path, "a damaged file", "a picture") from None
    if digest(pixels) != sha256:
        raise DamageError(path, "another picture than its name says", "the one that lines start from")
    found: Pixels = pixels
    return found
