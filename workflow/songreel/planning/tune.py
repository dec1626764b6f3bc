"""Reads a tune, a small text file of notes, and plays it on a music box, a harp, a pad and a bass.

A tune file is a `tempo` row, then for every voice a `voice` row and rows of notes:

    tempo 120                   # beats per minute
    voice celesta               # the first voice carries the words, one row for one sung line
    C5 1  F#5 1/2 | C5+E5 2     # pitch and beats; + makes a chord, | is for the eye
    rest 1

A `#` at the start of a row or after a space starts a comment. All voices last equally long.
"""

import re
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import zip_longest
from pathlib import Path
from reprlib import repr as shortened

import numpy as np
from numpy.typing import NDArray

from songreel.ground import files, seal
from songreel.ground.errors import UserError
from songreel.ground.files import replacing

RECIPE = 1  # bumped when the sound changes on purpose
SAMPLE_RATE = 44100  # samples per second
RING_OUT_SECONDS = 2  # after the last beat, for the last notes to die away
FADE_SECONDS = 1.2  # at the very end, inside the ring-out
PEAK = 0.89  # of full scale; leaves room for lossy encoders, which overshoot
LONGEST_SECONDS = 300  # the whole tune is mixed in memory
SLOWEST, FASTEST = 20, 300  # beats per minute
LOWEST_PITCH, HIGHEST_PITCH = 21, 108  # MIDI numbers, A0 and C8: a piano's keys
HIGHEST_HZ = 18000.0  # partials above are inaudible, and above half the sample rate they would alias

_COMMENT = re.compile(r"(?:^|\s)#.*")
_PITCH = re.compile(r"([A-G])([#b]?)([0-8])")
_NUMBER = re.compile(r"[0-9]{1,4}(?:\.[0-9]{1,6}|/[1-9][0-9]{0,3})?")
_SEMITONES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_ACCIDENTALS = {"b": -1, "": 0, "#": 1}


@dataclass(frozen=True)
class Instrument:
    """How a note sounds: decaying sine partials between an attack and a release."""

    partials: tuple[tuple[float, float, float], ...]  # (multiple of the pitch, gain, decay seconds to 1/e)
    attack_seconds: float
    release_seconds: float  # how long it dies away after its own length
    restrike_seconds: float  # the same when the next note has its pitch: a struck string starts anew
    gain: float
    pan: float  # -1 left, 0 middle, 1 right
    detune_cents: float  # left flat and right sharp by this much, for width


INSTRUMENTS = {
    # 6.27 is the second mode of a clamped bar: the short "ping" of a music box's tooth.
    "celesta": Instrument(
        ((1, 1, 1.0), (2, 0.22, 0.55), (3.01, 0.1, 0.3), (4.2, 0.06, 0.15), (6.27, 0.07, 0.06)),
        attack_seconds=0.004,
        release_seconds=1.2,
        restrike_seconds=0.04,
        gain=1.0,
        pan=0.1,
        detune_cents=0,
    ),
    "harp": Instrument(
        tuple((n, n**-1.6, 0.55 * n**-0.7) for n in range(1, 7)),
        attack_seconds=0.005,
        release_seconds=0.6,
        restrike_seconds=0.04,
        gain=0.3,
        pan=-0.4,
        detune_cents=0,
    ),
    "pad": Instrument(
        tuple((n, n**-2.0, 60) for n in range(1, 5)),
        attack_seconds=0.3,
        release_seconds=0.5,
        restrike_seconds=0.5,
        gain=0.09,
        pan=0,
        detune_cents=2.5,
    ),
    "bass": Instrument(
        ((1, 1, 0.9), (2, 0.4, 0.6), (3, 0.12, 0.35)),
        attack_seconds=0.012,
        release_seconds=0.25,
        restrike_seconds=0.04,
        gain=0.42,
        pan=0,
        detune_cents=0,
    ),
}


@dataclass(frozen=True)
class Note:
    """Pitches that start together; none for a rest."""

    start_beats: Fraction
    beats: Fraction
    pitches: tuple[int, ...]  # MIDI numbers, 69 is A4 at 440 Hz
    row: int  # of the tune file


@dataclass(frozen=True)
class Voice:
    """The notes of one instrument, one after the other."""

    instrument: str  # a key of INSTRUMENTS
    notes: tuple[Note, ...]

    @property
    def beats(self) -> Fraction:
        """How long the voice lasts."""
        return self.notes[-1].start_beats + self.notes[-1].beats


