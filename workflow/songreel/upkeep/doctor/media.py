"""What a film takes of ffmpeg and of fonts."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

from songreel.drawing import film, fonts
from songreel.ground.errors import UserError
from songreel.ground.lettering import ON_PICTURE
from songreel.planning import enlarging, trial, typefaces
from songreel.planning.config import Config
from songreel.upkeep.doctor.checks import Check, fault, note, ok
from songreel.upkeep.doctor.film import Film

MOST_NAMED = 20  # letters
NEEDED = ("libx264", "aac")  # for `encoder: libx264` and for any song
LISTED_SECONDS = 10


def program(opened: Film) -> str | None:
    """The ffmpeg that is used, if it runs."""
    with suppress(Exception):  # told by `ffmpeg`
        return _working(opened.config)
    return None


def ffmpeg(opened: Film) -> Iterator[Check]:
    """Whether it runs, has what films take of it, and makes a film of this size. Raises UserError."""
    config = opened.config
    used = _working(config)
    whose = "the one that comes along" if not config.ffmpeg else used
    encoders, filters = _listed(used, "-encoders"), _listed(used, "-filters")
    wanted = dict.fromkeys((*NEEDED, *({config.encoder} - {"auto"})))
    missing = [name for name in wanted if name not in encoders]
    version = _version(used)
    if missing:
        advice = "leave the config key 'ffmpeg' empty for the one that comes along"
        yield fault("ffmpeg", f"{version}, {whose}, has no {' and no '.join(missing)}", advice)
        return
    settings = _settled(config, used)
    trial.check(settings, enlarging.of(settings), None, used, opened.paths)
    yield ok(
        "ffmpeg",
        f"{version}, {whose}: makes films of {'x'.join(map(str, config.film_size))} with {settings.encoder}",
    )
    if "ass" not in filters and config.lyrics not in ON_PICTURE:
        yield note("ffmpeg", "it has no libass, which draws words on the picture", "lyrics: soft needs none")


def _working(config: Config) -> str:
    """The ffmpeg that the config names. Raises UserError when it does not run, or hangs."""
    with suppress(OSError, RuntimeError):  # of which `film.working` says more
        try:
            _output(film.executable(config.ffmpeg), "-version")
        except subprocess.TimeoutExpired:
            raise UserError(
                f"config key 'ffmpeg': found one that says nothing within {LISTED_SECONDS} s, expected one"
                f" that runs; correct it, or leave it empty for the one that comes with songreel."
            ) from None
    return film.working(config.ffmpeg)


def _settled(config: Config, used: str) -> Config:
    return replace(config, encoder=film.encoder(config.encoder, config.film_size, used))


def _version(used: str) -> str:
    match = re.match(r"ffmpeg version (\S+)", _output(used, "-version"))
    return f"version {match[1]}" if match else "of an unknown version"


def _listed(used: str, what: str) -> set[str]:
    """The names in ffmpeg's list of encoders or filters: the second column of its rows."""
    rows = (row.split() for row in _output(used, "-hide_banner", what).splitlines())
    return {row[1] for row in rows if len(row) > 1}


def _output(used: str, *arguments: str) -> str:
    return subprocess.run(
        [used, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        timeout=LISTED_SECONDS,
    ).stdout


def words(opened: Film) -> Iterator[Check]:
    """Whether there are fonts for the screenplay's words. Raises UserError for a font that cannot be used."""
    main = typefaces.asked_for(opened.config.lyrics_font)
    lines = opened.song.lines if opened.song else ()
    texts = [line.text for line in lines]
    letters = dict.fromkeys(letter for text in texts for letter in fonts.clusters(text))
    lacking = [letter for letter in letters if not fonts.is_space(letter) and not main.font.draws(letter)]
    language = typefaces.language(texts)
    missing = [letter for letter in lacking if not typefaces.standing_in(letter, language)]
    on_picture = opened.config.lyrics in ON_PICTURE
    if missing:
        report = fault if on_picture else note
        named = " ".join(missing[:MOST_NAMED])
        advice = "install a font that has them; only words on the picture need it"
        yield report(
            "Fonts", f"{main.font.name} and this machine's fonts have no outlines of {named}", advice
        )
        return
    borrowed = f", and this machine's for {' '.join(lacking[:MOST_NAMED])}" if lacking else ""
    yield ok("Fonts", f"{main.font.name} draws the words{borrowed}")
    if not shutil.which("fc-match"):
        yield note("Fonts", "found no fontconfig, so other fonts are looked for in the usual folders")
