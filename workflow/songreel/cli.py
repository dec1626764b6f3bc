"""The command line. Each rule of the workflow is one of these commands, and can be run by hand."""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import os
import re
import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from songreel import __version__, leases, scheduler, shortage, stops
from songreel.errors import DamageError, UserError, sentence
from songreel.files import not_later, read_json, read_named, set_aside, write_json_if_changed
from songreel.paths import Paths
from songreel.progress import clock, note, print_anywhere, prints_all, say


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. What a user can mend is told in one sentence; returns the exit status."""
    print_anywhere()
    options = _parser().parse_args(arguments)
    try:
        with stops.handled(lambda: _tell_of_stop(options.log)):
            _run(options)
    except UserError as error:
        say(str(error), options.log)
        return 1
    except Exception as error:
        told = shortage.sentence(error) or (
            sentence(error) if isinstance(error, OSError) and error.errno else None
        )
        if told is None:
            raise
        say(told, options.log)
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
    with leases.held(lambda message: say(message, options.log)):
        _optimise(options)


def _optimise(options: argparse.Namespace) -> None:
    # Imported here, like torch everywhere: each command loads what it needs and nothing else.
    _set_threads(options.threads)
    from songreel import history, render
    from songreel.progress import Progress

    recipe = read_named(options.plan)
    scheduler.show(f"{recipe['text']}: {options.keyframes} keyframes")
    paths = _paths(options.plan)
    progress = Progress(recipe, options.keyframes, paths, options.log)
    name, keyframes = options.plan.stem, options.keyframes
    render.segment(recipe, name, keyframes, paths, progress, options.micro_batch)
    not_later([options.plan], paths.latents(name, keyframes))
    history.remember(paths, history.optimising(recipe), progress.iterations, progress.seconds)


def _set_threads(threads: int) -> None:
    shortage.check_import()
    import torch

    torch.set_num_threads(threads)


def _clip(options: argparse.Namespace) -> None:
    from songreel import film

    target = _paths(options.plan).clip(options.plan.stem)
    if target.exists():  # another workflow has drawn it since this one was planned
        film.check(target)
    else:
        with leases.held(lambda message: say(message, options.log)):
            _draw(options, target)
    not_later([options.plan, *options.latents], target)


def _draw(options: argparse.Namespace, target: Path) -> None:
    _set_threads(options.threads)
    from songreel import device, draw, film, history, latents, render, vqgan, weights
    from songreel.plan import sources

    clip = read_named(options.plan)
    paths = _paths(options.plan)
    parts = zip(sources(clip), options.latents, strict=True)
    tokens = [latents.load(path, part["segment"], need).tokens for (part, need), path in parts]
    recipe = read_named(paths.segment_plan(clip["shown"]["segment"]))
    scheduler.show(f"{recipe['text']}: {clip['shown']['frames']} frames")
    where = device.choose()
    maker = vqgan.load(render.weights_of(recipe["model"], weights.vqgan), where, device.precision(where))
    started = time.monotonic()
    batches = draw.frames(maker, clip, tokens[0], tokens[1] if clip["before"] else None)
    ffmpeg = film.executable(options.ffmpeg)
    film.encode(batches, clip, recipe["size"], draw.drawn_rate(clip), target, ffmpeg)
    took = time.monotonic() - started
    history.remember(paths, history.drawing(recipe, clip), clip["shown"]["frames"], took)


def _film(options: argparse.Namespace) -> None:
    from songreel import claims, film, joined

    timeline = read_json(options.timeline)
    _check_planned_together(timeline, options)
    joined.check_song(timeline)
    song = options.timeline.parent
    target = Paths(song.parent).film(song.name)
    film.join(timeline, options.clips, target, film.executable(options.ffmpeg))
    not_later([options.timeline, *options.clips, Paths(song.parent).film_asked(song.name)], target)
    for line in timeline["lines"]:
        claims.clear(Paths(song.parent).work(line["segment"]))
    say(f"{target} is ready, {clock(timeline['lines'][-1]['end_seconds'])} long.", options.log)


def _check_planned_together(timeline: dict[str, Any], options: argparse.Namespace) -> None:
    """The timeline is the latest plan's, the clips may be an older one's that is still being rendered.

    A film of both would be newer than either and pass for done.
    """
    if [clip.stem for clip in options.clips] != [entry["clip"] for entry in timeline["clips"]]:
        raise UserError(
            f"{options.timeline}: found a plan made while the film was being rendered, expected the one that"
            f" it was rendered for; run the same command again."
        )


def _fetch(options: argparse.Namespace) -> None:
    from songreel import config, obtain

    def tell(message: str) -> None:
        say(message, options.log)

    settings = None if options.names else config.resolve(config.read(Path("config.yaml")))
    names = [settings.model, *(config.weighed(entry)[0] for entry in settings.perceptors)] if settings else []
    for name in options.names or names:
        found = obtain.model(name, tell)
        tell(f"{found.name} is ready: {found.tensors}")


def _plan(options: argparse.Namespace) -> None:
    from songreel import config, damage, forecast, plan

    keys = config.read(Path("config.yaml")) | config.read(options.configfile)
    settings = config.resolve(keys | dict(options.config))
    paths = Paths(settings.results)
    made = plan.make(settings, paths)
    for message in made.notes:
        say(message, options.log)
    for fault in damage.find(made, paths):
        say(f"{fault}; the next run renders it again, which is not counted here.", options.log)
    told = forecast.make(made, paths, options.price)
    if options.json:
        document = {"sound": made.sound, **dataclasses.asdict(told), "notes": made.notes}
        print(json.dumps(document, indent=1, ensure_ascii=not prints_all()))
    else:
        print(f"sound: {made.sound}")
        print(forecast.as_table(told, options.jobs, options.price))


def _prune(options: argparse.Namespace) -> None:
    from songreel import prune, running

    over = dict(options.config)
    paths = prune.results(over)
    plans = prune.plans(options.configfile or [Path("config.yaml")], over, paths)
    needed = running.union(running.needs(plan) for plan in plans)
    with running.removing(paths) if options.yes else nullcontext():
        found = prune.find(needed, paths)
        if not found:
            print("Nothing to remove: everything is needed by a screenplay or by a run that is going on.")
            return
        print(prune.as_table(found))
        for item in found if options.yes else []:
            prune.remove(item)
    done = "removed." if options.yes else "nothing was removed: say --yes to remove them."
    print(f"{prune.together(found)}; {done}")


def _bench(options: argparse.Namespace) -> None:
    from songreel import bench

    found = bench.run(options.only, options.rounds, options.seconds, options.threads)
    if options.json:
        write_json_if_changed(options.json, found)
    print(bench.as_table(found))


def _setting(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected KEY=VALUE")
    return key, value


def _count(text: str) -> int:
    if not re.fullmatch("[1-9][0-9]{0,8}", text):
        raise argparse.ArgumentTypeError(f"found {text!r}, expected a whole number of 1 or more")
    return int(text)


def _price(text: str) -> float:
    try:
        price = float(text)
    except ValueError:
        price = math.nan
    if not 0 <= price < math.inf:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected a number of 0 or more")
    return price


def _tune(options: argparse.Namespace) -> None:
    from songreel import tune

    tune.write(tune.read(options.tune), options.output)


def _tell_of_stop(log: Path | None) -> None:
    message = "stopped; finished keyframes are kept and the next run goes on from them."
    os.write(2, f"songreel: {message}\n".encode())  # `print` fails inside a `print` that was interrupted
    note(message, log)


def _paths(plan: Path) -> Paths:
    """The results folder that a plan file lies in: results/plan/<kind>/<id>.json."""
    return Paths(plan.parents[2])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="songreel", description="Turns a song's lyrics into a music video.")
    parser.add_argument("--version", action="version", version=f"songreel {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    keyframes = commands.add_parser("keyframes", help="optimise a segment's keyframes")
    keyframes.add_argument("plan", type=Path, help="results/plan/segments/<segment>.json")
    keyframes.add_argument("keyframes", type=int, help="how many keyframes the segment shall have")
    keyframes.add_argument("--micro-batch", type=int, default=0, help="cutouts judged at a time (0: all)")
    keyframes.set_defaults(run=_keyframes)

    clip = commands.add_parser("clip", help="draw and encode one line's frames")
    clip.add_argument("plan", type=Path, help="results/plan/clips/<clip>.json")
    clip.add_argument(
        "latents", type=Path, nargs="+", help="the latents of the line and of the one before it"
    )
    clip.set_defaults(run=_clip)

    fetch = commands.add_parser("fetch", help="download models, for machines without network")
    fetch.add_argument("names", nargs="*", metavar="NAME", help="a model (default: config.yaml's)")
    fetch.set_defaults(run=_fetch)

    plan = commands.add_parser(
        "plan", help="say what the next run renders, how long it takes and what it costs"
    )
    plan.add_argument(
        "--config", type=_setting, nargs="+", default=[], metavar="KEY=VALUE", help="as snakemake's"
    )
    plan.add_argument("--configfile", type=Path, default=Path("config.yaml"), help="default: config.yaml")
    plan.add_argument(
        "--jobs", type=_count, default=os.cpu_count(), help="lines at a time (default: one a core)"
    )
    plan.add_argument("--price", type=_price, default=0.0, help="of an hour of one core or GPU")
    plan.add_argument("--json", action="store_true", help="for other programs to read")
    plan.set_defaults(run=_plan)

    prune = commands.add_parser(
        "prune", help="list, and with --yes remove, what no screenplay in screenplays/ needs"
    )
    prune.add_argument(
        "--configfile",
        type=Path,
        nargs="+",
        action="extend",
        default=[],
        help="keep what the screenplays need by each of these (default: config.yaml)",
    )
    prune.add_argument(
        "--config",
        type=_setting,
        nargs="+",
        action="extend",
        default=[],
        metavar="KEY=VALUE",
        help="keep also what they need with these on top",
    )
    prune.add_argument("--yes", action="store_true", help="remove what is listed")
    prune.set_defaults(run=_prune)

    film = commands.add_parser("film", help="join the clips with audio, lyrics and chapters")
    film.add_argument("timeline", type=Path, help="results/<song>/timeline.json")
    film.add_argument("clips", type=Path, nargs="+", help="the clips in order")
    film.set_defaults(run=_film)

    tune = commands.add_parser("tune", help="synthesise a tune as a WAV file")
    tune.add_argument("tune", type=Path, help="the notes, as screenplays/twinkle.tune")
    tune.add_argument("output", type=Path, help="the WAV file to write")
    tune.set_defaults(run=_tune)

    bench = commands.add_parser(
        "bench", help="measure this machine's speed, and how many times the published method's it is"
    )
    bench.add_argument("--only", nargs="+", default=[], choices=("starter", "full", "full-512", "two-judges"))
    bench.add_argument("--rounds", type=int, default=5, help="measurements of each; their median counts")
    bench.add_argument("--seconds", type=float, default=3.0, help="about, for each measurement")
    bench.add_argument("--json", type=Path, metavar="FILE", help="also write all that was measured")
    bench.set_defaults(run=_bench)

    for command in (keyframes, clip, film, tune, fetch, plan, prune, bench):
        command.add_argument("--log", type=Path, help="also write progress and errors to this file")
    for command in (keyframes, clip, bench):
        command.add_argument("--threads", type=int, default=1, help="CPU threads (default 1)")
    for command in (clip, film):
        command.add_argument("--ffmpeg", default="", help="an ffmpeg other than imageio-ffmpeg's")
    return parser
