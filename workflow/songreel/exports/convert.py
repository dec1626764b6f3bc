"""`songreel convert`: lyrics from one kind of file to another, and words without times to a draft."""

from __future__ import annotations

from pathlib import Path

from songreel.drawing import film
from songreel.exports import out
from songreel.exports.elsewhere import reading as elsewhere
from songreel.exports.elsewhere import script
from songreel.exports.elsewhere.script import Script
from songreel.ground.errors import UserError
from songreel.ground.paths import Paths
from songreel.planning import audio, screenplay
from songreel.planning.dialects import Report
from songreel.planning.lyric_files import plain, writing
from songreel.planning.lyric_files.song import Song, timestamp
from songreel.planning.screenplay import UntimedError

REST = 0.06  # of a song, before and after its words: an intro and an end that are most often played alone
LONGEST_REST = 15.0  # seconds
REACH = 0.75  # seconds by which a guessed start moves to something that is heard


def convert(source: Path, target: Path, song: Path | None, force: bool, report: Report) -> str:
    """Write the lyrics of one file into another, in the format that its ending names.

    Returns what was written, in a sentence. Where the source has no times, a draft's are guessed from `song`.

    Raises UserError where the source cannot be read, or the target may not be written.
    """
    ending = target.suffix.lower()
    if ending not in writing.FORMATS:
        raise UserError(
            f"{target}: found the ending {ending!r}, expected one of {', '.join(writing.FORMATS)}; name the"
            f" file so."
        )
    out.check_free(target, force, source)
    if settings := elsewhere.read(source, report):
        return _write_script(settings, source, target)
    try:
        lyrics = screenplay.read_song(source, report)
    except UntimedError as untimed:
        return _write_draft(untimed.text, source, target, song, report)
    if song:
        report(f"{source}: has times, so --audio {song} is not used.")
    if lost := writing.loses(lyrics, ending):
        report(f"{target}: the format has no place for {lost}, which are not in it.")
    ended = writing.with_ends(lyrics) if ending in writing.NEED_ENDS else lyrics
    out.write(target, writing.FORMATS[ending](ended))
    return _described(target, lyrics)


def _write_script(settings: Script, source: Path, target: Path) -> str:
    """Write the screenplay of another program's settings."""
    if target.suffix.lower() != ".csv":
        raise UserError(
            f"{target}: found another program's settings in {source}, expected a .csv for the screenplay that"
            f" is made of them; name one."
        )
    out.write(target, script.written(settings))
    count = len(settings.rows)
    camera = " with a camera" if any(any(row.camera.values()) for row in settings.rows) else ""
    film = ", ".join(f"{key}: {value}" for key, value in settings.config.items())
    return f"{target} holds {count} line{'s' * (count > 1)}{camera}; for config.yaml: {film}"


def _write_draft(text: str, source: Path, target: Path, song: Path | None, report: Report) -> str:
    if target.suffix.lower() != ".csv":
        raise UserError(
            f"{target}: found words without times in {source}, expected a .csv for their draft, which is to"
            f" be edited; name one, and convert that later."
        )
    lyrics = _draft(text, source, song)
    report(f"{target}: {plain.DRAFT[0].lower()}{plain.DRAFT[1:]}")
    out.write(target, writing.csv(lyrics, plain.DRAFT))
    return _described(target, lyrics)


def _described(target: Path, lyrics: Song) -> str:
    first, last = (
        timestamp(line.start_seconds, 2, ".", hours=False) for line in (lyrics.lines[0], lyrics.lines[-1])
    )
    return f"{target} holds {len(lyrics.lines)} lines, the first at {first} and the last at {last}."


def _draft(text: str, source: Path, song: Path | None) -> Song:
    """Words without times, spread over a song."""
    from songreel.planning.lyric_files import onsets

    verses = plain.verses(text)
    if not verses:
        raise UserError(f"{source}: found headings alone, expected words that are sung; write some.")
    program = film.working("")
    heard = onsets.heard(_song(source, song, program), 1, program)
    rest = min(LONGEST_REST, REST * (heard.end - heard.begin))
    lines = plain.spread(verses, heard.begin + rest, heard.end - rest)
    return Song(plain.snapped(lines, heard.onsets, REACH))


def _song(source: Path, song: Path | None, program: str) -> Path:
    if song is None:
        beside = audio.find("auto", 1, source, program, Paths())
        if beside is None:
            raise UserError(
                f"{source}: found words without times, and no song of its name beside it, expected one to"
                f" spread them over; name it with --audio."
            )
        return beside.path
    if not song.is_file():
        raise UserError(f"--audio: found no file {str(song)!r}, expected a song; correct its name.")
    return song