@dataclass(frozen=True)
class Tune:
    """Voices that play together and last equally long; the first carries the words."""

    beats_per_minute: Fraction
    voices: tuple[Voice, ...]


@dataclass(frozen=True)
class _Row:
    """The words of one row, and where they stand, for the error that they may cause."""

    path: Path
    number: int
    words: tuple[str, ...]

    def error(self, found: str, expected: str, remedy: str) -> UserError:
        return UserError(f"{self.path}, row {self.number}: found {found}, expected {expected}; {remedy}.")


def read(path: Path) -> Tune:
    """Read a tune file.

    Raises:
        UserError: the file cannot be read, or a row is not what this module's first lines describe.
    """
    rows = _rows(path)
    if not rows:
        raise _Row(path, 1, ()).error("no tempo", "a row such as tempo 120", "write the tempo first")
    tempo = _tempo(rows[0])
    sections = _sections(rows)
    tune = Tune(tempo, tuple(_voice(section) for section in sections))
    _check_lengths(tune, [section[0] for section in sections])
    return tune


def line_starts(tune: Tune) -> tuple[float, ...]:
    """When the first note of each row of the first voice sounds, in seconds; rows of rests do not count."""
    first_of_row: dict[int, Note] = {}
    for note in tune.voices[0].notes:
        if note.pitches:
            first_of_row.setdefault(note.row, note)
    return tuple(_samples(tune, note.start_beats) / SAMPLE_RATE for note in first_of_row.values())


def seconds(tune: Tune) -> float:
    """The exact length of the rendered tune, its ring-out included."""
    return _total_samples(tune) / SAMPLE_RATE


def synthesise(tune: Tune) -> NDArray[np.float32]:
    """Play the tune: float32 [samples, 2] at 44100 Hz, left and right, within -0.89 and 0.89.

    The same tune gives the same samples every time.
    """
    total = _total_samples(tune)
    dry = np.zeros((total, 2))  # float64 [samples, 2]
    for voice in tune.voices:
        _play(tune, voice, dry)
    audio = _with_reverb(dry) * _fade(total)[:, None]
    audio *= PEAK / np.abs(audio).max()
    return audio.astype(np.float32)


def write(tune: Tune, path: Path) -> None:
    """Write the tune as a 16-bit PCM WAV file, sealed; `path` is complete or untouched.

    Raises:
        OSError: the folder is not writable or is full.
    """
    with replacing(path) as temporary:
        with wave.open(str(temporary), "wb") as file:
            file.setnchannels(2)
            file.setsampwidth(2)
            file.setframerate(SAMPLE_RATE)
            file.writeframes(np.rint(synthesise(tune) * 32767).astype("<i2").tobytes())
        seal.add(temporary, seal.of_tune(path.stem))


def _rows(path: Path) -> list[_Row]:
    """The rows that hold more than a comment."""
    rows = []
    for number, line in enumerate(_text(path).split("\n"), start=1):
        words = _COMMENT.sub("", line).replace("|", " ").split()
        if words:
            rows.append(_Row(path, number, tuple(words)))
    return rows


def _text(path: Path) -> str:
    try:
        content = files.read_bytes(path)
    except OSError as error:
        reason = error.strerror or "an unreadable file"
        raise UserError(
            f"{path}: found {reason}, expected a readable tune file; correct its path."
        ) from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = _Row(path, content.count(b"\n", 0, error.start) + 1, ())
        raise row.error("bytes that are not UTF-8", "plain text", "save the file as UTF-8") from error


def _tempo(row: _Row) -> Fraction:
    """Beats per minute."""
    expected = f"a row tempo with {SLOWEST} to {FASTEST} beats per minute such as tempo 120"
    if row.words[0] != "tempo" or len(row.words) != 2:
        raise row.error(shortened(" ".join(row.words)), expected, "write the tempo first")
    tempo = _number(row.words[1])
    if tempo is None or not SLOWEST <= tempo <= FASTEST:
        raise row.error(shortened(row.words[1]), expected, "correct the tempo")
    return tempo


def _sections(rows: Sequence[_Row]) -> list[list[_Row]]:
    """The rows after the tempo, split so that each part starts with its `voice` row."""
    if len(rows) == 1:
        raise rows[0].error("no voice after it", "a row such as voice celesta", "add a voice and its notes")
    sections: list[list[_Row]] = []
    for row in rows[1:]:
        if row.words[0] == "tempo":
            raise row.error("a second tempo", "one tempo in the file", "remove this row")
        if row.words[0] == "voice":
            sections.append([])
        elif not sections:
            found = shortened(" ".join(row.words))
            raise row.error(
                found, "a row such as voice celesta before the notes", "name the instrument first"
            )
        sections[-1].append(row)
    return sections


