"""The model card: what a pair is, what it learned from, how good it is, and pictures that it drew."""

from __future__ import annotations

import datetime
import hashlib
import io
import itertools
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template

from PIL import Image, ImageDraw

from songreel.ground.errors import UserError
from songreel.ground.files import Document, read_json, replacing
from songreel.models import weights
from songreel.sampling import drawings
from songreel_starter import pairs
from songreel_starter.export import check_size
from songreel_starter.keyframes import Shown
from songreel_starter.sources import FOLDER, Source

TEMPLATE = FOLDER / "card.md"
JUDGED = (("first", "all", "all phrases"), ("first", "simple", "simple phrases"))
TRAININGS = {
    "text": "the text tower",
    "clip": "the picture tower",
    "vqgan": "the VQGAN",
    "decoder": "its decoder, again, with the deblocking",
    "judge": "the judge",
}
SILENCE = 900.0  # seconds without a word in a log

COLUMNS, SHOWN, LINE, LINES = 8, 128, 12, 3  # pictures in a row; pixels of a picture and of a line of words
LETTERS = SHOWN // 6  # on a line
MOST_BYTES = 400_000  # of a sheet
QUALITIES = (90, 85, 80, 70, 60, 50)


@dataclass(frozen=True)
class Facts:
    """What a card tells."""

    pairs: tuple[str, str]  # names of the first pair and of this one in what follows
    judged: Document
    retrieval: Document
    reconstruction: Document
    grid: Document
    speed: Document
    sources: Mapping[str, Source]
    numbers: Mapping[str, int]  # pictures of each source that has some
    trainings: Sequence[str]
    shown: int  # phrases on the contact sheets

    @property
    def pair(self) -> str:
        """The one that the card is about."""
        return self.pairs[1]

    def using(self, *uses: str) -> list[str]:
        """The sources of some use that were there, all of those without pictures among them."""
        here = {name: it for name, it in self.sources.items() if name in self.numbers or not it.has_pictures}
        return [name for name, it in here.items() if it.use in uses]


def draw_sheet(shown: Shown, target: Path) -> None:
    """A contact sheet as JPEG: the first keyframes, each with its phrase under it."""
    high, wide = SHOWN + LINES * LINE + 6, SHOWN + 6
    rows = -(-len(shown.phrases) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * wide, rows * high), "white")
    draw = ImageDraw.Draw(sheet)
    for index, (pixels, phrase) in enumerate(zip(shown.first, shown.phrases, strict=True)):
        x, y = index % COLUMNS * wide, index // COLUMNS * high
        picture = Image.fromarray(pixels.transpose(1, 2, 0))
        sheet.paste(picture.resize((SHOWN, SHOWN), Image.Resampling.LANCZOS), (x, y))
        caption = "\n".join(textwrap.wrap(phrase, LETTERS)[:LINES])
        draw.multiline_text((x, y + SHOWN), caption, "black", spacing=1)
    with replacing(target) as temporary:
        temporary.write_bytes(_jpeg(sheet, target))


def _jpeg(sheet: Image.Image, target: Path) -> bytes:
    """As good as fits."""
    for quality in QUALITIES:
        out = io.BytesIO()
        sheet.save(out, "JPEG", quality=quality, optimize=True)
        if out.tell() <= MOST_BYTES:
            return out.getvalue()
    raise UserError(f"{target}: found more than {MOST_BYTES // 1000} kB of pictures; put fewer on the sheet.")


def write(facts: Facts, target: Path) -> None:
    """The card, beside the pair's files and sheets. Raises UserError when the folder is too large."""
    template = Template(TEMPLATE.read_text(encoding="utf-8"))
    text = template.substitute(_values(facts, target.parent))
    with replacing(target) as temporary:
        temporary.write_text(text, encoding="utf-8")
    check_size(target.parent, sum(file.stat().st_size for file in target.parent.iterdir()))


