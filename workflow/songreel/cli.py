"""The command line. Each rule of the workflow is one of these commands, and can be run by hand.

Those that no rule needs are in `commands`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from songreel import __version__, commands
from songreel.ground import shortage, stops
from songreel.ground.documents import ClipPlan, SegmentRecipe, Timeline
from songreel.ground.errors import DamageError, UserError, sentence
from songreel.ground.files import not_later, set_aside
from songreel.ground.messages import duration, logged, note, print_anywhere, say
from songreel.ground.paths import Paths
from songreel.jobs import leases, scheduler


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. What a user can mend is told in one sentence; returns the exit status."""
    print_anywhere()
    options = _parser().parse_args(arguments)
    with logged(options.log):
        try:
            with stops.handled(lambda: _report_stop(options.log)):
                _run(options)
        except UserError as error:
            say(str(error))
            return 1
        except Exception as error:
            message = shortage.sentence(error) or (
                sentence(error) if isinstance(error, OSError) and error.errno else None
            )
            if message is None:
                raise
            say(message)
            return 1
    return 0


def _run(options: argparse.Namespace) -> None:
    try:
        options.run(options)
    except DamageError as fault:
        aside = set_aside(fault.path)
        raise UserError(
            f"{fault}; it is now {aside.name}: run the same command again to render it anew."
        ) from None


def _keyframes(options: argparse.Namespace) -> None:
    with leases.held():
        _optimise(options)


def _optimise(options: argparse.Namespace) -> None:
    # Imported here, like torch everywhere: each command loads what it needs and nothing else.
    _set_threads(options.threads)
    from songreel.costs import history
    from songreel.jobs import render
    from songreel.jobs.progress import Progress

    recipe = SegmentRecipe.read(options.plan)
    scheduler.show(f"{recipe.text}: {options.keyframes} keyframes")
    paths = _paths(options.plan)
    progress = Progress(recipe, options.keyframes, paths, lambda: _show(paths))
    name, keyframes = options.plan.stem, options.keyframes
    render.segment(recipe, name, keyframes, paths, progress, options.micro_batch)
    not_later([options.plan], paths.latents(name, keyframes))
    history.remember(paths, history.optimising(recipe), progress.iterations, progress.seconds)
    _show(paths)


def _show(paths: Paths) -> None:
    """Let the storyboard show how far the film is."""
    from songreel.storyboard import live

    live.refresh(paths)


def _set_threads(threads: int) -> None:
    shortage.check_import()
    import torch

    torch.set_num_threads(threads)


def _clip(options: argparse.Namespace) -> None:
    from songreel.drawing import film

    target = _paths(options.plan).clip(options.plan.stem)
    if target.exists():  # another workflow has drawn it since this one was planned
        film.check(target)
    else:
        with leases.held():
            _draw(options, target)
    not_later([options.plan, *options.latents], target)
    _show(_paths(options.plan))


def _draw(options: argparse.Namespace, target: Path) -> None:
    _set_threads(options.threads)
    from songreel.costs import history
    from songreel.drawing import draw, film, onpicture, strips
    from songreel.jobs import latents, render
    from songreel.kernels import devices
    from songreel.models import proofs, vqgan, weights
    from songreel.planning.plan import sources

    clip = ClipPlan.read(options.plan)
    paths = _paths(options.plan)
    parts = zip(sources(clip), options.latents, strict=True)
    tokens = [latents.load(path, part.segment, need).tokens for (part, need), path in parts]
    recipe = SegmentRecipe.read(paths.segment_plan(clip.shown.segment))
    scheduler.show(f"{recipe.text}: {clip.shown.frames} frames")
    device = devices.choose()
    model = render.weights_of(recipe.model, weights.vqgan)
    with proofs.reading([model]) as proof:
        maker = vqgan.load(model, device, devices.precision(device))
        proof.settle()
    started = time.monotonic()
    picker = strips.Picker(draw.drawn_frames(clip))
    batches = picker.passing(draw.frames(maker, clip, tokens[0], tokens[1] if clip.before else None))
    ffmpeg = film.executable(options.ffmpeg)
    film.encode(batches, clip, recipe.size, target, ffmpeg, onpicture.of_clip(clip, recipe.size, paths))
    took = time.monotonic() - started
    history.remember(paths, history.drawing(recipe, clip), clip.shown.frames, took)
    with suppress(OSError):  # the storyboard reads them from the clip then
        strips.keep(picker.pictures, paths.strip(target.stem))


def _film(options: argparse.Namespace) -> None:
    from songreel.drawing import film, joined
    from songreel.jobs import locks

    timeline = Timeline.read(options.timeline)
    _check_planned_together(timeline, options)
    joined.check_song(timeline)
    song = options.timeline.parent
    target = Paths(song.parent).film(song.name)
    film.join(timeline, options.clips, target, film.executable(options.ffmpeg))
    not_later([options.timeline, *options.clips, Paths(song.parent).film_asked(song.name)], target)
    for line in timeline.lines:
        locks.clear(Paths(song.parent).work(line.segment))
    say(f"{target} is ready, {duration(timeline.lines[-1].end_seconds)} long.")


