"""Pictures painted from drawings: a sky, a ground, things that stand, float or fly, and weather over them.

All is arithmetic on whole pixels or in float64, so that every machine paints the same.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from songreel.sampling.wishes import Rgb

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float64]

LUMA = np.array((0.299, 0.587, 0.114))
DULL = 0.14  # chroma under which a pixel has no hue
SPREAD = 40.0  # degrees on both sides of a drawing's main hue
NEAR = 42.0  # of 255: a thing whose lightness is that near to what is behind it gets a rim
LIGHT = 200.0  # of 255: behind what is lighter, a rim is dark
SHADOW = 0.32
KEPT = 0.5  # how much of its own light a thing keeps where the ground is dimmed


@dataclass(frozen=True)
class Placed:
    """A drawing in a picture. Lengths in pixels; `y` is its lowest point (`foot`) or its middle."""

    drawing: Image.Image
    x: float
    y: float
    side: float
    foot: bool = True
    mirrored: bool = False
    shadow: bool = False


def backdrop(size: tuple[int, int], sky: Image.Image) -> Image.Image:
    """A sky that fills a picture of `size` (width, height), RGBA."""
    width, height = size
    side = max(size)
    scaled = sky.resize((side, side), Image.Resampling.BICUBIC).convert("RGBA")
    left = (side - width) // 2
    return scaled.crop((left, 0, left + width, height))


def lay(
    picture: Image.Image, ground: Image.Image, horizon: float, tint: Sequence[float], mirrored: bool
) -> None:
    """Put a ground on a picture, its horizon at the same share of the height, dimmed by `tint`."""
    width, height = picture.size
    side = max(width, height)
    scaled = ground.resize((side, side), Image.Resampling.BICUBIC)
    if mirrored:
        scaled = scaled.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    left, top = (side - width) // 2, round(horizon * (side - height))
    picture.alpha_composite(dimmed(scaled.crop((left, top, left + width, top + height)), tint))


def dimmed(image: Image.Image, tint: Sequence[float]) -> Image.Image:
    """An RGBA picture with its red, green and blue times `tint`."""
    if all(part == 1 for part in tint):
        return image
    pixels = np.asarray(image, np.float64).copy()
    pixels[..., :3] *= np.array(tint)
    return Image.fromarray(pixels.clip(0, 255).round().astype(np.uint8))


def put(picture: Image.Image, it: Placed, tint: Sequence[float]) -> None:
    """Put a drawing on a picture, with its shadow, and a rim where it would not be seen."""
    side = max(8, round(it.side))
    sprite = it.drawing.resize((side, side), Image.Resampling.LANCZOS)
    if it.mirrored:
        sprite = sprite.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    box = sprite.getchannel("A").point([255 * (alpha > 40) for alpha in range(256)]).getbbox()
    if box is None:
        return
    left = round(it.x - (box[0] + box[2]) / 2)
    top = round(it.y - box[3]) if it.foot else round(it.y - (box[1] + box[3]) / 2)
    if it.shadow:
        _shade(picture, left + box[0], left + box[2], top + box[3])
    whole = Image.new("RGBA", picture.size)
    whole.paste(dimmed(sprite, [KEPT + (1 - KEPT) * part for part in tint]), (left, top))
    _rim(picture, whole, side)
    picture.alpha_composite(whole)


def _shade(picture: Image.Image, left: int, right: int, foot: int) -> None:
    width = right - left
    shadow = Image.new("L", picture.size)
    half = max(2, width // 11)
    ImageDraw.Draw(shadow).ellipse(
        [left + width * 0.06, foot - half, right - width * 0.06, foot + half], fill=round(255 * SHADOW)
    )
    dark = Image.new("RGBA", picture.size, (10, 14, 24, 255))
    dark.putalpha(shadow.filter(ImageFilter.GaussianBlur(max(1, width / 40))))
    picture.alpha_composite(dark)


def _rim(picture: Image.Image, whole: Image.Image, side: int) -> None:
    """Light around a thing that is as dark as what is behind it, or a shade around one as light."""
    alpha = np.asarray(whole.getchannel("A"), np.float64) / 255
    if alpha.sum() < 1:
        return
    own = (np.asarray(whole, np.float64)[..., :3] @ LUMA * alpha).sum() / alpha.sum()
    behind = (np.asarray(picture, np.float64)[..., :3] @ LUMA * alpha).sum() / alpha.sum()
    if abs(own - behind) >= NEAR:
        return
    wide = max(1, round(side / 36))
    grown = (
        whole.getchannel("A")
        .filter(ImageFilter.MaxFilter(2 * wide + 1))
        .filter(ImageFilter.GaussianBlur(wide))
    )
    rim = Image.new("RGBA", picture.size, (255, 252, 240, 255) if behind < LIGHT else (40, 45, 60, 255))
    rim.putalpha(grown.point([round(0.45 * value) for value in range(256)]))
    picture.alpha_composite(rim)


def recoloured(sprite: Image.Image, colour: Rgb, leafy: bool = False) -> Image.Image:
    """A drawing whose main colour became `colour`; its shades stay shades, its other colours what they are.

    Green is not the main colour of what is `leafy`, if there is another.
    """
    pixels = np.asarray(sprite, np.float64)
    rgb, alpha = pixels[..., :3], pixels[..., 3] / 255
    share = _main(rgb / 255, alpha, leafy)
    light = rgb @ LUMA
    middle = (light * share).sum() / max(share.sum(), 1e-9)
    target = np.array(colour, np.float64)
    ratio = (light / max(middle, 1.0))[..., None]
    darker = target * ratio
    lighter = target + (255 - target) * ((light - middle) / max(255 - middle, 1.0))[..., None] * 0.8
    painted = np.where(ratio < 1, darker, lighter)
    mixed = rgb * (1 - share[..., None]) + painted * share[..., None]
    shown = np.dstack([mixed, pixels[..., 3]]).clip(0, 255).round().astype(np.uint8)
    return Image.fromarray(shown)


def _main(rgb: Floats, alpha: Floats, leafy: bool) -> Floats:
    """How much each pixel [h, w] belongs to a drawing's main colour, 0..1, times its opacity."""
    top, low = rgb.max(2), rgb.min(2)
    chroma = top - low
    hue = _hue(rgb, top, chroma)
    coloured = (chroma > DULL) & (alpha > 0.5)
    solid = (alpha > 0.5) & (top > 0.12)
    if coloured.sum() < 0.3 * max(1, solid.sum()):
        grey: Floats = np.where((chroma <= DULL * 1.6) & (top > 0.25), alpha, 0.0)
        return grey
    counts, _ = np.histogram(hue[coloured], bins=36, range=(0, 360), weights=chroma[coloured])
    if leafy:
        counts[7:17] *= 0.05
    smooth = counts + np.roll(counts, 1) + np.roll(counts, -1)
    main = smooth.argmax() * 10 + 5
    away = np.abs((hue - main + 180) % 360 - 180)
    share: Floats = ((SPREAD - away) / 12 + 1).clip(0, 1) * ((chroma - 0.06) / 0.08).clip(0, 1) * alpha
    return share