def _voice(section: Sequence[_Row]) -> Voice:
    header, *rows = section
    names = ", ".join(INSTRUMENTS)
    if len(header.words) != 2 or header.words[1] not in INSTRUMENTS:
        found = shortened(" ".join(header.words))
        raise header.error(found, f"voice and one of {names}", "correct the instrument")
    if not rows:
        raise header.error("a voice without notes", "a row such as C4 1 below it", "add notes or remove it")
    notes: list[Note] = []
    for row in rows:
        notes += _notes(row, start_beats=sum((note.beats for note in notes), Fraction()))
    return Voice(header.words[1], tuple(notes))


def _notes(row: _Row, start_beats: Fraction) -> list[Note]:
    """The notes of one row, the first of them at `start_beats`."""
    if len(row.words) % 2:
        found = f"{len(row.words)} words"
        raise row.error(found, "pairs of a pitch and its beats such as C4 1", "give every pitch its beats")
    notes = []
    for pitch, length in zip(row.words[::2], row.words[1::2], strict=True):
        beats = _beats(row, length)
        notes.append(Note(start_beats, beats, _pitches(row, pitch), row.number))
        start_beats += beats
    return notes


def _beats(row: _Row, word: str) -> Fraction:
    beats = _number(word)
    if not beats:
        raise row.error(shortened(word), "beats above 0 such as 1, 1/2 or 0.5", "correct the beats")
    return beats


def _pitches(row: _Row, word: str) -> tuple[int, ...]:
    """MIDI numbers of a chord such as C4+E4; none for `rest`."""
    if word == "rest":
        return ()
    return tuple(_pitch(row, name) for name in word.split("+"))


def _pitch(row: _Row, name: str) -> int:
    """MIDI number of a pitch such as F#4, in equal temperament."""
    match = _PITCH.fullmatch(name)
    if not match:
        raise row.error(shortened(name), "a pitch such as C4, F#4 or Bb3, or rest", "correct the pitch")
    letter, accidental, octave = match.groups()
    number = 12 * (int(octave) + 1) + _SEMITONES[letter] + _ACCIDENTALS[accidental]
    if not LOWEST_PITCH <= number <= HIGHEST_PITCH:
        raise row.error(shortened(name), "a pitch from A0 to C8", "choose another octave")
    return number


def _number(word: str) -> Fraction | None:
    """An exact number, so that hundreds of notes add up without drift; None for anything else."""
    return Fraction(word) if _NUMBER.fullmatch(word) else None


def _check_lengths(tune: Tune, headers: Sequence[_Row]) -> None:
    first = tune.voices[0]
    if not any(note.pitches for note in first.notes):
        raise headers[0].error("only rests", "a first voice that sounds", "add the melody's notes")
    for voice, header in zip(tune.voices, headers, strict=True):
        if voice.beats != first.beats:
            found, expected = f"{voice.beats} beats", f"{first.beats} beats as in the first voice"
            raise header.error(found, expected, "correct its notes or fill it with rests")
    if seconds(tune) > LONGEST_SECONDS:
        found = f"a tune of {seconds(tune):.0f} seconds"
        raise headers[0].error(found, f"at most {LONGEST_SECONDS}", "shorten it or raise the tempo")


def _samples(tune: Tune, beats: Fraction) -> int:
    return round(beats * 60 / tune.beats_per_minute * SAMPLE_RATE)


def _total_samples(tune: Tune) -> int:
    return _samples(tune, tune.voices[0].beats) + RING_OUT_SECONDS * SAMPLE_RATE


def _play(tune: Tune, voice: Voice, mix: NDArray[np.float64]) -> None:
    """Add the voice to `mix` [samples, 2]; what rings beyond its end is cut there."""
    instrument = INSTRUMENTS[voice.instrument]
    tones: dict[tuple[int, Fraction, bool], NDArray[np.float64]] = {}  # a tune repeats few different notes
    for note, following in zip_longest(voice.notes, voice.notes[1:]):
        start = _samples(tune, note.start_beats)
        for pitch in note.pitches:
            restruck = following is not None and pitch in following.pitches
            key = (pitch, note.beats, restruck)
            if key not in tones:
                tones[key] = _tone(instrument, pitch, _samples(tune, note.beats), restruck)
            stop = min(start + len(tones[key]), len(mix))
            mix[start:stop] += tones[key][: stop - start]


