"""How good a pair is: what another CLIP sees in its pictures, and what its own CLIP and VQGAN can do."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from songreel.ground.files import Document
from songreel.kernels import devices
from songreel.models import weights
from songreel.models.perceptor import Perceptor
from songreel.models.vqgan import VQGAN
from songreel.planning.config import Config
from songreel_starter import grid, keyframes, pairs, scenes, words
from songreel_starter.backgrounds import Background
from songreel_starter.keyframes import Shown, Studio
from songreel_starter.sprites import Shard
from songreel_starter.things import Library, Placement, Scene

SIMPLE = 20  # phrases at the beginning of the list that name one thing or two
SHUFFLES = 200
THINGS = ("nature", "food", "travel", "activities", "objects")  # groups of sprites that show things
FILLED = 0.9  # share of the picture's side that a sprite takes
AT_ONCE = 64  # pictures


class Embedder(Protocol):
    """What places pictures and words in one space: a judge, or a pair's own CLIP."""

    def embed_images(self, pictures: Tensor) -> Tensor:
        """Unit vectors float32 [n, d] of pictures float32 [n, 3, h, w] in 0..1."""

    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        """Unit vectors float32 [n, d]."""


@dataclass(frozen=True)
class Sighted:
    """A pair's CLIP that takes pictures of any size."""

    perceptor: Perceptor

    def embed_images(self, pictures: Tensor) -> Tensor:
        size = (self.perceptor.side, self.perceptor.side)
        return self.perceptor.embed_images(
            F.interpolate(pictures, size, mode="bilinear", antialias=True).clamp(0, 1)
        )

    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        return self.perceptor.embed_texts(texts)


# Ranks


def ranks(queries: Tensor, gallery: Tensor, own: Tensor | None = None) -> Tensor:
    """The rank int64 [n], from 1, of what belongs to each of n unit vectors among a gallery of m.

    `own` says which that is, the one of the same number otherwise. A tie counts against the query, so that a
    model that sees no difference is not called good.
    """
    similar = queries @ gallery.T
    own = torch.arange(len(queries), device=similar.device) if own is None else own
    return (similar >= similar.gather(1, own[:, None])).sum(1)


def shares(ranked: Tensor, within: Sequence[int]) -> Document:
    """The share of ranks [n] that are within the first one, five, …, and the mean reciprocal rank."""
    named = {f"first_{most}": float((ranked <= most).double().mean()) for most in within}
    return {**named, "mean_reciprocal_rank": float((1 / ranked.double()).mean()), "queries": len(ranked)}


def chance(among: int, within: Sequence[int]) -> Document:
    """What guessing among so many gives."""
    reciprocal = sum(1 / rank for rank in range(1, among + 1)) / among
    named = {f"first_{most}": min(1.0, most / among) for most in within}
    return {**named, "mean_reciprocal_rank": reciprocal, "among": among}


def shuffled(queries: Tensor, gallery: Tensor, seed: int = 0) -> Document:
    """A control: the shares first when phrases are dealt to pictures at random, and the best deal's."""
    generator = Generator().manual_seed(seed)
    deals = [torch.randperm(len(queries), generator=generator) for _ in range(SHUFFLES)]
    firsts = [
        float((ranks(queries, gallery, deal.to(queries.device)) <= 1).double().mean()) for deal in deals
    ]
    return {"first_1": statistics.fmean(firsts), "best": max(firsts), "deals": SHUFFLES}


# What a judge sees in a pair's pictures


@torch.no_grad()
def judged(judge: Embedder, shown: Shown, captions: Collection[str] = ()) -> Document:
    """How often the phrase that steered a picture is ranked first, or in the first five, of all phrases.

    A phrase is unseen when it is none of the captions that the pair learned from.
    """
    texts = judge.embed_texts(shown.phrases)
    unseen = torch.tensor([phrase not in captions for phrase in shown.phrases])
    document: Document = {"chance": chance(len(texts), (1, 5))}
    for name, pixels in {"first": shown.first, "last": shown.last}.items():
        pictures = embedded(judge, torch.from_numpy(pixels))
        ranked = ranks(pictures, texts)
        document[name] = {
            "all": shares(ranked, (1, 5)),
            "simple": shares(ranked[:SIMPLE], (1, 5)),
            "unseen": shares(ranked[unseen.to(ranked.device)], (1, 5)),
            "shuffled": shuffled(pictures, texts),
            "ranks": ranked.tolist(),
        }
    return document


def embedded(model: Embedder, pictures: Tensor) -> Tensor:
    """Unit vectors [n, d] of pictures uint8 [n, 3, h, w], some at a time."""
    device = model.embed_texts(["a"]).device
    parts = [model.embed_images(part.to(device).float() / 255) for part in torch.split(pictures, AT_ONCE)]
    return torch.cat(parts)


# Retrieval in a style that nobody learned from


@torch.no_grad()
def retrieval(models: Mapping[str, Embedder], style: Shard, side: int, seed: int) -> Document:
    """How often a thing's own picture is among the first for its name, and its name for its picture."""
    chosen = one_a_label(style)
    labels = [style.entries[index].label for index in chosen]
    library = scenes.library([style])
    document: Document = {"chance": chance(len(labels), (1, 10)), "style": style.source["name"]}
    for ground in ("plain", "gradient"):
        pictures = on_ground(library, chosen, ground, side, seed)
        for name, model in models.items():
            document.setdefault(name, {})[ground] = _both_ways(model, pictures, labels)
    return document


