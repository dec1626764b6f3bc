"""Deforum's settings and Parseq's documents become screenplays that show and move the same."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from songreel.cli import main
from songreel.exports import convert
from songreel.exports.elsewhere import phrases, reading, tracks
from songreel.exports.elsewhere.script import Script
from songreel.ground.errors import UserError
from songreel.ground.paths import Paths
from songreel.planning import columns, config, curves, plan, screenplay
from songreel.planning.curves import Moment
from tests import settings_by_lot

# As Deforum saves them, without what it has of pictures
SETTINGS: Mapping[str, Any] = {
    "W": 512,
    "H": 256,
    "seed": 7,
    "use_init": False,
    "init_image": "None",
    "prompts": {"0": "a rabbit in a swamp", "30": "a boat --neg fog, text", "60": "a town at night"},
    "animation_prompts_positive": "",
    "animation_prompts_negative": "",
    "animation_mode": "2D",
    "max_frames": 90,
    "angle": "0:(0)",
    "zoom": "0:(1)",
    "translation_x": "0:(0)",
    "translation_y": "0:(0)",
    "translation_z": "0:(0)",
    "fps": 15,
    "diffusion_cadence": 1,
}


def converted(path: Path, told: list[str] | None = None, /, **over: Any) -> Script:
    """The screenplay of Deforum's settings, some of them others."""
    source = path / "film_settings.txt"
    source.write_text(json.dumps({**SETTINGS, **over}), encoding="utf-8")
    script = reading.read(source, (told if told is not None else []).append)
    assert script is not None
    return script


def refusal(path: Path, **over: Any) -> str:
    with pytest.raises(UserError) as error:
        converted(path, **over)
    assert "\n" not in str(error.value)
    return str(error.value)


# Lines


def test_prompts_by_frames_are_rows_by_seconds(tmp_path: Path) -> None:
    script = converted(tmp_path)
    assert [(row.start_seconds, row.text, row.prompt, row.avoid) for row in script.rows] == [
        (0, "a rabbit in a swamp", "a rabbit in a swamp", ""),
        (2, "a boat", "a boat", "fog, text"),
        (4, "a town at night", "a town at night", ""),
    ]
    assert script.config == {"size": "512x256", "frames_per_second": "15", "tail": "2", "seed": "7"}
    assert not any(row.camera.get(name) for row in script.rows for name in row.camera)


def test_a_film_of_one_prompt_is_a_line_that_lasts_as_long(tmp_path: Path) -> None:
    script = converted(tmp_path, prompts={"0": "a boat"}, zoom="0:(1.02)")
    assert [row.text for row in script.rows] == ["a boat"] and script.config["tail"] == "6"
    assert float(script.rows[0].camera["zoom"]) == pytest.approx(1.02**15, rel=1e-6)


def test_every_shape_in_which_prompts_are_saved_is_read(tmp_path: Path) -> None:
    for key, said in {
        "animation_prompts": {"0": "a boat", "30": "a town"},
        "prompts": "0: a boat | 30: a town",
        "text_prompts": {"0": ["a boat"], "30": ["a town:2", "fog:-1"]},
    }.items():
        script = converted(tmp_path, **{**dict.fromkeys(("prompts",)), key: said})
        assert [(row.start_seconds, row.text) for row in script.rows] == [(0, "a boat"), (2, "a town")]
    assert script.rows[1].prompt == "a town:2 | fog:-1"
    assert [row.text for row in converted(tmp_path, prompts="a boat").rows] == ["a boat"]
    script = converted(tmp_path, prompts={"0": "a boat", "max_f/2-4": "a town", "500": "late"})
    assert [row.start_seconds for row in script.rows] == [0, 40 / 15]


def test_what_is_said_of_all_prompts_is_said_of_each(tmp_path: Path) -> None:
    often = {"animation_prompts_positive": "oil on canvas", "animation_prompts_negative": "blurry"}
    rows = converted(tmp_path, **often).rows
    assert rows[0].prompt == "a rabbit in a swamp oil on canvas"
    assert [row.avoid for row in rows] == ["blurry", "fog, text, blurry", "blurry"]


