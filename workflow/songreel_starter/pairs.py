"""A pair in a folder: clip and vqgan, each as safetensors with its yaml. The first is in git's history."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import torch
import yaml

from songreel.ground.errors import UserError
from songreel.ground.files import replacing
from songreel.models import perceptor, vqgan
from songreel.models.perceptor import Perceptor
from songreel.models.vqgan import VQGAN
from songreel.models.weights import Weights
from songreel_starter.sources import FOLDER

KINDS = "clip", "vqgan"
FILES = tuple(f"{kind}.{suffix}" for kind in KINDS for suffix in ("safetensors", "yaml"))
FIRST = FOLDER / "first.yaml"


def weights(folder: Path, kind: str) -> Weights:
    """A half of a folder's pair, `clip` or `vqgan`. Raises UserError when it is not there."""
    tensors, architecture = (folder / f"{kind}.{suffix}" for suffix in ("safetensors", "yaml"))
    for file in (tensors, architecture):
        if not file.is_file():
            raise UserError(
                f"{file}: found no such file, expected a part of a pair; train it or correct the folder."
            )
    return Weights(kind, tensors, architecture, hashlib.sha256(tensors.read_bytes()).hexdigest())


def load_clip(folder: Path, device: torch.device, dtype: torch.dtype) -> Perceptor:
    """The pair's CLIP. Raises UserError when it is not there or damaged."""
    return perceptor.load(weights(folder, "clip"), device, dtype)


def load_vqgan(folder: Path, device: torch.device, dtype: torch.dtype) -> VQGAN:
    """The pair's VQGAN. Raises UserError when it is not there or damaged."""
    return vqgan.load(weights(folder, "vqgan"), device, dtype)


def fetch_first(folder: Path, repository: Path = FOLDER) -> None:
    """Write the first pair's files as git's history has them. Raises UserError where there is none."""
    pinned = yaml.safe_load(FIRST.read_text(encoding="utf-8"))
    for name, file in pinned["files"].items():
        data = _blob(repository, file["blob"], pinned["commit"])
        if hashlib.sha256(data).hexdigest() != file["sha256"]:
            raise UserError(f"{name}: found another file in git than {FIRST} pins; restore {FIRST}.")
        with replacing(folder / name) as temporary:
            temporary.write_bytes(data)


def _blob(repository: Path, blob: str, commit: str) -> bytes:
    needed = f"the first pair is in git's history, at commit {commit[:7]}"
    try:
        done = subprocess.run(["git", "cat-file", "blob", blob], cwd=repository, capture_output=True)
    except FileNotFoundError:
        raise UserError(f"git: found no such program, and {needed}; install git.") from None
    if done.returncode:
        message = " ".join(done.stderr.decode(errors="replace").split())
        raise UserError(
            f"{repository}: found no object {blob[:7]} in git ({message}), and {needed}; work in a whole"
            f" clone of the repository, for example after `git fetch --unshallow`."
        )
    return done.stdout
