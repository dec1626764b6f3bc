"""Deforum's settings, the JSON that it saves beside each film (`…_settings.txt`), as a screenplay."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from songreel.exports.elsewhere import formulas, lacking, parseq, phrases, schedules, tracks
from songreel.exports.elsewhere.formulas import FormulaError, PythonError, Values
from songreel.exports.elsewhere.schedules import Piece, Schedule
from songreel.exports.elsewhere.script import CAMERA, MOST_FRAMES, RATES, Row, Script, plain, refused
from songreel.planning.dialects import Report

PROMPTS = ("prompts", "animation_prompts", "prompt", "text_prompts")  # the first that is there
TELLING = ("max_frames", "animation_mode", "diffusion_cadence", "strength_schedule", "translation_z")
BEYOND = 12.0  # seconds by which a line may be rendered past its end: transitions, and some
USUAL_RATE, USUAL_SIDE, USUAL_FRAMES = 15.0, 512.0, 120  # of Deforum, where a file does not say


@dataclass(frozen=True)
class Settings:
    """A settings file, read."""

    path: Path
    said: Mapping[str, Any]
    report: Report

    def number(self, keys: tuple[str, ...], usual: float, low: float, high: float) -> float:
        """The first of some settings that is there. Raises UserError where it is no number in the range."""
        key = next((key for key in keys if self.said.get(key) not in (None, "")), None)
        if key is None:
            self.report(f"{self.path}: {keys[0]!r} is not said, so it is taken as Deforum's {usual:g}.")
            return usual
        try:
            value = float(self.said[key])
            if not low <= value <= high or isinstance(self.said[key], bool):
                raise ValueError
        except (TypeError, ValueError, OverflowError):
            found, expected = f"{key!r} as {_shown(self.said[key])}", f"a number from {low:g} to {high:.0f}"
            raise refused(self.path, found, expected, "correct it") from None
        return value


def knows(document: Any) -> bool:
    """Whether a JSON document is Deforum's settings."""
    if not isinstance(document, dict):
        return False
    prompted = any(isinstance(document.get(key), dict | str | list) for key in PROMPTS)
    return prompted and any(key in document for key in (*TELLING, *CAMERA))


def script(document: Mapping[str, Any], path: Path, report: Report) -> Script:
    """The screenplay of a film by Deforum. Raises UserError where it cannot be made of it."""
    settings = Settings(path, document, report)
    rate = settings.number(("fps",), USUAL_RATE, *RATES)
    frames = round(settings.number(("max_frames",), USUAL_FRAMES, 1, MOST_FRAMES))
    size = tuple(settings.number(keys, USUAL_SIDE, 1, 1e5) for keys in (("W", "width"), ("H", "height")))
    if manifest := _manifest(settings):
        deltas = document.get("parseq_use_deltas", True) is not False
        made = parseq.script(manifest, path, report, (size[0], size[1]), deltas)
        rows, last = made.rows, float(made.config["tail"]) + made.rows[-1].start_seconds
    else:
        rows, last = _rows(settings, frames, rate, (size[0], size[1])), frames / rate
    for message in lacking.of_deforum(document):
        report(f"{path}: {message}")
    return Script(rows, _config(settings, rate, size, last - rows[-1].start_seconds))


def _config(settings: Settings, rate: float, size: tuple[float, ...], tail: float) -> dict[str, str]:
    said = settings.said
    config = {"size": f"{size[0]:.0f}x{size[1]:.0f}", "frames_per_second": plain(rate, 3)}
    config["tail"] = plain(max(tail, 1 / rate), 3)
    seed = said.get("seed")
    if isinstance(seed, int) and not isinstance(seed, bool) and 0 <= seed < 1 << 32:
        config["seed"] = str(seed)
    sound = said.get("soundtrack_path")
    if said.get("add_soundtrack") == "File" and isinstance(sound, str) and sound.isprintable():
        config["audio"] = json.dumps(sound, ensure_ascii=False)
    return config


def _manifest(settings: Settings) -> dict[str, Any] | None:
    """The Parseq document that these settings hold, if they do."""
    text = settings.said.get("parseq_manifest")
    if not isinstance(text, str) or not text.strip():
        return None
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    if not parseq.knows(document):
        settings.report(
            f"{settings.path}: 'parseq_manifest' is an address, or no document, and not read; export it from"
            f" Parseq and convert that."
        )
        return None
    return dict(document)


# Lines


def _rows(settings: Settings, frames: int, rate: float, size: tuple[float, float]) -> list[Row]:
    seed = settings.said.get("seed")
    known = formulas.known(frames - 1, seed if isinstance(seed, int) and 0 <= seed < 1 << 53 else 0)
    prompted = _prompts(settings, frames, known)
    starts = [frame for frame, _ in prompted]
    camera = _camera(settings, starts, frames, rate, size, known)
    image = _image(settings)
    return [
        Row(
            start_seconds=frame / rate,
            text=phrase.text or phrase.prompt,
            prompt=phrase.prompt,
            avoid=phrase.avoid,
            image=image if not at else "",
            camera=camera[at],
        )
        for at, (frame, phrase) in enumerate(prompted)
    ]


