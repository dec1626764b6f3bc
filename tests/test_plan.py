"""What the plan promises: an edit gives new names to what it changes and to nothing else."""

import csv
import json
import os
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from songreel.drawing import draw, film
from songreel.ground import files
from songreel.ground.documents import DRAWING, JOINING, RECIPE, ClipPlan
from songreel.ground.errors import UserError
from songreel.ground.paths import Paths
from songreel.models import weights
from songreel.planning import plan
from songreel.planning.config import Config, resolve
from songreel.planning.plan import Plan
from tests import cards, plans

Lines = Sequence[tuple[str, float]]  # texts and starts
Rows = Sequence[tuple[Any, ...]]  # the same, some with a take

FFMPEG = film.executable("")
RATE = 30
SETTINGS: dict[str, Any] = {
    "audio": "none",
    "preset": "draft",
    "size": "64x64",
    "frames_per_second": RATE,
    "keyframes_per_second": 2,
    "iterations": 12,
    "lead_in": 60,
    "cutouts": 12,
    "learning_rate": 0.1,
    "interpolation": "latent",
    "transition": 1,
    "tail": 4,
    "encoder": "libx264",
    "crf": 18,
    "seed": 0,
}
SONG: Lines = [("one", 0), ("two", 4), ("three", 8), ("four", 12), ("five", 16)]
STARTER = {
    name: table["starter"] for name, table in (("vqgan", weights.VQGANS), ("clip", weights.PERCEPTORS))
}


