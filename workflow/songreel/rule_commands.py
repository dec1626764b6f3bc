"""The commands that rules are made of, each declared beside what it runs; each can be run by hand, too."""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from songreel.ground import shortage
from songreel.ground.documents import ClipPlan, SegmentRecipe, Timeline
from songreel.ground.errors import UserError
from songreel.ground.files import not_later
from songreel.ground.messages import duration, say
from songreel.ground.paths import Paths
from songreel.jobs import leases, scheduler, standing, workers

if TYPE_CHECKING:
    from songreel.commands import Commands, Parser


def declare(subparsers: Commands) -> dict[str, Parser]:
    """Add them to a command line; returns each one's parser, by its name."""
    return {
        "keyframes": _declare_keyframes(subparsers),
        "clip": _declare_clip(subparsers),
        "fetch": _declare_fetch(subparsers),
        "film": _declare_film(subparsers),
        "storyboard": _declare_storyboard(subparsers),
        "choose": _declare_choose(subparsers),
    }


def _declare_keyframes(subparsers: Commands) -> Parser:
    keyframes = subparsers.add_parser("keyframes", help="optimise a segment's keyframes")
    keyframes.add_argument("plan", type=Path, help="results/plan/segments/<segment>.json")
    keyframes.add_argument("keyframes", type=int, help="how many keyframes the segment shall have")
    keyframes.add_argument("--micro-batch", type=int, default=0, help="cutouts judged at a time (0: all)")
    keyframes.set_defaults(run=_keyframes)
    return keyframes


def _keyframes(options: argparse.Namespace) -> int | None:
    with leases.held():
        status = workers.run(options.given)
        if status is None:
            _optimise(options)
        return status


def _optimise(options: argparse.Namespace) -> None:
    # Imported here, like torch everywhere: each command loads what it needs and nothing else.
    _set_threads(options.threads)
    from songreel.costs import history
    from songreel.jobs import render
    from songreel.jobs.progress import Progress

    recipe = SegmentRecipe.read(options.plan)
    scheduler.show(f"{recipe.text}: {options.keyframes} keyframes")
    paths = _paths(options.plan)
    name, keyframes = options.plan.stem, options.keyframes
    with standing.shown(paths.standing(name)) as tell:
        progress = Progress(recipe, keyframes, paths, tell, lambda: _show(paths))
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


def _declare_clip(subparsers: Commands) -> Parser:
    clip = subparsers.add_parser("clip", help="draw and encode one line's frames")
    clip.add_argument("plan", type=Path, help="results/plan/clips/<clip>.json")
    clip.add_argument(
        "latents", type=Path, nargs="+", help="the latents of the line and of the one before it"
    )
    clip.set_defaults(run=_clip)
    return clip


def _clip(options: argparse.Namespace) -> int | None:
    target = _paths(options.plan).clip(options.plan.stem)
    if target.exists():  # another workflow has drawn it since this one was planned
        from songreel.drawing import film

        film.check(target)
    else:
        with leases.held():
            status = workers.run(options.given)
            if status is not None:
                return status
            _draw(options, target)
    not_later([options.plan, *options.latents], target)
    _show(_paths(options.plan))
    return None


def _draw(options: argparse.Namespace, target: Path) -> None:
    _set_threads(options.threads)
    from songreel.costs import history
    from songreel.drawing import camera, draw, film, onpicture, strips, upscaling
    from songreel.jobs import latents, progress, render
    from songreel.kernels import devices
    from songreel.models import vqgan, weights
    from songreel.planning.plan import sources

    clip = ClipPlan.read(options.plan)
    paths = _paths(options.plan)
    parts = zip(sources(clip), options.latents, strict=True)
    chains = [
        camera.Chain(latents.load(path, part.segment, need).tokens, _recipe(paths, part.segment).motion)
        for (part, need), path in parts
    ]
    recipe = _recipe(paths, clip.shown.segment)
    scheduler.show(f"{recipe.text}: {clip.shown.frames} frames")
    device = devices.choose()
    maker = render.loaded(recipe.model, weights.vqgan, vqgan.load, device)
    started = time.monotonic()
    picker = strips.Picker(draw.drawn_frames(clip))
    batches = picker.passing(camera.frames(maker, clip, chains[0], chains[1] if clip.before else None))
    ffmpeg = film.executable(options.ffmpeg)
    if clip.enlarging and clip.enlarging.upscaler:
        batches = upscaling.load(clip.enlarging.upscaler, device)(batches)
    size = clip.size(recipe.size)
    lettering = onpicture.of_clip(clip, size, paths)
    with standing.shown(paths.standing(options.plan.stem)) as tell:
        counted = progress.counted(batches, draw.drawn_frames(clip), tell)
        film.encode(counted, clip, size, target, ffmpeg, lettering)
    took = time.monotonic() - started
    history.remember(paths, history.drawing(recipe, clip), clip.shown.frames, took)
    with suppress(OSError):  # the storyboard reads them from the clip then
        strips.keep(picker.pictures, paths.strip(target.stem))