def _prompts(settings: Settings, frames: int, known: Mapping[str, float]) -> list[tuple[int, phrases.Phrase]]:
    """The prompts by their first frame, of which at least one says something. Raises UserError."""
    said = settings.said
    often = str(said.get("animation_prompts_positive") or "").strip()
    never = str(said.get("animation_prompts_negative") or "").strip()
    converted: dict[int, phrases.Phrase] = {}
    left_out: list[str] = []
    for key, prompt in _said_prompts(settings):
        try:
            frame = schedules.frame_of(key, known)
        except (FormulaError, PythonError) as error:
            raise _unreadable(settings.path, f"the prompt at {_shown(key)}", error) from None
        phrase = phrases.converted(_joined(prompt, often, never))
        if frame >= frames or not phrase.prompt:
            left_out.append(key)
        else:
            converted[frame] = phrase
    if not converted:
        raise refused(settings.path, "no prompt with words", "one or more", "write what is to be seen")
    if left_out:
        named = ", ".join(map(_shown, left_out[:8]))
        settings.report(f"{settings.path}: the prompts at {named} are empty or after the end, and left out.")
    for lost in sorted(set().union(*(phrase.lost for phrase in converted.values()))):
        settings.report(f"{settings.path}: prompts lose {lost}, which songreel has not.")
    # As there, the first one holds from the beginning
    first, *rest = sorted(converted.items())
    return [(0, first[1]), *rest]


def _joined(prompt: str, often: str, never: str) -> str:
    positive, neg, negative = prompt.partition("--neg")
    together = ", ".join(part for part in (negative.strip(), never) if part)
    return f"{positive.strip()} {often}".strip() + (f" --neg {together}" if together or neg else "")


def _said_prompts(settings: Settings) -> Iterator[tuple[str, str]]:
    said = next(
        settings.said[key] for key in PROMPTS if isinstance(settings.said.get(key), dict | str | list)
    )
    if isinstance(said, str):
        keyed = [entry.partition(":") for entry in said.split("|")]
        alone = len(keyed) == 1 and not re.fullmatch(r"\s*[0-9]+\s*", keyed[0][0])
        said = {"0": said} if alone else {key: text for key, _, text in keyed}
    if isinstance(said, list):
        said = {"0": said}
    for key, prompt in said.items():
        parts = prompt if isinstance(prompt, list) else [prompt]
        if not all(isinstance(part, str) for part in parts):
            found = f"the prompt at {_shown(key)} is {_shown(prompt)}"
            raise refused(settings.path, found, "a text", "correct it")
        yield str(key), " AND ".join(parts)


def _image(settings: Settings) -> str:
    """The picture that the first line starts from, if it is there."""
    image = settings.said.get("init_image")
    if not settings.said.get("use_init") or not isinstance(image, str) or image in ("", "None"):
        return ""
    if "://" not in image and "\0" not in image and (settings.path.parent / image).is_file():
        return str(image)
    settings.report(
        f"{settings.path}: found no file {_shown(image)} for 'init_image'; put one there and name it in the"
        f" column image."
    )
    return ""


# The camera


def _camera(
    settings: Settings,
    starts: list[int],
    frames: int,
    rate: float,
    size: tuple[float, float],
    known: Mapping[str, float],
) -> list[dict[str, str]]:
    """Each line's cells of the camera's columns. What cannot be read or moved is told, and left out."""
    lines: list[dict[str, str]] = [{} for _ in starts]
    if settings.said.get("animation_mode", "2D") not in ("2D", "2d"):
        _check_only(settings, frames, known)
        return lines

    def write(piece: Piece, first: int, end: int) -> str | None:
        # Of the line's own time, so that it stays as it is when the line is moved in the song
        frame = f"(t*{plain(rate, 6)} + {first})" if first else f"(t*{plain(rate, 6)})"
        return _written(piece, frame, np.arange(first, end + BEYOND * rate), known)

    for track in tracks.of_settings(rate, *size):
        try:
            if schedule := _schedule(settings, track.name, frames, known):
                for line, (first, end) in zip(lines, tracks.cuts(starts, frames), strict=True):
                    line[track.name] = tracks.cell(track, schedule, first, end, rate, write)
        except FormulaError as error:
            settings.report(f"{settings.path}: {track.name!r} is left out: {error}.")
            for line in lines:
                line.pop(track.name, None)
    return lines


def _written(piece: Piece, frame: str, frames: Values, known: Mapping[str, float]) -> str | None:
    """A piece's formula in songreel's words, where it has a value at all frames that may be rendered."""
    if piece.formula is None:
        return None
    try:
        piece.formula.values(frames, known)
    except FormulaError:
        return None
    return piece.formula.written(frame, known)


def _check_only(settings: Settings, frames: int, known: Mapping[str, float]) -> None:
    """Refuse what reaches for Python, though the camera does not move so."""
    for name in CAMERA:
        try:
            _schedule(settings, name, min(frames, 1), known)
        except FormulaError:
            continue


def _schedule(settings: Settings, name: str, frames: int, known: Mapping[str, float]) -> Schedule | None:
    """Raises UserError where it reaches for Python, FormulaError where it cannot be read."""
    try:
        return schedules.parse(settings.said.get(name), frames, known)
    except PythonError as error:
        raise _unreadable(settings.path, repr(name), error) from None


def _unreadable(path: Path, what: str, error: Exception) -> Exception:
    return refused(path, f"{error} in {what}", "numbers and formulas of t alone", "write one of these")


def _shown(value: object) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 40 else f"{text[:39]}…"
