"""What a storyboard tells of a film and of each of its lines: plain values, as JSON has them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

from songreel.ground.files import Document

# What became of a line's clip: nothing yet; a job is at its keyframes; drawn in this run; there before.
# A line that was stopped half-way waits, and says how many keyframes it has.
State = Literal["waiting", "running", "done", "cached"]


@dataclass(frozen=True)
class Line:
    """One line of a film, in the film's order. What nobody kept is None or empty, never made up."""

    number: int  # 1 for the film's first
    row: int  # of the screenplay
    text: str  # the words as they are sung
    prompt: str | None  # what steers the picture where that is not the text
    style: str  # what is added to the prompt; "" for nothing
    take: int
    start_seconds: float  # from when the words are sung
    end_seconds: float  # until when the line's picture is there
    first_frame: int  # of the film
    frames: int
    segment: str  # its id: what its keyframes are named by
    clip: str | None  # its clip seen from the page, such as ../clips/<id>.mp4; None where there is none
    state: State
    keyframes: int  # that are there
    keyframes_needed: int
    losses: tuple[float, ...]  # mean loss of each keyframe, the first one's first; () where not kept
    cosine: float | None  # its pictures to its own words, -1 to 1; None where it was not measured
    rank: int | None  # of its own words among all lines' words, by that cosine; 1 is best
    out_of: int  # among how many different words
    seconds_taken: float | None  # that the jobs took which finished its keyframes; None where not kept
    weak: str | None  # why it is among the weakest, the row to edit and the take to try, in one sentence
    # `data:` URIs of small pictures, each the middle one of an equal part of its frames; () if not drawn
    strip: tuple[str, ...]
    start_from: str | None  # the picture of an album or of the screenplay that it starts from


@dataclass(frozen=True)
class Storyboard:
    """A film and its lines. `finished` says that the film is there and is this one."""

    title: str
    artist: str
    song: str  # its folder's name
    screenplay: str  # where it lies, to be shown
    film: str | None  # its file seen from the page; None where there is none
    finished: bool
    width: int  # pixels
    height: int  # pixels
    rate: str  # frames a second, as 30 or 30000/1001
    frames: int
    seconds: float
    # (lowest, highest) of the song in each of equally long parts of the film, -1 to 1; () where it is silent
    waveform: tuple[tuple[float, float], ...]
    lines: tuple[Line, ...]
    elsewhere: str | None = None  # the film seen from the page where Snakemake's report has both
    notes: tuple[str, ...] = ()  # what could not be told and why, a sentence each

    def to_json(self) -> Document:
        return asdict(self)
