"""The baseline: an iteration of VQGAN+CLIP as the tools that published it run it, to be compared with.

Written anew for this comparison, from what the public tools do: Katherine Crowson's and @advadnoun's
notebooks of 2021 and those that follow them (nerdyrodent/VQGAN-CLIP and rkhamilton/vqgan-clip-generator, with
their default augmentations). No code is theirs. What they have in common, and what is kept here:

- float32 and eager; taming's decoder and CLIP's picture tower as they were published, the nearest code found
  by all distances and looked up by a product with one-hot rows;
- a Python loop over the cutouts, each of a size drawn on the host, pooled by the mean of average and maximum;
- then one augmentation after another on the share of the cutouts that it falls on: an affine map, a
  perspective, a colour jitter by way of hue and saturation, erasing; then noise;
- `torch.optim.Adam`, one step from Python an iteration.

They augment with kornia, and so does the baseline where that is installed (`pip install kornia`, or the extra
`bench`). Where it is not, the same four are written here with torch alone. They take about half of kornia's
time, since its bookkeeping is left out, so that the baseline is faster then. On a GPU CLIP runs in float32
here, where OpenAI's loader takes half precision.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import taming.modules.diffusionmodules.model as taming_model
import torch
import torch.nn.functional as F
from torch import Tensor

from songreel.models.clip_configs import MEAN, STD
from songreel.models.vqgan import VQGAN
from songreel.sampling.loss import clamp_inwards, spherical_distance, straight_through

DEGREES, SHIFT, DISTORTION, JITTER, NOISE = 15.0, 0.1, 0.2, 0.1, 0.1
OFTEN, ERASED = 0.7, (0.1, 0.4)  # probability of an augmentation; smallest and largest side that is erased

Points = tuple[tuple[float, float], ...]
CORNERS: Points = ((-1, -1), (1, -1), (1, 1), (-1, 1))


class Baseline:
    """A latent [1, c, h, w] on its way towards unit vectors [n, d] of one CLIP or of several.

    `vqgan` and the CLIPs are as published: not made quick, float32, on the latent's device.
    """

    def __init__(
        self,
        vqgan: VQGAN,
        judges: Sequence[tuple[Any, Tensor]],
        start: Tensor,
        cutouts: int,
        learning_rate: float,
    ) -> None:
        self.vqgan, self.judges, self.cutouts = vqgan, judges, cutouts
        self.latent = start.clone().requires_grad_()
        self.adam = torch.optim.Adam([self.latent], lr=learning_rate)
        self.low, self.high = (
            bound(vqgan.codebook, 0).values.view(1, -1, 1, 1) for bound in (torch.min, torch.max)
        )
        self.augmentations, self._augmented = _augmentations()
        self.mean, self.std = (torch.tensor(it, device=start.device).view(1, 3, 1, 1) for it in (MEAN, STD))

    def step(self) -> None:
        """One iteration."""
        self.adam.zero_grad(set_to_none=True)
        self._distance().backward()  # type: ignore[no-untyped-call]
        self.adam.step()
        with torch.no_grad():
            self.latent.copy_(self.latent.maximum(self.low).minimum(self.high))

    def _distance(self) -> Tensor:
        quantised = straight_through(self.latent, _quantised(self.vqgan, self.latent))
        with _published_swish():
            pixels = self.vqgan.deblocking(self.vqgan.decoder(self.vqgan.post_quant_conv(quantised)))
        picture = clamp_inwards((pixels + 1) / 2, 0, 1)
        return torch.stack([self._judged(picture, clip, target) for clip, target in self.judges]).sum()

    def _judged(self, picture: Tensor, clip: Any, target: Tensor) -> Tensor:
        crops = _crops(picture, self.cutouts, clip.visual.input_resolution)
        seen = _noisy(self._augmented(crops))
        embedded = clip.encode_image((seen - self.mean) / self.std).float()
        return spherical_distance(F.normalize(embedded, dim=-1)[:, None], target).mean()


@contextmanager
def _published_swish() -> Iterator[None]:
    """Let taming multiply by a sigmoid, as it was published, instead of songreel's fused function."""
    ours = taming_model.nonlinearity
    taming_model.nonlinearity = lambda x: x * torch.sigmoid(x)
    try:
        yield
    finally:
        taming_model.nonlinearity = ours


@torch.no_grad()
def _quantised(vqgan: VQGAN, latent: Tensor) -> Tensor:
    codes, vectors = vqgan.codebook, latent.permute(0, 2, 3, 1)  # [1, h, w, c]
    distances = vectors.square().sum(-1, keepdim=True) + codes.square().sum(1) - 2 * vectors @ codes.T
    return (F.one_hot(distances.argmin(-1), len(codes)).to(codes.dtype) @ codes).permute(0, 3, 1, 2)


def _crops(picture: Tensor, count: int, side: int) -> Tensor:
    """Squares [count, 3, side, side] from random places, one after another."""
    height, width = picture.shape[-2:]
    largest = min(height, width)
    smallest = min(largest, side)
    crops = []
    for _ in range(count):
        size = int(torch.rand([]) * (largest - smallest) + smallest)
        top, left = (int(torch.randint(0, length - size + 1, ())) for length in (height, width))
        crop = picture[:, :, top : top + size, left : left + size]
        crops.append((F.adaptive_avg_pool2d(crop, side) + F.adaptive_max_pool2d(crop, side)) / 2)
    return torch.cat(crops)