def _storyboard(options: argparse.Namespace) -> None:
    from songreel.drawing import film
    from songreel.storyboard import live

    song = options.timeline.parent
    paths = Paths(song.parent)
    if options.measure:
        _measure(Timeline.read(options.timeline), paths)
    target = live.finish(song.name, paths, film.executable(options.ffmpeg))
    made_from = (options.timeline, paths.outline(song.name), paths.film(song.name))
    not_later([*made_from, paths.storyboard_asked(song.name)], target)
    say(f"{target} shows it line by line.")


def _measure(timeline: Timeline, paths: Paths) -> None:
    with leases.held():
        _set_threads(os.cpu_count() or 1)
        from songreel.jobs import measuring

        measuring.segments(dict.fromkeys(line.segment for line in timeline.lines), paths)


def _check_planned_together(timeline: Timeline, options: argparse.Namespace) -> None:
    """The timeline is the latest plan's, the clips may be an older one's that is still being rendered.

    A film of both would be newer than either and pass for done.
    """
    if [clip.stem for clip in options.clips] != [entry.clip for entry in timeline.clips]:
        raise UserError(
            f"{options.timeline}: found a plan made while the film was being rendered, expected the one that"
            f" it was rendered for; run the same command again."
        )


def _fetch(options: argparse.Namespace) -> None:
    from songreel.models import obtain
    from songreel.planning import config

    settings = None if options.names else config.resolve(config.read(Path("config.yaml")))
    names = [settings.model, *(config.weighed(entry)[0] for entry in settings.perceptors)] if settings else []
    for name in options.names or names:
        weights = obtain.model(name)
        say(f"{weights.name} is ready: {weights.tensors}")


def _choose(options: argparse.Namespace) -> None:
    from songreel.jobs import choosing
    from songreel.planning.choices import Request

    choosing.run(Request.from_json(json.load(sys.stdin)), Paths(options.results))


def _report_stop(log: Path | None) -> None:
    message = "stopped; finished keyframes are kept and the next run goes on from them."
    # `print` fails inside a `print` that was interrupted
    os.write(2, f"songreel: {message}\n".encode())
    note(message, log)


def _paths(plan: Path) -> Paths:
    """The results folder that a plan file lies in: results/plan/<kind>/<id>.json."""
    return Paths(plan.parents[2])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="songreel", description="Turns a song's lyrics into a music video.")
    parser.add_argument("--version", action="version", version=f"songreel {__version__}")
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    given = commands.declare(subparsers)

    keyframes = subparsers.add_parser("keyframes", help="optimise a segment's keyframes")
    keyframes.add_argument("plan", type=Path, help="results/plan/segments/<segment>.json")
    keyframes.add_argument("keyframes", type=int, help="how many keyframes the segment shall have")
    keyframes.add_argument("--micro-batch", type=int, default=0, help="cutouts judged at a time (0: all)")
    keyframes.set_defaults(run=_keyframes)

    clip = subparsers.add_parser("clip", help="draw and encode one line's frames")
    clip.add_argument("plan", type=Path, help="results/plan/clips/<clip>.json")
    clip.add_argument(
        "latents", type=Path, nargs="+", help="the latents of the line and of the one before it"
    )
    clip.set_defaults(run=_clip)

    fetch = subparsers.add_parser("fetch", help="download models, for machines without network")
    fetch.add_argument("names", nargs="*", metavar="NAME", help="a model (default: config.yaml's)")
    fetch.set_defaults(run=_fetch)

    film = subparsers.add_parser("film", help="join the clips with audio, lyrics and chapters")
    film.add_argument("timeline", type=Path, help="results/<song>/timeline.json")
    film.add_argument("clips", type=Path, nargs="+", help="the clips in order")
    film.set_defaults(run=_film)

    storyboard = subparsers.add_parser("storyboard", help="make the page that shows a film line by line")
    storyboard.add_argument("timeline", type=Path, help="results/<song>/timeline.json")
    storyboard.add_argument(
        "--measure", action="store_true", help="also look at lines that were rendered when nobody looked"
    )
    storyboard.set_defaults(run=_storyboard)

    choose = subparsers.add_parser("choose", help="choose the pictures that lines start from, as a plan asks")
    choose.add_argument("--results", type=Path, required=True, help="the results folder")
    choose.set_defaults(run=_choose)

    for command in (keyframes, clip, film, storyboard, fetch, choose, *given.values()):
        command.add_argument("--log", type=Path, help="also write progress and errors to this file")
    for command in (keyframes, clip, given["bench"]):
        command.add_argument("--threads", type=int, default=1, help="CPU threads (default 1)")
    for command in (clip, film, storyboard):
        command.add_argument("--ffmpeg", default="", help="an ffmpeg other than imageio-ffmpeg's")
    return parser
