"""The command line. Each rule of the training workflow is one of these commands, and can be run by hand."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from songreel.ground import stops
from songreel.ground.errors import UserError, sentence
from songreel.ground.messages import logged, note, say
from songreel_starter import evaluation_commands, sources

if TYPE_CHECKING:
    from songreel_starter.picture_towers import Recipe
    from songreel_starter.things import Library


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. What a user can mend is told in one sentence; returns the exit status."""
    options = _parser().parse_args(arguments)
    with logged(options.log):
        try:
            with stops.handled(lambda: note("stopped; run the same command again to go on.", options.log)):
                options.run(options)
        except UserError as error:
            say(str(error))
            return 1
        except OSError as error:
            say(sentence(error))
            return 1
    return 0


def _source(name: str) -> sources.Source:
    table = sources.table()
    if name not in table:
        raise UserError(f"sources: found {name!r}, expected one of {', '.join(table)}.")
    return table[name]


def _fetch(options: argparse.Namespace) -> None:
    sources.fetch(_source(options.source), options.target)


def _render(options: argparse.Namespace) -> None:
    # Imported here, like torch elsewhere: each command loads what it needs and nothing else.
    from songreel_starter import readers, sprites

    names = readers.emoji_names(options.names)
    source = _source(options.source)
    shard = sprites.render(source, options.package, names, options.most, options.target)
    say(f"{source.name}: {len(shard)} sprites, {len(shard.webp) / 1e6:.1f} MB.")


def _paint(options: argparse.Namespace) -> None:
    from songreel_starter import pool, scenes, sprites

    torch_threads(1)
    library = scenes.library([sprites.load(path) for path in options.shards])
    pool.paint(library, options.seed, options.number, options.count, options.side, options.target)


def _texts(options: argparse.Namespace) -> None:
    from songreel_starter import sprites, texts

    shards = [sprites.load(path) for path in options.shards]
    collected = texts.collect(shards, options.wordnet, options.count, options.seed)
    texts.write(collected, options.target)
    say(f"{len(collected)} texts.")


def _embed(options: argparse.Namespace) -> None:
    from songreel_starter import teacher, texts

    torch_threads(options.threads)
    read = [text for path in options.texts for text in texts.load(path)]
    teacher.embed(options.teacher, read, options.target)


def _train_text(options: argparse.Namespace) -> None:
    from songreel_starter import distil, texts

    torch_threads(options.threads)
    names = ("embed", "width", "layers", "context", "steps", "batch", "seed")
    recipe = distil.Recipe(**{name: getattr(options, name) for name in names})
    distil.train(texts.load(options.texts), options.vectors, recipe, options.target)


def _train_clip(options: argparse.Namespace) -> None:
    from songreel_starter import clip_tower, picture_towers, pool

    torch_threads(options.threads)
    library = _library(options.shards)
    painted = pool.Pool(options.scenes)
    tower = clip_tower.Tower(options.width, tuple(options.layers), options.side)
    recipe = replace(
        _recipe(
            options, text=picture_towers.fingerprint(options.text), scenes=len(painted), tower=repr(tower)
        ),
        pushed_from=options.pushed_from,
    )
    clip_tower.train(painted, library, options.text, tower, recipe, options.target)


def _train_judge(options: argparse.Namespace) -> None:
    from songreel_starter import judge, pool

    torch_threads(options.threads)
    library = _library(options.shards)
    painted = pool.Pool(options.scenes)
    recipe = _recipe(options, scenes=len(painted))
    judge.train(painted, options.captions, library, options.teacher, recipe, options.target)


def _library(shards: Sequence[Path]) -> Library:
    from songreel.kernels import devices
    from songreel_starter import scenes, sprites

    return scenes.library([sprites.load(path) for path in shards], devices.choose())


def _recipe(options: argparse.Namespace, **kept: object) -> Recipe:
    from songreel_starter import picture_towers

    return picture_towers.Recipe(options.steps, options.batch, seed=options.seed, kept=kept)


def _train_vqgan(options: argparse.Namespace) -> None:
    from songreel_starter import autoencoder

    torch_threads(options.threads)
    names = ("codes", "blocks", "steps", "autoencoder_steps", "adversarial_from", "batch", "crop", "seed")
    recipe = autoencoder.Recipe(**{name: getattr(options, name) for name in names})
    autoencoder.train(options.scenes, options.clip, recipe, options.target)


