"""What a person sees while lines are rendered: keyframes, speed, time left and lines done."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from songreel.ground.documents import SegmentRecipe, Timeline
from songreel.ground.messages import EVERY, duration, say, shorten
from songreel.ground.paths import Paths
from songreel.jobs.standing import Standing, Tell, nobody

if TYPE_CHECKING:  # importing zarr takes a while, and `say` must be at hand before that
    import numpy as np
    from numpy.typing import NDArray

    from songreel.jobs.latents import Segment

SHOWN_EVERY = 10.0  # seconds between two times at which others are shown how far a job is
FILM = "SONGREEL_FILM"  # in the environment: the song whose lines a job counts when it reports


class Progress:
    """Reports one segment's keyframes, speed and time left, and how many of the film's lines are done."""

    def __init__(
        self,
        recipe: SegmentRecipe,
        keyframes: int,
        paths: Paths,
        tell: Tell = nobody,
        show: Callable[[], None] = lambda: None,
    ) -> None:
        self.recipe, self.keyframes, self.paths, self.tell, self.show = recipe, keyframes, paths, tell, show
        self.shown = time.monotonic()
        self.kept = 0  # keyframes
        self.begun = 0  # keyframes that were there before this job
        self.iterations = 0  # in this job
        self.to_do = 0  # iterations of this job, in all
        self.started = self.reported = time.monotonic()

    def iteration(self) -> None:
        """One iteration is done."""
        self.iterations += 1
        self.tell(self._standing())
        if time.monotonic() - self.reported >= EVERY:
            self._report()

    def keyframe(self, segment: Segment) -> None:
        """The segment as it is at the start, and after every keyframe."""
        if not self.to_do:
            strategy = self.recipe.strategy
            lead_in = 0 if len(segment) else strategy.lead_in
            self.begun = len(segment)
            self.to_do = (self.keyframes - self.begun) * strategy.iterations + lead_in
            self.started = time.monotonic()
        self.kept = len(segment)
        self.tell(self._standing())
        if self.kept == self.keyframes or not self.iterations:
            self._report()

    @property
    def seconds(self) -> float:
        """How long the iterations have taken, up to the last report."""
        return self.reported - self.started

    def _standing(self) -> Standing:
        worked = time.monotonic() - self.started
        speed = self.iterations / worked if worked else 0.0
        left = max(self.to_do - self.iterations, 0)
        share = 1 - left / max(self.to_do, 1) * (1 - self.begun / self.keyframes)
        return Standing(self.kept, self.keyframes, share, speed, worked, left / speed if speed else 0.0)

    def _report(self) -> None:
        self.reported = time.monotonic()
        say(f"{self._line()}{self._film()}")
        if self.reported - self.shown >= SHOWN_EVERY:
            self.shown = self.reported
            self.show()

    def _line(self) -> str:
        state = f"{shorten(self.recipe.text)}: keyframe {self.kept} of {self.keyframes}"
        if not self.iterations:
            return state
        speed = self.iterations / (self.reported - self.started)
        left = (self.to_do - self.iterations) / speed
        return f"{state}, {speed:.1f} iterations/s, {duration(left)} left"

    def _film(self) -> str:
        """Lines done of the film's lines, when the workflow has said which film it is."""
        song = os.environ.get(FILM)
        if not song or not self.paths.timeline(song).exists():
            return ""
        segments = [line.segment for line in Timeline.read(self.paths.timeline(song)).lines]
        ready = sum(bool(self.paths.rendered(segment)) for segment in segments)
        return f"; {ready} of {len(segments)} lines done"


def counted(batches: Iterable[NDArray[np.uint8]], frames: int, tell: Tell) -> Iterator[NDArray[np.uint8]]:
    """Pass batches of frames [b, height, width, 3] on, and tell how many of all there were."""
    began, done = time.monotonic(), 0
    tell(Standing(0, frames, 0.0))
    for batch in batches:
        yield batch
        done += len(batch)
        worked = time.monotonic() - began
        speed = done / worked if worked else 0.0
        left = (frames - done) / speed if speed else 0.0
        tell(Standing(done, frames, done / frames, speed, worked, left))