@pytest.fixture(scope="module", autouse=True)
def trusted_weights() -> Iterator[None]:
    """Hash the weights in no test: hundreds of films are planned here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(weights, "_check_file", lambda found: None)
        yield


def write_screenplay(path: Path, lines: Rows) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows((text, repr(start), *take) for text, start, *take in lines)
    return path


def config(screenplay: Path, **keys: Any) -> Config:
    return resolve({**SETTINGS, **keys, "screenplay": str(screenplay)})


def planned(lines: Rows, **keys: Any) -> Plan:
    with tempfile.TemporaryDirectory() as folder:
        screenplay = write_screenplay(Path(folder) / "song.csv", lines)
        return plan.make(config(screenplay, **keys), Paths(Path(folder) / "results"))


def segments(made: Plan) -> list[str]:
    return [line.segment for line in made.timeline.lines]


def clips(made: Plan) -> list[str]:
    return [entry.clip for entry in made.timeline.clips]


def documents(made: Plan) -> list[ClipPlan]:
    return [made.clips[clip] for clip in clips(made)]


def new(before: Plan, after: Plan) -> tuple[int, int]:
    """How many segments and clips there are to make after an edit."""
    return len(set(after.segments) - set(before.segments)), len(set(after.clips) - set(before.clips))


# names


def test_a_recipe_holds_what_the_optimisation_depends_on_and_no_time() -> None:
    made = planned([("one", 3)], style="in oil", size="128x64", seed=7)
    assert made.segments[segments(made)[0]].to_json() == {
        "recipe": RECIPE,
        "text": "one, in oil",
        "seed": 7,
        "take": 0,
        "model": {"name": "starter", "sha256": STARTER["vqgan"].sha256},
        "perceptors": [{"name": "starter", "sha256": STARTER["clip"].sha256}],
        "size": [128, 64],
        "strategy": {"iterations": 12, "lead_in": 60, "cutouts": 12, "learning_rate": 0.1},
    }


def test_a_clip_says_how_it_is_drawn_and_from_what() -> None:
    made = planned([("one", 0), ("two", 2.5)])
    one, two = segments(made)
    look = {
        "recipe": DRAWING,
        "frames_per_second": 30,
        "keyframes_per_second": 2.0,
        "interpolation": "latent",
        "encoder": "libx264",
        "crf": 18,
    }
    shown = {"segment": one, "frames": 75}
    assert [clip.to_json() for clip in documents(made)] == [
        {**look, "shown": shown, "before": None, "blend_frames": 0},
        {**look, "shown": {"segment": two, "frames": 120}, "before": shown, "blend_frames": 30},
    ]


def test_names_are_the_same_on_every_machine_and_in_every_release() -> None:
    """Golden values: when they change, everything that anybody has rendered is rendered again."""
    recipe = {"text": "Déjà vu 星", "take": 0, "size": [64, 64], "strategy": {"learning_rate": 0.1, "a": 5.0}}
    assert files.identity(recipe) == "b0c4d2350fcb925b"
    assert files.identity(dict(reversed(recipe.items()))) == "b0c4d2350fcb925b"
    assert files.identity(json.loads(json.dumps(recipe))) == "b0c4d2350fcb925b"
    assert (RECIPE, DRAWING, JOINING) == (4, 2, 1)


def test_a_plan_file_is_named_by_what_it_says(tmp_path: Path) -> None:
    made, paths = planned(SONG), Paths(tmp_path)
    plan.write(made, paths)
    written = [
        *(paths.segment_plan(name) for name in made.segments),
        *(paths.clip_plan(c) for c in made.clips),
    ]
    assert len(written) == 10
    for file in written:
        assert files.identity(json.loads(file.read_text(encoding="utf-8"))) == file.stem


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("style", "in oil"),
        ("seed", 1),
        ("size", "64x128"),
        ("iterations", 13),
        ("lead_in", 61),
        ("cutouts", 13),
        ("learning_rate", 0.11),
    ],
)
def test_what_changes_the_optimisation_renames_every_segment(key: str, value: object) -> None:
    assert new(planned(SONG), planned(SONG, **{key: value})) == (5, 5)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("encoder", "libx265"),
        ("crf", 20),
        ("interpolation", "motion"),
        ("frames_per_second", 60),
        ("keyframes_per_second", 3),
        ("upscale", 1.5),
    ],
)
def test_what_changes_the_drawing_renames_clips_and_no_segment(key: str, value: object) -> None:
    assert new(planned(SONG), planned(SONG, **{key: value})) == (0, 5)


def test_a_clip_is_named_by_the_encoder_that_auto_has_found(tmp_path: Path) -> None:
    card, none = cards.ffmpeg(tmp_path, "h264_nvenc"), FFMPEG
    with_card = planned(SONG, encoder="auto", ffmpeg=card)
    assert {clip.encoder for clip in documents(with_card)} == {"h264_nvenc"}
    assert new(planned(SONG), with_card) == (0, 5)
    if film.encoder("auto", (64, 64), none) == "libx264":  # else this machine has a card of its own
        assert new(planned(SONG), planned(SONG, encoder="auto")) == (0, 0)


@pytest.mark.parametrize(("key", "value"), [("title", "Song"), ("artist", "Me"), ("ffmpeg", FFMPEG)])
def test_what_changes_the_film_alone_renames_nothing(key: str, value: object) -> None:
    assert new(planned(SONG), planned(SONG, **{key: value})) == (0, 0)


def test_a_longer_transition_renames_the_clips_that_blend() -> None:
    assert new(planned(SONG), planned(SONG, transition=2)) == (0, 4)
    assert new(planned(SONG), planned(SONG, transition=0)) == (0, 4)


def test_a_transition_shorter_than_half_a_frame_blends_nothing_and_draws_no_neighbour() -> None:
    edited = [*SONG[:2], ("another", 8), *SONG[3:]]
    assert new(planned(SONG, transition=0.01), planned(edited, transition=0.01)) == (1, 1)


@pytest.mark.parametrize(("table", "name"), [("VQGANS", "vqgan"), ("PERCEPTORS", "clip")])
def test_other_weights_of_the_same_name_rename_every_segment(
    table: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = planned(SONG)
    monkeypatch.setattr(weights, table, {"starter": replace(STARTER[name], sha256="0" * 64)})
    assert new(before, planned(SONG)) == (5, 5)


# edits


def test_editing_one_line_renders_one_segment_and_two_clips() -> None:
    for row in range(5):
        edited = [*SONG[:row], ("another", SONG[row][1]), *SONG[row + 1 :]]
        assert new(planned(SONG), planned(edited)) == (1, 2 if row < 4 else 1)


def test_retiming_a_line_renders_no_segment_and_at_most_three_clips() -> None:
    assert new(planned(SONG), planned([*SONG[:2], ("three", 8.5), *SONG[3:]])) == (0, 3)
    assert new(planned(SONG), planned([*SONG[:4], ("five", 16.5)])) == (0, 2)  # the tail is as long as it was


def test_shifting_the_song_renders_its_first_line_anew_and_the_blend_out_of_it() -> None:
    assert new(planned(SONG), planned([(text, start + 1) for text, start in SONG])) == (0, 2)


def test_shifting_the_lines_after_a_break_renders_no_segment() -> None:
    shifted = [(text, start + 1 if start > 4 else start) for text, start in SONG]
    assert new(planned(SONG), planned(shifted)) == (0, 2)  # the longer line, and the blend out of it


def test_inserting_a_line_renders_one_segment() -> None:
    assert new(planned(SONG), planned([*SONG[:2], ("inserted", 6), *SONG[2:]])) == (1, 3)


def test_deleting_a_line_renders_no_segment() -> None:
    assert new(planned(SONG), planned([*SONG[:2], *SONG[3:]])) == (0, 2)


def test_swapping_two_lines_renders_no_segment() -> None:
    swapped = [SONG[0], ("three", 4), ("two", 8), *SONG[3:]]
    assert new(planned(SONG), planned(swapped)) == (0, 3)


def test_undoing_an_edit_leaves_nothing_to_do() -> None:
    assert planned(SONG) == planned(list(SONG))


def test_two_songs_share_their_lines() -> None:
    other = planned([("three", 0), ("unheard", 7)])
    assert new(planned(SONG), other)[0] == 1


WORDS = st.sampled_from(["one", "two", "three"])
LENGTHS = st.integers(1, 200)  # frames
SCREENPLAYS = st.lists(st.tuples(WORDS, LENGTHS), min_size=1, max_size=7)


def timed(lengths: Sequence[tuple[str, int]]) -> Lines:
    """Lines that start on whole frames; the last one's length is the tail's."""
    starts = [sum(frames for _, frames in lengths[:row]) for row in range(len(lengths))]
    return [(text, start / RATE) for (text, _), start in zip(lengths, starts, strict=True)]


def takes(texts: Sequence[str]) -> list[tuple[str, int]]:
    sung: Counter[str] = Counter()
    found = []
    for text in texts:
        found.append((text, sung[text]))
        sung[text] += 1
    return found


def assert_one_name_for_each(named: Sequence[tuple[object, str]]) -> None:
    """The same thing has the same name, and other things have others."""
    things = {thing for thing, _ in named}
    assert len(things) == len({name for _, name in named}) == len(set(named))


@settings(deadline=None, max_examples=60)
@given(SCREENPLAYS, SCREENPLAYS)
def test_a_segment_is_named_by_its_text_and_take_alone(one: Any, other: Any) -> None:
    named = []
    for lengths in (one, other):
        texts = [text for text, _ in lengths]
        named += list(zip(takes(texts), segments(planned(timed(lengths))), strict=True))
    assert_one_name_for_each(named)


@settings(deadline=None, max_examples=60)
@given(SCREENPLAYS, SCREENPLAYS)
def test_a_clip_is_named_by_its_segment_its_length_and_the_line_before(one: Any, other: Any) -> None:
    named: list[tuple[object, str]] = []
    for lengths in (one, other):
        lines = takes([text for text, _ in lengths])
        frames = [count for _, count in lengths[:-1]] + [4 * RATE]
        parts = list(zip(lines, frames, strict=True))
        befores = [None, *parts]
        named += list(zip(zip(befores, parts, strict=False), clips(planned(timed(lengths))), strict=True))
    assert_one_name_for_each(named)


@settings(deadline=None, max_examples=60)
@given(SCREENPLAYS, st.floats(0, 3), st.sampled_from(["latent", "motion"]), st.sampled_from([1.5, 15, 30]))
def test_the_plan_adds_up(lengths: Any, transition: float, interpolation: str, per_second: float) -> None:
    keys = {"transition": transition, "interpolation": interpolation, "keyframes_per_second": per_second}
    made = planned(timed(lengths), **keys)
    blends = round(transition * RATE)
    assert sum(entry.frames for entry in made.timeline.clips) == round(made_end(lengths) * RATE)
    for before, clip in zip([None, *documents(made)], documents(made), strict=False):
        if before and blends:
            assert clip.before == before.shown
            assert clip.blend_frames == min(blends, clip.shown.frames)
        else:
            assert (clip.before, clip.blend_frames) == (None, 0)
        for segment, need in ((part.segment, need) for part, need in plan.sources(clip)):
            assert need <= made.needs[segment]


def made_end(lengths: Sequence[tuple[str, int]]) -> float:
    return timed(lengths)[-1][1] + 4


# takes


def test_a_repeated_line_gets_a_take_of_its_own() -> None:
    chorus = [("la", 0), ("one", 4), ("la", 8), ("la", 12)]
    made = planned(chorus)
    assert [made.segments[name].take for name in segments(made)] == [0, 0, 1, 2]
    assert len(set(segments(made))) == 4


def test_a_repeated_line_can_be_reused() -> None:
    chorus = [("la", 0), ("one", 4), ("la", 8), ("one", 12), ("two", 16)]
    made = planned(chorus, repeats="reuse")
    la, one, *again, two = segments(made)
    assert again == [la, one]
    assert set(made.segments) == {la, one, two}
    assert clips(made)[3] == clips(made)[1]  # the same line after the same line: one file, shown twice
    assert len(made.clips) == 4


def test_a_reused_line_is_rendered_as_far_as_its_longest_use() -> None:
    made = planned([("la", 0), ("one", 2), ("la", 4), ("one", 16)], repeats="reuse")
    la = segments(made)[0]
    assert made.needs[la] == plan.keyframes_for((12 + 1) * RATE, documents(made)[2])


def test_the_first_take_of_a_line_is_the_same_whether_repeats_vary_or_not() -> None:
    assert segments(planned(SONG, repeats="reuse")) == segments(planned(SONG, repeats="vary"))


@pytest.mark.parametrize("repeats", ["vary", "reuse"])
def test_another_take_renders_that_line_alone(repeats: str) -> None:
    before = planned(SONG, repeats=repeats)
    after = planned([*SONG[:2], ("three", 8, 4), *SONG[3:]], repeats=repeats)
    assert new(before, after) == (1, 2)
    assert [after.segments[name].take for name in segments(after)] == [0, 0, 4, 0, 0]


def test_going_back_to_the_take_that_was_leaves_nothing_to_do() -> None:
    assert planned(SONG) == planned([(text, start, "") for text, start in SONG])
    assert planned(SONG) == planned([(text, start, 0) for text, start in SONG])


@pytest.mark.parametrize(("repeats", "takes"), [("vary", [0, 1, 7, 3]), ("reuse", [0, 0, 7, 0])])
def test_a_take_given_does_not_shift_the_others(repeats: str, takes: list[int]) -> None:
    made = planned([("la", 0), ("la", 4), ("la", 8, 7), ("la", 12)], repeats=repeats)
    assert [made.segments[name].take for name in segments(made)] == takes


def test_a_line_can_show_the_take_of_another() -> None:
    made = planned([("la", 0), ("one", 4), ("la", 8, 0)])
    la, one, again = segments(made)
    assert la == again
    assert set(made.segments) == {la, one}


def test_a_line_too_short_to_be_shown_takes_no_take() -> None:
    made = planned([("la", 0), ("one", 4), ("la", 8), ("la", 8.001)])
    assert [made.segments[name].take for name in segments(made)] == [0, 0, 1]


# the screenplay's edges


def test_the_style_is_part_of_every_text_but_not_of_the_subtitles() -> None:
    made = planned(SONG, style="in oil")
    assert [made.segments[name].text for name in segments(made)] == [f"{text}, in oil" for text, _ in SONG]
    assert [line.text for line in made.timeline.lines] == [text for text, _ in SONG]


def test_the_timeline_has_the_screenplays_times() -> None:
    lines = planned([("one", 2.345), ("two", 6.789)]).timeline.lines
    assert [(line.start_seconds, line.end_seconds) for line in lines] == [
        (2.345, 6.789),
        (6.789, 10.789),
    ]


def test_a_film_without_frames_is_one_sentence() -> None:
    with pytest.raises(UserError, match=r"song\.csv: the film would have no frames; expected .*'tail'"):
        planned([("one", 0)], tail=0)


@pytest.mark.parametrize(
    ("size", "nearest"), [("100x64", "96x64"), ("64x61", "64x64"), ("70x70", "72x72"), ("65x127", "64x128")]
)
def test_a_size_that_does_not_fit_the_model_is_one_sentence(size: str, nearest: str) -> None:
    with pytest.raises(UserError, match=rf"'size': found {size}, expected multiples of 8 .* {nearest}\.$"):
        planned(SONG, size=size)


# keyframes

DRAWINGS = st.fixed_dictionaries(
    {
        "keyframes_per_second": st.sampled_from([0.1, 1.0, 2.0, 7.5, 15.0, 29.97, 30.0, 60.0]),
        "frames_per_second": st.sampled_from([1, 12, 24, 25, 30, 60]),
        "interpolation": st.sampled_from(["latent", "motion"]),
    }
)


@given(DRAWINGS, st.integers(1, 200_000))
def test_keyframes_are_enough_for_the_last_frame_and_few_more(drawing: Any, frames: int) -> None:
    made = plans.clip(frames, **drawing)
    need = plan.keyframes_for(frames, made)
    last = Fraction(draw.drawn_frames(made) - 1) / made.drawn_rate
    position = last * Fraction(str(drawing["keyframes_per_second"]))
    assert ceil(position) <= need - 1
    assert need % plan.STEP == 0
    assert need - 1 - position < plan.STEP + 1


@given(DRAWINGS, st.integers(1, 100_000), st.integers(0, 1000))
def test_more_frames_never_need_fewer_keyframes(drawing: Any, frames: int, more: int) -> None:
    made = plans.clip(frames, **drawing)
    assert plan.keyframes_for(frames, made) <= plan.keyframes_for(frames + more, made)


def test_every_line_is_rendered_past_its_end_by_the_transition() -> None:
    made = planned(SONG, transition=3)
    assert set(made.needs) == set(segments(made))
    assert set(made.needs.values()) == {15}  # 2 a second for 4 + 3 seconds


# files


def test_planning_again_touches_no_file(tmp_path: Path) -> None:
    paths, song = Paths(tmp_path / "results"), write_screenplay(tmp_path / "song.csv", SONG)
    plan.write(plan.make(config(song), paths), paths)
    files = [path for path in paths.root.rglob("*") if path.is_file()]
    assert len(files) == 12
    for file in files:
        os.utime(file, (1_000_000_000, 1_000_000_000))
    plan.write(plan.make(config(song), paths), paths)
    assert {file.stat().st_mtime for file in files} == {1_000_000_000}


def test_after_an_edit_only_new_plans_and_the_timeline_are_written(tmp_path: Path) -> None:
    paths, song = Paths(tmp_path), write_screenplay(tmp_path / "song.csv", SONG)
    plan.write(plan.make(config(song), paths), paths)
    before = set(tmp_path.rglob("*.json"))
    for file in before:
        os.utime(file, (1_000_000_000, 1_000_000_000))
    write_screenplay(song, [*SONG[:4], ("another", 16)])
    plan.write(plan.make(config(song), paths), paths)
    touched = {path for path in tmp_path.rglob("*.json") if path.stat().st_mtime != 1_000_000_000}
    assert touched - before == set(tmp_path.rglob("*.json")) - before
    assert touched & before == {paths.timeline("song")}
    assert len(touched) == 3


def rendered(paths: Paths, segment: str, *keyframes: int) -> None:
    for count in keyframes:
        path = paths.latents(segment, count)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_a_clip_is_drawn_from_its_own_latents_and_those_of_the_line_before(tmp_path: Path) -> None:
    made, paths = planned(SONG), Paths(tmp_path)
    one, two, *_ = segments(made)
    first, second, *_ = documents(made)
    assert plan.latents_of(first, made.needs, paths) == [paths.latents(one, 15)]
    assert plan.latents_of(second, made.needs, paths) == [paths.latents(two, 15), paths.latents(one, 15)]


def test_latents_that_are_long_enough_serve(tmp_path: Path) -> None:
    made, paths = planned(SONG), Paths(tmp_path)
    rendered(paths, segments(made)[0], 5, 25, 100)
    assert plan.latents_of(documents(made)[0], made.needs, paths) == [paths.latents(segments(made)[0], 25)]


def test_latents_that_are_too_short_are_not_taken(tmp_path: Path) -> None:
    made, paths = planned(SONG), Paths(tmp_path)
    rendered(paths, segments(made)[0], 5)
    assert plan.latents_of(documents(made)[0], made.needs, paths) == [paths.latents(segments(made)[0], 15)]


def test_a_line_shortened_and_lengthened_again_needs_no_rendering(tmp_path: Path) -> None:
    long, paths = planned(SONG), Paths(tmp_path)
    short = planned([SONG[0], *((text, start - 2.5) for text, start in SONG[1:])])
    for segment, need in long.needs.items():
        rendered(paths, segment, need)
    for made in (short, long):
        for clip in documents(made):
            assert all(path.exists() for path in plan.latents_of(clip, made.needs, paths))


def test_a_job_that_knows_no_needs_finds_the_files_that_the_plan_had_rendered(tmp_path: Path) -> None:
    made, paths = planned(SONG), Paths(tmp_path)
    asked = [plan.latents_of(clip, made.needs, paths) for clip in documents(made)]
    for segment, need in made.needs.items():
        rendered(paths, segment, need)
    assert [plan.latents_of(clip, {}, paths) for clip in documents(made)] == asked