def _tone(instrument: Instrument, pitch: int, held: int, restruck: bool) -> NDArray[np.float64]:
    """One pitch, held for so many samples and then dying away: float64 [samples, 2]."""
    hertz = 440.0 * 2.0 ** ((pitch - 69) / 12)
    envelope = _envelope(instrument, held, restruck)  # float64 [samples]
    time = np.arange(len(envelope)) / SAMPLE_RATE
    left = _partials(instrument, hertz * 2 ** (-instrument.detune_cents / 1200), time)
    right = _partials(instrument, hertz * 2 ** (instrument.detune_cents / 1200), time)
    angle = (instrument.pan + 1) * np.pi / 4  # equal power: cos² + sin² = 1
    stereo = np.stack([np.cos(angle) * left, np.sin(angle) * right], axis=1)
    return stereo * (instrument.gain * envelope)[:, None]


def _envelope(instrument: Instrument, held: int, restruck: bool) -> NDArray[np.float64]:
    """Up in the attack, level, and down to 0 after `held` samples: float64 [samples].

    Without the short end of a restruck note its tail would cancel or double the next one, by chance of phase.
    """
    attack = round(instrument.attack_seconds * SAMPLE_RATE)
    release_seconds = instrument.restrike_seconds if restruck else instrument.release_seconds
    envelope = np.ones(held + round(release_seconds * SAMPLE_RATE))
    envelope[held:] = _falling(len(envelope) - held)
    envelope[:attack] *= 1 - _falling(attack)  # every release is longer than the attack
    return envelope


def _partials(instrument: Instrument, hertz: float, time: NDArray[np.float64]) -> NDArray[np.float64]:
    """The sum of the decaying sines of one pitch; `time` [samples] in seconds."""
    sound = np.zeros_like(time)
    for multiple, gain, decay_seconds in instrument.partials:
        if hertz * multiple < HIGHEST_HZ:
            sound += gain * np.exp(-time / decay_seconds) * np.sin(2 * np.pi * hertz * multiple * time)
    return sound


def _falling(samples: int) -> NDArray[np.float64]:
    """Half a cosine from 1 to 0, which starts and ends level and so does not click."""
    return 0.5 + 0.5 * np.cos(np.linspace(0, np.pi, samples))


def _fade(samples: int) -> NDArray[np.float64]:
    """1 until the last FADE_SECONDS, then down to 0: float64 [samples]."""
    fade = np.ones(samples)
    fading = round(FADE_SECONDS * SAMPLE_RATE)
    fade[-fading:] = _falling(fading)
    return fade


def _with_reverb(dry: NDArray[np.float64], wet: float = 0.28) -> NDArray[np.float64]:
    """Add a small room: each channel [samples, 2] convolved with its own decaying noise.

    The lower cut keeps the bass dry and the upper one takes the hiss, as soft walls do.
    """
    room = _room()
    size = 1 << (len(dry) + len(room) - 1).bit_length()  # the FFT is fastest at a power of two
    hertz = np.fft.rfftfreq(size, 1 / SAMPLE_RATE)
    band = hertz**2 / (hertz**2 + 200**2) / (1 + (hertz / 4000) ** 2)
    mixed = dry.copy()
    for channel in range(2):
        spectrum = np.fft.rfft(dry[:, channel], size) * np.fft.rfft(room[:, channel], size) * band
        mixed[:, channel] += wet * np.fft.irfft(spectrum, size)[: len(dry)]
    return mixed


def _room(decay_seconds: float = 0.3, delay_seconds: float = 0.015) -> NDArray[np.float64]:
    """Noise that dies away, after the first echo's delay, with energy 1 per channel: float64 [samples, 2]."""
    # RandomState, not default_rng: numpy promises that its numbers never change from version to version.
    noise = np.random.RandomState(1761).standard_normal((round(5 * decay_seconds * SAMPLE_RATE), 2))
    time = np.arange(len(noise)) / SAMPLE_RATE
    noise *= np.exp(-time / decay_seconds)[:, None]
    noise /= np.sqrt((noise**2).sum(axis=0))
    return np.pad(noise, ((round(delay_seconds * SAMPLE_RATE), 0), (0, 0)))
