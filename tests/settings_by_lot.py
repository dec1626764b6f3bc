"""Damaged settings of other programs by lot: each becomes a screenplay that can be read, or a sentence.

`python -m tests.settings_by_lot 1000 --seed 3`
"""

from __future__ import annotations

import argparse
import copy
import json
import random
import tempfile
from pathlib import Path
from typing import Any

from songreel.exports import convert
from songreel.ground.errors import UserError
from songreel.planning import columns, screenplay
from songreel.planning.lyric_files.song import Song

ODD: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        -1,
        0,
        1e308,
        -1e-9,
        10**30,
        float("nan"),
        float("inf"),
        "",
        " ",
        "0",
        "None",
        [],
        {},
    ),
    *(
        "0:(0",
        "0:)",
        "a:(1)",
        "0:(1), 0:(2)",
        "0:0: (1)",
        "5:(2)",
        "-1:(2)",
        "0:(t/0)",
        "0:(1e999)",
        "0:(9**9**9)",
    ),
    *(
        "0:(__import__('os').system('true'))",
        "0:(t.real)",
        "0:(where(t>5, 1, 2))",
        "max_f/2:(1)",
        "0:(sin(t)",
        ",",
    ),
    *(
        "# no",
        '"',
        "'",
        "a|b:0.5",
        "\x00",
        "\ud800",
        "x\ny",
        "(((a",
        "[a:b:0.5]",
        "<lora:x:1> --neg b AND c:2",
    ),
    *("\u202eabc", "a:-99", "::", "--neg", "`t`", "a" * 3000, "0:(" + "-" * 1500 + "1)", "0:(" + "(" * 300),
    *([1, 2], {"0": 1}, {"0": "a"}, {"x": "a", "5": "b"}, [{}], [None], {"0": ["a", "b:2"]}),
)


def deforum(lot: random.Random) -> dict[str, Any]:
    """Settings as Deforum saves them, of a few frames."""
    frames = lot.randrange(1, 300)
    starts = sorted({0, *(lot.randrange(frames) for _ in range(lot.randrange(4)))})
    return {
        "W": lot.choice((512, 768)),
        "H": 512,
        "seed": lot.choice((-1, 7, 3804932711)),
        "prompts": {str(start): f"a boat, (at sea:1.2) {start} --neg fog" for start in starts},
        "animation_mode": lot.choice(("2D", "2D", "3D")),
        "max_frames": frames,
        "fps": lot.choice((12, 23.976, 30)),
        "zoom": lot.choice(("0:(1.01)", "0:(1.0025+0.002*sin(1.25*3.14*t/30))", "0:(1), 50:(1.02), 90:(1)")),
        "angle": lot.choice(
            ("0:(0)", "0: (where(t>9, 1, -1))", "0:(tan(t/99))", "0:(1), max_f/2:(cos(t/9))")
        ),
        "translation_x": lot.choice(("0:(0)", "0:(10*sin(2*3.14*t/10))", 0)),
        "translation_y": "0:(0), 10:(-3), 20:(3)",
        "strength_schedule": "0:(0.65)",
    }


def parseq(lot: random.Random) -> dict[str, Any]:
    """A document of Parseq's, of a few frames."""
    frames = [
        {
            "frame": frame,
            "zoom": 1 + lot.random() / 50,
            "zoom_delta": 1 + lot.random() / 50,
            "angle_delta": lot.gauss(0, 1),
            "deforum_prompt": f"a boat : {frame / 40} AND a town : {1 - frame / 40} --neg fog",
        }
        for frame in range(40)
    ]
    options = {"input_fps": 20, "bpm": 140, "output_fps": lot.choice((12, 20, 29.97))}
    return {
        "meta": {"generated_by": "sd_parseq"},
        "options": options,
        "keyframes": [],
        "rendered_frames": frames,
    }


def damaged(document: Any, lot: random.Random) -> str:
    """A document as JSON in which a few values are others, or a piece of the text is."""
    for _ in range(lot.randrange(1, 4)):
        _damage(document, lot)
    text = json.dumps(document)
    if lot.random() < 0.2:
        at, count = lot.randrange(len(text)), lot.randrange(1, 30)
        text = text[:at] + lot.choice(("", '"', "}", "\\u0000", "9")) + text[at + count :]
    return text


def _damage(value: Any, lot: random.Random) -> None:
    keys = (
        list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    )
    if not keys:
        return
    key = lot.choice(keys)
    if isinstance(value[key], dict | list) and value[key] and lot.random() < 0.6:
        _damage(value[key], lot)
    elif lot.random() < 0.15:
        del value[key]
    elif isinstance(value, dict) and lot.random() < 0.15:
        value[str(lot.choice(ODD))[:20]] = value.pop(key)
    else:
        value[key] = copy.deepcopy(lot.choice(ODD))


def read_back(target: Path) -> Song:
    """The screenplay; where the camera has no columns yet, without them."""
    missing = [
        name for name in ("zoom", "angle", "translation_x", "translation_y") if name not in columns.NAMES
    ]
    if missing:
        _without(target, missing)
    return screenplay.read_song(target)


def _without(target: Path, names: list[str]) -> None:
    import csv

    lines = target.read_text(encoding="utf-8").splitlines()
    rows = [*csv.reader(line for line in lines if not line.startswith("#"))]
    head = next(row for row in rows if row[0] == "text")
    kept = [at for at, name in enumerate(head) if name not in names]
    with target.open("w", encoding="utf-8", newline="") as file:
        told = [[row[at] for at in kept] for row in rows if len(row) == len(head)]
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows(told)


def play(seed: int, folder: Path) -> str:
    """Convert one damaged file; returns the sentence, or "" where there is a screenplay of it."""
    lot = random.Random(seed)
    source, target = folder / "settings.json", folder / "made.csv"
    target.unlink(missing_ok=True)
    source.write_text(damaged(lot.choice((deforum, parseq))(lot), lot), encoding="utf-8")
    said: list[str] = []
    try:
        convert.convert(source, target, None, True, said.append)
    except UserError as error:
        assert not target.exists(), seed
        assert "\n" not in str(error), (seed, error)
        return str(error)
    assert all("\n" not in message for message in said), (seed, said)
    try:
        assert read_back(target).lines, seed
    except UserError as error:
        raise AssertionError(f"seed {seed}: {error}\n{target.read_text(encoding='utf-8')[:2000]}") from None
    return ""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.settings_by_lot", description=__doc__)
    parser.add_argument("count", type=int)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        told = [play(options.seed + at, Path(folder)) for at in range(options.count)]
    print(f"{options.count} files: {told.count('')} screenplays, {options.count - told.count('')} sentences")


if __name__ == "__main__":
    main()
