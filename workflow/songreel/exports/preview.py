"""`songreel preview`: cuts, words, camera and what is heard as a small film, without an iteration."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import ffmpeg
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from songreel import data
from songreel.drawing import ass, chart, film, grid, onpicture, sound
from songreel.drawing.chart import Row
from songreel.drawing.grid import Frame, Map
from songreel.exports import out
from songreel.ground.files import filled, read_bytes, replacing
from songreel.ground.lettering import ON_PICTURE
from songreel.ground.motion import Motion, Move
from songreel.ground.paths import Paths
from songreel.planning import hearing, plan
from songreel.planning.config import Config
from songreel.planning.dialects import Report
from songreel.planning.plan import Plan
from songreel.planning.timeline import Shot

RATE = Fraction(15)  # frames a second: cuts are within a thirtieth
LONGER_SIDE = 320  # pixels of a picture
PER_SECOND = 48.0  # pixels of the chart
BATCH = 32  # frames
LABEL = 11  # pixels of its letters
MARGIN = 4  # pixels around them
NAMES = 160  # pixels wide
QUALITY = {"c:v": "libx264", "preset": "ultrafast", "crf": 24, "pix_fmt": "yuv420p"}


@dataclass(frozen=True)
class Scene:
    """A line, how its picture moves, and how many frames of the line before melt into its first ones."""

    number: int  # counted from 0
    shot: Shot
    motion: Motion | None
    goes_on: bool  # whether it begins where the line before ends
    blend: int


def make(config: Config, paths: Paths, output: Path | None, force: bool, report: Report) -> Path:
    """Write the preview of a film; returns its file. Raises UserError, OSError."""
    config = _quick(config)
    with filled(paths.root):  # where what is heard is kept
        made = plan.make(config, paths)
    for note in made.notes:
        report(note)
    target = output or paths.export(made.song, "preview.mp4")
    out.check_free(target, force or output is None)
    scenes = list(_scenes(made, config))
    size = _picture(config)
    heard = _heard(made, config, paths)
    rows = list(_rows(scenes, config))
    chart_of_song, per_second = _chart(made, scenes, heard, rows)
    frames = _named(_frames(scenes, size, config, chart_of_song, per_second), rows)
    whole = size[0], size[1] + chart_of_song.shape[0]
    _encode(frames, whole, size, made, config, target)
    return target


def _quick(config: Config) -> Config:
    """The same film with few frames a second, and with nothing that takes a while to plan."""
    lyrics = config.lyrics if config.lyrics in (*ON_PICTURE, "off") else "burned"
    return replace(
        config,
        frames_per_second=RATE,
        lyrics=lyrics,
        album="none",
        upscale=1.0,
        upscaler="",
        interpolation="latent",
    )


def _picture(config: Config) -> tuple[int, int]:
    """The picture's width and height as they are computed, in the film's proportions."""
    share = LONGER_SIDE / max(config.width, config.height)
    width, height = (2 * max(8, round(side * share / 2)) for side in (config.width, config.height))
    return width, height


def _scenes(made: Plan, config: Config) -> Iterator[Scene]:
    clips = [made.clips[entry.clip] for entry in made.timeline.clips]
    for number, (shot, clip) in enumerate(zip(made.shots, clips, strict=True)):
        recipe = made.segments[clip.shown.segment]
        yield Scene(number, shot, recipe.motion, recipe.previous is not None, clip.blend_frames)


# What is seen


def _frames(
    scenes: Sequence[Scene], size: tuple[int, int], config: Config, chart_of_song: Frame, per_second: float
) -> Iterator[NDArray[np.uint8]]:
    """The film in batches uint8 [b, height, width, 3], a picture above the chart."""
    width = size[0]
    batch: list[Frame] = []
    before: _Walk | None = None
    for scene in scenes:
        started = before.at(before.scene.shot.frames) if before and scene.goes_on else np.eye(3)
        walk = _Walk(scene, size, config.exact_keyframe_rate, started)
        label = _label(scene, len(scenes), width)
        for frame in range(scene.shot.frames):
            picture = grid.drawn(size, walk.at(frame), scene.number)
            if before and frame < scene.blend:
                share = (frame + 1) / (scene.blend + 1)
                share *= share * (3 - 2 * share)
                tail = grid.drawn(size, before.at(before.scene.shot.frames + frame), before.scene.number)
                picture = (tail + (picture.astype(np.float32) - tail) * share).astype(np.uint8)
            np.maximum(picture[: label.shape[0]], label, out=picture[: label.shape[0]])
            seconds = float((scene.shot.first_frame + frame) / RATE)
            batch.append(np.concatenate([picture, chart.window(chart_of_song, seconds * per_second, width)]))
            if len(batch) == BATCH:
                yield np.stack(batch)
                batch = []
        before = walk
    if batch:
        yield np.stack(batch)


class _Walk:
    """Where a scene's camera has taken the points of its picture."""

    def __init__(self, scene: Scene, size: tuple[int, int], keyframe_rate: Fraction, started: Map) -> None:
        self.scene, self.size, self.rate = scene, size, keyframe_rate
        self.at_keyframes = [started]

    def at(self, frame: int) -> Map:
        """The map at a frame of the scene, also of those after its end."""
        if self.scene.motion is None:
            return self.at_keyframes[0]
        place = frame * self.rate / RATE
        keyframe = int(place)
        while len(self.at_keyframes) <= keyframe:
            move = self.scene.motion.move(len(self.at_keyframes) - 1)
            self.at_keyframes.append(self._taken(move) @ self.at_keyframes[-1])
        part = self.scene.motion.move(keyframe).part(float(place - keyframe))
        return self._taken(part) @ self.at_keyframes[keyframe]

    def _taken(self, move: Move) -> Map:
        return grid.taken(move.zoom, move.angle, move.x, move.y, move.shear, self.size)


