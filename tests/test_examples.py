"""What is promised of screenplays/examples: each is planned and rendered, and says what it is to say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from songreel.ground import paths
from songreel.ground.documents import SegmentRecipe
from songreel.planning import plan
from songreel.planning.config import resolve
from tests import examples, films, plans
from tests.conftest import TINY

COLUMNS = {
    *("text", "start", "end", "take", "prompt", "style", "avoid", "seed", "iterations", "lead_in"),
    *("learning_rate", "cutouts", "image", "mask", "from"),
}
DIRECTION = examples.FOLDER.parents[1] / "docs/direction.md"


@pytest.mark.parametrize("example", examples.FILES, ids=lambda path: path.name)
def test_every_example_is_rendered(example: Path, tmp_path: Path) -> None:
    results = paths.Paths(tmp_path / "results")
    asked = examples.settings(example)
    settings = {**asked, **TINY, "frames_per_second": 4, "audio": asked["audio"]}
    made = plan.make(resolve(settings), results)
    plan.write(made, results)
    for segment, recipe in made.segments.items():
        assert SegmentRecipe.read(results.segment_plan(segment)) == recipe
    plans.render(made, results)
    film = results.film(made.song)
    assert len(films.frames(film)) == sum(clip.frames for clip in made.timeline.clips)
    texts = [line.text.replace("\n", " ") for line in made.timeline.lines]
    assert len(texts) > 1 and [chapter.text for chapter in films.chapters(film)] == texts
    assert (": Subtitle:" in films.described(film)) == ("lyrics" not in asked)


def test_the_examples_have_every_column_of_words_and_pictures() -> None:
    rows = [row for file in examples.FILES for row in file.read_text(encoding="utf-8").splitlines()]
    headers = [row for row in rows if re.match(r"(text|start),", row)]
    assert {name for header in headers for name in header.split(",")} >= COLUMNS


def test_every_example_is_in_the_guide() -> None:
    guide = DIRECTION.read_text(encoding="utf-8")
    for file in examples.FILES:
        assert f"({Path('..', *file.parts[-3:])})" in guide, file.name
