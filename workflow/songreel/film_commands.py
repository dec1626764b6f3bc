"""The commands that show a film, or write something of it, each declared beside what it runs."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING

from songreel import commands, usage
from songreel.ground.messages import say
from songreel.ground.paths import Paths

EXPORTS = ("lrc", "srt", "vtt", "ass", "ttml", "sbv", "chapters", "otio")
PICTURES = ("frames", "gif", "webp", "sheet", "thumbnail")
SMALLEST_SIDE, LARGEST_SIDE = 16, 8192  # pixels of exported pictures

if TYPE_CHECKING:
    from songreel.commands import Commands, Parser


def declare(subparsers: Commands) -> dict[str, Parser]:
    """Add them to a command line; returns each one's parser, by its name."""
    return {
        "export": _declare_export(subparsers),
        "preview": _declare_preview(subparsers),
        "watch": _declare_watch(subparsers),
        "sound": _declare_sound(subparsers),
    }


def _declare_preview(subparsers: Commands) -> Parser:
    preview = subparsers.add_parser(
        "preview", help="show cuts, words, camera and sound over a grid, as a small film, without rendering"
    )
    preview.add_argument("--output", type=Path, metavar="FILE", help="an MP4; default: beside the film")
    preview.add_argument("--force", action="store_true", help="replace a file that is there")
    commands.declare_settings(preview)
    preview.set_defaults(run=_preview)
    return preview


def _preview(options: argparse.Namespace) -> None:
    from songreel.exports import preview

    config = commands.settings(options)
    target = preview.make(config, Paths(config.results), options.output, options.force, say)
    print(f"{target} is written.")


def _declare_export(subparsers: Commands) -> Parser:
    export = subparsers.add_parser(
        "export", help="write a film's lyrics, chapters or pictures, or a timeline of its clips"
    )
    every = (*EXPORTS, *PICTURES)
    export.add_argument(
        "format", metavar="FORMAT", type=usage.one_of(every), choices=every, help=", ".join(every)
    )
    export.add_argument(
        "--output", type=Path, metavar="FILE", help="of frames a folder; default: beside the film"
    )
    export.add_argument("--force", action="store_true", help="replace files that are there")
    part = export.add_mutually_exclusive_group()
    part.add_argument(
        "--line",
        dest="lines",
        type=_lines,
        metavar="N[-M]",
        help="of a line, counted from 1, or of lines (frames, gif, webp, thumbnail)",
    )
    part.add_argument(
        "--between", type=_time, nargs=2, metavar="TIME", help="from 0:12 to 0:15.5, say (frames, gif, webp)"
    )
    part.add_argument("--at", type=_time, metavar="TIME", help="of the frame at this time (thumbnail)")
    export.add_argument("--size", type=_pixels, metavar="PIXELS", help="of the longer side, at most")
    commands.declare_settings(export)
    export.set_defaults(run=_export)
    return export


def _export(options: argparse.Namespace) -> None:
    from songreel.exports import film_pictures, film_text
    from songreel.exports.spans import Asked

    asked = Asked(
        options.format,
        options.output,
        options.force,
        options.lines,
        tuple(options.between) if options.between else None,
        options.at,
        options.size,
    )
    film_pictures.check(asked)
    made, paths = commands.planned(options)
    if options.format in PICTURES:
        target = film_pictures.export(asked, made, commands.settings(options), paths, say)
    else:
        target = film_text.export(options.format, made, paths, options.output, options.force, say)
    print(f"{target} is written.")


def _declare_watch(subparsers: Commands) -> Parser:
    watch = subparsers.add_parser("watch", help="open a film's storyboard, or say where it is")
    watch.add_argument("screenplay", type=Path, nargs="?", help="default: the config's")
    watch.add_argument("--print", action="store_true", help="only print its address")
    commands.declare_settings(watch)
    watch.set_defaults(run=_watch)
    return watch


def _watch(options: argparse.Namespace) -> None:
    from songreel.planning import config, owners
    from songreel.storyboard import watch

    over = dict(options.config) | ({"screenplay": str(options.screenplay)} if options.screenplay else {})
    settings = config.resolve(commands.keys(options) | over)
    paths = Paths(settings.results)
    page = watch.find(owners.folder(settings.screenplay, paths), paths)
    print(page.absolute().as_uri())
    if not options.print and not watch.show(page):
        say(watch.from_elsewhere(page, paths))


def _declare_sound(subparsers: Commands) -> Parser:
    sound = subparsers.add_parser("sound", help="say what is heard of the song: its tempo, beats and curves")
    sound.add_argument("--output", type=Path, metavar="FILE", help="write the curves: .csv or .json")
    sound.add_argument("--force", action="store_true", help="replace the file if it is there")
    commands.declare_settings(sound)
    sound.set_defaults(run=_sound)
    return sound


def _sound(options: argparse.Namespace) -> None:
    from songreel.exports import heard

    described, found = heard.of(commands.settings(options))
    print(heard.as_text(described, found))
    if options.output:
        heard.write(found, options.output, options.force)
        print(f"{options.output} is written.")


# What a value must be


def _lines(text: str) -> tuple[int, int]:
    first, dash, last = text.partition("-")
    lines = commands.count(first), commands.count(last if dash else first)
    if lines[0] > lines[1]:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected the earlier line first")
    return lines


def _time(text: str) -> float:
    from songreel.planning import times

    seconds = times.seconds(text)
    if seconds is None or math.isinf(seconds):
        raise argparse.ArgumentTypeError(f"found {text!r}, expected a time, as 12.5 or 0:12.5")
    return seconds


def _pixels(text: str) -> int:
    pixels = commands.count(text)
    if not SMALLEST_SIDE <= pixels <= LARGEST_SIDE:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected {SMALLEST_SIDE} to {LARGEST_SIDE} pixels")
    return pixels
