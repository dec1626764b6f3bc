"""What a preset gives for its time: python -m benchmarks.presets --judge FOLDER swift reference.

Each phrase is rendered with each preset in turn, from the same canvas, and drawn at the film's rate. Told are

- the judge's score: the mean cosine of a phrase and the frames drawn for it (higher is better), by a CLIP
  that has steered nothing: a pair's folder or, with --teacher, a judge that workflow/starter has trained;
- flicker: the root mean square, in grey levels, of the pixels' second difference in time,
  f(t-1) - 2f(t) + f(t+1) (lower is better): steady motion has none, a picture that trembles has much;
- the seconds of optimising and of drawing.

A preset may be written with settings of its own, to try others: swift,iterations=40,learning_rate=0.2
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from songreel.costs import bench
from songreel.drawing import draw
from songreel.ground.files import write_json_if_changed
from songreel.kernels import devices
from songreel.planning import config, plan
from songreel.planning.config import Config
from songreel_starter import pairs
from songreel_starter.keyframes import Studio, read_phrases
from songreel_starter.measures import Embedder, Sighted

ROOT = Path(__file__).resolve().parents[1]
SEEN_EVERY = 1 / 6  # seconds between frames that the judge sees

Frames = NDArray[np.uint8]  # [n, height, width, 3]


@dataclass(frozen=True)
class Result:
    """One phrase rendered with one preset."""

    score: float
    flicker: float
    optimising_seconds: float
    drawing_seconds: float

    @property
    def seconds(self) -> float:
        return self.optimising_seconds + self.drawing_seconds


def main() -> None:
    options = _parser().parse_args()
    torch.set_num_threads(options.threads)
    judge = load_judge(options.judge, options.teacher)
    common = dict(setting.split("=", 1) for setting in options.config)
    studios = {name: studio(options.pair, name, common) for name in options.presets}
    found: list[dict[str, Result]] = []
    for number, phrase in enumerate(read_phrases(options.phrases, options.count)):
        turns = list(studios)[:: 1 if number % 2 else -1]  # whoever goes first finds a colder cache
        results = {name: rendered(studios[name], judge, phrase, options.seconds) for name in turns}
        found.append(results)
        print(f"{phrase!r}: " + "; ".join(f"{name} {_cell(results[name])}" for name in studios), flush=True)
        if options.json:
            rows = [{name: asdict(result) for name, result in row.items()} for row in found]
            write_json_if_changed(options.json, rows)
    print(table(found, list(studios)))


def studio(pair: Path, name: str, common: Mapping[str, Any]) -> Studio:
    """A pair at work with a preset, written PRESET or PRESET,KEY=VALUE,…, over settings `common` to all."""
    preset, *own = name.split(",")
    settings = {"preset": preset, **common, **dict(setting.split("=", 1) for setting in own)}
    return Studio(pair, config.resolve(settings), devices.choose())


def load_judge(path: Path, teacher: Path | None) -> Embedder:
    """A folder's CLIP, or a file's judge."""
    device = devices.choose()
    if path.is_dir():
        return Sighted(pairs.load_clip(path, device, torch.float32))
    from songreel_starter import judge

    return judge.load(path, teacher, device)


def rendered(studio: Studio, judge: Embedder, phrase: str, seconds: float) -> Result:
    """Render so many seconds of film for a phrase and look at them."""
    frames = round(seconds * studio.film.frames_per_second)
    clip = bench.plain_clip(studio.film, frames)
    started = time.monotonic()
    chain = itertools.islice(studio.chain(phrase, studio.strategy), plan.keyframes_for(frames, clip))
    tokens = np.stack([keyframe.tokens.cpu().numpy() for keyframe in chain]).astype(np.uint16)
    optimised = time.monotonic()
    pictures = np.concatenate(list(draw.frames(studio.vqgan, clip, tokens, None)))
    drawn = time.monotonic()
    return Result(
        score(judge, phrase, pictures, studio.film),
        flicker(pictures),
        optimised - started,
        drawn - optimised,
    )


def score(judge: Embedder, phrase: str, pictures: Frames, film: Config) -> float:
    """The mean cosine of a phrase and the pictures that the judge sees."""
    seen = torch.from_numpy(pictures[:: max(1, round(SEEN_EVERY * film.frames_per_second))])
    shown: Tensor = seen.permute(0, 3, 1, 2).float() / 255
    return float((judge.embed_images(shown) @ judge.embed_texts([phrase]).T).mean())


def flicker(pictures: Frames) -> float:
    """The root mean square of the second difference in time, in grey levels."""
    return float(np.sqrt(mean(_squares(pictures))))


def _squares(pictures: Frames) -> Iterator[float]:
    for before, now, after in zip(pictures, pictures[1:], pictures[2:], strict=False):
        yield float(np.square(before.astype(np.float32) - 2.0 * now + after).mean())


def table(found: Sequence[Mapping[str, Result]], names: Sequence[str]) -> str:
    """Means over the phrases, and each preset against the last, phrase by phrase, with a standard error."""
    last = names[-1]
    rows = [
        f"{'preset':<40} {'score':>8} {'flicker':>8} {'seconds':>9}   against {last}: score, flicker, time"
    ]
    for name in names:
        mine, others = ([row[it] for row in found] for it in (name, last))
        rows.append(
            f"{name:<40} {mean(it.score for it in mine):8.4f} {mean(it.flicker for it in mine):8.3f}"
            f" {mean(it.seconds for it in mine):9.1f}   {_against(mine, others)}"
        )
    return "\n".join(rows)


def _against(mine: Sequence[Result], others: Sequence[Result]) -> str:
    pairs_of = list(zip(mine, others, strict=True))
    better = [one.score - other.score for one, other in pairs_of]
    error = stdev(better) / len(better) ** 0.5 if len(better) > 1 else float("nan")
    flickers = median(one.flicker / other.flicker for one, other in pairs_of)
    times = median(one.seconds / other.seconds for one, other in pairs_of)
    return f"{mean(better):+.4f} ± {error:.4f}, {flickers:.2f} times, {times:.3f} of it"


def _cell(result: Result) -> str:
    return f"{result.score:.4f}, flicker {result.flicker:.2f}, {result.seconds:.1f} s"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("presets", nargs="+", metavar="PRESET[,KEY=VALUE]", help="the last is compared with")
    parser.add_argument("--judge", type=Path, required=True, help="the folder of a pair, or a judge's file")
    parser.add_argument("--teacher", type=Path, help="the package of sentence embeddings of a judge's file")
    parser.add_argument("--pair", type=Path, default=ROOT / "models/starter", help="default: models/starter")
    parser.add_argument("--phrases", type=Path, default=ROOT / "workflow/starter/phrases.txt")
    parser.add_argument("--count", type=int, default=20, help="phrases (default 20)")
    parser.add_argument("--seconds", type=float, default=2.0, help="of film, for each phrase (default 2)")
    parser.add_argument("--config", nargs="*", default=[], metavar="KEY=VALUE", help="for all presets")
    parser.add_argument("--threads", type=int, default=1, help="of the CPU")
    parser.add_argument("--json", type=Path, help="also write each phrase's results to this file")
    return parser


if __name__ == "__main__":
    main()