PROMPTS = {
    "a (red:1.3) boat, ((at sea)) and [quiet]": ("a red boat, at sea and quiet", ""),
    r"a smile :\) at 7:30": (r"a smile \:) at 7\:30", ""),
    "a boat <lora:old:0.7>, <hypernet:x>": ("a boat", ""),
    "a [cat:dog:0.5] in [rain|snow]": ("a cat dog in rain, snow", ""),
    "a boat :1.2 AND a town: 0.4 AND fog :0.01": ("a boat:1.2 | a town:0.4", ""),
    "a (boat:`where(t>5, 1, 0)`) BREAK at sea": ("a boat, at sea", ""),
    "a boat --neg (text:1.4), fog | mist": ("a boat", r"text, fog \| mist"),
    "a boat --w 512 --neg fog": ("a boat", "fog"),
    "--neg fog": ("", "fog"),
    "a | b [x]": (r"a \| b x", ""),
    "": ("", ""),
}


@pytest.mark.parametrize("prompt", PROMPTS)
def test_prompts_say_the_same_in_songreels_words(prompt: str) -> None:
    phrase = phrases.converted(prompt)
    assert (phrase.prompt, phrase.avoid) == PROMPTS[prompt]


def test_what_prompts_lose_is_told_once_a_kind(tmp_path: Path) -> None:
    told: list[str] = []
    converted(tmp_path, told, prompts={"0": "(a:1.2) <lora:x>", "30": "(b:1.3)", "60": ""})
    assert len(told) == 3 and "networks" in told[1] and "weights of words" in told[2]
    assert "'60' are empty" in told[0]


def test_a_picture_to_start_from_is_the_first_lines(tmp_path: Path) -> None:
    (tmp_path / "boat.png").write_bytes(b"")
    rows = converted(tmp_path, use_init=True, init_image="boat.png").rows
    assert [row.image for row in rows] == ["boat.png", "", ""]
    told: list[str] = []
    converted(tmp_path, told, use_init=True, init_image="https://example.org/I1.png")
    assert "found no file 'https://example.org/I1.png'" in told[0]


# The camera, against Deforum's own reckoning: a loop over frames that interpolates what it cannot evaluate

SCHEDULES = [
    "0:(1.02)",
    "0: (1.02), 60: (1.0)",
    "0:(0.98), 10:(1.02), 45:(1.02), 89:(1)",
    "10:(1.01), 50:(0.99)",
    "0:(1.01), 200:(1.03)",
    "0:(1.0025+0.002*sin(1.25*3.14*t/30))",
    "0:(1), 20:(1.01 + 0.01*cos(t/5)), 70:(0.99)",
    "0:(1.01*(t < 40) + 0.99*(t >= 40))",
    "0:(where(t > 33, 1.02, 0.98))",
    "0:(1 + arctan(t/30)/50), max_f/2:(1)",
    "0:(1 + sqrt(t)/900), 50:(1 + floor(t/10)/400)",
    "0:(1 + 0.0002*s), 80:(1 + abs(sin(t/9))/60)",
    "0:(1.0 + 0.01*tan(3.14*t/400)),",
]
PYTHON: Mapping[str, Any] = {
    **{name: getattr(math, name) for name in ("sin", "cos", "tan", "sqrt", "floor", "pi")},
    "arctan": math.atan,
    "abs": abs,
    "where": lambda test, yes, no: yes if test else no,
}


def by_deforum(text: str, frames: int = 90, seed: int = 7) -> list[float]:
    """Each frame's value. Of what has commas within brackets it reads one `where`."""
    known = {**PYTHON, "max_f": frames - 1, "s": seed}
    entries = text.replace(", 1.02, 0.98", "; 1.02; 0.98").rstrip(",").split(",")
    keys: dict[int, str] = {}
    for entry in entries:
        at, _, value = entry.replace(";", ",").partition(":")
        keys[int(eval(at, dict(known)))] = value.strip()
    values, formula = dict[int, float](), ""
    for frame in range(max(frames, max(keys) + 1)):
        if frame in keys:
            bare = keys[frame].strip("()")
            formula = "" if bare.replace(".", "").isdigit() else keys[frame]
            values[frame] = float(eval(keys[frame], {**known, "t": frame}))
        elif formula:
            values[frame] = float(eval(formula, {**known, "t": frame}))
    return [float(value) for value in np.interp(range(frames), list(values), list(values.values()))]


