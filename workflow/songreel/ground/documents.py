"""What plan files say: what to optimise, what to draw, what to join.

Segments and clips are named by their JSON, so it never changes for what was rendered before: a key that came
later is left out where it has the value that everything had before it came.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil
from typing import TYPE_CHECKING

from songreel.ground.enlarging import Enlarging
from songreel.ground.lettering import Lettering
from songreel.ground.motion import Motion
from songreel.ground.steering import Part, Previous
from songreel.ground.strategy import Strategy
from songreel.ground.written import Named, Written

if TYPE_CHECKING:  # a job reads plans, and has no need of the schema's and YAML's readers
    from songreel.planning.config import Config

# Bumped when the numerics change on purpose: RECIPE renders segments anew, DRAWING clips, JOINING films.
RECIPE = 4
DRAWING = 2
JOINING = 1

MOTION_MARGIN = 2  # keyframes past the end that ffmpeg's motion interpolation needs to see


# What to optimise


@dataclass(frozen=True)
class ModelEntry(Written):
    """Weights, by what config.yaml calls them and by what they hash to."""

    name: str
    sha256: str


@dataclass(frozen=True)
class PerceptorEntry(ModelEntry):
    """A perceptor, how much its judgement counts, and what it reads."""

    weight: float = 1.0
    words: str | None = None  # None is the line's whole text
    reads: tuple[str, ...] = ()  # the words of each part, where it has no room for all of them


@dataclass(frozen=True)
class SegmentRecipe(Named):
    """What to optimise for a line's text. It knows no time, no position and no song."""

    recipe: int
    text: str  # with the style; where several parts steer, all of them as they may be written
    seed: int
    take: int
    model: ModelEntry
    perceptors: tuple[PerceptorEntry, ...]
    size: tuple[int, int]  # width and height in pixels
    strategy: Strategy
    start: str | None = None  # the sha256 of the picture that the chain starts from; None is the canvas
    parts: tuple[Part, ...] = ()  # what steers, unless it is the text alone
    mask: str | None = None  # the sha256 of the picture that is black where the start is kept
    previous: Previous | None = None  # what the chain goes on from, instead of a start of its own
    motion: Motion | None = None  # how the picture moves; None where it stands still

    def words(self, perceptor: PerceptorEntry) -> str:
        """What a perceptor reads of the text."""
        return self.text if perceptor.words is None else perceptor.words

    def reads(self, perceptor: PerceptorEntry) -> tuple[str, ...]:
        """What a perceptor reads of each part."""
        return perceptor.reads or tuple(part.text for part in self.parts)

    @property
    def pictures(self) -> tuple[str, ...]:
        """The sha256 of each picture that is needed to render it."""
        prompts = [part.picture for part in self.parts]
        return tuple(name for name in (self.start, self.mask, *prompts) if name)


# What to draw


@dataclass(frozen=True)
class Shown(Written):
    """So many of a segment's frames, from its first."""

    segment: str
    frames: int


@dataclass(frozen=True)
class ClipPlan(Named):
    """What to draw for a line: its own frames, into which those after the line before's end turn."""

    recipe: int
    shown: Shown
    before: Shown | None
    blend_frames: int
    frames_per_second: Fraction
    keyframes_per_second: float
    interpolation: str  # "latent" or "motion"
    encoder: str
    crf: int
    lettering: Lettering | None = None  # None where no words are drawn on the picture
    enlarging: Enlarging | None = None  # None where the film is as large as its pictures
    smooth: float = 0.0  # seconds to each side over which keyframes are averaged
    fps_blend: int = 0  # frames to each side that are mixed into each one

    @classmethod
    def of(
        cls,
        config: Config,
        shown: Shown,
        before: Shown | None = None,
        blend_frames: int = 0,
        lettering: Lettering | None = None,
        enlarging: Enlarging | None = None,
    ) -> ClipPlan:
        """A clip that is drawn as a config says."""
        return cls(
            recipe=DRAWING,
            shown=shown,
            before=before,
            blend_frames=blend_frames,
            frames_per_second=Fraction(config.frames_per_second),
            keyframes_per_second=config.keyframes_per_second,
            interpolation=config.interpolation,
            encoder=config.encoder,
            crf=config.crf,
            lettering=lettering,
            enlarging=enlarging,
            smooth=config.smooth,
            fps_blend=config.fps_blend,
        ).told()

    def size(self, drawn: tuple[int, int]) -> tuple[int, int]:
        """The clip's width and height in pixels, of pictures that are drawn at a size."""
        return self.enlarging.size(drawn) if self.enlarging else drawn

    @property
    def keyframe_rate(self) -> Fraction:
        """Keyframes a second, exactly."""
        return Fraction(str(self.keyframes_per_second))

    def told(self) -> ClipPlan:
        """The same without an averaging that reaches no keyframe."""
        return self if self.averaged else replace(self, smooth=0.0)

    @property
    def averaged(self) -> int:
        """Keyframes to each side that are averaged with each one."""
        return max(0, ceil(Fraction(str(self.smooth)) * self.keyframe_rate) - 1)

    @property
    def drawn_rate(self) -> Fraction:
        """Frames a second that are drawn: the film's, or the keyframes' when ffmpeg makes those between."""
        return self.keyframe_rate if self.interpolation == "motion" else self.frames_per_second


# What to join


@dataclass(frozen=True)
class Sound(Written):
    """What is heard in a film."""

    path: str
    sha256: str
    track: int = 1  # counted from 1
    late: bool = False  # whether it starts after the film
    mix: str = ""  # the filter that makes of it what a film can hold


@dataclass(frozen=True)
class TimelineClip(Written):
    """A clip in a film."""

    clip: str
    frames: int


@dataclass(frozen=True)
class TimelineLine(Written):
    """A line in a film: when it is sung, and what it shows."""

    text: str
    start_seconds: float
    end_seconds: float
    segment: str
    # Where its words end, if that is before its picture does.
    words_end_seconds: float | None = None


@dataclass(frozen=True)
class Timeline(Written):
    """What to join: clips in order, and what is heard and read with them."""

    recipe: int
    title: str
    artist: str
    frames_per_second: Fraction
    audio: Sound | None
    clips: tuple[TimelineClip, ...]
    lines: tuple[TimelineLine, ...]
    subtitles: bool = True  # whether the lines can be switched on; not where they are on the picture

    @property
    def seconds(self) -> Fraction:
        """How long its pictures are."""
        return sum(clip.frames for clip in self.clips) / self.frames_per_second
