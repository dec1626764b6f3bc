"""A document that Parseq exports, as a screenplay: its rendered frames, of which each has all that is set.

What moves is told twice there: the value, and `…_delta`, by how much it changes at that frame, which is what
Deforum moves by unless its `parseq_use_deltas` is off.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from songreel.exports.elsewhere import phrases, tracks
from songreel.exports.elsewhere.formulas import FormulaError, Values
from songreel.exports.elsewhere.schedules import Piece, Schedule
from songreel.exports.elsewhere.script import MOST_FRAMES, RATES, Row, Script, plain, refused
from songreel.planning.dialects import Report

USUAL_SIZE = (512.0, 512.0)  # pixels; the document does not say
IN_DEPTH = ("translation_z", "rotation_3d_x", "rotation_3d_y", "rotation_3d_z", "fov")
DIFFUSION = ("strength", "noise", "scale", "contrast")

Frame = Mapping[str, Any]


def knows(document: Any) -> bool:
    """Whether a JSON document is one of Parseq's."""
    if not isinstance(document, dict):
        return False
    by_parseq = isinstance(document.get("meta"), dict) and document["meta"].get("generated_by") == "sd_parseq"
    return by_parseq or (isinstance(document.get("rendered_frames"), list) and "keyframes" in document)


def script(
    document: Mapping[str, Any],
    path: Path,
    report: Report,
    size: tuple[float, float] | None = None,
    deltas: bool = True,
) -> Script:
    """The screenplay of a film that Parseq times. Raises UserError where it cannot be made of it."""
    rate, frames = _rate(document, path), _frames(document, path)
    count = max(frames) + 1
    lines = [*_lines(document, frames, count, path, report)]
    camera = _camera(frames, [first for first, _ in lines], count, rate, size, deltas, path, report)
    for message in _lacking(frames):
        report(f"{path}: {message}")
    rows = [
        Row(first / rate, phrase.text or phrase.prompt, phrase.prompt, phrase.avoid, camera=cells)
        for (first, phrase), cells in zip(lines, camera, strict=True)
    ]
    tail = max(count / rate - rows[-1].start_seconds, 1 / rate)
    return Script(rows, {"frames_per_second": plain(rate, 3), "tail": plain(tail, 3)})


def _rate(document: Mapping[str, Any], path: Path) -> float:
    options = document.get("options")
    said = options.get("output_fps") if isinstance(options, dict) else None
    try:
        rate = float(said) if not isinstance(said, bool) else 0.0  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        rate = 0.0
    if not RATES[0] <= rate <= RATES[1]:
        expected = f"frames a second from {RATES[0]:g} to {RATES[1]:g}"
        raise refused(path, f"{str(said)[:40]!r} as options.output_fps", expected, "set it in Parseq")
    return rate


def _frames(document: Mapping[str, Any], path: Path) -> dict[int, Frame]:
    """The rendered frames by their number. Raises UserError where there are none."""
    rendered = document.get("rendered_frames")
    found: dict[int, Frame] = {}
    for frame in rendered if isinstance(rendered, list) else ():
        number = frame.get("frame") if isinstance(frame, dict) else None
        if isinstance(number, int) and not isinstance(number, bool) and 0 <= number < MOST_FRAMES:
            found[number] = frame
    if not found:
        expected = "frames that Parseq has rendered (rendered_frames)"
        raise refused(path, "none", expected, "press Render in Parseq, and save what it gives for Deforum")
    return dict(sorted(found.items()))


# Lines: where the strongest prompt changes


def _lines(
    document: Mapping[str, Any], frames: Mapping[int, Frame], count: int, path: Path, report: Report
) -> Iterator[tuple[int, phrases.Phrase]]:
    prompted = {number: text for number, frame in frames.items() if (text := _said(frame))}
    if not prompted:
        prompted = dict(_listed(document))
    groups = [*_groups(prompted)]
    if not groups:
        expected = "prompts in Parseq, or the settings of the Deforum that has them"
        raise refused(path, "no prompt with words", expected, "write some there, and export it again")
    lost: set[str] = set()
    for at, (first, prompts) in enumerate(groups):
        phrase = _together(prompts)
        lost |= phrase.lost
        if first < count:
            yield (first if at else 0), phrase
    for kind in sorted(lost):
        report(f"{path}: prompts lose {kind}, which songreel has not.")


def _said(frame: Frame) -> str:
    text = frame.get("deforum_prompt")
    return text if isinstance(text, str) and phrases.weighed(text) else ""


