"""What a row says of its line: columns, prompts, styles, pictures; what an edit of any of them renders."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from songreel.drawing import lyrics
from songreel.ground import pictures
from songreel.ground.documents import SegmentRecipe
from songreel.ground.errors import UserError
from songreel.ground.paths import Paths
from songreel.ground.steering import Part
from songreel.planning import album, gallery, plan, screenplay
from songreel.planning.config import resolve
from songreel.planning.plan import Plan
from songreel.upkeep import running
from tests.conftest import TINY


class Here:
    """A folder with a screenplay, planned in this process."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.paths = folder, Paths(folder / "results")
        self.file = folder / "song.csv"

    def plan(self, content: str, **keys: Any) -> Plan:
        self.file.write_text(content, encoding="utf-8")
        return plan.make(resolve({**TINY, "screenplay": str(self.file), **keys}), self.paths)

    def recipes(self, content: str, **keys: Any) -> list[SegmentRecipe]:
        made = self.plan(content, **keys)
        return [made.segments[line.segment] for line in made.timeline.lines]

    def recipe(self, header: str, cells: str, **keys: Any) -> SegmentRecipe:
        """Of a line with these cells, the first of two."""
        return self.recipes(f"text,start,{header}\na castle,0,{cells}\nend,2", **keys)[0]

    def refusal(self, content: str, **keys: Any) -> str:
        with pytest.raises(UserError) as refused:
            self.plan(content, **keys)
        return str(refused.value)

    def picture(self, name: str, colour: str = "red", size: tuple[int, int] = (40, 30), **how: Any) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, colour).save(path, **how)
        return path


@pytest.fixture
def here(tmp_path: Path) -> Here:
    return Here(tmp_path)


# Columns


def test_a_header_alone_changes_nothing(here: Here) -> None:
    plain = here.plan("a castle,0\na boat,2,3\na fire,4")
    header = (
        "start,seed,prompt,take,text,end,style,avoid,iterations,lead_in,learning_rate,cutouts,image,mask,from"
    )
    same = here.plan(f"{header}\n0,,,,a castle\n2,,,3,a boat\n4,,,,a fire")
    assert list(same.segments) == list(plain.segments) and list(same.clips) == list(plain.clips)


def test_an_empty_cell_takes_the_films_value_and_another_its_own(here: Here) -> None:
    names = "seed,iterations,lead_in,learning_rate,cutouts"
    content = f"text,start,{names},style\na,0,5,6,7,0.5,9,an etching\nb,1,,,,,\nc,2"
    own, film, last = here.recipes(content, style="oil", seed=3)
    assert (own.seed, own.text) == (5, "a, an etching")
    strategy = own.strategy
    assert (strategy.iterations, strategy.lead_in, strategy.cutouts, strategy.learning_rate) == (6, 7, 9, 0.5)
    assert (film.seed, film.text, film.strategy) == (3, "b, oil", last.strategy)


def test_between_tabs_under_a_header_a_cell_may_be_empty(here: Here) -> None:
    rows = "text\tstart\tprompt\tavoid\tseed\na castle\t0\t\tfog\t4\nb\t2\ta | b:0.5\t\t5"
    first, second = here.recipes(rows)
    assert (first.seed, [part.text for part in first.parts]) == (4, ["a castle", "fog"])
    assert (second.seed, [part.text for part in second.parts]) == (5, ["a", "b"])


def test_columns_that_are_lined_up_by_tabs_are_read_as_before(here: Here) -> None:
    first, second = here.recipes("start\t\ttext\t\tseed\n0\t\ta castle\t\t4\n2\t\tb\t\t5")
    assert (first.text, first.seed, second.seed) == ("a castle", 4, 5)


def test_bars_and_semicolons_in_prompts_separate_no_columns(here: Here) -> None:
    recipe, *_ = here.recipes("text,start,prompt\na,0,x | 1; y:0.5 | 2\nb,2,c | 3\nc,4,d | 4")
    assert [part.text for part in recipe.parts] == ["2", "x", "1; y"]


