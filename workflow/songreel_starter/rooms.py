"""Places that have no sky, and fireworks: what is drawn for the album since no source has it."""

from __future__ import annotations

import math
import random

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from songreel_starter.places import HORIZON, SIDE
from songreel_starter.words import Rgb


def fireworks() -> Image.Image:
    """Bursts of sparks, as no source draws them without a frame. RGBA [96, 96]."""
    picture = Image.new("RGBA", (384, 384))
    draw = ImageDraw.Draw(picture)
    bursts = ((150, 150, 140, (255, 90, 80)), (280, 230, 96, (255, 215, 80)), (110, 300, 80, (110, 215, 255)))
    for x, y, radius, colour in bursts:
        for ray in range(16):
            angle = ray * math.pi / 8
            cosine, sine = math.cos(angle), math.sin(angle)
            draw.line(
                [
                    (x + cosine * radius * 0.2, y + sine * radius * 0.2),
                    (x + cosine * radius * 0.8, y + sine * radius * 0.8),
                ],
                fill=(*colour, 255),
                width=9,
            )
            at = x + cosine * radius * 0.95, y + sine * radius * 0.95
            draw.ellipse([at[0] - 8, at[1] - 8, at[0] + 8, at[1] + 8], fill=(255, 250, 220, 255))
    return picture.resize((96, 96), Image.Resampling.LANCZOS)


def rooms() -> dict[str, Image.Image]:
    """Places that fill the picture, as RGBA."""
    return {
        **{"floor": _room(), "table": _table(), "stage": _stage(), "window": _window()},
        **{"underwater": _underwater(), "fire": _fire(), "plain": _plain()},
    }


def _gradient(top: Rgb, bottom: Rgb) -> Image.Image:
    rows = np.linspace(top, bottom, SIDE)[:, None].repeat(SIDE, 1)
    return Image.fromarray(rows.round().astype(np.uint8)).convert("RGBA")


def _boards(picture: Image.Image, top: int, colour: Rgb, seam: Rgb) -> None:
    """A floor of boards that run to a point behind the horizon."""
    draw = ImageDraw.Draw(picture)
    for y in range(top, SIDE):
        depth = (y - top) / (SIDE - top)
        shade = 0.78 + 0.3 * depth
        draw.line([(0, y), (SIDE, y)], fill=tuple(min(255, int(part * shade)) for part in colour))
    for step in range(-9, 10):
        x = SIDE / 2 + step * SIDE * 0.09
        draw.line([(x, top), (SIDE / 2 + (x - SIDE / 2) * 2.6, SIDE)], fill=seam, width=2)