def _augmentations() -> tuple[str, Callable[[Tensor], Tensor]]:
    """What augments crops [n, 3, side, side], and what that is written with."""
    try:
        import kornia
        import kornia.augmentation as K
    except ImportError:
        return "torch", _augmented
    jitter = K.ColorJitter(JITTER, JITTER, JITTER, JITTER, p=OFTEN)
    affine = K.RandomAffine(DEGREES, (SHIFT, SHIFT), padding_mode="border", p=OFTEN)
    erasing = K.RandomErasing((ERASED[0] ** 2, ERASED[1] ** 2), p=OFTEN)
    changes = affine, K.RandomPerspective(DISTORTION, p=OFTEN), jitter, erasing
    return f"kornia {kornia.__version__}", torch.nn.Sequential(*changes)


def _augmented(crops: Tensor) -> Tensor:
    """The same without kornia."""
    for change in (_affine, _perspective, _jitter, _erase):
        crops = _sometimes(crops, change)
    return crops


def _noisy(crops: Tensor) -> Tensor:
    factors = torch.empty(len(crops), 1, 1, 1, device=crops.device).uniform_(0, NOISE)
    return crops + factors * torch.randn_like(crops)


def _sometimes(crops: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
    """The crops, those that it falls on changed: chosen on the host, taken out and put back."""
    chosen = (torch.rand(len(crops)) < OFTEN).nonzero()[:, 0].to(crops.device)
    if not len(chosen):
        return crops
    return crops.index_put((chosen,), change(crops[chosen]))


def _affine(crops: Tensor) -> Tensor:
    angle = _uniform(crops, -DEGREES, DEGREES) * (math.pi / 180)
    x, y = (_uniform(crops, -2 * SHIFT, 2 * SHIFT) for _ in range(2))
    rows = ((angle.cos(), -angle.sin(), x), (angle.sin(), angle.cos(), y))
    theta = torch.stack([torch.stack(row, -1) for row in rows], 1)  # [n, 2, 3]
    grid = F.affine_grid(theta, list(crops.shape), align_corners=False)
    return F.grid_sample(crops, grid, padding_mode="border", align_corners=False)


def _perspective(crops: Tensor) -> Tensor:
    n, _, height, width = crops.shape
    corners = torch.tensor(CORNERS, device=crops.device).expand(n, 4, 2)
    moved = corners - corners.sign() * torch.rand(n, 4, 2, device=crops.device) * DISTORTION
    homography = _homography(corners, moved)
    y, x = (torch.linspace(-1, 1, length, device=crops.device) for length in (height, width))
    points = torch.stack(
        [*torch.meshgrid(x, y, indexing="xy"), torch.ones(height, width, device=x.device)], -1
    )
    mapped = points.view(1, -1, 3) @ homography.transpose(1, 2)  # [n, pixels, 3]
    grid = (mapped[..., :2] / mapped[..., 2:]).view(n, height, width, 2)
    return F.grid_sample(crops, grid, padding_mode="border", align_corners=True)


def _homography(before: Tensor, after: Tensor) -> Tensor:
    """The maps [n, 3, 3] that take four points [n, 4, 2] to four others: eight equations each."""
    (x, y), (u, v) = before.unbind(-1), after.unbind(-1)
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    first = torch.stack((x, y, one, zero, zero, zero, -u * x, -u * y), -1)
    second = torch.stack((zero, zero, zero, x, y, one, -v * x, -v * y), -1)
    solved = torch.linalg.solve(torch.cat((first, second), 1), torch.cat((u, v), 1))
    return torch.cat((solved, one[:, :1]), 1).view(-1, 3, 3)


def _jitter(crops: Tensor) -> Tensor:
    """Brightness, contrast, saturation and hue, each a pass of its own."""
    brightness, contrast, saturation, hue = (
        _uniform(crops, -JITTER, JITTER).view(-1, 1, 1, 1) for _ in range(4)
    )
    crops = (crops + brightness).clamp(0, 1)
    crops = (crops * (1 + contrast)).clamp(0, 1)
    turned = _to_hsv(crops)
    shifted = torch.cat(
        (turned[:, :1] + hue, (turned[:, 1:2] * (1 + saturation)).clamp(0, 1), turned[:, 2:]), 1
    )
    return _to_rgb(shifted)


def _to_hsv(rgb: Tensor) -> Tensor:
    """Hue in turns, saturation and value [n, 3, h, w]."""
    value, strongest = rgb.max(1, keepdim=True)
    chroma = value - rgb.min(1, keepdim=True).values
    red, green, blue = torch.split(rgb, 1, 1)
    safe = torch.where(chroma == 0, torch.ones_like(chroma), chroma)
    sectors = torch.cat((green - blue, 2 * safe + blue - red, 4 * safe + red - green), 1) / safe
    hue = sectors.gather(1, strongest) / 6 % 1
    return torch.cat((hue, chroma / (value + 1e-8), value), 1)


def _to_rgb(hsv: Tensor) -> Tensor:
    hue, saturation, value = torch.split(hsv, 1, 1)
    sector = torch.tensor((5.0, 3.0, 1.0), device=hsv.device).view(1, 3, 1, 1) + hue * 6
    near = torch.minimum(sector % 6, 4 - sector % 6).clamp(0, 1)
    return value - value * saturation * near


def _erase(crops: Tensor) -> Tensor:
    """A rectangle of each set to black, each rectangle cut on the host."""
    mask = torch.ones_like(crops)
    side = crops.shape[-1]
    for row in range(len(crops)):
        height, width = (
            int(side * (ERASED[0] + float(torch.rand([])) * (ERASED[1] - ERASED[0]))) for _ in "hw"
        )
        top, left = (int(torch.randint(0, side - length + 1, ())) for length in (height, width))
        mask[row, :, top : top + height, left : left + width] = 0
    return crops * mask


def _uniform(crops: Tensor, low: float, high: float) -> Tensor:
    return torch.empty(len(crops), device=crops.device).uniform_(low, high)