def _hue(rgb: Floats, top: Floats, chroma: Floats) -> Floats:
    """Degrees; 0 where there is no colour."""
    safe = np.where(chroma > 0, chroma, 1)
    red, green, blue = (rgb[..., part] for part in range(3))
    sixth = np.select(
        [top == red, top == green],
        [(green - blue) / safe % 6, (blue - red) / safe + 2],
        (red - green) / safe + 4,
    )
    found: Floats = np.where(chroma > 0, sixth * 60, 0.0)
    return found


def fall(picture: Image.Image, weather: str, seed: int) -> None:
    """Rain, snow or fog over a picture; `storm` is lightning in its sky."""
    dice = random.Random(seed)
    veil = Image.new("RGBA", picture.size)
    pen, (width, height) = ImageDraw.Draw(veil), picture.size
    least = min(width, height)
    if weather == "rain":
        for _ in range(width * height // 170):
            x, y, length = (
                dice.uniform(0, width * 1.2),
                dice.uniform(-0.1, 1) * height,
                least * dice.uniform(0.05, 0.1),
            )
            pen.line(
                [(x, y), (x - length * 0.4, y + length)],
                fill=(205, 220, 245, 175),
                width=max(1, least // 110),
            )
    elif weather == "snow":
        for _ in range(width * height // 150):
            x, y, radius = dice.uniform(0, width), dice.uniform(0, height), least * dice.uniform(0.006, 0.014)
            pen.ellipse([x - radius, y - radius, x + radius, y + radius], fill=(255, 255, 255, 235))
    elif weather == "fog":
        for row in range(7):
            y, high = height * (0.25 + row * 0.12), height * dice.uniform(0.05, 0.09)
            x = width * dice.uniform(-0.4, 0.2)
            pen.ellipse([x, y - high, x + width * 1.2, y + high], fill=(228, 232, 238, 120))
        veil = veil.filter(ImageFilter.GaussianBlur(least / 24))
    elif weather == "storm":
        _strike(pen, dice, width, height)
    picture.alpha_composite(veil)


def _strike(pen: ImageDraw.ImageDraw, dice: random.Random, width: int, height: int) -> None:
    x, points = width * dice.choice((0.16, 0.84)), []
    for step in range(7):
        points.append((x + width * dice.uniform(-0.055, 0.055), height * 0.6 * step / 6))
    least = min(width, height)
    pen.line(points, fill=(255, 250, 200, 110), width=max(3, least // 18), joint="curve")
    pen.line(points, fill=(255, 255, 235, 255), width=max(2, least // 45), joint="curve")