def _recipe(paths: Paths, segment: str) -> SegmentRecipe:
    return SegmentRecipe.read(paths.segment_plan(segment))


def _declare_film(subparsers: Commands) -> Parser:
    film = subparsers.add_parser("film", help="join the clips with audio, lyrics and chapters")
    film.add_argument("timeline", type=Path, help="results/<song>/timeline.json")
    film.add_argument("clips", type=Path, nargs="+", help="the clips in order")
    film.set_defaults(run=_film)
    return film


def _film(options: argparse.Namespace) -> None:
    from songreel.drawing import film, flicker, joined
    from songreel.jobs import locks

    timeline = Timeline.read(options.timeline)
    _check_planned_together(timeline, options)
    joined.check_song(timeline)
    song, ffmpeg = options.timeline.parent.name, film.executable(options.ffmpeg)
    paths = Paths(options.timeline.parent.parent)
    target = paths.film(song)
    film.join(timeline, options.clips, target, ffmpeg)
    not_later([options.timeline, *options.clips, paths.film_asked(song)], target)
    for line in timeline.lines:
        locks.clear(paths.work(line.segment))
    say(f"{target} is ready, {duration(timeline.lines[-1].end_seconds)} long.")
    measured = flicker.of_film(options.clips, paths.flicker(song), ffmpeg)
    if measured is not None:
        say(f"{target}: it flickers by {measured:.2%} of full brightness from frame to frame.")


def _declare_storyboard(subparsers: Commands) -> Parser:
    storyboard = subparsers.add_parser("storyboard", help="make the page that shows a film line by line")
    storyboard.add_argument("timeline", type=Path, help="results/<song>/timeline.json")
    storyboard.add_argument(
        "--measure", action="store_true", help="also look at lines that were rendered when nobody looked"
    )
    storyboard.set_defaults(run=_storyboard)
    return storyboard


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


def _declare_fetch(subparsers: Commands) -> Parser:
    fetch = subparsers.add_parser("fetch", help="download models, for machines without network")
    fetch.add_argument("names", nargs="*", metavar="NAME", help="a model (default: config.yaml's)")
    fetch.set_defaults(run=_fetch)
    return fetch


def _fetch(options: argparse.Namespace) -> None:
    from songreel.models import obtain
    from songreel.planning import config

    settings = None if options.names else config.resolve(config.read(Path("config.yaml")))
    names = [settings.model, *(config.weighed(entry)[0] for entry in settings.perceptors)] if settings else []
    for name in options.names or names:
        weights = obtain.model(name)
        say(f"{weights.name} is ready: {weights.tensors}")


def _declare_choose(subparsers: Commands) -> Parser:
    choose = subparsers.add_parser("choose", help="choose the pictures that lines start from, as a plan asks")
    choose.add_argument("--results", type=Path, required=True, help="the results folder")
    choose.set_defaults(run=_choose)
    return choose


def _choose(options: argparse.Namespace) -> None:
    from songreel.planning import choices

    assert isinstance(sys.stderr, io.TextIOWrapper)
    sys.stderr.reconfigure(encoding="utf-8")  # for the plan, which reads it
    request = choices.Request.from_json(json.load(sys.stdin))
    paths = Paths(options.results)
    ranked = choices.known(request, paths)
    workers.foresee(len(request.lines), sum(text not in ranked for text in request.texts))
    from songreel.jobs import choosing

    choosing.run(request, paths)


def _paths(plan: Path) -> Paths:
    """The results folder that a plan file lies in: results/plan/<kind>/<id>.json."""
    return Paths(plan.parents[2])
