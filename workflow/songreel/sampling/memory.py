"""How much memory an iteration takes, said before the first one.

Most of it is what the decoder and the perceptors keep for their backward pass: a sum over their layers, which
a test holds against the networks themselves, as `saved_tensors_hooks` counts them on shapes alone. To count
here instead would have each start of the workflow, which asks for its jobs, import torch and build networks:
six seconds where the sum takes none, for what differs from it by 8 % at most in published models.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING, Any

from safetensors import safe_open

from songreel.ground.documents import SegmentRecipe
from songreel.ground.errors import UserError
from songreel.models import weights
from songreel.models.weights import Weights

if TYPE_CHECKING:  # which takes longer to import than all else that a start of the workflow does
    import torch

RESIDUAL, SHORTCUT = 6, 1  # values kept by a residual block, for each value that goes through it
DEBLOCKING = 5  # the same for a deblocking: what its convolutions and what lies between them see
ATTENTION = 6  # the same for an attention block, besides its matrix of weights
# The same for a layer of a vision transformer, by the bytes of its numbers
TRANSFORMER = {2: 18, 4: 15}
# Channels of an attention head, and how many times as wide a layer is inside, unless told
HEAD, MLP = 64, 4
QUICK, INSIDE = 2, {"gelu": 1, "gelu_tanh": 1}  # the same for each value inside, by the activation
STEM, BOTTLENECK = 2.0, 4.0  # the same for a ResNet's first convolutions and for each of its blocks
RESNET = 1.8
ENCODING = 5  # copies of the largest picture inside an encoder that it has at a time
MATRICES = 3  # the same of the matrix of weights of an attention block
CUTTING = 16  # copies of a cutout, float32, that its warping, recolouring and erasing keep
STATES = 6  # latents: as it is, quantised, its gradient, two moments and a step
MARGIN = 1.25  # for what is kept for a moment only, and for the allocator's gaps
GB = 1e9


def needed(
    vqgan: Mapping[str, Any],
    perceptors: Sequence[Mapping[str, Any]],
    stored: int,
    size: tuple[int, int],
    cutouts: int,
    micro_batch: int,
    number_bytes: int,
    moves: bool = False,
) -> int:
    """Bytes for one iteration of a VQGAN and perceptors with these arguments and `stored` bytes of weights.

    `size` is the picture's width and height in pixels, `micro_batch` the cutouts judged at a time (0 is all),
    `number_bytes` 2 for bfloat16 and 4 for float32. Where the picture `moves`, it is encoded between
    keyframes, when a recorded graph still has what an iteration keeps.
    """
    fold = vqgan.get("fold", 1)
    cells = size[0] // fold, size[1] // fold
    kept = (decoder(vqgan["ddconfig"], cells) + deblocking(vqgan, cells)) * number_bytes
    # The decoder's values come when the distances to all codes are gone.
    total = stored + max(kept, distances(vqgan, size)) + states(vqgan, size)
    for perceptor in perceptors:
        at_once = min(micro_batch or cutouts, cutouts)
        total += at_once * judge(perceptor, number_bytes)
        total += cutouts * CUTTING * 3 * perceptor["image_resolution"] ** 2 * 4
    return round((total + (encoding(vqgan, size) if moves else 0)) * MARGIN)


def encoding(vqgan: Mapping[str, Any], size: tuple[int, int]) -> int:
    """Bytes that taming's encoder has at a time of a picture, in float32; the decoder has no more."""
    ddconfig, fold = vqgan["ddconfig"], vqgan.get("fold", 1)
    pixels, cells = prod(size) // fold**2, _cells(vqgan, size)
    return int(ENCODING * pixels * ddconfig["ch"] * ddconfig["ch_mult"][0] + MATRICES * cells**2) * 4


def distances(vqgan: Mapping[str, Any], size: tuple[int, int]) -> int:
    """Bytes for the distances of a picture's latents to all codes, in float32."""
    return _cells(vqgan, size) * int(vqgan["n_embed"] + vqgan["embed_dim"]) * 4


def states(vqgan: Mapping[str, Any], size: tuple[int, int]) -> int:
    """Bytes for a picture's latent, its copies and Adam's, in float32."""
    return _cells(vqgan, size) * int(STATES * vqgan["embed_dim"] + vqgan["ddconfig"]["z_channels"]) * 4