MOVES: Mapping[str, Callable[[float], float]] = {
    "zoom": lambda each: each**15,
    "angle": lambda each: each * 15,
    "translation_x": lambda each: each * 15 / 512,
    "translation_y": lambda each: each * 15 / 256,
}


@pytest.mark.parametrize("name", MOVES)
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_camera_moves_as_fast_at_each_frame(schedule: str, name: str, tmp_path: Path) -> None:
    told: list[str] = []
    script = converted(tmp_path, told, **{name: schedule})
    expected = [MOVES[name](each) for each in by_deforum(schedule)]
    near = 0.003 * (max(expected) - min(expected)) + 1e-4 + (0.01 if name == "angle" else 0)
    still = 1.0 if name == "zoom" else 0.0
    for at, row in enumerate(script.rows):
        cell = row.camera[name]
        curve = curves.parse(cell or str(still), name)
        for frame in range(30 * at, 30 * at + 30):
            moment = Moment(t=frame / 15 - row.start_seconds, T=frame / 15, n=at + 1)
            assert curve.at(moment) == pytest.approx(expected[frame], abs=near), (cell, frame)
    assert told == []


def test_what_is_still_says_nothing_and_what_is_steady_is_a_number(tmp_path: Path) -> None:
    rows = converted(tmp_path, zoom="0:(1), 30:(1.01)", angle="0:(2)", translation_x=0).rows
    assert rows[2].camera["zoom"] == "1.160969" and rows[0].camera["angle"] == "30"
    assert {row.camera["translation_x"] for row in rows} == {""}
    assert rows[0].camera["zoom"].startswith("0s:(1), ")


def test_a_curve_has_no_more_keys_than_it_takes() -> None:
    line = np.linspace(0, 1, 1000)
    assert tracks.kept(line, 1e-4) == [0, 999]
    bent = np.concatenate([line, line[::-1]])
    assert len(tracks.kept(bent, 1e-4)) <= 4
    noise = np.random.default_rng(0).normal(size=5000)
    assert len(tracks.kept(noise, 1e-4)) <= tracks.MOST_KEYS
    wave = np.sin(np.arange(2000) / 50)
    corners = tracks.kept(wave, 1e-4)
    assert np.abs(np.interp(np.arange(2000), corners, wave[corners]) - wave).max() <= 0.0041


def test_a_line_that_is_moved_in_the_song_moves_as_before(tmp_path: Path) -> None:
    first, second, _ = converted(tmp_path, zoom="0:(1 + 0.01*sin(t))").rows
    assert first.camera["zoom"] == "(1 + 0.01 * sin(t * 15))**15"
    assert second.camera["zoom"] == "(1 + 0.01 * sin(t * 15 + 30))**15"


def test_a_formula_without_a_value_past_the_end_becomes_keys(tmp_path: Path) -> None:
    rows = converted(tmp_path, angle="0:(sqrt(max_f - t))", max_frames=900).rows
    assert rows[0].camera["angle"] == "15*((899 - t * 15) ** 0.5)"
    assert rows[2].camera["angle"].startswith("0s:(434.")


# What has no counterpart, and what is refused


def test_a_camera_with_depth_is_told_and_left_out(tmp_path: Path) -> None:
    told: list[str] = []
    moved = {"translation_z": "0:(2)", "rotation_3d_y": "0:(0.5*cos(t/9))", "rotation_3d_x": "0: (0)"}
    rows = converted(tmp_path, told, animation_mode="3D", zoom="0:(1.02)", **moved).rows
    assert len(told) == 1 and told[0].endswith("has no counterpart: translation_z, rotation_3d_y.")
    assert not any(row.camera for row in rows)


def test_what_is_used_and_has_no_counterpart_is_told_by_name(tmp_path: Path) -> None:
    used = {
        "strength_schedule": "0:(0.65)",
        "noise_schedule": "0:(0.02)",
        "diffusion_cadence": "3",
        "hybrid_motion": "Optical Flow",
        "use_looper": True,
        "cn_1_enabled": True,
        "frame_interpolation_engine": "RIFE v4.6",
        "transform_center_x": "0:(0.2)",
    }
    told: list[str] = []
    converted(tmp_path, told, **used)
    for name in used:
        assert sum(name in message for message in told) == 1, name
    unused = {"hybrid_motion": "None", "cn_1_enabled": False, "transform_center_x": "0: (0.5)"}
    told.clear()
    converted(tmp_path, told, **unused)
    assert told == []


