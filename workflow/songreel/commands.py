"""The commands that a person gives and no rule needs, each declared beside what it runs."""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import os
import re
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from songreel import usage
from songreel.ground.files import write_json_if_changed
from songreel.ground.messages import prints_all, say
from songreel.ground.paths import Paths

CASES = ("starter", "full", "full-512", "two-judges")

if TYPE_CHECKING:
    from songreel.planning.config import Config
    from songreel.planning.plan import Plan

    Parser = argparse.ArgumentParser
    Commands = argparse._SubParsersAction[Parser]


def declare(commands: Commands) -> dict[str, Parser]:
    """Add them to a command line; returns each one's parser, by its name."""
    return {
        "new": _declare_new(commands),
        "plan": _declare_plan(commands),
        "prune": _declare_prune(commands),
        "bench": _declare_bench(commands),
        "convert": _declare_convert(commands),
    }


def _declare_new(commands: Commands) -> Parser:
    new = commands.add_parser("new", help="make a project, with the demo, in a folder of its own")
    new.add_argument("folder", type=_folder, metavar="FOLDER", help="a new folder, or an empty one")
    new.set_defaults(run=_new)
    return new


def _new(options: argparse.Namespace) -> None:
    from songreel import new

    new.project(options.folder)
    print(
        f"{options.folder} holds a project with the demo; render it with: {new.how_to_render(options.folder)}"
    )


def _declare_plan(commands: Commands) -> Parser:
    plan = commands.add_parser(
        "plan", help="say what the next run renders, how long it takes and what it costs"
    )
    declare_settings(plan)
    plan.add_argument(
        "--jobs", type=count, default=os.cpu_count(), help="lines at a time (default: one a core)"
    )
    plan.add_argument("--price", type=_price, default=0.0, help="of an hour of one core or GPU")
    plan.add_argument("--json", action="store_true", help="for other programs to read")
    plan.set_defaults(run=_plan)
    return plan


def declare_settings(parser: Parser) -> None:
    """Let a command be told of which film it is, as snakemake is."""
    parser.add_argument(
        "--config", type=_setting, nargs="+", default=[], metavar="KEY=VALUE", help="as snakemake's"
    )
    parser.add_argument("--configfile", type=Path, default=Path("config.yaml"), help="default: config.yaml")


def keys(options: argparse.Namespace) -> dict[str, Any]:
    """What config.yaml says, and the file that is named on top of it."""
    from songreel.planning import config

    return config.read(Path("config.yaml")) | config.read(options.configfile)


def planned(options: argparse.Namespace) -> tuple[Plan, Paths]:
    """The plan of the film that these options name, whose notes are said, and where its results are."""
    from songreel.planning import plan

    config = settings(options)
    paths = Paths(config.results)
    made = plan.make(config, paths)
    for message in made.notes:
        say(message)
    return made, paths


def settings(options: argparse.Namespace) -> Config:
    """What is set for the film that these options name."""
    from songreel.planning import config

    return config.resolve(keys(options) | dict(options.config))


def _plan(options: argparse.Namespace) -> None:
    from songreel.costs import forecast
    from songreel.upkeep import damage

    made, paths = planned(options)
    for fault in damage.find(made, paths):
        say(f"{fault}; the next run renders it again, which is not counted here.")
    estimate = forecast.make(made, paths, options.price)
    if options.json:
        document = {"sound": made.sound, **dataclasses.asdict(estimate), "notes": made.notes}
        print(json.dumps(document, indent=1, ensure_ascii=not prints_all()))
    elif options.quiet:
        print(forecast.as_sum(estimate, options.jobs, options.price))
    else:
        print(f"sound: {made.sound}")
        print(forecast.as_table(estimate, options.jobs, options.price))


def _declare_prune(commands: Commands) -> Parser:
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
    prune.add_argument("--json", action="store_true", help="for other programs to read")
    prune.set_defaults(run=_prune)
    return prune


def _prune(options: argparse.Namespace) -> None:
    from songreel.upkeep import prune, running

    over = dict(options.config)
    paths = prune.results(over)
    plans = prune.plans(options.configfile or [Path("config.yaml")], over, paths)
    needed = running.union(running.needs(plan) for plan in plans)
    with running.removing(paths) if options.yes else nullcontext():
        items = prune.find(needed, paths)
        if items and not (options.quiet or options.json):
            print(prune.as_table(items))
        for item in items if options.yes else []:
            prune.remove(item)
    if options.json:
        print(prune.as_json(items, options.yes))
    elif not items:
        print("Nothing to remove: everything is needed by a screenplay or by a run that is going on.")
    else:
        done = "removed." if options.yes else "nothing was removed: say --yes to remove them."
        print(f"{prune.together(items)}; {done}")


def _declare_bench(commands: Commands) -> Parser:
    bench = commands.add_parser(
        "bench", help="measure this machine's speed, and how many times the published method's it is"
    )
    bench.add_argument(
        "--only", nargs="+", default=[], metavar="CASE", type=usage.one_of(CASES), help=", ".join(CASES)
    )
    bench.add_argument("--rounds", type=int, default=5, help="measurements of each; their median counts")
    bench.add_argument("--seconds", type=float, default=3.0, help="about, for each measurement")
    bench.add_argument("--json", type=Path, metavar="FILE", help="also write all that was measured")
    bench.set_defaults(run=_bench)
    return bench


def _bench(options: argparse.Namespace) -> None:
    from songreel.costs import bench, bench_table

    document = bench.run(options.only, options.rounds, options.seconds, options.threads)
    if options.json:
        write_json_if_changed(options.json, document)
    print(bench_table.as_table(document))


def _declare_convert(commands: Commands) -> Parser:
    convert = commands.add_parser("convert", help="write lyrics as another kind of file, or make a draft")
    convert.add_argument("source", type=Path, metavar="IN", help="a screenplay, lyrics, Deforum's settings …")
    convert.add_argument("target", type=Path, metavar="OUT", help="the file to write, by its ending")
    convert.add_argument("--audio", type=Path, metavar="SONG", help="to spread words without times over")
    convert.add_argument("--force", action="store_true", help="replace OUT if it is there")
    convert.set_defaults(run=_convert)
    return convert


def _convert(options: argparse.Namespace) -> None:
    from songreel.exports import convert

    print(convert.convert(options.source, options.target, options.audio, options.force, say))


# What a value must be


def _folder(text: str) -> Path:
    if not text:
        raise argparse.ArgumentTypeError("found no name, expected a folder's")
    return Path(text)


def _setting(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected KEY=VALUE")
    return key, value


def count(text: str) -> int:
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
