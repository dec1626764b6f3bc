"""What steers each line, all told: by its row, and by the film where its row says nothing."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from songreel.ground.errors import UserError
from songreel.ground.steering import Part
from songreel.planning import prompts, wording
from songreel.planning.config import Config
from songreel.planning.gallery import Gallery
from songreel.planning.prompts import Prompt
from songreel.planning.rows import shown
from songreel.planning.timeline import Shot

_PLACEHOLDER = re.compile(r"\{(\w+)\}")
PLACEHOLDERS = ("text", "title", "artist")


@dataclass(frozen=True)
class Steer:
    """A part that steers, with its words and its style apart, for the words are cut first."""

    words: str
    style: str
    picture: str  # the sha256 of an image prompt; "" for words
    weight: float
    stop: float | None

    @property
    def part(self) -> Part:
        """As a recipe has it."""
        text = "" if self.picture else wording.joined(self.words, self.style)
        return Part(text, self.picture, self.weight, self.stop)


@dataclass(frozen=True)
class Steering:
    """All that steers a line, the strongest first."""

    steers: tuple[Steer, ...]

    @property
    def plain(self) -> bool:
        """Whether it is a text alone, as if it had been sung."""
        (first, *others) = self.steers
        return not others and not first.picture and first.weight == 1 and first.stop is None

    @property
    def parts(self) -> tuple[Part, ...]:
        """What steers, as a recipe has it."""
        return tuple(steer.part for steer in self.steers)

    @property
    def text(self) -> str:
        """All of it in words."""
        if self.plain:
            return self.parts[0].text
        parts = self.parts
        return " | ".join(prompts.written(it.text, it.picture, it.weight, it.stop) for it in parts)

    @property
    def wanted(self) -> str:
        """The words, without their style, that a picture to start from has to fit."""
        return ", ".join(it.words for it in self.steers if it.weight > 0 and not it.picture)


def of(shots: Sequence[Shot], config: Config, gallery: Gallery) -> list[Steering]:
    """What steers each line.

    Raises UserError when the film's style or what it avoids does not fit, or a picture cannot be read.
    """
    away = avoided(config)
    return [_of_line(shot, away, config, gallery) for shot in shots]


def _of_line(shot: Shot, avoided: tuple[Prompt, ...], config: Config, gallery: Gallery) -> Steering:
    said, row = shot.line.directions, shot.line.row
    if said.style is None:
        style = _filled(config.style, "config key 'style'", config)
    else:
        style = _filled(said.style, f"{config.screenplay} row {row}, column style", config)
    asked = (Prompt(shot.line.text),) if said.prompt is None else said.prompt
    away = avoided if said.avoid is None else said.avoid
    steers = [_steer(part, style, row, gallery) for part in (*asked, *away)]
    # By strength, since the order means nothing; equal ones by their words.
    return Steering(tuple(sorted(steers, key=lambda it: (-it.weight, it.words, it.picture, it.stop or 0))))


def _steer(part: Prompt, style: str, row: int, gallery: Gallery) -> Steer:
    picture = gallery.prompt(part.path, row) if part.path else ""
    styled = style if part.weight > 0 and not picture else ""
    return Steer(part.words, styled, picture, part.weight, part.stop)


def avoided(config: Config) -> tuple[Prompt, ...]:
    """What the film avoids. Raises UserError where that does not fit."""

    def refuse(found: str, expected: str, remedy: str) -> UserError:
        return UserError(f"config key 'avoid': found {found}, expected {expected}; {remedy}.")

    return prompts.parse_avoided(config.avoid, refuse) if config.avoid else ()


def _filled(style: str, place: str, config: Config) -> str:
    """A style with the title and the artist in it. Raises UserError for what is nearly a placeholder."""
    names = {"title": config.title or config.screenplay.stem, "artist": config.artist}
    for name in _unknown(style):
        near = difflib.get_close_matches(name.lower(), PLACEHOLDERS, n=1, cutoff=0.6)
        if near:
            raise UserError(
                f"{place}: found {shown('{' + name + '}')}, expected {{text}}, {{title}} or {{artist}}; write"
                f" {{{near[0]}}} instead."
            )
    return _PLACEHOLDER.sub(lambda match: names.get(match[1], match[0]), style)


def _unknown(style: str) -> Iterator[str]:
    return (name for name in _PLACEHOLDER.findall(style) if name not in PLACEHOLDERS)
