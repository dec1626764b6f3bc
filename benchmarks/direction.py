"""Whether directions are followed: python -m benchmarks.direction --judge FOLDER.

Each phrase is rendered as it is, and once more for each direction, from the picture that the starter's
album composes for the phrase alone (or with album=none from the canvas), so that only what steers differs.
Then a CLIP that has steered nothing, a pair's in a folder, says how near both last keyframes are to what the
direction names:

- avoid: to the other phrase that the pair's CLIP sees most of in the phrase's picture; in another take, so
  that it was not chosen by what that one happens to show, pushed away at -0.5 and not: lower is right;
- absent: to another phrase, pushed away at -0.5 and not: lower is right;
- weight: to that other phrase as a second part, at 1 against 0.25: higher is right;
- style: to the style's words, with and without it: higher is right;
- image: to the plain picture of another phrase, as an image prompt, with and without it: higher is right.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean

import torch
from torch import Tensor

from songreel.planning import config
from songreel.planning.album import STARTER
from songreel.sampling import composing, sampler
from songreel.sampling.composing import Composer
from songreel.sampling.loss import Weighing
from songreel.sampling.sampler import Pull, Start
from songreel_starter import pairs
from songreel_starter.keyframes import Studio, read_phrases
from songreel_starter.measures import Embedder, Sighted

ROOT = Path(__file__).resolve().parents[1]
CPU = torch.device("cpu")
STYLE = "in the snow at night"
FAR = 7  # phrases further on is what is added or shown: of another theme
KINDS = ("avoid", "absent", "weight", "style", "image")
Draw = Callable[..., Tensor]  # `picture` of a studio
Rows = dict[str, dict[str, float]]  # of each phrase, by how much each kind moved the judge


def main() -> None:
    """Render, and print a row for each phrase and how many went right."""
    options = _parser().parse_args()
    torch.set_num_threads(options.threads)
    settings = dict(setting.split("=", 1) for setting in options.config)
    studio = Studio(options.pair, config.resolve({"preset": "draft", **settings}), CPU)
    draw = functools.partial(picture, studio, options.keyframes)
    judge = Sighted(pairs.load_clip(options.judge, CPU, torch.float32))
    phrases = read_phrases(options.phrases, options.count)
    plain = functools.cache(lambda phrase: draw(phrase, [text(studio, phrase)], [1.0]))
    rows: Rows = json.loads(options.kept.read_text()) if options.kept and options.kept.exists() else {}
    for number, phrase in enumerate(phrases):
        if phrase not in rows:
            other = phrases[(number + FAR) % len(phrases)]
            rows[phrase] = {
                "avoid": avoided(studio, judge, draw, phrase, phrases, plain(phrase)),
                **moved(studio, judge, draw, phrase, other, plain(phrase), plain(other)),
            }
            if options.kept:
                options.kept.write_text(json.dumps(rows, indent=1))
        row = rows[phrase]
        print(f"{phrase!r}: " + ", ".join(f"{kind} {row[kind]:+.4f}" for kind in KINDS), flush=True)
    for kind in KINDS:
        shifts = [rows[phrase][kind] for phrase in phrases]
        right = sum(shift > 0 for shift in shifts)
        print(f"{kind}: {right} of {len(shifts)} in the right direction, {mean(shifts):+.4f} on average")


def moved(
    studio: Studio, judge: Embedder, draw: Draw, phrase: str, other: str, plain: Tensor, shown: Tensor
) -> dict[str, float]:
    """By how much what is added moves the judge's cosine, above 0 where it does so as asked."""
    own, second = text(studio, phrase), text(studio, other)
    weak, strong = (draw(phrase, [own, second], [1.0, weight]) for weight in (0.25, 1.0))
    avoiding = draw(phrase, [own, second], [1.0, -0.5])
    styled = draw(phrase, [text(studio, f"{phrase}, {STYLE}")], [1.0])
    with torch.no_grad():
        image = Sighted(studio.clip).embed_images(shown)
        seen = judge.embed_images(shown)[0]
    prompted = draw(phrase, [own, image], [1.0, 1.0])
    words, style = judge.embed_texts([other, STYLE])
    return {
        "absent": near(judge, plain, words) - near(judge, avoiding, words),
        "weight": near(judge, strong, words) - near(judge, weak, words),
        "style": near(judge, styled, style) - near(judge, plain, style),
        "image": near(judge, prompted, seen) - near(judge, plain, seen),
    }