def one_a_label(style: Shard) -> list[int]:
    """A style's sprites that show things, one for each label."""
    first: dict[str, int] = {}
    for index, entry in enumerate(style.entries):
        if entry.group in THINGS:
            first.setdefault(entry.label, index)
    return list(first.values())


def on_ground(library: Library, chosen: Sequence[int], ground: str, side: int, seed: int) -> Tensor:
    """Sprites as pictures uint8 [n, 3, side, side], each on one colour or on a gradient between two."""
    dice = random.Random(f"{seed} {ground}")
    planned = []
    for index in chosen:
        top, bottom = dice.choice(list(words.COLOURS.values())), dice.choice(list(words.COLOURS.values()))
        background = Background(top, top if ground == "plain" else bottom)
        planned.append(Scene(background, (Placement(index, 0.5, 0.5, FILLED),), ""))
    parts = [planned[start : start + AT_ONCE] for start in range(0, len(planned), AT_ONCE)]
    return torch.cat([scenes.paint(library, part, side, seed) for part in parts])


def _both_ways(model: Embedder, pictures: Tensor, labels: Sequence[str]) -> Document:
    seen, named = embedded(model, pictures), model.embed_texts(labels)
    return {
        "text_to_picture": shares(ranks(named, seen), (1, 10)),
        "picture_to_text": shares(ranks(seen, named), (1, 10)),
    }


# Encoding and decoding pictures


@torch.no_grad()
def reconstruction(vqgan: VQGAN, pictures: Tensor) -> Document:
    """How near pictures uint8 [n, 3, h, w] come to themselves, in dB, and how much of the codebook occurs.

    Of the grid that is left of its squares see `grid.ratio`.
    """
    device, levels, steps = vqgan.codebook.device, list[Tensor](), list[Tensor]()
    used: set[int] = set()
    for part in torch.split(pictures, AT_ONCE):
        wanted = part.to(device).float() / 255
        tokens = vqgan.tokens(wanted)
        drawn = vqgan.decode(vqgan.embed(tokens)).clamp(0, 1)
        levels.append(psnr(drawn, wanted))
        steps.append(grid.profiles(drawn, vqgan.factor))
        used.update(tokens.flatten().tolist())
    codes = len(vqgan.codebook)
    found = {"psnr": float(torch.cat(levels).mean()), "codes": codes, "used": len(used) / codes}
    return {**found, "grid": grid.ratio(torch.cat(steps))}


def psnr(pictures: Tensor, wanted: Tensor) -> Tensor:
    """The peak signal-to-noise ratio [n] in dB of pictures [n, 3, h, w] in 0..1."""
    error = (pictures - wanted).square().mean((1, 2, 3)).clamp(min=1e-10)
    return -10 * error.log10()


def reconstructions(
    folders: Sequence[Path], shards: Sequence[Shard], count: int, side: int, seed: int
) -> Document:
    """Scenes of styles that no pair learned from, through each pair's VQGAN, by style and pair."""
    device = devices.choose()
    vqgans = {folder.name: pairs.load_vqgan(folder, device, torch.float32) for folder in folders}
    document: Document = {"pictures": count, "side": side}
    for shard in shards:
        pictures = painted(shard, count, side, seed)
        own = grid.ratio(grid.profiles(pictures.float(), next(iter(vqgans.values())).factor))
        found = {name: reconstruction(it, pictures) for name, it in vqgans.items()}
        document[shard.source["name"]] = {"scenes": {"grid": own}, **found}
    return document


def grids(folders: Sequence[Path], files: Sequence[Path], phrases: Sequence[str]) -> Document:
    """What is left of each pair's squares in the last keyframes that it drew of phrases; see `grid.ratio`."""
    document: Document = {}
    for folder in folders:
        own = [file for file in files if file.parent.name == folder.name]
        pictures = torch.from_numpy(keyframes.load(own, phrases).last).float() / 255
        steps = grid.profiles(pictures, weights.factor(pairs.weights(folder, "vqgan")))
        document[folder.name] = {"keyframes": len(pictures), "grid": grid.ratio(steps)}
    return document


def painted(shard: Shard, count: int, side: int, seed: int) -> Tensor:
    """Scenes uint8 [count, 3, side, side] with a source's sprites."""
    library, starts = scenes.library([shard]), range(0, count, AT_ONCE)
    return torch.cat(
        [scenes.batch(library, seed, min(AT_ONCE, count - start), side, start)[0] for start in starts]
    )


# Speed


def speed(folders: Sequence[Path], film: Config, rounds: int, iterations: int) -> Document:
    """Iterations a second of each pair: the median of some rounds in which the pairs take turns."""
    device = devices.choose()
    studios = {folder.name: Studio(folder, film, device) for folder in folders}
    taken: dict[str, list[float]] = {name: [] for name in studios}
    for number in range(rounds + 1):
        for name, studio in studios.items():
            seconds = _timed(studio, iterations)
            if number:  # the first round warms up
                taken[name].append(iterations / seconds)
    rates = {name: {"median": statistics.median(it), "rounds": sorted(it)} for name, it in taken.items()}
    setting = f"{film.width}x{film.height}, {film.cutouts} cutouts"
    return {"setting": setting, "device": device.type, "threads": torch.get_num_threads(), **rates}


def _timed(studio: Studio, iterations: int) -> float:
    chain = studio.chain("a boat on a river", replace(studio.strategy, iterations=iterations, lead_in=0), 1)
    start = time.perf_counter()
    next(chain)  # its loss is read back, so that a GPU is done
    return time.perf_counter() - start
