"""The pictures of docs/direction.md: python -m benchmarks.pictures_of_direction [NAME ...].

Renders screenplays/examples with the starter model, as a user would but for seams and most frames between
keyframes, which nobody sees here, and puts frames of their lines side by side, with what their rows say.
What is rendered is kept in results/directed, as of any film.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from songreel import data
from songreel.ground.paths import Paths
from songreel.planning import config, plan
from tests import examples, plans
from tests.films import ffmpeg

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "docs/direction"
RATE = 5  # frames a second
DRAWN: Mapping[str, Any] = {"frames_per_second": RATE, "keyframes_per_second": 2, "transition": 0, "tail": 2}
SIDE, GAP, LETTERS = 156, 4, 11  # pixels of a frame, between two, and of what is written below


@dataclass(frozen=True)
class Frame:
    """A moment of an example's film, or a picture that lies beside the example."""

    label: str
    second: float = 0
    file: str = ""


@dataclass(frozen=True)
class Sheet:
    """Frames of an example."""

    example: str
    frames: Sequence[Frame]


SHEETS = (
    Sheet(
        "pictures.csv",
        (
            Frame("the picture boat.png", file="boat.png"),
            Frame("a house on a hill | [boat.png]", 1.8),
            Frame("image boat.png, prompt a field of yellow flowers", 3.8),
            Frame("the mask sky-stays.png", file="sky-stays.png"),
            Frame("the same with the mask", 5.8),
        ),
    ),
    Sheet(
        "prompts.csv",
        (
            Frame("a house on a hill", 1.8),
            Frame("a house on a hill | a red sunset:2", 3.8),
            Frame("a house on a hill | red roof:-1", 5.8),
            Frame("a house on a hill | red roof:-1:-1.3", 7.8),
            Frame(r"a train at 7\:30 | rain:0.5", 9.8),
        ),
    ),
    Sheet(
        "styles.csv",
        (
            Frame("a house on a hill", 1.8),
            Frame("style pink and violet", 3.8),
            Frame("style {text}, on fire", 5.8),
            Frame("avoid green grass:-1", 7.8),
        ),
    ),
    Sheet(
        "lamps.lrc",
        (
            Frame("0.2 s", 0.2),
            Frame("1.0 s", 1),
            Frame("2.4 s", 2.4),
            Frame("4.2 s", 4.2),
        ),
    ),
    Sheet(
        "harbour.srt",
        (
            Frame("1.0 s", 1),
            Frame("2.4 s: the words end before", 2.4),
            Frame("4.0 s", 4),
        ),
    ),
    Sheet(
        "chain.csv",
        (
            Frame("A tree in the meadow", 1.8),
            Frame("turns into a golden tree (from: previous)", 3.8),
            Frame("turns into a red tree (from: previous)", 5.8),
            Frame("and a snowman stands beside it", 7.8),
        ),
    ),
    Sheet(
        "sound.csv",
        (
            Frame("0.0 s, before the drum", 0),
            Frame("1.9 s, after four strokes", 1.9),
            Frame("3.9 s, after eight", 3.9),
            Frame("4.1 s, before the bells", 4.1),
            Frame("7.9 s, after eight of them", 7.9),
        ),
    ),
)


def main() -> None:
    """Render what is named, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("names", nargs="*", help="examples; all of them when none is named")
    names = parser.parse_args().names
    for sheet in SHEETS:
        name = Path(sheet.example).stem
        if not names or name in names:
            TARGET.mkdir(exist_ok=True)
            drawn(sheet).save(TARGET / f"{name}.jpg", quality=86, optimize=True, progressive=True)


def drawn(sheet: Sheet) -> Image.Image:
    """The frames of an example side by side, with their labels below."""
    film = rendered(sheet)
    pictures = [
        Image.open(examples.FOLDER / it.file).convert("RGB") if it.file else frame(film, it.second)
        for it in sheet.frames
    ]
    font = ImageFont.truetype(str(data.FONT), LETTERS)
    labels = [wrapped(it.label, font) for it in sheet.frames]
    rows = max(label.count("\n") + 1 for label in labels)
    height = SIDE + 5 + rows * (LETTERS + 4)
    page = Image.new("RGB", (len(pictures) * (SIDE + GAP) - GAP, height), "white")
    pen = ImageDraw.Draw(page)
    for number, (picture, label) in enumerate(zip(pictures, labels, strict=True)):
        left = number * (SIDE + GAP)
        page.paste(picture.resize((SIDE, SIDE), Image.Resampling.LANCZOS), (left, 0))
        pen.rectangle((left, 0, left + SIDE - 1, SIDE - 1), outline="grey")
        pen.multiline_text((left + 1, SIDE + 1), label, "black", font, spacing=2)
    return page


def rendered(sheet: Sheet) -> Path:
    """The film of an example."""
    file = examples.FOLDER / sheet.example
    settings = {
        **examples.settings(file),
        **DRAWN,
        "results": str(ROOT / "results/directed"),
    }
    resolved = config.resolve(settings)
    paths = Paths(resolved.results)
    paths.root.mkdir(parents=True, exist_ok=True)
    made = plan.make(resolved, paths)
    plan.write(made, paths)
    plans.render(made, paths)
    return paths.film(made.song)


def frame(film: Path, second: float) -> Image.Image:
    """The frame of a film that is shown from a second on."""
    # A little earlier, since ffmpeg seeks to the first frame that is not before it.
    seek = f"{max(second - 0.1 / RATE, 0):.3f}"
    shown = ffmpeg("-ss", seek, "-i", film, "-frames:v", "1", *("-f", "image2pipe", "-c:v", "png", "-"))
    return Image.open(io.BytesIO(shown)).convert("RGB")


def wrapped(text: str, font: ImageFont.FreeTypeFont) -> str:
    """A text in rows that are no wider than a frame."""
    rows = [""]
    for word in text.split():
        longer = f"{rows[-1]} {word}".strip()
        if rows[-1] and font.getlength(longer) > SIDE - 4:
            rows.append(word)
        else:
            rows[-1] = longer
    return "\n".join(rows)


if __name__ == "__main__":
    main()
