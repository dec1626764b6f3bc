"""What a perceptor reads of a line too long for its context: the style always; what is cut is told."""

import subprocess
import sys
from pathlib import Path

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from songreel.ground.paths import Paths
from songreel.models import weights
from songreel.models.perceptor import tokenize
from songreel.models.tokens import ENDS, fits, tokenizer
from songreel.planning import plan, wording
from songreel.planning.config import resolve
from songreel.planning.plan import Plan
from tests import checkpoints
from tests.starter import judge

LONG = (
    "Slow is the morning over the harbour and slow are the nets that the fishermen mend by the grey cold"
    " stones of the wall where nobody sings any more of the ships that never came home to the shore again"
)
OIL, PENCIL = "an oil painting", "a pencil sketch"
SHORT = "down by the river"
CONTEXT = 32  # tokens of the starter's


def planned(folder: Path, text: str = LONG, **keys: object) -> Plan:
    screenplay = folder / "song.csv"
    screenplay.write_text(f'"{text}",0\nb,4\n', encoding="utf-8")
    return plan.make(
        resolve({"screenplay": str(screenplay), "audio": "none", **keys}), Paths(folder / "results")
    )


def words(made: Plan) -> list[str]:
    """What the first perceptor is given for each line."""
    recipes = [made.segments[line.segment] for line in made.timeline.lines]
    return [recipe.words(recipe.perceptors[0]) for recipe in recipes]


def tokens(text: str) -> int:
    return len(tokenizer().encode(text))


def test_two_styles_of_a_long_line_are_two_segments_that_look_for_two_things(tmp_path: Path) -> None:
    oil, pencil = (planned(tmp_path, style=style) for style in (OIL, PENCIL))
    assert not set(oil.segments) & set(pencil.segments)
    assert not torch.equal(*(tokenize(words(made)[:1], CONTEXT) for made in (oil, pencil)))
    towards = judge().embed_texts([words(oil)[0], words(pencil)[0]])
    assert float(towards[0] @ towards[1]) < 0.99


def test_the_text_is_cut_at_a_word_and_the_style_is_whole(tmp_path: Path) -> None:
    given = words(planned(tmp_path, style=OIL))[0]
    kept = given.removesuffix(f", {OIL}")
    assert given != kept and LONG.startswith(kept) and LONG[len(kept)] == " "
    assert tokens(given) <= CONTEXT - ENDS
    assert tokens(wording.joined(LONG[: LONG.index(" ", len(kept) + 1)], OIL)) > CONTEXT - ENDS


def test_the_plan_names_row_and_words_that_are_cut(tmp_path: Path) -> None:
    made = planned(tmp_path, style=OIL)
    (note,) = made.notes
    assert note.startswith(f"{tmp_path}/song.csv row 1: the perceptor 'starter' reads no 'sings any more of ")
    assert "came home to the shore again' at the end of the text" in note and note.endswith(".")


def test_only_a_line_that_is_too_long_has_words_of_its_own_in_the_recipe(tmp_path: Path) -> None:
    made = planned(tmp_path, style=OIL)
    long, short = (made.segments[line.segment] for line in made.timeline.lines)
    assert (long.text, short.text) == (f"{LONG}, {OIL}", f"b, {OIL}")
    assert long.perceptors[0].words and short.perceptors[0].words is None
    assert not planned(tmp_path, SHORT, style=OIL).notes


def test_a_long_line_without_a_style_keeps_its_name_and_is_told(tmp_path: Path) -> None:
    made = planned(tmp_path)
    assert made.segments[made.timeline.lines[0].segment].perceptors[0].words is None
    assert [note.split(" at the end of the text")[0][-12:] for note in made.notes] == ["shore again'"]


