"""Backgrounds painted from numbers, a whole batch at once: skies, seas, meadows, streets, nights, patterns.

All is arithmetic on the batch's device. Each kind of thing is painted on the rows that have it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from songreel_starter.words import Rgb

BANK: Rgb = (75, 150, 60)  # beside rivers and roads
WINDOWS: Rgb = (250, 225, 120)
GLEAM: Rgb = (205, 228, 248)


@dataclass(frozen=True)
class Background:
    """What is behind the things of a scene. Lengths are shares of the picture's side, y downwards."""

    top: Rgb
    bottom: Rgb
    pattern: str = "gradient"  # gradient, across, clouds, stripes, spots
    horizon: float = 2.0  # beyond 1: no ground
    far: Rgb = (0, 0, 0)
    near: Rgb = (0, 0, 0)
    paint: str = ""
    skyline: str = ""
    rise: float = 0.0  # the skyline's height
    rock: Rgb = (0, 0, 0)  # the skyline's colour
    light: str = ""  # sun, full, crescent
    light_at: tuple[float, float, float] = (0.0, 0.0, 0.0)  # x, y, radius
    light_colour: Rgb = (0, 0, 0)
    stars: float = 0.0  # share of the pixels at side 64
    clouds: Rgb | None = None
    weather: str = ""  # rain, snow, fog
    accents: tuple[Rgb, Rgb] = ((0, 0, 0), (0, 0, 0))  # of flowers, stripes, spots
    frequency: float = 4.0  # of stripes and spots