@pytest.mark.parametrize(
    ("schedule", "named"),
    [
        ("0:(__import__('os').system('true'))", "__import__"),
        ("0:(t.__class__)", "an attribute"),
        ("0:((lambda: 1)())", "a lambda"),
        ("0:('a'*9)", "a text"),
        ("0:([x for x in t])", "a comprehension"),
        ("0:(open(t))", "'open'"),
        ("0:(eval)", "'eval'"),
        ("0:(t[0])", "an index"),
        ("0:(import os)", "import"),
        ("__import__('os'):(1)", "__import__"),
    ],
)
def test_a_formula_that_reaches_for_python_is_refused_by_name(
    schedule: str, named: str, tmp_path: Path
) -> None:
    for mode in ("2D", "3D"):
        told = refusal(tmp_path, zoom=schedule, animation_mode=mode)
        assert named in told and "'zoom'" in told, told


@pytest.mark.parametrize(
    ("schedule", "why"),
    [
        ("0:(fold(t))", "the function fold()"),
        ("0:(1 if t else 2)", "no arithmetic"),
        ("0:(q)", "the name 'q'"),
        ("0:(1/(t-5))", "no number at frame 5"),
        ("0:(9)", "too fast"),
        ("0:(0)", "a zoom of 0 or less"),
        ("0:((1)", "a bracket"),
        ("0:0: (1.0)", "no formula"),
        ([1], "list instead of a schedule"),
    ],
)
def test_a_schedule_that_cannot_be_is_told_and_left_out(schedule: Any, why: str, tmp_path: Path) -> None:
    told: list[str] = []
    rows = converted(tmp_path, told, zoom=schedule, angle="0:(1)").rows
    assert len(told) == 1 and "'zoom' is left out" in told[0] and why in told[0], told
    assert all("zoom" not in row.camera and row.camera["angle"] == "15" for row in rows)


def test_settings_that_cannot_be_are_refused(tmp_path: Path) -> None:
    assert "found no prompt with words" in refusal(tmp_path, prompts={"0": ""})
    assert "found 'fps' as 0, expected a number from 0.01 to 1000" in refusal(tmp_path, fps=0)
    assert "found the prompt at '0' is 5" in refusal(tmp_path, prompts={"0": 5})
    assert "found the name 'x' in the prompt at 'x'" in refusal(tmp_path, prompts={"x": "a boat"})


# Parseq

FRAMES = [
    {
        "frame": frame,
        "zoom": 1 + frame / 100,
        "zoom_delta": 1.01,
        "angle": 2 * frame,
        "angle_delta": 2 if frame else 0,
        "translation_x": 0,
        "translation_x_delta": 0,
        "deforum_prompt": f"a boat : {1 - frame / 40} AND a town : {frame / 40} --neg fog",
    }
    for frame in range(41)
]
DOCUMENT: Mapping[str, Any] = {
    "meta": {"generated_by": "sd_parseq", "version": "0.1.94"},
    "options": {"input_fps": 20, "bpm": 140, "output_fps": 20},
    "keyframes": [],
    "rendered_frames": FRAMES,
}


def of_parseq(path: Path, told: list[str] | None = None, **over: Any) -> Script:
    source = path / "parseq.json"
    source.write_text(json.dumps({**DOCUMENT, **over}), encoding="utf-8")
    script = reading.read(source, (told if told is not None else []).append)
    assert script is not None
    return script


def test_a_parseq_document_is_cut_where_the_strongest_prompt_changes(tmp_path: Path) -> None:
    script = of_parseq(tmp_path)
    assert [(row.start_seconds, row.text, row.avoid) for row in script.rows] == [
        (0, "a boat", "fog"),
        (21 / 20, "a town", "fog"),
    ]
    assert script.rows[0].prompt == "a boat:0.75 | a town:0.25"
    assert script.config == {"frames_per_second": "20", "tail": "1"}