def _train_decoder(options: argparse.Namespace) -> None:
    from songreel_starter import finishing, pairs

    torch_threads(options.threads)
    names = ("channels", "steps", "batch", "crop", "seed")
    recipe = finishing.Recipe(**{name: getattr(options, name) for name in names})
    trained = pairs.weights(options.trained, "vqgan")
    finishing.finish(options.scenes, options.clip, trained, recipe, options.target)


def torch_threads(count: int) -> None:
    """Let torch use so many cores."""
    import torch

    torch.set_num_threads(count)


def _look(options: argparse.Namespace) -> None:
    from songreel_starter import sheets, sprites

    shards = [sprites.load(path) for path in options.shards]
    sheets.of_sprites(shards, options.count, options.seed, options.target / "sprites.png")
    sheets.of_scenes(shards, options.count, options.seed, options.side, options.target / "scenes.png")


def _album(options: argparse.Namespace) -> None:
    import torch

    from songreel_starter import album, lexicon, notices, pairs, sprites

    torch_threads(1)
    clip = pairs.load_clip(options.pair, torch.device("cpu"), torch.float32)
    contents = album.make(
        [sprites.load(path) for path in options.shards],
        lexicon.subgroups(options.names),
        lexicon.WordNet(options.wordnet),
        lambda texts: album.embedded(clip, texts),
        options.target,
    )
    notices.write(options.target, sources.table())
    say(contents)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m songreel_starter", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")
    _add_data(commands)
    _add_texts(commands)
    _add_towers(commands)
    _add_vqgan(commands)
    _add_look(commands)
    _add_album(commands)
    evaluation_commands.add(commands)
    for command in commands.choices.values():
        command.add_argument("--log", type=Path, help="a file to add messages to")
    return parser


def _add_data(commands: Any) -> None:
    """The commands that make pictures with words to learn from."""
    fetch = commands.add_parser("fetch", help="fetch a package with its package manager and check it")
    fetch.add_argument("source", help="a name in sources.yaml")
    fetch.add_argument("target", type=Path)
    fetch.set_defaults(run=_fetch)

    render = commands.add_parser("render", help="render a source's pictures to sprites with words")
    render.add_argument("source", help="a name in sources.yaml")
    render.add_argument("package", type=Path, help="the fetched package")
    render.add_argument("names", type=Path, help="the fetched package of emoji names")
    render.add_argument("target", type=Path)
    render.add_argument("--most", type=int, default=0, help="so many pictures at most; 0: all")
    render.set_defaults(run=_render)

    paint = commands.add_parser("paint", help="paint a file of scenes to learn from")
    paint.add_argument("target", type=Path)
    paint.add_argument("shards", type=Path, nargs="+")
    paint.add_argument("--number", type=int, default=0, help="which file of a pool")
    paint.add_argument("--count", type=int, required=True, help="scenes in a file")
    paint.add_argument("--side", type=int, required=True, help="the scenes' side in pixels")
    paint.add_argument("--seed", type=int, default=0)
    paint.set_defaults(run=_paint)


def _add_texts(commands: Any) -> None:
    """The commands that make the text tower."""
    texts = commands.add_parser("texts", help="collect the texts that the text tower learns")
    texts.add_argument("target", type=Path)
    texts.add_argument("shards", type=Path, nargs="+")
    texts.add_argument("--wordnet", type=Path, help="the fetched package of WordNet")
    texts.add_argument("--count", type=int, required=True)
    texts.add_argument("--seed", type=int, default=0)
    texts.set_defaults(run=_texts)

    embed = commands.add_parser("embed", help="embed the texts with the teacher")
    embed.add_argument("target", type=Path)
    embed.add_argument("texts", type=Path, nargs="+", help="files with a text in each line")
    embed.add_argument("--teacher", type=Path, help="its fetched package; without one, a stand-in for tests")
    embed.add_argument("--threads", type=int, default=2)
    embed.set_defaults(run=_embed)

    train_text = commands.add_parser("train-text", help="distil the text tower")
    train_text.add_argument("target", type=Path)
    train_text.add_argument("texts", type=Path)
    train_text.add_argument("vectors", type=Path, help="the texts' embeddings")
    for name in ("embed", "width", "layers", "context", "steps", "batch"):
        train_text.add_argument(f"--{name}", type=int, required=True)
    train_text.add_argument("--seed", type=int, default=0)
    train_text.add_argument("--threads", type=int, default=2)
    train_text.set_defaults(run=_train_text)