class _Easel:
    """The batch while it is painted: the canvas float32 [n, 3, side, side] in 0..1, and what brushes need."""

    def __init__(self, backgrounds: Sequence[Background], side: int, generator: Generator) -> None:
        self.backgrounds, self.side, self.generator = backgrounds, side, generator
        self.device = generator.device
        axis = (torch.arange(side, device=self.device) + 0.5) / side
        self.x, self.y = axis.view(1, 1, 1, side), axis.view(1, 1, side, 1)
        self.horizon = self.column(lambda it: it.horizon)
        self.canvas = torch.empty(len(backgrounds), 3, side, side, device=self.device)

    def column(self, value: Callable[[Background], float]) -> Tensor:
        """A number of each background, [n, 1, 1, 1]."""
        return torch.tensor([float(value(it)) for it in self.backgrounds], device=self.device).view(
            -1, 1, 1, 1
        )

    def colour(self, value: Callable[[Background], Rgb | None]) -> Tensor:
        """A colour of each background, [n, 3, 1, 1] in 0..1."""
        rows = [value(it) or (0, 0, 0) for it in self.backgrounds]
        return torch.tensor(rows, device=self.device, dtype=torch.float32).view(-1, 3, 1, 1) / 255

    def rows(self, wanted: Callable[[Background], object]) -> Tensor:
        """Indices of the backgrounds that have something."""
        chosen = [row for row, it in enumerate(self.backgrounds) if wanted(it)]
        return torch.tensor(chosen, device=self.device, dtype=torch.long)

    def having_skyline(self, kind: str) -> Tensor:
        return self.rows(lambda it: it.skyline == kind)

    def light_at(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """x, y and radius of some rows' lights, [r, 1, 1, 1] each."""
        at = torch.tensor([it.light_at for it in self.backgrounds], device=self.device)[rows]
        x, y, radius = at.view(-1, 3, 1, 1, 1).unbind(1)
        return x, y, radius

    def rand(self, *shape: int) -> Tensor:
        return torch.rand(*shape, device=self.device, generator=self.generator)

    def noise(self, count: int, high: int, wide: int, octaves: int = 3) -> Tensor:
        """Smooth noise [count, 1, side, side] in 0..1 with `high` by `wide` bumps, finer ones upon them."""
        total = torch.zeros(count, 1, self.side, self.side, device=self.device)
        for octave in range(octaves):
            size = min(high << octave, self.side), min(wide << octave, self.side)
            coarse = self.rand(count, 1, *size)
            total += F.interpolate(coarse, (self.side, self.side), mode="bilinear") * 0.5**octave
        low, top = total.amin((2, 3), keepdim=True), total.amax((2, 3), keepdim=True)
        return (total - low) / (top - low + 1e-6)

    def blend(self, rows: Tensor, colour: Tensor, alpha: Tensor) -> None:
        """Paint over some rows."""
        self.canvas[rows] = torch.lerp(
            self.canvas[rows], colour.expand_as(self.canvas[rows]), alpha.clamp(0, 1)
        )


def paint(backgrounds: Sequence[Background], side: int, generator: Generator) -> Tensor:
    """Backgrounds float32 [n, 3, side, side] in 0..1, on the generator's device."""
    easel = _Easel(backgrounds, side, generator)
    for brush in (_sky, _pattern, _stars, _clouds, _light, _skyline, _ground, *GROUNDS, _weather):
        brush(easel)
    return easel.canvas.clamp_(0, 1)


def _sky(easel: _Easel) -> None:
    depth = (easel.y / easel.horizon.clamp(max=1)).clamp(max=1)
    across = easel.column(lambda it: it.pattern == "across")
    easel.canvas = torch.lerp(
        easel.colour(lambda it: it.top),
        easel.colour(lambda it: it.bottom),
        torch.where(across > 0, easel.x, depth),
    )


def _pattern(easel: _Easel) -> None:
    rows = easel.rows(lambda it: it.pattern == "clouds")
    if len(rows):
        easel.blend(rows, easel.colour(lambda it: it.accents[0])[rows], easel.noise(len(rows), 3, 3))
    rows = easel.rows(lambda it: it.pattern in ("stripes", "spots"))
    if len(rows):
        turn = easel.rand(len(rows), 1, 1, 1) * 6.3
        frequency = easel.column(lambda it: it.frequency)[rows] * 6.28
        along = torch.sin((easel.x * turn.cos() + easel.y * turn.sin()) * frequency)
        other = torch.sin((easel.y * turn.cos() - easel.x * turn.sin()) * frequency)
        spots = easel.column(lambda it: it.pattern == "spots")[rows] > 0
        wave = torch.where(spots, along * other - 0.35, along)
        easel.blend(rows, easel.colour(lambda it: it.accents[0])[rows], wave * 8 + 0.5)


def _stars(easel: _Easel) -> None:
    rows = easel.rows(lambda it: it.stars > 0)
    if not len(rows):
        return
    share = easel.column(lambda it: it.stars)[rows] * (64 / easel.side) ** 2
    points = easel.rand(len(rows), 1, easel.side, easel.side)
    bright = (points < share).float() * (0.4 + 0.6 * easel.rand(*points.shape))
    cross = torch.tensor([[0.0, 0.5, 0.0], [0.5, 1.0, 0.5], [0.0, 0.5, 0.0]], device=easel.device)
    large = F.conv2d((points < share / 3).float(), cross.view(1, 1, 3, 3), padding=1)
    easel.blend(
        rows,
        torch.tensor([1.0, 1.0, 0.9], device=easel.device).view(1, 3, 1, 1),
        torch.maximum(bright, large),
    )


def _clouds(easel: _Easel) -> None:
    rows = easel.rows(lambda it: it.clouds)
    if len(rows):
        billows = (easel.noise(len(rows), 4, 3, 4) - 0.58) * 7
        easel.blend(rows, easel.colour(lambda it: it.clouds)[rows], billows * 0.95)


def _light(easel: _Easel) -> None:
    rows = easel.rows(lambda it: it.light)
    if not len(rows):
        return
    x, y, radius = easel.light_at(rows)
    away = _distance(easel, x, y)
    disc = ((radius - away) * easel.side).clamp(0, 1)
    bite = _distance(easel, x + radius * 0.55, y - radius * 0.25)
    crescent = easel.column(lambda it: it.light == "crescent")[rows]
    disc = disc * torch.where(crescent > 0, ((bite - radius * 0.95) * easel.side).clamp(0, 1), 1.0)
    glow = 0.35 * torch.exp(-((away / radius.clamp(min=0.01) / 1.6) ** 2)) * (1 - crescent * 0.8)
    beams = torch.cos(torch.atan2(easel.y - y, easel.x - x) * 12) > 0.45
    rays = beams * (away < radius * 1.75) * 0.8 * easel.column(lambda it: it.light == "sun")[rows]
    rays = rays * (easel.rand(len(rows), 1, 1, 1) < 0.5)
    easel.blend(
        rows, easel.colour(lambda it: it.light_colour)[rows], torch.maximum(disc, torch.maximum(glow, rays))
    )


def _distance(easel: _Easel, x: Tensor, y: Tensor) -> Tensor:
    return ((easel.x - x) ** 2 + (easel.y - y) ** 2).sqrt()


def _skyline(easel: _Easel) -> None:
    for kind, profile in PROFILES.items():
        rows = easel.having_skyline(kind)
        if len(rows):
            height = profile(easel, len(rows)) * easel.column(lambda it: it.rise)[rows]  # [r, 1, 1, side]
            below = easel.y - (easel.horizon[rows] - height)  # below the skyline's edge
            inside = (below * easel.side).clamp(0, 1)
            rock = easel.colour(lambda it: it.rock)[rows] * (1.15 - 1.2 * below.clamp(0, 0.5))
            easel.blend(rows, rock, inside)
            if kind == "mountains":
                easel.blend(rows, torch.full_like(rock[:1], 0.97), inside * (height - below > 0.24) * 0.95)
            if kind == "city":
                easel.blend(rows, _rgb(WINDOWS, easel), inside * _windows(easel, len(rows)) * (below > 0.02))


def _hills(easel: _Easel, count: int) -> Tensor:
    return F.interpolate(easel.rand(count, 1, 1, 5), (1, easel.side), mode="bicubic").clamp(0.05, 1)


def _peaks(easel: _Easel, count: int) -> Tensor:
    middle, width = easel.rand(count, 4, 1, 1), 0.18 + 0.25 * easel.rand(count, 4, 1, 1)
    tall = 0.5 + 0.5 * easel.rand(count, 4, 1, 1)
    return (tall * (1 - (easel.x - middle).abs() / width)).amax(1, keepdim=True).clamp(min=0)


def _houses(easel: _Easel, count: int) -> Tensor:
    return F.interpolate(0.25 + 0.75 * easel.rand(count, 1, 1, 9), (1, easel.side), mode="nearest")


def _treetops(easel: _Easel, count: int) -> Tensor:
    tall = F.interpolate(0.5 + 0.5 * easel.rand(count, 1, 1, 8), (1, easel.side), mode="nearest")
    pointed = 1 - (easel.x * 8 % 1 - 0.5).abs() * 2
    return tall * torch.where(
        easel.rand(count, 1, 1, 1) < 0.5, pointed, (pointed * 3).clamp(max=1) * 0.4 + pointed.sqrt() * 0.6
    )


PROFILES: dict[str, Callable[[_Easel, int], Tensor]] = {
    "hills": _hills,
    "mountains": _peaks,
    "city": _houses,
    "trees": _treetops,
}


def _windows(easel: _Easel, count: int) -> Tensor:
    """Lit windows [count, 1, side, side] in rows and columns."""
    cells = F.interpolate(
        (easel.rand(count, 1, 18, 24) < 0.5).float(), (easel.side, easel.side), mode="nearest"
    )
    return cells * ((easel.x * 24 % 1) > 0.45) * ((easel.y * 18 % 1) > 0.45)


def _ground(easel: _Easel) -> None:
    rows = easel.rows(lambda it: it.horizon < 1)
    if not len(rows):
        return
    horizon = easel.horizon[rows]
    depth = ((easel.y - horizon) / (1 - horizon)).clamp(0, 1)
    colour = torch.lerp(easel.colour(lambda it: it.far)[rows], easel.colour(lambda it: it.near)[rows], depth)
    colour = colour * (1 + 0.25 * (easel.noise(len(rows), 6, 4) - 0.5))
    easel.blend(rows, colour, _below(easel, rows))


def _below(easel: _Easel, rows: Tensor, extra: float = 0.0) -> Tensor:
    return ((easel.y - easel.horizon[rows] - extra) * easel.side + 0.5).clamp(0, 1)


def _painted(easel: _Easel, *kinds: str) -> Tensor:
    return easel.rows(lambda it: it.horizon < 1 and it.paint in kinds)


def _water(easel: _Easel) -> None:
    """Ripples, and below a light its path on the water."""
    rows = _painted(easel, "water", "river")
    if not len(rows):
        return
    ripples = (easel.noise(len(rows), 14, 2, 2) - 0.66) * 4
    easel.blend(rows, _rgb(GLEAM, easel), ripples.clamp(0, 0.6) * _below(easel, rows, 0.01))
    x, _, radius = easel.light_at(rows)
    shaky = easel.x + 0.06 * (easel.rand(len(rows), 1, easel.side, 1) - 0.5)
    path = ((shaky - x).abs() < radius * 0.8) & (radius > 0)
    easel.blend(rows, easel.colour(lambda it: it.light_colour)[rows], 0.6 * path * _below(easel, rows, 0.01))


def _way(easel: _Easel) -> None:
    """Rivers and roads narrow towards the horizon; a line is in the middle of the road."""
    rows = _painted(easel, "river", "road")
    if not len(rows):
        return
    depth = ((easel.y - easel.horizon[rows]) / (1 - easel.horizon[rows])).clamp(0, 1)
    river = easel.column(lambda it: it.paint == "river")[rows]
    bend = 0.12 * torch.sin(depth * 5 + easel.rand(len(rows), 1, 1, 1) * 6.3) * river
    middle = 0.35 + 0.3 * easel.rand(len(rows), 1, 1, 1) + bend
    beside = (easel.x - middle).abs() - (0.06 + (0.3 + 0.2 * easel.rand(len(rows), 1, 1, 1)) * depth)
    bank = _rgb(BANK, easel) * (0.75 + 0.5 * easel.noise(len(rows), 5, 5))
    covered = _below(easel, rows)
    easel.blend(rows, bank, (beside * easel.side + 0.5).clamp(0, 1) * covered)
    line = ((easel.x - middle).abs() < 0.008 + 0.02 * depth) & ((depth.sqrt() * 6 % 1) < 0.55)
    easel.blend(rows, torch.ones(1, 3, 1, 1, device=easel.device), line * (1 - river) * covered * 0.9)


def _beach(easel: _Easel) -> None:
    rows = _painted(easel, "beach")
    if not len(rows):
        return
    depth = (easel.y - easel.horizon[rows]) / (1 - easel.horizon[rows])
    wave = 0.35 + 0.2 * easel.rand(len(rows), 1, 1, 1)
    wave = wave + 0.04 * torch.sin(easel.x * 9 + easel.rand(len(rows), 1, 1, 1) * 6.3)
    sea = torch.lerp(_rgb((40, 110, 185), easel), _rgb((130, 210, 225), easel), (depth / wave).clamp(0, 1))
    easel.blend(rows, sea, ((wave - depth) * easel.side * 0.5).clamp(0, 1) * _below(easel, rows))
    foam = ((depth - wave).abs() < 0.05).float()
    easel.blend(rows, torch.ones(1, 3, 1, 1, device=easel.device), foam * 0.9)


def _flowers(easel: _Easel) -> None:
    rows = _painted(easel, "flowers")
    if not len(rows):
        return
    half = easel.side // 2
    for colour in (easel.colour(lambda it: it.accents[0]), easel.colour(lambda it: it.accents[1])):
        blossoms = (easel.rand(len(rows), 1, half, half) < 0.06).float()
        petals = F.interpolate(blossoms, (easel.side, easel.side), mode="bilinear") * 2
        easel.blend(rows, colour[rows], petals * _below(easel, rows, 0.02))


def _rails(easel: _Easel) -> None:
    rows = _painted(easel, "rails", "tiles")
    if not len(rows):
        return
    depth = ((easel.y - easel.horizon[rows]) / (1 - easel.horizon[rows])).clamp(0, 1)
    lines = ((depth * 5 % 1) < 0.16) * _below(easel, rows, 0.02)
    easel.blend(rows, _rgb((70, 60, 55), easel), lines * 0.8)


GROUNDS = (_water, _way, _beach, _flowers, _rails)


def _weather(easel: _Easel) -> None:
    side = easel.side
    rows = easel.rows(lambda it: it.weather == "rain")
    if len(rows):
        drops = (easel.rand(len(rows), 1, side, side) < 0.012).float()
        length = max(2, side // 16)
        streaks = torch.stack([drops.roll((step, -step // 2), (2, 3)) for step in range(length)]).amax(0)
        easel.blend(rows, _rgb((190, 205, 230), easel), streaks * 0.6)
    rows = easel.rows(lambda it: it.weather == "snow")
    if len(rows):
        flakes = (easel.rand(len(rows), 1, side // 2, side // 2) < 0.035).float()
        easel.blend(
            rows,
            torch.ones(1, 3, 1, 1, device=easel.device),
            F.interpolate(flakes, (side, side), mode="bilinear") * 1.5,
        )
    rows = easel.rows(lambda it: it.weather == "fog")
    if len(rows):
        thick = 0.25 + 0.5 * easel.noise(len(rows), 4, 1, 2)
        easel.blend(rows, _rgb((222, 226, 230), easel), thick)


def _rgb(colour: Rgb, easel: _Easel) -> Tensor:
    return torch.tensor(colour, device=easel.device, dtype=torch.float32).view(1, 3, 1, 1) / 255