def test_a_parseq_document_moves_by_its_changes(tmp_path: Path) -> None:
    first, second = of_parseq(tmp_path).rows
    assert float(second.camera["zoom"]) == pytest.approx(1.01**20, rel=1e-5)
    assert second.camera["angle"] == "40" and first.camera["angle"].startswith("0s:(0), 0.05s:(40)")
    assert first.camera["translation_x"] == ""


def test_settings_with_a_parseq_document_inside_are_timed_by_it(tmp_path: Path) -> None:
    held: dict[str, Any] = {"parseq_manifest": json.dumps(DOCUMENT)}
    script = converted(tmp_path, **held)
    assert [row.text for row in script.rows] == ["a boat", "a town"] and script.config["size"] == "512x256"
    whole = converted(tmp_path, **{**held, "parseq_use_deltas": False})
    assert whole.rows[0].camera["zoom"].startswith("0s:(1), ")
    told: list[str] = []
    assert len(converted(tmp_path, told, parseq_manifest="https://example.org/x").rows) == 3
    assert "'parseq_manifest' is an address" in told[0]


def test_prompts_that_parseq_lists_alone_are_read(tmp_path: Path) -> None:
    bare = [{"frame": frame, "zoom_delta": 1} for frame in range(41)]
    listed = [{"positive": "a boat", "negative": "fog", "from": 0}, {"positive": "a town", "from": 20}]
    script = of_parseq(tmp_path, rendered_frames=bare, prompts={"format": "v2", "promptList": listed})
    assert [(row.start_seconds, row.text, row.avoid) for row in script.rows] == [
        (0, "a boat", "fog"),
        (1, "a town", ""),
    ]


@pytest.mark.parametrize(
    ("over", "found"),
    [
        ({"rendered_frames": []}, "press Render"),
        ({"options": {}}, "options.output_fps"),
        ({"rendered_frames": [{"frame": 0}]}, "no prompt with words"),
    ],
)
def test_a_parseq_document_that_cannot_be_is_refused(
    over: dict[str, Any], found: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=found):
        of_parseq(tmp_path, **over)


# The command


def test_the_command_writes_a_screenplay_that_is_planned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    moving = {"zoom": SCHEDULES[5], "angle": SCHEDULES[6], "translation_x": "0:(where(t>50, 2, -2))"}
    Path("a.txt").write_text(json.dumps({**SETTINGS, **moving}))
    Path("b.json").write_text(json.dumps(DOCUMENT))
    for source in ("a.txt", "b.json"):
        assert main(["convert", source, f"{source}.csv"]) == 0
        assert f"{source}.csv holds " in capsys.readouterr().out
        lines = settings_by_lot.read_back(Path(f"{source}.csv")).lines
        assert lines[0].directions.prompt
        settings = config.resolve(
            {"screenplay": f"{source}.csv", "album": "none", "tail": 1, "size": "32x32"}
        )
        assert len(plan.make(settings, Paths()).segments) == len(lines)
    assert main(["convert", "a.txt", "a.srt"]) == 1
    assert "expected a .csv" in capsys.readouterr().err


def test_the_cells_of_the_camera_are_read_where_it_has_columns(tmp_path: Path) -> None:
    if "zoom" not in columns.NAMES:
        pytest.skip("the camera has no columns yet")
    source, target = tmp_path / "a.txt", tmp_path / "a.csv"
    source.write_text(json.dumps({**SETTINGS, "zoom": SCHEDULES[6], "angle": SCHEDULES[8]}))
    convert.convert(source, target, None, False, lambda _: None)
    assert len(screenplay.read(target)) == 3


def test_lyrics_as_json_or_text_are_no_settings(tmp_path: Path) -> None:
    for name, content in {
        "a.json": '{"segments": [{"text": "a", "start": 0, "end": 1}]}',
        "b.txt": "{not json}",
        "c.json": '{"prompts": {"0": "a"}}',
        "d.csv": json.dumps(SETTINGS),
    }.items():
        (tmp_path / name).write_text(content)
        assert reading.read(tmp_path / name, lambda _: None) is None


def test_damaged_settings_are_a_screenplay_or_a_sentence(tmp_path: Path) -> None:
    told = [settings_by_lot.play(seed, tmp_path) for seed in range(1000)]
    assert 200 < told.count("") < 800