def _room() -> Image.Image:
    picture = _gradient((238, 215, 180), (225, 195, 155))
    top = round(SIDE * (HORIZON + 0.06))
    _boards(picture, top, (175, 120, 72), (125, 82, 48))
    draw = ImageDraw.Draw(picture)
    draw.rectangle([0, top - 9, SIDE, top], fill=(250, 242, 228))
    left, high, wide = round(SIDE * 0.08), round(SIDE * 0.1), round(SIDE * 0.26)
    draw.rectangle([left - 6, high - 6, left + wide + 6, high + wide + 6], fill=(250, 246, 236))
    draw.rectangle([left, high, left + wide, high + wide], fill=(150, 205, 245))
    draw.line([(left + wide // 2, high), (left + wide // 2, high + wide)], fill=(250, 246, 236), width=5)
    draw.line([(left, high + wide // 2), (left + wide, high + wide // 2)], fill=(250, 246, 236), width=5)
    return picture


def _table() -> Image.Image:
    picture = _gradient((245, 226, 196), (232, 204, 168))
    top = round(SIDE * 0.66)
    draw = ImageDraw.Draw(picture)
    for y in range(top, SIDE):
        shade = 0.85 + 0.3 * (y - top) / (SIDE - top)
        draw.line([(0, y), (SIDE, y)], fill=tuple(min(255, int(part * shade)) for part in (165, 105, 60)))
    for y in range(top + 22, SIDE, 30):
        draw.line([(0, y), (SIDE, y)], fill=(120, 72, 40), width=2)
    draw.rectangle([0, top - 4, SIDE, top + 3], fill=(190, 130, 80))
    return picture


def _stage() -> Image.Image:
    picture = _gradient((60, 15, 30), (95, 25, 40))
    draw = ImageDraw.Draw(picture)
    for x in range(0, SIDE, 24):
        draw.rectangle([x, 0, x + 10, SIDE], fill=(125, 28, 42))
    _boards(picture, round(SIDE * 0.68), (150, 100, 60), (105, 68, 40))
    beam = Image.new("RGBA", picture.size)
    pen = ImageDraw.Draw(beam)
    pen.polygon(
        [(SIDE * 0.44, 0), (SIDE * 0.56, 0), (SIDE * 0.84, SIDE * 0.86), (SIDE * 0.16, SIDE * 0.86)],
        fill=(255, 240, 190, 85),
    )
    pen.ellipse([SIDE * 0.14, SIDE * 0.78, SIDE * 0.86, SIDE * 0.96], fill=(255, 240, 190, 130))
    picture.alpha_composite(beam.filter(ImageFilter.GaussianBlur(5)))
    return picture


def _window() -> Image.Image:
    """A wall with a large window, in whose opening a sky is seen."""
    picture = Image.new("RGBA", (SIDE, SIDE), (205, 175, 150, 255))
    draw = ImageDraw.Draw(picture)
    left, right, top, low = (round(SIDE * part) for part in (0.14, 0.86, 0.06, 0.76))
    draw.rectangle([left - 12, top - 12, right + 12, low + 12], fill=(250, 246, 238, 255))
    draw.rectangle([left, top, right, low], fill=(0, 0, 0, 0))
    draw.line([(SIDE // 2, top), (SIDE // 2, low)], fill=(250, 246, 238, 255), width=8)
    draw.line([(left, SIDE * 0.4), (right, SIDE * 0.4)], fill=(250, 246, 238, 255), width=8)
    draw.rectangle([left - 30, low + 10, right + 30, low + 30], fill=(235, 225, 210, 255))
    return picture


def _underwater() -> Image.Image:
    picture = _gradient((95, 195, 225), (12, 55, 120))
    dice = random.Random(3)
    veil = Image.new("RGBA", picture.size)
    draw = ImageDraw.Draw(veil)
    for _ in range(6):
        x, wide = dice.uniform(0, SIDE), dice.uniform(10, 34)
        draw.polygon(
            [(x, 0), (x + wide, 0), (x + wide * 2 + 30, SIDE), (x + 10, SIDE)], fill=(255, 255, 255, 24)
        )
    picture.alpha_composite(veil.filter(ImageFilter.GaussianBlur(4)))
    draw = ImageDraw.Draw(picture)
    floor = [(x, SIDE * (0.9 + 0.025 * math.sin(x / 23))) for x in range(0, SIDE + 8, 8)]
    draw.polygon([*floor, (SIDE, SIDE), (0, SIDE)], fill=(200, 180, 125))
    for root in (18, 44, 70, SIDE - 66, SIDE - 40, SIDE - 16):
        high = dice.uniform(50, 110)
        stalk = [(root + 7 * math.sin(step / 2 + root), SIDE * 0.96 - high * step / 12) for step in range(13)]
        draw.line(stalk, fill=(40, 140, 85), width=7, joint="curve")
    for _ in range(16):
        x, y, radius = dice.uniform(0, SIDE), dice.uniform(0, SIDE * 0.85), dice.uniform(2, 7)
        draw.ellipse([x - radius, y - radius, x + radius, y + radius], outline=(215, 240, 250), width=2)
    return picture


def _fire() -> Image.Image:
    picture = _gradient((45, 8, 10), (150, 35, 15))
    dice = random.Random(5)
    for colour, high in (((215, 60, 20), 0.6), ((245, 130, 30), 0.42), ((255, 215, 90), 0.24)):
        layer = Image.new("RGBA", picture.size)
        draw = ImageDraw.Draw(layer)
        for number in range(9):
            x, wide = SIDE * (number + dice.uniform(0, 1)) / 9, SIDE * dice.uniform(0.07, 0.12)
            tip = SIDE * (1 - high * dice.uniform(0.6, 1.1))
            draw.polygon(
                [
                    (x - wide, SIDE),
                    (x - wide * 0.7, (tip + SIDE) / 2),
                    (x + wide * 0.2, tip),
                    (x + wide * 0.7, (tip + SIDE) / 2),
                    (x + wide, SIDE),
                ],
                fill=(*colour, 255),
            )
        picture.alpha_composite(layer.filter(ImageFilter.GaussianBlur(2)))
    return picture


def _plain() -> Image.Image:
    """Light in the middle, in a colour that no thing is lost before."""
    y, x = np.mgrid[0:SIDE, 0:SIDE] / SIDE - 0.5
    light = np.exp(-(x**2 + y**2) / 0.18)[..., None]
    rgb = np.array((118, 160, 190)) * (1 - light) + np.array((232, 242, 246)) * light
    return Image.fromarray(rgb.round().astype(np.uint8)).convert("RGBA")