UNKNOWN = {
    "promt": "write 'prompt' instead",
    "negative_prompt": "write 'avoid' instead",
    "init_image": "write 'image' instead",
    "steps": "write 'iterations' instead",
    "ends": "write 'end' instead",
    "who": "delete it",
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_an_unknown_column_is_refused_with_the_nearest_known_one(name: str, here: Here) -> None:
    message = here.refusal(f"text,start,{name}\na,0,1")
    assert message.startswith(f"{here.file} row 1: found the column '{name}', expected columns among text, ")
    assert UNKNOWN[name] in message


CELLS = {
    ("seed", "-1"): ["row 2: found in the column seed '-1'", "a whole number from 0 to 4294967295"],
    ("iterations", "0"): ["in the column iterations '0'", "from 1 to 100000"],
    ("learning_rate", "fast"): ["'fast'", "a variable among"],
    ("learning_rate", "20"): ["'20'", "a number above 0 and up to 10"],
    ("from", "previos"): ["'previos', expected canvas or previous; write 'previous' instead"],
    ("from", "photos/boat.jpg"): ["name a picture in the column image"],
    ("mask", "m.png"): ["'m.png' and no image"],
    ("prompt", "at 7:30"): ["in the column prompt the weight 30", r"write 7\:30"],
    ("avoid", "a || b"): ["in the column avoid a part without words"],
    ("end", "0"): ["the end '0', expected one after the start at 0.0 s"],
    ("end", "soon"): ["the end 'soon'", "seconds such as 12.5"],
    ("style", "{txt}, oil"): ["row 2, column style: found '{txt}'", "write {text} instead"],
    ("image", "gone.png"): [
        "no such file, expected a picture at 'gone.png', seen from the screenplay's folder"
    ],
    ("prompt", "[gone.png]"): ["row 2: found no such file", "'gone.png'"],
    ("image", "song.csv"): ["song.csv row 2: ", "cannot be read as a picture", "out of the screenplay"],
}


@pytest.mark.parametrize(("column", "cell"), CELLS)
def test_what_does_not_fit_is_refused_in_a_sentence_with_its_row(column: str, cell: str, here: Here) -> None:
    message = here.refusal(f'text,start,{column}\na castle,0,"{cell}"\nend,2')
    for words in CELLS[column, cell]:
        assert words in message


def test_a_picture_and_the_line_before_are_two_starts(here: Here) -> None:
    here.picture("boat.png")
    assert "one start" in here.refusal("text,start,image,from\na,0,,\nb,2,boat.png,previous")


def test_a_style_and_what_is_avoided_are_refused_by_their_key(here: Here) -> None:
    assert here.refusal("a,0", style="{tittle}: {text}").startswith("config key 'style': found '{tittle}'")
    assert here.refusal("a,0", avoid="fog:30").startswith("config key 'avoid': found the weight 30 of 'fog'")


def test_words_end_before_the_next_line_begins(here: Here) -> None:
    content = "text,start,end\na castle,0,1.5\na boat,2,9\na fire,4,5"
    made = here.plan(content, tail=3)
    assert [line.words_end_seconds for line in made.timeline.lines] == [1.5, None, 5]
    assert "00:00:00,000 --> 00:00:01,500" in lyrics.subtitles(made.timeline)
    chapters = [
        row for row in lyrics.metadata(made.timeline).splitlines() if row.startswith(("START", "END"))
    ]
    assert chapters[:4] == ["START=0", "END=2000", "START=2000", "END=4000"]
    silent = here.plan(content.replace("1.5", ""), tail=3)
    assert list(silent.clips) == list(made.clips)
    (first, *_) = screenplay.read(here.file)
    assert first.end_seconds is None


def test_ends_move_with_an_offset(here: Here) -> None:
    made = here.plan("text,start,end\na castle,1,2\na boat,4,", offset=0.5)
    assert [line.words_end_seconds for line in made.timeline.lines] == [2.5, None]


# The same thing asked for in two ways is one segment


def test_a_prompt_of_words_alone_is_the_line_that_sings_them(here: Here) -> None:
    sung = here.recipes("a castle,0\nend,2")[0]
    assert here.recipes("text,start,prompt\nla la la,0,a castle:1\nend,2")[0] == sung
    assert here.recipes("text,start,prompt\nla la la,0,a castle | a boat:0\nend,2")[0] == sung


def test_what_is_sung_steers_letter_by_letter(here: Here) -> None:
    text = "the train at 7:30 | [sic]:0.5"
    recipe = here.recipes(f'"{text}",0\nend,2')[0]
    assert (recipe.text, recipe.parts) == (text, ())


def test_the_film_and_a_row_ask_for_the_same(here: Here) -> None:
    for key, value in (("style", "oil"), ("avoid", "fog:-0.3"), ("seed", "4"), ("cutouts", "3")):
        assert here.recipe("prompt", "", **{key: value}) == here.recipe(key, value)
        assert here.recipe(key, value) != here.recipe("prompt", "")


def test_a_style_around_the_text_is_one_behind_it(here: Here) -> None:
    template = here.recipe("style", '"{text}, oil on canvas"')
    assert template == here.recipe("style", "oil on canvas")
    names = {"title": "The River", "artist": "Nobody"}
    recipe = here.recipe("style", '"{title} by {artist}: {text}, {odd}"', **names)
    assert recipe.text == "The River by Nobody: a castle, {odd}"


def test_a_style_is_for_every_positive_text(here: Here) -> None:
    here.picture("boat.png")
    recipe = here.recipe("prompt,style", "a | b:0.5 | c:-1 | [boat.png]:0.4,oil")
    assert [part.text for part in recipe.parts] == ["a, oil", "b, oil", "", "c"]


def test_what_is_avoided_is_a_negative_part(here: Here) -> None:
    assert here.recipe("prompt", "a castle | fog:-0.5") == here.recipe("avoid", "fog")
    assert here.recipe("prompt", "fog:-0.5 | a castle") == here.recipe("avoid", "fog:0.5")
    assert here.recipe("avoid", "none", avoid="fog") == here.recipe("prompt", "")
    assert here.recipe("avoid", "fog").parts == (Part("a castle"), Part("fog", weight=-0.5))


def test_a_picture_is_known_by_what_it_shows(here: Here) -> None:
    here.picture("photos/boat.png")
    here.picture("other.png", compress_level=0)
    named = here.recipe("image,mask", "photos/boat.png,photos/boat.png")
    assert named == here.recipe("image,mask", "other.png,other.png")
    assert named == here.recipe("image,mask", f"{here.folder}/photos/boat.png,other.png")
    prompt = here.recipe("prompt", "a castle | [photos/boat.png]:0.4")
    assert prompt == here.recipe("prompt", "a castle | [other.png]:0.4")
    here.picture("photos/boat.png", "blue")
    assert prompt != here.recipe("prompt", "a castle | [photos/boat.png]:0.4")


def test_a_line_sung_again_is_another_take_of_what_steers(here: Here) -> None:
    content = "text,start,prompt\nla,0,a castle\nla,2,a boat\noh,4,a castle\nla,6,a boat | fog:-1"
    assert [recipe.take for recipe in here.recipes(content)] == [0, 0, 1, 0]


# What an edit renders


EDITS = {
    "prompt": ("a castle", "a tower"),
    "weight": ("a castle | fog:0.5", "a castle | fog:0.6"),
    "sign": ("a castle | fog:0.5", "a castle | fog:-0.5"),
    "stop": ("a castle | fog:-0.5", "a castle | fog:-0.5:-0.9"),
    "picture": ("a castle | [red.png]", "a castle | [blue.png]"),
}


def changed(before: Plan, after: Plan) -> tuple[int, int]:
    """How many segments and clips the plan has that the one before has not."""
    return len(set(after.segments) - set(before.segments)), len(set(after.clips) - set(before.clips))


@pytest.mark.parametrize("what", EDITS)
def test_an_edit_of_a_prompt_renders_one_line_and_draws_two_clips(what: str, here: Here) -> None:
    here.picture("red.png")
    here.picture("blue.png", "blue")
    before, after = (here.plan(f"text,start,prompt\na,0\nb,2,{cell}\nc,4\nd,6") for cell in EDITS[what])
    assert changed(before, after) == (1, 1 + 1)


@pytest.mark.parametrize("cells", ["an etching,,", ",fog,", ",,red.png"])
def test_an_edit_of_a_style_or_picture_renders_one_line(cells: str, here: Here) -> None:
    here.picture("red.png")
    before, after = (
        here.plan(f"text,start,style,avoid,image\na,0\nb,2,{said}\nc,4\nd,6") for said in (",,", cells)
    )
    assert changed(before, after) == (1, 2)


def test_another_picture_in_the_same_file_renders_its_lines(here: Here) -> None:
    content = "text,start,prompt\na,0\nb,2,x | [red.png]\nc,4\nd,6"
    here.picture("red.png")
    before = here.plan(content)
    here.picture("red.png", "blue")
    assert changed(before, here.plan(content)) == (1, 2)


def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that are decoded from now on."""
    read: list[Path] = []
    decode = pictures._read

    def noticed(path: Path, *how: Any) -> pictures.Pixels:
        read.append(path)
        return decode(path, *how)

    monkeypatch.setattr(pictures, "_read", noticed)
    gallery._pixels.cache_clear()
    return read


def test_a_picture_is_decoded_once_for_all_plans_until_its_file_changes(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    boat = here.picture("boat.png")
    content = "text,start,prompt,image\na,0,x | [boat.png],\nb,2,,boat.png"
    plan.write(here.plan(content), here.paths)
    first = here.plan(content)
    assert running.needs(first)["albums"] == [album.place(boat)]
    read = reads(monkeypatch)
    assert here.plan(content) == first and not read
    os.utime(boat, ns=(1, 1))
    assert here.plan(content) == first and len(read) == 2
    here.plan(content, size="48x48")
    assert len(read) == 3


@pytest.mark.parametrize("noted", ["", "[]", '{"None": [1]}', '{"None": [1, 2, 3]}', '{"None": 7}'])
def test_damaged_facts_of_a_picture_are_made_again(noted: str, here: Here) -> None:
    boat = here.picture("boat.png")
    content = "text,start,prompt\na,0,x | [boat.png]\nb,2"
    first = here.plan(content)
    here.paths.root.mkdir()
    facts = here.paths.album_facts(album.place(boat))
    facts.parent.mkdir(parents=True)
    facts.write_text(noted, encoding="utf-8")
    assert here.plan(content) == first
    assert next(iter(first.pictures)) in facts.read_text(encoding="utf-8")


def test_facts_that_are_not_true_any_more_cost_one_start(here: Here) -> None:
    boat = here.picture("boat.png")
    content = "text,start,prompt\na,0,x | [boat.png]\nb,2"
    first = here.plan(content)
    plan.write(first, here.paths)
    here.plan(content)
    (name,) = first.pictures
    facts = here.paths.album_facts(album.place(boat))
    facts.write_text(facts.read_text(encoding="utf-8").replace(name, "0" * 64), encoding="utf-8")
    with pytest.raises(UserError, match="run the same command again"):
        plan.write(here.plan(content), here.paths)
    assert here.plan(content) == first


def test_what_the_film_avoids_is_avoided_by_all_lines(here: Here) -> None:
    content = "a,0\nb,2\nc,4"
    assert changed(here.plan(content), here.plan(content, avoid="fog")) == (3, 3)


def test_other_words_with_the_same_prompt_render_nothing(here: Here) -> None:
    before, after = (
        here.plan(f"text,start,prompt\na,0\n{sung},2,a castle\nc,4") for sung in ("la la", "oh no")
    )
    assert changed(before, after) == (0, 0) and before.timeline != after.timeline


def test_other_words_with_the_same_prompt_draw_the_clip_that_they_are_on(here: Here) -> None:
    before, after = (
        here.plan(f"text,start,prompt\na,0\n{sung},2,a castle\nc,4", lyrics="burned")
        for sung in ("la la", "oh no")
    )
    assert changed(before, after) == (0, 1)


def test_a_plan_keeps_the_pictures_that_it_names(here: Here) -> None:
    here.picture("boat.png")
    made = here.plan("text,start,prompt,image,mask\na,0,x | [boat.png],,\nb,2,,boat.png,boat.png")
    plan.write(made, here.paths)
    assert len(made.pictures) == 2  # the whole of it, and what fits the film
    assert all(
        here.paths.start(name).is_file() for recipe in made.segments.values() for name in recipe.pictures
    )
    assert set(made.pictures) == {name for recipe in made.segments.values() for name in recipe.pictures}


# What is not read


def test_the_words_of_a_part_that_are_cut_are_told(here: Here) -> None:
    long = "word " * 40
    made = here.plan(f"text,start,prompt\na,0,x | {long}:0.5 | y:-1\nb,2", style="oil")
    (note,) = made.notes
    assert "row 2: the perceptor 'starter' reads no 'word word" in note
    recipe = made.segments[made.timeline.lines[0].segment]
    (entry,) = recipe.perceptors
    assert recipe.reads(entry)[0] == "x, oil" and recipe.reads(entry)[2] == "y"
    assert recipe.reads(entry)[1].endswith("word, oil") and entry.words is None


def test_of_a_style_around_a_long_text_the_text_is_cut(here: Here) -> None:
    made = here.plan(f'"{"word " * 40}",0\nb,2', style="oil painting of {text} at night")
    recipe = made.segments[made.timeline.lines[0].segment]
    words = recipe.words(recipe.perceptors[0])
    assert words.startswith("oil painting of word word") and words.endswith("word at night")
    assert "at the end of the text" in made.notes[0]


# Chains


CHAIN = "text,start,from\na,0,\nb,2,previous\nc,4,previous\nd,6,canvas\ne,8,previous"


def test_an_edit_renders_all_that_follow_in_the_chain(here: Here) -> None:
    before = here.plan(CHAIN)
    assert changed(before, here.plan(CHAIN.replace("a,0", "z,0")))[0] == 3
    assert changed(before, here.plan(CHAIN.replace("c,4", "z,4")))[0] == 1
    assert changed(before, here.plan(CHAIN.replace("d,6", "z,6")))[0] == 2


def test_a_plan_says_how_long_the_longest_chain_is(here: Here) -> None:
    (note,) = here.plan(CHAIN).notes
    assert note == (
        f"{here.file}: 3 lines start from the line before, so an edit of a line renders all that follow in"
        " its chain, one after the other; the longest chain has 3 lines, rows 2 to 4."
    )
    assert not here.plan("a,0\nb,2").notes


def test_a_line_goes_on_from_the_last_keyframe_that_is_seen_of_the_one_before(here: Here) -> None:
    first, second, *_ = here.recipes(CHAIN, keyframes_per_second=2.5)
    assert second.previous and second.previous.segment == first.id
    assert second.previous.keyframes == 5  # at 0, 0.4, 0.8, 1.2 and 1.6 s of 2 s
    assert (second.strategy.lead_in, first.strategy.lead_in) == (0, 1)
    longer, *_ = here.recipes(CHAIN.replace("b,2,", "b,2.1,"), keyframes_per_second=2.5)[1:]
    assert longer.previous and longer.previous.keyframes == 6


def test_a_line_that_goes_on_has_no_seam_to_blend(here: Here) -> None:
    made = here.plan(CHAIN)
    clips = [made.clips[entry.clip] for entry in made.timeline.clips]
    assert [bool(clip.before) for clip in clips] == [False, False, False, True, False]


def test_a_film_can_be_one_chain(here: Here) -> None:
    rows = here.recipes("a,0\nb,2\nc,4", **{"from": "previous"})
    assert [bool(recipe.previous) for recipe in rows] == [False, True, True]
    assert rows[0] == here.recipes("a,0\nb,2\nc,4")[0]


def test_only_what_has_not_begun_waits_for_the_line_before(here: Here) -> None:
    made = here.plan(CHAIN)
    segments = [line.segment for line in made.timeline.lines]
    assert set(plan.missing_latents(made, here.paths)) == set(segments)
    for clip in [entry.clip for entry in made.timeline.clips][:2]:
        here.paths.clip(clip).parent.mkdir(parents=True, exist_ok=True)
        here.paths.clip(clip).touch()
    assert set(plan.missing_latents(made, here.paths)) == set(segments)
    rendered = here.paths.latents(segments[2], 1)
    rendered.parent.mkdir(parents=True)
    rendered.touch()
    assert set(plan.missing_latents(made, here.paths)) == set(segments[2:])