def _listed(document: Mapping[str, Any]) -> Iterator[tuple[int, str]]:
    """The prompts that a document lists, where its frames have none."""
    prompts = document.get("prompts")
    listed = prompts.get("promptList", [prompts]) if isinstance(prompts, dict) else prompts
    for prompt in listed if isinstance(listed, list) else ():
        if isinstance(prompt, dict) and isinstance(prompt.get("positive"), str):
            first = prompt.get("from", 0)
            text = f"{prompt['positive']} --neg {prompt.get('negative') or ''}"
            if isinstance(first, int) and 0 <= first < MOST_FRAMES and phrases.weighed(text):
                yield first, text


def _groups(prompted: Mapping[int, str]) -> Iterator[tuple[int, list[str]]]:
    """Frames in a row with the same strongest prompt: the first of them, and their prompts."""
    strongest, group, first = "", list[str](), 0
    known: dict[str, str] = {}
    for number, text in sorted(prompted.items()):
        if text not in known:
            known[text] = max(phrases.weighed(text), key=lambda part: part[1])[0]
        if known[text] != strongest:
            if group:
                yield first, group
            strongest, group, first = known[text], [], number
        group.append(text)
    if group:
        yield first, group


def _together(prompts: Sequence[str]) -> phrases.Phrase:
    """The prompt of a line whose frames have these: its parts with their mean weights."""
    phrase = phrases.converted(prompts[0])
    weights: dict[str, float] = {}
    for text, times in _counted(prompts).items():
        for words, weight in phrases.weighed(text):
            weights[words] = weights.get(words, 0.0) + weight * times / len(prompts)
    if len(weights) <= 1:
        return phrase
    parts = [
        (words, round(weight, 2)) for words, weight in weights.items() if abs(weight) >= phrases.SMALLEST
    ]
    parts.sort(key=lambda part: -part[1])
    return phrases.Phrase(parts[0][0], phrases.written(parts), phrase.avoid, phrase.lost)


def _counted(prompts: Sequence[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for text in prompts:
        counts[text] = counts.get(text, 0) + 1
    return counts


# The camera


def _camera(
    frames: Mapping[int, Frame],
    starts: Sequence[int],
    count: int,
    rate: float,
    size: tuple[float, float] | None,
    deltas: bool,
    path: Path,
    report: Report,
) -> list[dict[str, str]]:
    lines: list[dict[str, str]] = [{} for _ in starts]
    for track in tracks.of_settings(rate, *(size or USUAL_SIZE)):
        values = _series(frames, track.name, count, deltas)
        if values is None:
            continue
        schedule = Schedule(values, (Piece(0, count, None),))
        try:
            for line, (first, end) in zip(lines, tracks.cuts(starts, count), strict=True):
                line[track.name] = tracks.cell(track, schedule, first, end, rate, lambda *_: None)
        except FormulaError as error:
            report(f"{path}: {track.name!r} is left out: {error}.")
            for line in lines:
                line.pop(track.name, None)
    if size is None and any(line.get(f"translation_{axis}") for line in lines for axis in "xy"):
        report(f"{path}: translations are taken as of pictures of 512x512 pixels, since Parseq does not say.")
    return lines


def _series(frames: Mapping[int, Frame], name: str, count: int, deltas: bool) -> Values | None:
    """A setting's value per frame; None where no frame has it."""
    key = f"{name}_delta" if deltas and any(f"{name}_delta" in frame for frame in frames.values()) else name
    said = {
        number: value for number, frame in frames.items() if (value := _number(frame.get(key))) is not None
    }
    if not said:
        return None
    filled: Values = np.interp(np.arange(count), list(said), list(said.values()))
    return filled


def _number(value: object) -> float | None:
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300:
        return float(value)
    return None


def _lacking(frames: Mapping[int, Frame]) -> Iterator[str]:
    """What is not carried over, where it is used."""
    keys = {key for frame in frames.values() for key, value in frame.items() if _number(value)}
    if depth := [key for key in IN_DEPTH if key in keys]:
        yield f"{', '.join(depth)} have no counterpart: songreel's camera has no depth."
    if diffused := [key for key in DIFFUSION if key in keys]:
        yield f"settings of a diffusion model have no counterpart: {', '.join(diffused)}."
    if weights := sorted(key for key in keys if re.fullmatch(r"prompt_weight_[0-9]+", key)):
        yield f"{', '.join(weights)}: a line has its prompts' mean weights."