def avoided(
    studio: Studio, judge: Embedder, draw: Draw, phrase: str, phrases: Sequence[str], plain: Tensor
) -> float:
    """By how much what is avoided lowers the judge's cosine with it."""
    others = [other for other in phrases if other != phrase]
    with torch.no_grad():
        likings = Sighted(studio.clip).embed_images(plain) @ studio.clip.embed_texts(others).T
    seen = others[int(likings.argmax())]
    own, away, words = text(studio, phrase), text(studio, seen), judge.embed_texts([seen])[0]
    without = draw(phrase, [own], [1.0], take=1)
    avoiding = draw(phrase, [own, away], [1.0, -0.5], take=1)
    return near(judge, without, words) - near(judge, avoiding, words)


def text(studio: Studio, phrase: str) -> Tensor:
    """A phrase as the pair's CLIP reads it, float32 [1, d]."""
    return studio.clip.embed_texts([phrase])


def picture(
    studio: Studio,
    keyframes: int,
    phrase: str,
    targets: Sequence[Tensor],
    weights: Sequence[float],
    take: int = 0,
) -> Tensor:
    """The last of some keyframes that parts of these weights draw, float32 [1, 3, h, w] in 0..1.

    They go on from what lines of a phrase start from.
    """
    stops = torch.full((len(weights),), float("-inf"))
    pull = Pull(studio.clip, torch.cat(list(targets)), 1.0, 0, Weighing(torch.tensor(weights), stops))
    film, start = studio.film, started(studio, phrase)
    strategy, latent = (film.strategy_of_pictures, start.latent) if start else (film.strategy, studio.canvas)
    chain = sampler.chain(studio.vqgan, [pull], strategy, latent, film.seed, take, 0, start=start)
    *_, last = itertools.islice(chain, keyframes)
    with torch.no_grad():
        return studio.vqgan.decode(studio.vqgan.embed(last.tokens[None])).clamp(0, 1)


def started(studio: Studio, phrase: str) -> Start | None:
    """What a line of a phrase starts from; None is the canvas."""
    if studio.film.album == "none":
        return None
    size = studio.film.width, studio.film.height
    (best,) = album(studio).ranked(phrase, size, 1)
    return Start(sampler.started(studio.vqgan, best.picture))


@functools.cache
def album(studio: Studio) -> Composer:
    """The starter's album, as its plans are made with."""
    return composing.load(STARTER.parent, lambda texts: studio.clip.embed_texts(texts).numpy())


@torch.no_grad()
def near(judge: Embedder, shown: Tensor, target: Tensor) -> float:
    """The cosine of a picture and a unit vector [d], as the judge sees it."""
    return float(judge.embed_images(shown)[0] @ target)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--judge", type=Path, required=True, help="the folder of a pair that steers nothing")
    parser.add_argument("--pair", type=Path, default=ROOT / "models/starter", help="default: models/starter")
    parser.add_argument("--phrases", type=Path, default=ROOT / "workflow/starter/phrases.txt")
    parser.add_argument("--count", type=int, default=20, help="phrases (default 20)")
    parser.add_argument("--keyframes", type=int, default=5, help="of each rendering (default 5: a second)")
    parser.add_argument("--kept", type=Path, help="a JSON file of what is done, to go on from")
    parser.add_argument("--config", nargs="*", default=[], metavar="KEY=VALUE", help="as snakemake's")
    parser.add_argument("--threads", type=int, default=1, help="of the CPU")
    return parser


if __name__ == "__main__":
    main()
