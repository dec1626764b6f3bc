"""The proof of "exactly the right jobs": random edits, planned by songreel and by an oracle without ids."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import astuple, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from songreel.drawing import film
from songreel.ground.documents import SegmentRecipe
from songreel.ground.errors import UserError
from songreel.ground.paths import Paths
from songreel.ground.strategy import Strategy
from songreel.models import weights
from songreel.planning import audio, plan, trial
from songreel.planning.audio import Audio
from songreel.planning.config import resolve
from songreel.planning.plan import Plan
from tests.edits import (
    CHOICES,
    EDITS,
    TAKES,
    TEXTS,
    Edit,
    Jobs,
    Line,
    Oracle,
    Segment,
    Song,
    clips_of,
    shots_of,
)

CONFIG = resolve({"size": "64x64", "album": "none"})


@pytest.fixture(scope="module", autouse=True)
def quick_plans() -> Iterator[None]:
    """Run no ffmpeg, hash no weights and read each model once: tens of thousands of films are planned."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(weights, "_check_file", lambda found: None)
        patch.setattr(weights, "factor", cache(weights.factor))
        patch.setattr(film, "working", lambda ffmpeg: ffmpeg)
        patch.setattr(audio, "find", _audio)
        patch.setattr(trial, "check", lambda *_: "")
        yield


def _audio(setting: str, *_: object) -> Audio | None:
    return None if setting == "none" else Audio(Path(f"{setting}.wav"), setting, float(setting))


class Results:
    """A results folder where files are empty, none at first, and what the plan says of it."""

    def __init__(self, folder: Path) -> None:
        self.paths = Paths(folder / "results")
        self.screenplay = folder / "song.csv"
        self.timeline: Any = None  # what the film was joined from
        for kind in (self.paths.latents("", ""), self.paths.clip("")):
            kind.parent.mkdir(parents=True, exist_ok=True)
            for file in kind.parent.iterdir():
                file.unlink()

    def write(self, song: Song) -> None:
        self.screenplay.unlink(missing_ok=True)  # many times as fast as to overwrite it, on some disks
        self.screenplay.write_text(song.screenplay, encoding="utf-8")

    def plan(self, song: Song) -> Plan:
        return plan.make(replace(CONFIG, screenplay=self.screenplay, **song.settings), self.paths)

    def asked(self, made: Plan) -> dict[str, list[Path]]:
        """The clips to draw, each with the latents that its job reads."""
        missing = {name: clip for name, clip in made.clips.items() if not self.paths.clip(name).exists()}
        return {name: plan.latents_of(clip, made.needs, self.paths) for name, clip in missing.items()}

    def jobs(self, made: Plan) -> Jobs:
        asked = self.asked(made)
        files = {path for paths in asked.values() for path in paths if not path.exists()}
        missing = plan.missing_latents(made, self.paths)
        assert files == {self.paths.latents(*job) for job in missing.items()}
        keyframes = frozenset((_facts(made.segments[name]), count) for name, count in missing.items())
        names = [entry.clip for entry in made.timeline.clips]
        clips = tuple(at for at, name in enumerate(names) if name in asked and name not in names[:at])
        return Jobs(keyframes, clips, made.timeline != self.timeline)

    def clip(self, at: int) -> Path:
        """The file of one of the film's clips."""
        return self.paths.clip(self.timeline.clips[at].clip)

    def latents(self, at: int, keyframes: int) -> Path:
        """One of the files of a line in the film."""
        return self.paths.latents(self.timeline.lines[at].segment, keyframes)

    def run(self, made: Plan) -> None:
        asked = self.asked(made)
        for name, latents in asked.items():
            for path in (*latents, self.paths.clip(name)):
                path.touch()
        for name, latents in asked.items():  # a job on another machine knows no needs
            assert plan.latents_of(made.clips[name], {}, self.paths) == latents
        self.timeline = made.timeline


