"""Ids and plan files are what they always were, to the byte: what was rendered yesterday is found today."""

from __future__ import annotations

import csv
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from songreel.drawing import film
from songreel.ground.documents import ClipPlan, SegmentRecipe, Timeline
from songreel.ground.lettering import Face
from songreel.ground.paths import Paths
from songreel.models import weights
from songreel.planning import audio, lettering, plan, trial, typefaces
from songreel.planning.audio import Audio
from songreel.planning.config import resolve
from songreel.planning.plan import Plan

VQGAN, STARTER = "a1" * 32, "b2" * 32  # as if the embedded pair hashed so, whichever it is
FONT = "d4" * 32  # and the embedded font
LONG = " ".join(f"word{number}" for number in range(60))  # more than a context holds
ROWS: list[tuple[Any, ...]] = [
    ("a red boat", 0.5),
    ("Déjà vu 星, “quoted”", 2.345, 3),
    ("a red boat", 4.9),
    (LONG, 5),
    ("a red boat", 9, 0),
    ("gone", 12),
]
SONG = Audio(Path("screenplays/sóng.wav"), "c3" * 32, 14.25)
OTHER = replace(SONG, path=Path("other.mka"), track=2, tracks=("eng", "ger"), late=True)
MADE = replace(SONG, path=Path("results/tunes/0123456789abcdef.wav"))
CASES: dict[str, tuple[dict[str, Any], Audio | None, str]] = {
    "plain": ({"audio": "none"}, None, ""),
    "every key": (
        {
            "offset": 0.25,
            "title": "Größe",
            "artist": "nobody",
            "perceptors": ["starter", "ViT-B/32:0.5", "RN50x4:2"],
            "style": "an oil painting",
            "size": "192x64",
            "seed": 12345678901234567890 % 2**32,
            "keyframes_per_second": 7.5,
            "iterations": 11,
            "lead_in": 70,
            "cutouts": 9,
            "learning_rate": 0.125,
            "frames_per_second": 29.97,
            "transition": 0.75,
            "tail": 3,
            "encoder": "libx265",
            "crf": 23,
        },
        OTHER,
        "pan=stereo|FL=FC|FR=FC",
    ),
    "motion": (
        {"repeats": "reuse", "interpolation": "motion", "preset": "reference", "frames_per_second": "24"},
        SONG,
        "",
    ),
    "hard cuts": ({"transition": 0, "tail": 0, "perceptors": "ViT-B/32"}, MADE, ""),
    "blends longer than lines": (
        {"transition": 5, "offset": -2.5, "frames_per_second": "30000/1001"},
        SONG,
        "",
    ),
}
# Of a font that comes along, whichever it is, and of no other: the machine's are nobody's promise.
CASES["words on the picture"] = (
    {"lyrics": "burned", "lyrics_size": 9, "lyrics_colour": "gold", "lyrics_position": "top", "offset": 1},
    SONG,
    "",
)
CASES["karaoke"] = ({"lyrics": "karaoke", "frames_per_second": 29.97}, SONG, "")
CASES["no words"] = ({"lyrics": "off", "audio": "none"}, None, "")
EXPECTED: dict[str, dict[str, str]] = json.loads(Path(__file__).with_name("pinned_plans.json").read_bytes())


@pytest.fixture(autouse=True)
def _fixed_inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A folder of our own, and weights whose hashes do not change when the embedded pair does."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(weights, "_check_file", lambda found: None)
    for table, sha256 in ((weights.VQGANS, VQGAN), (weights.PERCEPTORS, STARTER)):
        monkeypatch.setitem(table, "starter", replace(table["starter"], sha256=sha256))
    Path("screenplays").mkdir()
    with Path("screenplays/sóng.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(ROWS)
    main = typefaces.asked_for("")
    monkeypatch.setattr(typefaces, "asked_for", lambda _: replace(main, face=Face(FONT)))
    monkeypatch.setattr(typefaces, "standing_in", lambda *_: None)
    monkeypatch.setattr(lettering, "copies", lambda *_: [])
    yield


def planned(case: str, monkeypatch: pytest.MonkeyPatch) -> Plan:
    keys, sound, mix = CASES[case]
    monkeypatch.setattr(audio, "find", lambda *_: sound)
    monkeypatch.setattr(trial, "check", lambda *_: mix)
    monkeypatch.setattr(film, "working", lambda _: "ffmpeg")
    # The size of its drafts is the embedded pair's own, too, and so are the pictures that lines start from.
    size = {"size": "128x128"} if keys.get("preset", "draft") == "draft" else {}
    made = plan.make(
        resolve({"screenplay": "screenplays/sóng.csv", "album": "none", **size, **keys}), Paths()
    )
    plan.write(made, Paths())
    return made


def files() -> list[Path]:
    return sorted([*Path("results").glob("plan/*s/*.json"), *Path("results").glob("*/timeline.json")])


@pytest.mark.parametrize("case", CASES)
def test_plan_files_are_byte_for_byte_what_they_were(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Change pinned_plans.json together with RECIPE, DRAWING or JOINING, and for no other reason."""
    made = planned(case, monkeypatch)
    named = [*map(Paths().segment_plan, made.segments), *map(Paths().clip_plan, made.clips)]
    assert {*named, Paths().timeline(made.song)} == set(files())
    assert EXPECTED[case] == {str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in files()}


@pytest.mark.parametrize("case", CASES)
def test_plan_files_are_read_as_they_were_planned(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = planned(case, monkeypatch)
    for segment, recipe in made.segments.items():
        assert SegmentRecipe.read(Paths().segment_plan(segment)) == recipe
    for clip, drawing in made.clips.items():
        assert ClipPlan.read(Paths().clip_plan(clip)) == drawing
    assert Timeline.read(Paths().timeline(made.song)) == made.timeline


def test_the_pinned_plans_use_every_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that are written only where they are not as usual, too."""
    told = ""
    for case in ("every key", "words on the picture", "karaoke"):
        planned(case, monkeypatch)
        told += "".join(file.read_text(encoding="utf-8") for file in files())
    said = re.findall(r'"(\w+)":', told)
    assert {"weight", "words", "track", "late", "mix", "before", "lettering", "subtitles"} <= set(said)
