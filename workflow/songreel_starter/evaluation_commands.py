"""The commands that draw with a pair, evaluate it and write it down; `measures` has the figures."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from songreel.ground.files import read_json, write_json_if_changed
from songreel.ground.messages import say

if TYPE_CHECKING:
    from songreel_starter.measures import Embedder

FIGURES = ("judged", "retrieval", "reconstruction", "grid", "speed")  # that a card tells


def add(commands: Any) -> None:
    """Add the commands to the parser of the command line."""
    _add_drawing(commands)
    _add_figures(commands)
    _add_card(commands)


def _add_drawing(commands: Any) -> None:
    """The commands that bring a pair, and draw with one."""
    first = commands.add_parser("first-pair", help="take the first pair from git's history")
    first.add_argument("target", type=Path, help="a folder")
    first.set_defaults(run=_first_pair)

    export = commands.add_parser("export", help="write a trained pair as the repository carries it")
    export.add_argument("trained", type=Path, help="the folder of the pair")
    export.add_argument("target", type=Path, help="another folder")
    export.set_defaults(run=_export)

    keyframes = commands.add_parser("keyframes", help="draw keyframes of phrases with a pair")
    keyframes.add_argument("target", type=Path, help="a file of pictures, in a folder named after the pair")
    keyframes.add_argument("pair", type=Path, help="the folder of the pair")
    _add_phrases(keyframes)
    keyframes.add_argument("--number", type=int, default=0, help="which file of so many; 0 is the first")
    keyframes.add_argument("--files", type=int, default=1, help="files that the phrases are dealt to")
    keyframes.add_argument(
        "--keyframes", type=int, default=1, help="of a phrase: the first and last are kept"
    )
    _add_film(keyframes)
    keyframes.set_defaults(run=_keyframes)


def _add_figures(commands: Any) -> None:
    """The commands that measure: each writes figures for the card."""
    judge = commands.add_parser("judge", help="rank the phrases for each picture with another CLIP")
    judge.add_argument("target", type=Path, help="a JSON file")
    judge.add_argument("judge", type=Path)
    judge.add_argument("pictures", type=Path, nargs="+", help="files of keyframes, of one pair or more")
    judge.add_argument("--scenes", type=Path, nargs="*", default=[], help="files that the pair's CLIP saw")
    judge.add_argument("--teacher", type=Path, help="the package of the sentence-embedding model")
    _add_phrases(judge)
    judge.set_defaults(run=_judge)

    retrieval = commands.add_parser("retrieval", help="find names and pictures of a style never learned from")
    retrieval.add_argument("target", type=Path, help="a JSON file")
    retrieval.add_argument("style", type=Path, help="a file of sprites")
    retrieval.add_argument("pairs", type=Path, nargs="+", help="folders of pairs")
    retrieval.add_argument("--judge", type=Path, help="the judge is asked as well, to know how good it is")
    retrieval.add_argument("--teacher", type=Path, help="the package of the sentence-embedding model")
    _add_scenes(retrieval)
    retrieval.set_defaults(run=_retrieval)

    reconstruction = commands.add_parser("reconstruction", help="encode and decode held-out scenes")
    reconstruction.add_argument("target", type=Path, help="a JSON file")
    reconstruction.add_argument("pairs", type=Path, nargs="+", help="folders of pairs")
    reconstruction.add_argument("--styles", type=Path, nargs="+", required=True, help="files of sprites")
    reconstruction.add_argument("--count", type=int, default=512, help="scenes of each style")
    _add_scenes(reconstruction)
    reconstruction.set_defaults(run=_reconstruction)

    grid = commands.add_parser("grid", help="measure the steps at the borders of what a pair draws")
    grid.add_argument("target", type=Path, help="a JSON file")
    grid.add_argument("pairs", type=Path, nargs="+", help="folders of pairs")
    grid.add_argument("--pictures", type=Path, nargs="+", required=True, help="files of their keyframes")
    _add_phrases(grid)
    grid.set_defaults(run=_grid)

    speed = commands.add_parser("speed", help="measure iterations a second")
    speed.add_argument("target", type=Path, help="a JSON file")
    speed.add_argument("pairs", type=Path, nargs="+", help="folders of pairs")
    speed.add_argument("--rounds", type=int, default=9)
    speed.add_argument("--iterations", type=int, default=20, help="in each round")
    _add_film(speed)
    speed.set_defaults(run=_speed)


def _add_card(commands: Any) -> None:
    sheet = commands.add_parser("sheet", help="draw a contact sheet of a pair's keyframes")
    sheet.add_argument("target", type=Path, help="a JPEG file")
    sheet.add_argument("pictures", type=Path, nargs="+", help="files of keyframes of one pair")
    sheet.add_argument("--count", type=int, default=40)
    _add_phrases(sheet)
    sheet.set_defaults(run=_sheet)

    card = commands.add_parser("card", help="write the model card beside an exported pair")
    card.add_argument("target", type=Path, help="a Markdown file in the pair's folder")
    card.add_argument("--first", default="first", help="what the figures call the first pair")
    for name in FIGURES:
        card.add_argument(f"--{name}", type=Path, required=True, help="a JSON file of figures")
    card.add_argument("--styles", type=Path, nargs="+", required=True, help="all files of sprites")
    card.add_argument("--shown", type=int, default=40, help="phrases on the contact sheets")
    card.add_argument("--logs", type=Path, required=True, help="the folder of the trainings' logs")
    card.add_argument("--trained-on", default="two CPU cores", help="where no training left notes")
    card.set_defaults(run=_card)


def _add_phrases(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--phrases", type=Path, required=True, help="a text file, one a line")
    parser.add_argument("--most", type=int, default=0, help="so many of the phrases; 0: all")


def _add_film(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--film", nargs="*", default=[], metavar="KEY=VALUE", help="unlike a draft's")


def _add_scenes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--side", type=int, default=128, help="the scenes' side in pixels")
    parser.add_argument("--seed", type=int, default=0)


def _first_pair(options: argparse.Namespace) -> None:
    from songreel_starter import pairs

    pairs.fetch_first(options.target)


def _export(options: argparse.Namespace) -> None:
    from songreel_starter import export

    export.export(options.trained, options.target)


def _keyframes(options: argparse.Namespace) -> None:
    from songreel_starter import keyframes

    _one_thread()
    phrases = keyframes.read_phrases(options.phrases, options.most)[options.number :: options.files]
    film = keyframes.film(options.film)
    keyframes.draw(options.pair, phrases, film, options.keyframes, options.target)


def _judge(options: argparse.Namespace) -> None:
    from songreel_starter import keyframes, measures, pool

    captions = frozenset(pool.Pool(options.scenes).captions if options.scenes else ())
    phrases = keyframes.read_phrases(options.phrases, options.most)
    judge = _load_judge(options)
    document = {
        pair: measures.judged(judge, keyframes.load(files, phrases), captions)
        for pair, files in keyframes.by_pair(options.pictures).items()
    }
    write_json_if_changed(options.target, document)
    for pair, ranks in document.items():
        share, guessed = ranks["first"]["all"], ranks["chance"]
        say(f"{pair}: first {share['first_1']:.3f}, chance {guessed['first_1']:.3f}.")


def _retrieval(options: argparse.Namespace) -> None:
    import torch

    from songreel.kernels import devices
    from songreel_starter import measures, pairs, sprites

    device = devices.choose()
    models: dict[str, Embedder] = {
        folder.name: measures.Sighted(pairs.load_clip(folder, device, torch.float32))
        for folder in options.pairs
    }
    if options.judge:
        models["judge"] = _load_judge(options)
    style = sprites.load(options.style)
    document = measures.retrieval(models, style, options.side, options.seed)
    write_json_if_changed(options.target, document)


def _reconstruction(options: argparse.Namespace) -> None:
    from songreel_starter import measures, sprites

    shards = [sprites.load(path) for path in options.styles]
    settings = options.count, options.side, options.seed
    write_json_if_changed(options.target, measures.reconstructions(options.pairs, shards, *settings))


def _grid(options: argparse.Namespace) -> None:
    from songreel_starter import keyframes, measures

    phrases = keyframes.read_phrases(options.phrases, options.most)
    write_json_if_changed(options.target, measures.grids(options.pairs, options.pictures, phrases))


def _speed(options: argparse.Namespace) -> None:
    from songreel_starter import keyframes, measures

    _one_thread()
    film = keyframes.film(options.film)
    document = measures.speed(options.pairs, film, options.rounds, options.iterations)
    write_json_if_changed(options.target, document)
    for folder in options.pairs:
        say(f"{folder.name}: {document[folder.name]['median']:.2f} iterations/s.")


def _sheet(options: argparse.Namespace) -> None:
    from songreel_starter import card, keyframes

    phrases = keyframes.read_phrases(options.phrases, options.most)[: options.count]
    card.draw_sheet(keyframes.load(options.pictures, phrases), options.target)


def _card(options: argparse.Namespace) -> None:
    from songreel_starter import card, sources, sprites

    shards = [sprites.load(path) for path in options.styles]
    facts = card.Facts(
        pairs=(options.first, options.target.resolve().parent.name),
        **{name: read_json(getattr(options, name)) for name in FIGURES},
        sources=sources.table(),
        numbers={shard.source["name"]: len(shard) for shard in shards},
        trainings=card.trainings(options.logs, options.trained_on),
        shown=options.shown,
    )
    card.write(facts, options.target)


def _load_judge(options: argparse.Namespace) -> Embedder:
    from songreel.kernels import devices
    from songreel_starter import judge  # type: ignore[attr-defined, unused-ignore]

    loaded: Embedder = judge.load(options.judge, options.teacher, devices.choose())
    return loaded


def _one_thread() -> None:
    """Jobs run side by side, one on each core."""
    import torch

    torch.set_num_threads(1)
