"""One line or two at a time on each GPU: python -m benchmarks.jobs_per_gpu [--pairs N] [--lines N].

Renders lines by the reference preset with a VQGAN and a CLIP of full size and random weights, and prints the
times, their ratio and its median. --narrow tries the script out with small networks, where there is no GPU.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import torch
import yaml

from benchmarks.memory import full_clip, full_vqgan
from songreel.jobs import leases
from songreel.models.perceptor import build
from songreel.models.vqgan import VQGAN
from tests import checkpoints, published
from tests.conftest import Project, Settings, new_project

# Ten keyframes a line: as for a line of half a second, so that starts count for more than in a song.
FULL: Settings = {"preset": "reference", "iterations": 100, "lead_in": 100}
NARROW: Settings = {"size": "32x32", "iterations": 1, "lead_in": 1, "cutouts": 2}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.jobs_per_gpu", description=__doc__)
    parser.add_argument("--pairs", type=int, default=3, help="default: 3")
    parser.add_argument("--lines", type=int, default=8, help="default: 8")
    parser.add_argument("--narrow", action="store_true", help="small networks, to try this out")
    options = parser.parse_args(arguments)
    gpus = leases.devices()
    if not gpus:
        sys.exit(f"found no GPU; with --narrow and {leases.FAKE}=1 this can be tried out all the same.")
    print(f"{len(gpus)} GPUs: {', '.join(gpus)}")
    with tempfile.TemporaryDirectory() as folder:
        _write_models(Path(folder), options.narrow)
        os.environ["SONGREEL_WEIGHTS"] = f"{folder}/cache"
        ratios = [_pair(number, options, Path(folder)) for number in range(options.pairs)]
    print(f"median {median(ratios):.2f} times as fast with two at a time")


def _write_models(folder: Path, narrow: bool) -> None:
    """A VQGAN and a CLIP as users have them, of random weights."""
    torch.manual_seed(0)
    params = published.VQGANS["imagenet-16384"]["params"] if narrow else full_vqgan("imagenet-16384")
    facts = published.PERCEPTORS["ViT-B/32"] if narrow else full_clip("ViT-B/32")
    networks = {key: params[key] for key in ("ddconfig", "n_embed", "embed_dim")}
    checkpoints.lightning(folder / "vqgan.ckpt", VQGAN(**networks).state_dict())
    config = published.VQGANS["imagenet-16384"] | {"params": params}
    (folder / "vqgan.yaml").write_text(yaml.safe_dump({"model": config}))
    checkpoints.archive(build(facts), facts, folder / "clip.pt")


def _pair(number: int, options: argparse.Namespace, folder: Path) -> float:
    # Each goes first as often as the other, for a machine that gets slower.
    first, second = (1, 2) if number % 2 else (2, 1)
    seconds = {jobs: _render(jobs, options, folder) for jobs in (first, second)}
    print(f"{seconds[1]:6.1f} s, {seconds[2]:6.1f} s: {seconds[1] / seconds[2]:.2f} times", flush=True)
    return seconds[1] / seconds[2]


def _render(jobs_per_gpu: int, options: argparse.Namespace, folder: Path) -> float:
    """Seconds for the lines' keyframes."""
    models = {"model": str(folder / "vqgan.ckpt"), "perceptors": [str(folder / "clip.pt")]}
    settings: Settings = {**(NARROW if options.narrow else FULL), **models}
    project: Project = new_project(folder / "project", **settings, audio="none", tail=0.3, transition=0)
    project.configure(jobs_per_gpu=jobs_per_gpu, keyframes_per_second=15)
    project.write([(f"a boat of {number} sails", 0.3 * number) for number in range(options.lines)])
    _snakemake(project, "--until", "fetch")  # which converts the models once
    started = time.monotonic()
    _snakemake(project, "--until", "keyframes")
    took = time.monotonic() - started
    assert len(list(project.results.root.glob("latents/*"))) == options.lines
    shutil.rmtree(project.folder)
    return took


def _snakemake(project: Project, *arguments: str) -> None:
    command = project.snakemake("--cores", "64", *arguments)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


if __name__ == "__main__":
    main()