def _values(facts: Facts, folder: Path) -> dict[str, str]:
    judged, speed, reconstruction = facts.judged[facts.pair], facts.speed, facts.reconstruction
    retrieved = facts.retrieval
    judge = retrieved.get("judge")
    return {
        "files": "\n".join(_file(folder, name) for name in pairs.FILES if name.endswith("safetensors")),
        "album": _album(folder),
        "figures": "\n".join(_figures(facts)),
        "simple": str(judged["first"]["simple"]["queries"]),
        "simple_first": _percent(judged["first"]["simple"]["first_1"]),
        "phrases": str(judged["chance"]["among"]),
        "all_first": _percent(judged["first"]["all"]["first_1"]),
        "seen": str(judged["chance"]["among"] - judged["first"]["unseen"]["queries"]),
        "unseen_first": _percent(judged["first"]["unseen"]["first_1"]),
        "chance_first": _percent(judged["chance"]["first_1"]),
        "shuffled": _percent(judged["first"]["shuffled"]["first_1"]),
        "setting": speed["setting"],
        "retrieved": str(retrieved["chance"]["among"]),
        "style": retrieved["style"],
        "judge_retrieval": _percent(judge["plain"]["text_to_picture"]["first_10"]) if judge else "?",
        "reconstructed": str(reconstruction["pictures"]),
        "reconstruction_side": str(reconstruction["side"]),
        "scenes_grid": f"{reconstruction[retrieved['style']]['scenes']['grid']:.2f}",
        "unfinished": _unfinished(reconstruction[retrieved["style"]]),
        "speed_where": f"one thread of a {speed['device'].upper()}" if speed["device"] == "cpu" else "a GPU",
        "shown": str(facts.shown),
        "training": "\n".join(facts.trainings),
        "trained_from": "\n".join(_source(facts, name) for name in facts.using("training")),
        "held_out": "; ".join(
            _short_source(facts, name) for name in facts.using("development", "test", "evaluation")
        ),
        "worded": "; ".join(_short_source(facts, name) for name in facts.using("words", "teacher")),
    }


def _file(folder: Path, name: str) -> str:
    data = (folder / name).read_bytes()
    kind = Path(name).stem
    built = _vqgan(folder) if kind == "vqgan" else _clip(folder)
    digest = hashlib.sha256(data).hexdigest()
    return f"| `{name}`, `{kind}.yaml` | {built}, float16 | {len(data) / 1e6:.1f} MB | `{digest}` |"


def _vqgan(folder: Path) -> str:
    built = weights.architecture(pairs.weights(folder, "vqgan"))
    factor = weights.factor(pairs.weights(folder, "vqgan"))
    channels = ", ".join(str(built["ddconfig"]["ch"] * times) for times in built["ddconfig"]["ch_mult"])
    folded = f", pixels folded {built['fold']} x {built['fold']}" if built["fold"] > 1 else ""
    deblocked = f", deblocked in {built['deblock']} channels" if "deblock" in built else ""
    codes = f"{built['n_embed']} codes of {built['embed_dim']} numbers"
    return f"VQGAN, f{factor}, {codes}, {channels} channels{folded}{deblocked}"


def _clip(folder: Path) -> str:
    built = weights.params(pairs.weights(folder, "clip"))
    picture = f"ResNet {built['vision_layers']} of width {built['vision_width']}"
    text = f"{built['transformer_layers']} layers of {built['transformer_width']}"
    context = f"context {built['context_length']}"
    return f"CLIP, {picture} at {built['image_resolution']} pixels, text tower {text}, {context}"


def _album(folder: Path) -> str:
    """What the album beside the pair holds; a tiny pair has none."""
    if not (folder / drawings.NAME).is_file():
        return "none is beside this pair"
    album = drawings.read(folder)
    things = f"{len(album.things)} things in {len(album.sources)} drawings"
    size = (folder / drawings.NAME).stat().st_size / 1e6
    return f"{things}, {len(album.grounds)} places and {len(album.words)} words in {size:.1f} MB"