def test_a_style_that_fills_the_context_alone_leaves_half_of_it_to_the_text(tmp_path: Path) -> None:
    one, other = (planned(tmp_path, style=style * 9) for style in ("an oil painting, ", "a pencil sketch, "))
    for made in (one, other):
        assert words(made)[0].startswith("Slow is the morning over")
        assert len(made.notes) == 2 and "at the end of the style" in made.notes[0]
        assert "at the end of the text" in made.notes[0] and "at the end of the text" not in made.notes[1]
    assert not torch.equal(*(tokenize(words(made)[:1], CONTEXT) for made in (one, other)))


def test_a_short_line_with_a_style_that_is_too_long_keeps_its_name(tmp_path: Path) -> None:
    made = planned(tmp_path, SHORT, style=OIL + ", highly detailed, trending, by the light of many moons" * 3)
    assert all(recipe.perceptors[0].words is None for recipe in made.segments.values())
    assert len(made.notes) == 2


def test_every_perceptor_reads_as_much_as_its_own_context_holds(tmp_path: Path) -> None:
    own = checkpoints.torchscript_clip(tmp_path / "judge.pt")  # a context of 16
    made = planned(tmp_path, style=OIL, perceptors=["starter", str(own)])
    recipe = made.segments[made.timeline.lines[0].segment]
    starter, theirs = (entry.words or "" for entry in recipe.perceptors)
    assert starter.startswith(theirs.removesuffix(f", {OIL}"))
    assert len(starter) > len(theirs) and theirs.endswith(OIL)
    assert all(repr(name) in made.notes[0] for name in ("starter", str(own)))


def test_a_published_perceptor_has_room_for_75_tokens() -> None:
    assert [wording.context(weights.PERCEPTORS["starter"])] == [CONTEXT]
    assert wording.PUBLISHED_CONTEXT == 77
    reading = wording.read("la " * 71, OIL, wording.PUBLISHED_CONTEXT)
    assert not reading.cut_text and not reading.cut_style
    assert wording.read("la " * 72, OIL, wording.PUBLISHED_CONTEXT).cut_text == "la"


TEXTS = st.text(max_size=90) | st.lists(
    st.sampled_from([*LONG.split(), "星", "&amp;", "…"]), max_size=60
).map(" ".join)


@settings(max_examples=150, deadline=None)
@given(TEXTS, st.sampled_from(["", OIL, "星の夜", OIL * 12]), st.sampled_from([16, CONTEXT, 77]))
def test_no_style_is_cut_before_the_text(text: str, style: str, context: int) -> None:
    reading = wording.read(text, style, context)
    if fits(wording.joined(text, style), context):
        assert reading == wording.Reading(wording.joined(text, style))
    elif not style:
        assert reading.words == text
    elif not reading.cut_style:
        assert reading.words.endswith(f", {style}") and tokens(reading.words) <= context - ENDS
        assert text.startswith(reading.words.removesuffix(f", {style}")) and reading.cut_text
    else:
        assert tokens(style) + 2 >= context - ENDS


@given(st.text(st.characters(max_codepoint=127), max_size=30))
def test_what_fits_by_its_length_has_no_more_tokens(text: str) -> None:
    assert "&" in text or tokens(text) <= len(text)


def test_a_text_written_without_spaces_is_cut_between_letters() -> None:
    reading = wording.read("川のほとりで君を待っていた朝の光の中で" * 4, OIL, CONTEXT)
    assert reading.words.startswith("川のほとり") and reading.words.endswith(OIL) and reading.cut_text


def test_planning_short_lines_reads_no_vocabulary_and_imports_no_torch(tmp_path: Path) -> None:
    (tmp_path / "song.csv").write_text("a red rose,0\nb,4\n", encoding="utf-8")
    code = """
import sys
from pathlib import Path
from songreel.planning import plan
from songreel.planning.config import resolve
from songreel.ground.paths import Paths
plan.make(resolve({"screenplay": "song.csv", "audio": "none", "album": "none"}), Paths(Path("results")))
sys.exit(" ".join({"torch", "clip.simple_tokenizer"} & set(sys.modules)) or 0)
"""
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
