"""What a screenplay's header may name, and what a row says of its line beside its words and their start."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from songreel.planning import config, curves, prompts
from songreel.planning.curves import Curve
from songreel.planning.prompts import Prompt
from songreel.planning.rows import Record, shown

FIRST = ("text", "start", "take")  # in this order without a header
NUMBERS = (
    "seed",
    "iterations",
    "lead_in",
    "learning_rate",
    "cutouts",
    "stability",
)  # with the ranges that config.yaml has
# What moves the picture, per second, with what each is where it stands still
CAMERA = {"zoom": "1", "angle": "0", "translation_x": "0", "translation_y": "0", "shear": "0"}
NAMES = (*FIRST, "end", "prompt", "style", "avoid", *NUMBERS, "image", "mask", "from", *CAMERA)
OTHERWISE = {"start_seconds": "start", "end_seconds": "end"}
# What other programs call them
ELSEWHERE = {
    "animation_prompts": "prompt",
    "init_image": "image",
    "initial_image": "image",
    "lr": "learning_rate",
    "mask_file": "mask",
    "negative": "avoid",
    "negative_prompt": "avoid",
    "step_size": "learning_rate",
    "steps": "iterations",
}
NONE = "none"  # in a cell, where the film's value is not to hold
ORIGINS = ("canvas", "previous")


@dataclass(frozen=True)
class Directions:
    """What a row says of how its line is rendered; None leaves it to the film."""

    prompt: tuple[Prompt, ...] | None = None
    style: str | None = None
    avoid: tuple[Prompt, ...] | None = None
    seed: int | None = None
    iterations: int | None = None
    lead_in: int | None = None
    learning_rate: float | None = None
    learning_rate_curve: Curve | None = None  # where it is no plain number
    cutouts: int | None = None
    stability: float | None = None
    image: str | None = None  # the path of the picture that it starts from, as written
    mask: str | None = None  # the path of a picture that is black where that one is kept
    origin: str | None = None  # "canvas" or "previous"
    zoom: Curve | None = None  # a ratio a second
    angle: Curve | None = None  # degrees a second
    translation_x: Curve | None = None  # picture widths a second
    translation_y: Curve | None = None  # picture heights a second
    shear: Curve | None = None  # heights to the right, for each height below the middle, a second


def header(record: Record) -> list[str] | None:
    """The names of the columns, by a row that names text and start; None for any other row.

    Raises UserError where it names another column, or one twice.
    """
    names = plain_names(record)
    if not {"text", "start"} <= set(names):
        _check_not_half(names, record)
        return None
    for at, name in enumerate(names):
        if name not in NAMES:
            raise _unknown(name, record)
        if names.index(name) != at:
            raise record.place.error(
                f"the column {shown(name)} twice", "each column once", "delete one of them"
            )
    return names


def plain_names(record: Record) -> list[str]:
    """What a row's cells are as names of columns, without empty ones at its end."""
    names = [OTHERWISE.get(cell.lower(), cell.lower()) for cell in record.fields]
    while names and not names[-1]:
        names.pop()
    return names


def _check_not_half(names: Sequence[str], record: Record) -> None:
    """Refuse a header that lacks a column every screenplay has, which no line looks like."""
    known = [name for name in names if name in NAMES]
    missing = next(name for name in ("text", "start") if name not in names)
    if len(known) == len(names) >= 3 or (len(known) > 2 and known[0] in FIRST):
        raise record.place.error(
            f"a header without the column {missing!r} ({shown(','.join(names))})",
            "the columns text and start, and perhaps more",
            f"call the column with {'the words' if missing == 'text' else 'their starts'} {missing}",
        )


def _unknown(name: str, record: Record) -> Exception:
    near = ELSEWHERE.get(name) or next(iter(difflib.get_close_matches(name, NAMES, n=1, cutoff=0.6)), None)
    remedy = f"write {near!r} instead, or delete it" if near else "delete it"
    return record.place.error(f"the column {shown(name)}", f"columns among {', '.join(NAMES)}", remedy)


def directions(record: Record) -> Directions:
    """What a row's cells say; an empty one says nothing. Raises UserError for what does not fit."""
    cells = {name: cell for name, cell in record.more.items() if cell}
    values: dict[str, Any] = {}
    for name in NUMBERS:
        if name in cells:
            values |= _numbered(name, cells[name], record)
    for name, parse in (("prompt", prompts.parse), ("avoid", prompts.parse_avoided)):
        if name in cells:
            none = name == "avoid" and cells[name].lower() == NONE
            values[name] = () if none else parse(cells[name], _in(name, record))
    if "style" in cells:
        values["style"] = "" if cells["style"].lower() == NONE else _number("style", cells["style"], record)
    for name in ("image", "mask"):
        if cells.get(name, NONE).lower() != NONE:
            values[name] = cells[name]
    for name in CAMERA:
        if name in cells:
            values[name] = _curve(name, cells[name], record)
    return _checked(Directions(**values, origin=_origin(cells, record)), record)


def _in(name: str, record: Record) -> prompts.Refuse:
    """What makes a sentence of what is wrong in a column."""
    return lambda found, expected, remedy: record.place.error(
        f"in the column {name} {found}", expected, remedy
    )


def _number(name: str, cell: str, record: Record) -> Any:
    """A value that config.yaml may have, too."""
    try:
        return config.value_of(name, cell)
    except ValueError as error:
        raise _in(name, record)(shown(cell), str(error), "correct or delete it") from None


def _numbered(name: str, cell: str, record: Record) -> dict[str, Any]:
    """A number that config.yaml may have, too, or where that may be one, a curve."""
    if name in config.CURVES:
        with suppress(ValueError):
            return {name: config.value_of(name, cell)}
        curve = curves.parse(cell, f"{record.place.named}, column {name}")
        if curve.constant is None:
            return {f"{name}_curve": curve}
    return {name: _number(name, cell, record)}


def _curve(name: str, cell: str, record: Record) -> Curve:
    """What moves the picture; `none` lets it stand still, whatever the film does."""
    text = CAMERA[name] if cell.lower() == NONE else cell
    return curves.parse(text, f"{record.place.named}, column {name}")


def _origin(cells: Mapping[str, str], record: Record) -> str | None:
    if "from" not in cells:
        return None
    origin = cells["from"].lower()
    if origin not in ORIGINS:
        near = difflib.get_close_matches(origin, ORIGINS, n=1)
        remedy = f"write {near[0]!r} instead" if near else "correct or delete it"
        if "." in origin or "/" in origin:
            remedy = "name a picture in the column image"
        raise _in("from", record)(shown(cells["from"]), " or ".join(ORIGINS), remedy)
    return origin


def _checked(said: Directions, record: Record) -> Directions:
    if said.mask and not said.image:
        raise _in("mask", record)(
            f"{shown(said.mask)} and no image",
            "the image of which it keeps a part",
            "name one in the column image",
        )
    if said.image and said.origin:
        raise _in("from", record)(
            f"{shown(said.origin)}, but the image {shown(said.image)}", "one start", "delete one of the two"
        )
    return said