def _add_towers(commands: Any) -> None:
    """The commands that train picture towers, CLIP's and the judge's."""
    train_clip = commands.add_parser("train-clip", help="train CLIP's picture tower beside its text tower")
    train_clip.add_argument("target", type=Path)
    train_clip.add_argument("--text", type=Path, required=True, help="the distilled text tower")
    train_clip.add_argument("--width", type=int, required=True)
    train_clip.add_argument("--layers", type=int, nargs="+", required=True, help="blocks in each stage")
    train_clip.add_argument("--side", type=int, required=True, help="of the pictures it sees, in pixels")
    train_clip.add_argument(
        "--pushed-from", type=int, help="the step from which pictures are pushed away from their words"
    )
    train_clip.set_defaults(run=_train_clip)

    train_judge = commands.add_parser("train-judge", help="train the CLIP that judges the pair")
    train_judge.add_argument("target", type=Path)
    train_judge.add_argument("--captions", type=Path, required=True, help="the scenes' captions, embedded")
    train_judge.add_argument("--teacher", type=Path, help="its package; without one, a stand-in for tests")
    train_judge.set_defaults(run=_train_judge)
    for train in (train_clip, train_judge):
        train.add_argument("--scenes", type=Path, nargs="+", required=True, help="files that were painted")
        train.add_argument(
            "--shards", type=Path, nargs="+", required=True, help="sprites of the same sources"
        )
        train.add_argument("--steps", type=int, required=True)
        train.add_argument("--batch", type=int, required=True)
        train.add_argument("--seed", type=int, default=0)
        train.add_argument("--threads", type=int, default=2)


def _add_vqgan(commands: Any) -> None:
    train_vqgan = commands.add_parser("train-vqgan", help="train the picture maker")
    train_vqgan.add_argument("target", type=Path)
    train_vqgan.add_argument("clip", type=Path, help="safetensors with CLIP's picture tower")
    train_vqgan.add_argument("scenes", type=Path, nargs="+", help="files of scenes")
    for name in ("codes", "blocks", "steps", "autoencoder-steps", "adversarial-from", "batch", "crop"):
        train_vqgan.add_argument(f"--{name}", type=int, required=True)
    train_vqgan.add_argument("--seed", type=int, default=0)
    train_vqgan.add_argument("--threads", type=int, default=2)
    train_vqgan.set_defaults(run=_train_vqgan)

    train_decoder = commands.add_parser("train-decoder", help="train its decoder again, to leave no grid")
    train_decoder.add_argument("target", type=Path)
    train_decoder.add_argument("trained", type=Path, help="the folder of the picture maker")
    train_decoder.add_argument("clip", type=Path, help="safetensors with CLIP's picture tower")
    train_decoder.add_argument("scenes", type=Path, nargs="+", help="files of scenes")
    for name in ("channels", "steps", "batch", "crop"):
        train_decoder.add_argument(f"--{name}", type=int, required=True)
    train_decoder.add_argument("--seed", type=int, default=0)
    train_decoder.add_argument("--threads", type=int, default=2)
    train_decoder.set_defaults(run=_train_decoder)


def _add_look(commands: Any) -> None:
    look = commands.add_parser("look", help="draw contact sheets of sprites and scenes")
    look.add_argument("target", type=Path, help="a folder")
    look.add_argument("shards", type=Path, nargs="+")
    look.add_argument("--count", type=int, default=64, help="pictures on a sheet")
    look.add_argument("--side", type=int, default=96, help="the scenes' side in pixels")
    look.add_argument("--seed", type=int, default=0)
    look.set_defaults(run=_look)


def _add_album(commands: Any) -> None:
    album = commands.add_parser("album", help="make the album of drawings that comes with a pair")
    album.add_argument("target", type=Path)
    album.add_argument("shards", type=Path, nargs="+", help="sprites of all sources that the album names")
    album.add_argument("--names", type=Path, required=True, help="the fetched package of emoji names")
    album.add_argument("--wordnet", type=Path, required=True, help="the fetched package of WordNet")
    album.add_argument("--pair", type=Path, required=True, help="the folder of the pair that embeds names")
    album.set_defaults(run=_album)