def _facts(recipe: SegmentRecipe) -> Segment:
    strategy = astuple(recipe.strategy)[:4]
    assert recipe.strategy == Strategy(*strategy) and recipe.start is None and recipe.motion is None
    return Segment(recipe.text, recipe.seed, recipe.take, recipe.size, strategy)


class Session:
    """An author at work: edits a song and renders it after each edit, as the oracle watches."""

    def __init__(self, folder: Path) -> None:
        self.results, self.oracle = Results(folder), Oracle()
        self.songs: list[Song] = []
        self.lossless = True  # nothing that was rendered has been deleted

    def render(self, song: Song) -> Jobs | None:
        """Run the jobs that both plan and oracle say, which are the same. None for a film without frames."""
        self.songs.append(song)
        self.results.write(song)
        if not shots_of(song):
            with pytest.raises(UserError, match="no frames"):
                self.results.plan(song)
            return None
        made, expected = self.results.plan(song), self.oracle.jobs(song)
        assert self.results.jobs(made) == expected
        self.results.run(made)
        self.oracle.run(song, expected)
        nothing = Jobs(frozenset(), (), False)
        assert self.results.jobs(self.results.plan(song)) == nothing
        return expected

    def undo(self, at: int, pick: int) -> None:
        """Go back to any version that there was, which costs no keyframe and no clip."""
        jobs = self.render(self.songs[at % len(self.songs)])
        assert not (jobs and self.lossless and (jobs.keyframes or jobs.clips))

    def lose_a_clip(self, at: int, pick: int) -> None:
        if clips := clips_of(self.songs[-1]):
            at %= len(clips)
            self.results.clip(at).unlink(missing_ok=True)
            self.oracle.drawn.discard(clips[at])
            self.lossless = False

    def lose_latents(self, at: int, pick: int) -> None:
        if clips := clips_of(self.songs[-1]):
            at %= len(clips)
            lengths = self.oracle.rendered[clips[at].segment]
            for length in sorted(lengths)[pick % 3 :]:
                self.results.latents(at, length).unlink()
                lengths.remove(length)
            self.lossless = False

    def touch(self, at: int, pick: int) -> None:
        for file in self.results.paths.root.glob("*/*.*"):
            os.utime(file, (pick, pick))


Deed = Callable[[Session, int, int], None]


def _edit(edit: Edit) -> Deed:
    def deed(session: Session, at: int, pick: int) -> None:
        session.render(edit(session.songs[-1], at, pick))

    return deed


DEEDS: dict[str, Deed] = {name: _edit(edit) for name, edit in EDITS.items()} | {
    "undo": Session.undo,
    "lose a clip": Session.lose_a_clip,
    "lose latents": Session.lose_latents,
    "touch": Session.touch,
}

NUMBERS = st.integers(0, 40)
LINES = st.builds(Line, st.sampled_from(TEXTS), st.integers(1, 40), st.sampled_from(TAKES))
SETTINGS = st.fixed_dictionaries({key: st.sampled_from(values) for key, values in CHOICES.items()})
SONGS = st.builds(Song, st.lists(LINES, min_size=1, max_size=4).map(tuple), NUMBERS, SETTINGS)
SESSIONS = st.lists(st.tuples(st.sampled_from(list(DEEDS)), NUMBERS, NUMBERS), min_size=3, max_size=9)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all sessions: to make and to remove a folder takes longer than to plan in it."""
    return tmp_path_factory.mktemp("edits")


@settings(max_examples=5000, deadline=None, derandomize=True, database=None)
@given(SONGS, SESSIONS)
def test_after_any_edits_exactly_the_right_jobs_run(
    folder: Path, song: Song, deeds: list[tuple[str, int, int]]
) -> None:
    """And no job is left to do after them, and none but the film's after an undo."""
    session = Session(folder)
    session.render(song)
    for name, at, pick in deeds:
        DEEDS[name](session, at, pick)