def _figures(facts: Facts) -> Iterator[str]:
    """The rows of the table of figures."""
    for keyframe, group, named in JUDGED:
        for most in (1, 5):
            shares = [facts.judged[pair][keyframe][group][f"first_{most}"] for pair in facts.pairs]
            guessed = facts.judged[facts.pair]["chance"][f"first_{most}"]
            yield _row(f"judged keyframes, {named}, {_within(most)}", guessed, shares)
    for ground, way in itertools.product(("plain", "gradient"), ("text_to_picture", "picture_to_text")):
        for most in (1, 10):
            shares = [facts.retrieval[pair][ground][way][f"first_{most}"] for pair in facts.pairs]
            label = f"retrieval, {way.replace('_', ' ')}, {ground} ground, {_within(most)}"
            yield _row(label, facts.retrieval["chance"][f"first_{most}"], shares)
    for style, rows in facts.reconstruction.items():
        if isinstance(rows, dict):
            levels = [f"{rows[pair]['psnr']:.1f} dB" for pair in facts.pairs]
            used = [f"{_percent(rows[pair]['used'])} of {rows[pair]['codes']}" for pair in facts.pairs]
            yield f"| reconstruction, {style}, PSNR | | {' | '.join(levels)} |"
            grids = [f"{rows[pair]['grid']:.2f}" for pair in facts.pairs]
            yield f"| steps at the grid, {style} | | {' | '.join(grids)} |"
            yield f"| codes that occur, {style} | | {' | '.join(used)} |"
    grids = [f"{facts.grid[pair]['grid']:.2f}" for pair in facts.pairs]
    yield f"| steps at the grid, judged keyframes | | {' | '.join(grids)} |"
    speeds = [facts.speed[pair]["median"] for pair in facts.pairs]
    ratio = f" ({speeds[1] / speeds[0]:.1f} times)"
    yield f"| iterations a second | | {speeds[0]:.1f} | {speeds[1]:.1f}{ratio} |"


def _unfinished(rows: Document) -> str:
    """What the VQGAN was before its decoder was trained again, where that is known."""
    if "unfinished" not in rows:
        return ""
    before = rows["unfinished"]
    return (
        f" Before its decoder was trained again, this pair's VQGAN had {before['psnr']:.1f} dB and"
        f" {before['grid']:.2f}."
    )


def _row(label: str, guessed: float, shares: Sequence[float]) -> str:
    return f"| {label} | {_percent(guessed)} | {' | '.join(map(_percent, shares))} |"


def _within(most: int) -> str:
    return "the right one first" if most == 1 else f"in the first {most}"


def _percent(share: float) -> str:
    return f"{share * 100:.1f} %"


def _source(facts: Facts, name: str) -> str:
    it, number = facts.sources[name], facts.numbers[name]
    return f"| {name} | {it.by} | {number} | {it.licence} | {it.package} {it.version} | {it.half} |"


def _short_source(facts: Facts, name: str) -> str:
    it = facts.sources[name]
    number = f", {facts.numbers[name]} pictures for {it.use}" if name in facts.numbers else ""
    return f"{name} ({it.by}, {it.licence}, {it.version}{number})"


# How long a training took


def trainings(logs: Path, device: str) -> list[str]:
    """A line on each training: what its notes say (`train_<name>.json`), else what its log does."""
    return [f"- {label}: {_training(logs, name, device)}." for name, label in TRAININGS.items()]


def _training(logs: Path, name: str, device: str) -> str:
    notes = logs / f"train_{name}.json"
    if notes.is_file():
        facts = read_json(notes)
        return f"{facts['steps']} steps in {facts['minutes']:.0f} minutes on {facts['device']}"
    log = logs / f"train_{name}.log"
    steps, seconds = _logged(log.read_text(encoding="utf-8")) if log.is_file() else (0, 0.0)
    return f"{steps} steps in {seconds / 60:.0f} minutes on {device}" if steps else f"on {device}"


def _logged(log: str) -> tuple[int, float]:
    """The last step told and the seconds taken; a long silence is a training that was stopped."""
    steps, seconds, before = 0, 0.0, None
    for when, step in re.findall(r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) .*?\bstep (\d+)", log, re.MULTILINE):
        now = datetime.datetime.fromisoformat(when)
        if int(step) < steps // 2:  # trained anew
            seconds, before = 0.0, None
        if before and (gap := (now - before).total_seconds()) < SILENCE:
            seconds += gap
        steps, before = int(step), now
    return steps, seconds