def _named(frames: Iterator[NDArray[np.uint8]], rows: Sequence[Row]) -> Iterator[NDArray[np.uint8]]:
    """The same frames, with the name of each number of the chart and the values that it lies between."""
    texts = [f"{row.name} {row.least:.3g} to {row.most:.3g}" for row in rows]
    names = [_written(text, NAMES, chart.ROW) for text in texts]
    for batch in frames:
        if names:
            height = chart.ROW * len(names)
            area = batch[:, -height:, :NAMES]
            np.maximum(area, np.concatenate(names)[:, : area.shape[2]], out=area)
        yield batch


def _label(scene: Scene, count: int, width: int) -> Frame:
    """A strip with a line's number and row."""
    text = f"line {scene.number + 1} of {count}, row {scene.shot.line.row}"
    return _written(text, width, LABEL + 2 * MARGIN)


def _written(text: str, width: int, height: int) -> Frame:
    """A text in white on black, uint8 [height, width, 3]."""
    strip = Image.new("L", (width, height))
    font = ImageFont.truetype(str(data.FONT), LABEL)
    ImageDraw.Draw(strip).text((MARGIN, height / 2), text, fill=230, font=font, anchor="lm")
    return np.repeat(np.asarray(strip)[:, :, None], 3, 2)


# What is heard, and the numbers that change


def _heard(made: Plan, config: Config, paths: Paths) -> hearing.Heard | None:
    song = made.timeline.audio
    if song is None:
        return None
    return hearing.of(song, film.executable(config.ffmpeg), paths)


def _chart(
    made: Plan, scenes: Sequence[Scene], heard: hearing.Heard | None, rows: Sequence[Row]
) -> tuple[Frame, float]:
    """The song's chart, and its pixels a second."""
    seconds = float(made.timeline.seconds)
    per_second = chart.scale(seconds, PER_SECOND)
    cuts = [float(scene.shot.first_frame / RATE) for scene in scenes]
    drawn = chart.drawn(
        seconds,
        per_second,
        heard.curves if heard else {},
        hearing.RATE,
        heard.beats if heard else (),
        cuts,
        rows,
    )
    return drawn, per_second


def _rows(scenes: Sequence[Scene], config: Config) -> Iterator[Row]:
    """What of the camera moves anywhere, at each frame, a second."""
    rate = float(config.exact_keyframe_rate)
    for name in (it.name for it in fields(Move)):
        values: list[float] = []
        for scene in scenes:
            moves = [
                (scene.motion or Motion()).move(int(frame * rate / RATE))
                for frame in range(scene.shot.frames)
            ]
            values += [_a_second(name, getattr(move, name), rate) for move in moves]
        if len(set(values)) > 1 or (values and values[0] != getattr(Move(), name)):
            yield Row(name, np.array(values), min(values), max(values))


def _a_second(name: str, value: float, rate: float) -> float:
    """What a camera's number is a second, of what it is from a keyframe to the next: a zoom multiplies."""
    return float(value**rate if name == "zoom" else value * rate)


# The film


def _encode(
    frames: Iterator[NDArray[np.uint8]],
    size: tuple[int, int],
    picture: tuple[int, int],
    made: Plan,
    config: Config,
    target: Path,
) -> None:
    width, height = size
    video = ffmpeg.input("pipe:", format="rawvideo", pix_fmt="rgb24", s=f"{width}x{height}", r=str(RATE))
    script = _words(made, size, (picture[0], picture[1]))
    with ExitStack() as stack:
        temporary = stack.enter_context(replacing(target))
        handle = stack.enter_context(onpicture.handed_on(script))
        streams: list[Any] = [onpicture.drawn(video, handle, RATE)]
        options: dict[str, Any] = {**QUALITY, "r": str(RATE), "format": "mp4", "movflags": "+faststart"}
        if song := made.timeline.audio:
            streams.append(ffmpeg.input(f"file:{song.path}")[f"a:{song.track - 1}"])
            heard = sound.until(made.timeline.seconds, song.late, song.mix)
            options |= {"c:a": "aac", "b:a": "128k", "af": heard}
        output = ffmpeg.output(*streams, str(temporary), **options)
        film.make(output, temporary, target, film.executable(config.ffmpeg), batches=frames, handle=handle)


def _words(made: Plan, size: tuple[int, int], picture: tuple[int, int]) -> bytes | None:
    """The words of all lines on the picture, by the film's clock."""
    clips = [made.clips[entry.clip] for entry in made.timeline.clips]
    letterings = [
        replace(
            clip.lettering,
            first_frame=clip.lettering.first_frame + shot.first_frame,
            end_frame=clip.lettering.end_frame + shot.first_frame,
            sung=tuple(replace(it, frame=it.frame + shot.first_frame) for it in clip.lettering.sung),
        )
        for clip, shot in zip(clips, made.shots, strict=True)
        if clip.lettering
    ]
    if not letterings:
        return None
    every = tuple(dict.fromkeys(face for lettering in letterings for face in lettering.faces))
    letterings = [replace(lettering, faces=every) for lettering in letterings]
    carried = {name: read_bytes(path) for name, path in made.fonts.items()}
    faces = ass.settled(letterings, carried)
    layouts = [ass.laid_out(lettering, picture, faces) for lettering in letterings]
    rows = zip(letterings, layouts, strict=True)
    events = [row for words, laid in rows for row in ass.dialogue(words, laid, size[0], faces, "")]
    return ass.document(size, layouts[0].em, letterings[0].colour, faces, events)
