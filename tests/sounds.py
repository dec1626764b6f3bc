"""Songs by lot, as people have them: codecs in containers that start late, have gaps, tracks and damage.

`python -m tests.sounds 200 --seed 3` makes so many with ffmpeg and plans and joins a film of each.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import tempfile
from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from songreel.drawing import film, sound
from songreel.ground.documents import Timeline
from songreel.ground.errors import UserError
from songreel.ground.paths import Paths
from songreel.planning import plan
from songreel.planning.config import resolve
from tests import films, plans

RATE = 25
CONTAINERS = {
    "wav": ("pcm_s16le", "pcm_f32le", "adpcm_ms"),
    "w64": ("pcm_s24le",),
    "aiff": ("pcm_s16be",),
    "caf": ("alac", "pcm_s16be"),
    "flac": ("flac",),
    "mp3": ("libmp3lame",),
    "aac": ("aac",),
    "ac3": ("ac3",),
    "m4a": ("aac", "alac", "ac3"),
    "mp4": ("aac", "libopus", "flac", "libmp3lame"),
    "mov": ("pcm_s16le", "aac", "alac"),
    "mkv": ("aac", "libmp3lame", "flac", "libopus", "libvorbis", "ac3", "pcm_s16le", "mp2"),
    "webm": ("libopus", "libvorbis"),
    "ogg": ("libvorbis", "libopus", "flac"),
    "oga": ("flac",),
    "opus": ("libopus",),
    "wma": ("wmav2", "wmav1"),
    "avi": ("libmp3lame", "pcm_s16le", "ac3"),
    "flv": ("aac", "libmp3lame"),
    "mpg": ("mp2",),
    "ts": ("aac", "mp2", "ac3"),
    "nut": ("flac", "pcm_s16le", "libvorbis"),
    "tta": ("tta",),
    "wv": ("wavpack",),
}
TIMED = ("mkv", "mp4", "mov", "m4a", "nut", "webm", "flv", "wma", "ts")  # each packet has a time of its own
LATE = ("mka", "mkv", "mp4", "mov", "m4a", "nut", "wma")  # where ffmpeg writes and reads that a track is late
MANY = ("mka", "mkv", "mp4", "mov", "m4a", "nut", "avi", "ogg", "ts", "wma")  # that may hold several tracks
WITH_PICTURES = {"mkv": "libx264", "mp4": "libx264", "mov": "libx264", "nut": "mpeg4", "avi": "mpeg4"}


@dataclass(frozen=True)
class Song:
    """How a file is made. The last of its tracks is the one that is sung."""

    container: str
    codec: str
    seconds: float
    start: float
    gap: float  # seconds of nothing, after half of it
    tracks: int
    pictures: bool  # from 0 on, so that a late start is one
    layout: str
    sample_rate: int
    lost: int  # of so many packets one; 0 is none
    flipped: int  # bytes in the file

    def make(self, target: Path, seed: int) -> bool:
        """Write the file, if ffmpeg can."""
        inputs, maps = [], []
        if self.pictures:
            inputs += ["-f", "lavfi", "-i", f"color=s=32x32:r=10:d={self.seconds}"]
        for track in range(self.tracks):
            late = ["-itsoffset", str(self.start)] if track == self.tracks - 1 else []
            inputs += [*late, "-f", "lavfi", "-i", self._tone(self.gap if late or not track else 0)]
        for number in range(self.tracks + self.pictures):
            maps += ["-map", str(number)]
        encoding = ["-c:a", self.codec, "-c:v", WITH_PICTURES.get(self.container, "mpeg4"), "-strict", "-2"]
        if self.lost:
            encoding += ["-bsf:a", f"noise=amount=0:dropamount={self.lost}"]
        command = [films.FFMPEG, "-v", "error", "-y", *inputs, *maps, *encoding, str(target)]
        made = subprocess.run(command, capture_output=True, check=False).returncode == 0
        if made and self.flipped:
            _flip(target, self.flipped, seed)
        return made and target.stat().st_size > 0

    def _tone(self, gap: float) -> str:
        gapped = f",asetpts=PTS+gt(T\\,{self.seconds / 2})*{gap}/TB" if gap else ""
        tone = f"sine=frequency=440:sample_rate={self.sample_rate}:duration={self.seconds}"
        return f"{tone},aformat=channel_layouts={self.layout}{gapped}"


def _flip(target: Path, count: int, seed: int) -> None:
    data = bytearray(target.read_bytes())
    lot = random.Random(seed)
    for _ in range(count):  # not in the head, without which nothing plays
        data[lot.randrange(len(data) // 3, len(data))] ^= 1 << lot.randrange(8)
    target.write_bytes(data)


def drawn(lot: random.Random) -> Song:
    """A song by lot."""
    container = lot.choice(list(CONTAINERS))
    pictures = container in WITH_PICTURES and lot.random() < 0.5
    tracks = lot.choice((1, 1, 2, 3)) if container in MANY else 1
    codec = lot.choice(CONTAINERS[container])
    timed = container in TIMED and (container, codec) != ("mov", "pcm_s16le")  # which is one piece
    return Song(
        container=container,
        codec=codec,
        seconds=round(lot.uniform(0.7, 3), 3),
        start=lot.choice((0, 0.06, 0.4, 1.3)) if container in LATE and (pictures or tracks > 1) else 0,
        gap=lot.choice((0, 0, 0.05, 0.3, 1.7)) if timed else 0,
        tracks=tracks,
        pictures=pictures,
        layout=lot.choice(("mono", "stereo", "stereo", "5.1", "7.1", "7.1.4")),
        sample_rate=lot.choice((22050, 44100, 48000)),
        lost=lot.choice((0, 0, 0, 10)),
        flipped=lot.choice((0, 0, 0, 0, 12)),
    )


def played(source: Path, track: int) -> Fraction | None:
    """When the last decoded piece of a track ends, by its own timestamps; None where there is none."""
    command = [
        films.FFMPEG,
        "-v",
        "quiet",
        "-i",
        str(source),
        "-map",
        f"0:a:{track - 1}",
        "-f",
        "framecrc",
        "-",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=sound.environment())
    lines = done.stdout.splitlines()
    units = [Fraction(line.split()[2]) for line in lines if line.startswith("#tb")]
    rows = [line.split(",") for line in lines if line and not line.startswith("#")]
    ends = [(int(row[2]) + int(row[3])) * units[0] for row in rows]
    return max(ends) if ends else None


def outcome(song: Song, folder: Path, seed: int) -> str:
    """Plan and join a film of a song; how that went. Raises AssertionError when lengths do not agree."""
    source = folder / f"song.{song.container}"
    if not song.make(source, seed):
        return "cannot be written"
    screenplay = folder / "song.csv"
    screenplay.write_text('"la",0\n', encoding="utf-8")
    settings = {"screenplay": str(screenplay), "size": "32x32", "frames_per_second": RATE, "crf": 51}
    results = Paths(folder / "results")
    try:
        made = plan.make(resolve({**settings, "audio_track": song.tracks}), results)
    except UserError as error:
        assert str(error).startswith("config key 'audio") or "no frames" in str(error), str(error)
        return "refused"
    _check(made.timeline, source, song, folder)
    return "played"


def _check(timeline: Timeline, source: Path, song: Song, folder: Path) -> None:
    planned = timeline.lines[-1].end_seconds
    decoded = played(source, song.tracks)
    assert decoded is not None
    # Where damage lets a sound change its kind, the time up to the next whole piece is lost.
    assert abs(planned - decoded) <= (2.5 if song.flipped else 1) / RATE, (
        f"planned {planned}, decoded {float(decoded)}"
    )
    if not (song.lost or song.flipped):
        whole = song.seconds + song.gap + song.start
        assert abs(planned - whole) < 0.15, f"planned {planned}, made {whole}"
    frames = timeline.clips[0].frames
    target = join(timeline, folder)
    assert len(films.packets(target, "v")) == frames
    assert abs(frames / RATE - planned) <= 0.5 / RATE + 1e-6
    heard = films.seconds_of_sound(target)
    assert abs(heard - frames / RATE) <= 1 / RATE, f"{frames / RATE} s of pictures, {heard} of sound"
    if not (song.lost or song.flipped):
        _check_where_it_sounds(target, song)


def join(timeline: Timeline, folder: Path) -> Path:
    """The film of a timeline with one clip, grey ones."""
    frames = timeline.clips[0].frames
    clip, target = folder / "clip.mp4", folder / "film.mp4"
    grey = np.full((frames, 32, 32, 3), 99, np.uint8)
    film.encode([grey], plans.clip(frames, timeline.frames_per_second, crf=51), (32, 32), clip, films.FFMPEG)
    film.join(timeline, [clip], target, films.FFMPEG)
    return target


def _check_where_it_sounds(target: Path, song: Song) -> None:
    """The tone is heard between its start and the gap, and again at its end; the gap itself is silent."""
    half = song.seconds / 2
    first = films.loudness(target, song.start + 0.15, song.start + half - 0.1)
    last = films.loudness(
        target, song.start + half + song.gap + 0.15, song.start + song.seconds + song.gap - 0.1
    )
    assert min(first, last) > 300, f"loudness {first} and {last}"
    if song.gap > 1:
        assert films.loudness(target, song.start + half + 0.3, song.start + half + song.gap - 0.3) < 100


def play(count: int, seed: int) -> Counter[str]:
    """So many songs, and how many of them went how."""
    found: Counter[str] = Counter()
    for number in range(count):
        song = drawn(random.Random(f"{seed} {number}"))
        with tempfile.TemporaryDirectory() as folder:
            try:
                found[outcome(song, Path(folder), number)] += 1
            except AssertionError as error:
                raise AssertionError(f"song {number} of seed {seed}, {song}: {error}") from None
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("count", type=int)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(dict(play(options.count, options.seed)))