def _cells(vqgan: Mapping[str, Any], size: tuple[int, int]) -> int:
    factor: int = vqgan.get("fold", 1) << (len(vqgan["ddconfig"]["ch_mult"]) - 1)
    return (size[0] // factor) * (size[1] // factor)


def decoder(ddconfig: Mapping[str, Any], size: tuple[int, int]) -> int:
    """Values that taming's decoder keeps of a picture for its backward pass."""
    multipliers = list(ddconfig["ch_mult"])
    side = ddconfig["resolution"] >> (len(multipliers) - 1)  # by which taming places attention
    pixels = size[0] * size[1] >> 2 * (len(multipliers) - 1)
    channels = ddconfig["ch"] * multipliers[-1]
    values = 2 * _residual(channels, channels, pixels) + _attention(channels, pixels)
    for level, multiplier in reversed(list(enumerate(multipliers))):
        for _ in range(ddconfig["num_res_blocks"] + 1):
            values += _residual(channels, ddconfig["ch"] * multiplier, pixels)
            channels = ddconfig["ch"] * multiplier
            if side in ddconfig["attn_resolutions"]:
                values += _attention(channels, pixels)
        if level:
            values += pixels * channels
            side, pixels = side * 2, pixels * 4
    return int(values + 2 * pixels * channels)


def deblocking(vqgan: Mapping[str, Any], cells: tuple[int, int]) -> int:
    """Values that a deblocking keeps of so many squares of pixels, by its columns and rows."""
    return DEBLOCKING * 4 * int(vqgan.get("deblock", 0)) * prod(cells)


def _residual(before: int, after: int, pixels: int) -> int:
    shortcut = before if before != after else 0
    return pixels * (2 * before + (RESIDUAL - 2) * after + SHORTCUT * shortcut)


def _attention(channels: int, pixels: int) -> int:
    return ATTENTION * pixels * channels + 2 * pixels**2


def judge(clip: Mapping[str, Any], number_bytes: int) -> int:
    """Bytes that CLIP's picture tower keeps of one cutout for its backward pass."""
    side, width, layers = clip["image_resolution"], clip["vision_width"], clip["vision_layers"]
    if isinstance(layers, int):
        tokens = (side // clip["vision_patch_size"]) ** 2 + 1
        # A matrix a head, in float32
        attention = tokens**2 * clip.get("vision_heads", width // HEAD) * 4
        usual = MLP * width
        inside = clip.get("vision_mlp", usual) * INSIDE.get(str(clip.get("vision_activation")), QUICK)
        numbers = tokens * (TRANSFORMER[number_bytes] * width - QUICK * usual + inside)
        return int(layers * (numbers * number_bytes + attention))
    stages = (count * (side / 4 / 2**depth) ** 2 * width * 2**depth for depth, count in enumerate(layers))
    return int((STEM * (side / 2) ** 2 * width + BOTTLENECK * sum(stages)) * RESNET * number_bytes)


def estimate(
    model: Weights,
    judges: Sequence[Weights],
    size: tuple[int, int],
    cutouts: int,
    micro_batch: int,
    number_bytes: int,
    moves: bool = False,
) -> int:
    """Bytes for one iteration of a segment; see `needed`."""
    stored = sum(_loaded_bytes(files) for files in (model, *judges))
    networks = weights.architecture(model), [weights.params(judge) for judge in judges]
    return needed(*networks, stored, size, cutouts, micro_batch, number_bytes, moves)


def check(
    model: Weights,
    judges: Sequence[Weights],
    recipe: SegmentRecipe,
    micro_batch: int,
    device: torch.device,
    precision: torch.dtype,
) -> None:
    """Raise UserError, which says what to lower, when a device has less memory free than a segment needs."""
    from songreel.kernels import devices  # and with it torch

    size, cutouts, moves = recipe.size, recipe.strategy.cutouts, recipe.motion is not None
    needs = estimate(model, judges, size, cutouts, micro_batch, precision.itemsize, moves)
    free = devices.free_bytes(device)
    if needs > free:
        at_once = min(micro_batch or cutouts, cutouts)
        raise UserError(
            f"config key 'size': {size[0]}x{size[1]} with {cutouts} cutouts, {at_once} of them judged at a"
            f" time, takes about {needs / GB:.1f} GB of memory, found {free / GB:.1f} GB free on the"
            f" {'GPU' if device.type == 'cuda' else 'CPU'}; lower 'size', 'micro_batch' or 'cutouts'."
        )


def _loaded_bytes(files: Weights) -> int:
    """What a file's tensors take in float32, by its header alone."""
    with weights.readable(files), safe_open(files.tensors, "np") as tensors:
        return sum(4 * prod(tensors.get_slice(name).get_shape()) for name in tensors.keys())  # noqa: SIM118
