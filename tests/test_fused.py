"""What the fused path for GPUs promises: the plain path's numbers. Without a GPU, an interpreter runs it."""

import copy
import os
import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import Tensor, nn

pytest.importorskip("triton", reason="no Triton here: the fused path was not tried")

from songreel.kernels import cutouts
from songreel.kernels.fused import codes, decoder, norms, rows, tower
from songreel.kernels.fused.cutouts import FusedLook
from songreel.models import perceptor
from songreel.models.clip_configs import MEAN, STD
from tests.fusing import WHERE, both_ways, picture_maker, random, randomised, relative, rolls
from tests.published import PERCEPTORS

ON_GPU = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="no GPU here: the interpreter rounds bfloat16 in a way of its own"
)


# group normalisation


@pytest.mark.parametrize("shape", [(1, 8, 8, 64), (2, 5, 13, 32), (3, 3, 7, 96), (1, 70, 9, 128)])
@pytest.mark.parametrize(("swish", "shifted"), [(True, True), (False, False)])
def test_a_normalisation_is_pytorchs_both_ways(shape: tuple[int, ...], swish: bool, shifted: bool) -> None:
    norm = randomised(nn.GroupNorm(32, shape[-1], 1e-6))
    shift = random(shape[-1], seed=3) if shifted else None
    x, g, past = (random(*shape, seed=seed) for seed in (0, 1, 2))
    found = norms.GroupNorm(norm, swish, shift)
    y, stats = found.there(x)
    exact = x.double().requires_grad_()
    moved = (exact if shift is None else exact + shift.double()).permute(0, 3, 1, 2)
    expected = norm.double()(moved)
    expected = (torch.nn.functional.silu(expected) if swish else expected).permute(0, 2, 3, 1)
    (gradient,) = torch.autograd.grad(expected, exact, g.double())
    torch.testing.assert_close(y.double(), expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found.back(g, x, stats).double(), gradient, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found.back(g, x, stats, past).double(), gradient + past, rtol=1e-4, atol=1e-4)


def test_a_sum_knows_what_the_next_normalisation_needs() -> None:
    norm = norms.GroupNorm(randomised(nn.GroupNorm(32, 64)), swish=True)
    x, h, bias = random(2, 6, 11, 64), random(2, 6, 11, 64, seed=1), random(64, seed=2)
    y, sums = norms.added(x, h, bias)
    torch.testing.assert_close(y, x + h + bias)
    torch.testing.assert_close(norm.there(y, sums)[0], norm.there(y)[0])


# the decoder


@pytest.mark.parametrize("name", ["imagenet-16384", "openimages-8192", "starter"])
@pytest.mark.parametrize("size", [(2, 2), (1, 3)])
def test_a_decoder_is_tamings_both_ways(name: str, size: tuple[int, int]) -> None:
    over = {} if name == "starter" else {"num_res_blocks": 0}  # one block a level: more take long here
    maker = picture_maker(name, **over)
    plain, fused = maker.decoder, decoder.fused(maker.decoder)
    assert fused is not None
    z = random(2, plain.conv_in.in_channels, *size)
    g = random(*plain(z).shape, seed=1)
    expected = both_ways(copy.deepcopy(plain).double(), z.double(), g)
    for found, exact in zip(both_ways(fused, z, g), expected, strict=True):
        assert relative(found, exact) < 1e-4


def test_a_deblocking_takes_the_plain_path_behind_a_fused_decoder() -> None:
    plain = picture_maker("starter")
    fused = copy.deepcopy(plain)
    fused.decoder = decoder.fused(fused.decoder)
    assert [name for name, _ in fused.deblocking.named_children()] == ["enter", "middle", "leave"]
    latents, g = random(1, plain.codebook.shape[1], 2, 3), random(1, 3, 16, 24, seed=1)
    for found, exact in zip(
        both_ways(fused.decode, latents, g), both_ways(plain.decode, latents, g), strict=True
    ):
        assert relative(found, exact) < 1e-4


@ON_GPU
def test_a_decoder_in_bfloat16_is_as_exact_as_pytorchs_own_path() -> None:
    maker = picture_maker("coco", ch_mult=[1, 2], resolution=16)
    z = random(1, maker.decoder.conv_in.in_channels, 6, 6)
    g = random(*maker.decoder(z).shape, seed=1)
    exact = both_ways(copy.deepcopy(maker.decoder).double(), z.double(), g)
    plain = maker.decoder.bfloat16()
    fused = decoder.fused(plain)
    ours, pytorchs = (both_ways(it, z.bfloat16(), g) for it in (fused, plain))
    for found, other, wanted in zip(ours, pytorchs, exact, strict=True):
        assert relative(found, wanted) < 1.1 * relative(other, wanted) < 0.2


@pytest.mark.parametrize("over", [{"ch": 96}, {"num_res_blocks": 2}, {"attn_resolutions": [128]}])
def test_decoders_of_other_widths_are_known_too(over: dict[str, Any]) -> None:
    maker = picture_maker("coco", ch_mult=[1, 2], resolution=16, **over)
    fused = decoder.fused(maker.decoder)
    assert fused is not None
    z = random(1, maker.decoder.conv_in.in_channels, 5, 3)
    assert relative(fused(z), maker.decoder(z)) < 1e-4


def test_a_decoder_built_in_another_way_takes_the_plain_path() -> None:
    maker = picture_maker("coco")
    maker.decoder.give_pre_end = True
    assert decoder.fused(maker.decoder) is None
    assert decoder.fused(nn.Identity()) is None


# the tower


def towers(name: str, **over: Any) -> tuple[Any, Any]:
    """A CLIP's picture tower with PyTorch's operations, and fused."""
    torch.manual_seed(0)
    visual = randomised(perceptor.build(PERCEPTORS[name] | over).visual)
    perceptor.fuse(visual)
    return visual, tower.fused(visual)


@pytest.mark.parametrize(
    ("name", "over"),
    [
        ("ViT-B/32", {"vision_layers": 3, "vision_width": 128}),
        ("ViT-B/32", {"vision_layers": 2, "vision_width": 192}),
        ("ViT-B/16", {"vision_layers": 2}),  # more tokens than fit a program
        ("ViT-L/14", {"vision_layers": 2, "image_resolution": 56}),
    ],
)
def test_a_tower_is_clips_both_ways(name: str, over: dict[str, Any]) -> None:
    plain, fused = towers(name, **over)
    images = random(3, 3, plain.input_resolution, plain.input_resolution)
    g = random(*plain(images).shape, seed=1)
    expected = both_ways(copy.deepcopy(plain).double(), images.double(), g)
    found = both_ways(lambda images: fused(fused.patches(images)), images, g)
    assert relative(found[0], expected[0]) < 1e-4
    assert relative(found[1], expected[1]) < 1e-4


@ON_GPU
def test_a_tower_in_bfloat16_is_as_exact_as_pytorchs_own_path() -> None:
    plain, _ = towers("ViT-B/32", vision_layers=2, vision_width=128)
    images = random(2, 3, 224, 224)
    g = random(*plain(images).shape, seed=1)
    exact = both_ways(copy.deepcopy(plain).double(), images.double(), g)
    plain = plain.bfloat16()
    for module in plain.modules():
        if isinstance(module, nn.LayerNorm):
            module.float()  # as in `Perceptor`
    fused = tower.fused(plain)
    assert fused is not None
    ours = both_ways(lambda images: fused(fused.patches(images)), images.bfloat16(), g)
    pytorchs = both_ways(plain, images.bfloat16(), g)
    for found, other, wanted in zip(ours, pytorchs, exact, strict=True):
        assert relative(found, wanted) < 1.1 * relative(other, wanted) < 0.2


def test_a_tower_that_is_no_transformer_takes_the_plain_path() -> None:
    assert tower.fused(perceptor.build(PERCEPTORS["RN50"]).visual) is None


@pytest.mark.parametrize("tokens", [1, 17, 50, 64])
def test_tokens_look_at_each_other_as_in_pytorch(tokens: int) -> None:
    looking, g = random(tokens, 3, 3 * 128), random(tokens, 3, 128, seed=1)
    exact = looking.double().requires_grad_()
    q, k, v = exact.view(tokens, 3, 3, 4, 32).permute(2, 1, 3, 0, 4)
    seen = nn.functional.scaled_dot_product_attention(q, k, v).permute(2, 0, 1, 3).reshape(tokens, 3, 128)
    (gradient,) = torch.autograd.grad(seen, exact, g.double())
    torch.testing.assert_close(rows.look(looking, 4).double(), seen, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(rows.look_back(g, looking, 4).double(), gradient, rtol=1e-4, atol=1e-4)


# the cutouts


def looked(
    size: tuple[int, int], side: int, patch: int, count: int, dtype: torch.dtype = torch.float32
) -> FusedLook:
    normal = tuple(torch.tensor(it, device=WHERE).view(1, 3, 1, 1) for it in (MEAN, STD))
    look = FusedLook(count, side, patch, size, 4, 0.08, (normal[0], normal[1]), dtype)
    look.roll(rolls(5), 3)
    return look


def by_the_plain_path(look: FusedLook, image: Tensor, step: int) -> Tensor:
    """The same cutouts, by what `roll` decided and the noise that `rolls(9)` gives."""
    row, n = look.table[step].to(image.dtype), look.count
    reductions = 2.0 ** (row[:, 9] - cutouts.BLUR)  # of which this level is the nearest
    homography, colours = row[:, :9].view(n, 3, 3), row[:, 14:23].view(n, 3, 3)
    decided = cutouts.Rolls(homography, reductions, row[:, 10:14], colours, row[:, 23].view(n, 1, 1))
    noise = torch.randn(n, 3, look.side**2, device=WHERE, generator=rolls(9)).to(image.dtype)
    seen = cutouts.seen(image, decided, noise * row[:, 24].view(n, 1, 1), look.side)
    return (seen - look.means.view(1, 3, 1, 1)) / look.deviations.view(1, 3, 1, 1)


@pytest.mark.parametrize(
    ("size", "side", "patch"),
    [((40, 40), 32, 8), ((33, 61), 32, 32), ((150, 131), 32, 16), ((16, 16), 48, 16)],
)
def test_cutouts_are_the_plain_paths_both_ways(size: tuple[int, int], side: int, patch: int) -> None:
    look, image = looked(size, side, patch, 6), torch.rand(1, 3, *size, generator=rolls(1), device=WHERE)
    step = torch.tensor([2], device=WHERE)
    expected_image, image = image.clone().requires_grad_(), image.requires_grad_()
    expected = by_the_plain_path(look, expected_image, 2)
    found = look(image, rolls(9), step)
    if patch != side:
        n, many, p = look.count, side // patch, patch
        found = found.reshape(n, many, many, 3, p, p).permute(0, 3, 1, 4, 2, 5).reshape(n, 3, side, side)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)
    g = random(*expected.shape, seed=2) * 1e-6
    (gradient,) = torch.autograd.grad(found, image, g)
    (wanted,) = torch.autograd.grad(expected, expected_image, g)
    assert relative(gradient, wanted) < 1e-4


def test_each_step_has_cutouts_of_its_own_and_a_keyframe_those_of_its_seed() -> None:
    look, again = looked((40, 40), 32, 8, 6), looked((40, 40), 32, 8, 6)
    assert torch.equal(look.table, again.table)
    assert not torch.equal(look.table[0], look.table[1])
    again.roll(rolls(6), 3)
    assert not torch.equal(look.table, again.table)


def test_cutouts_that_are_decided_together_are_as_varied_as_those_of_one_step() -> None:
    look = looked((64, 64), 32, 8, 100)
    scales = look.table[:3, :, 0].square() + look.table[:3, :, 3].square()
    assert (scales[:, : cutouts._full_views(100)] > 0.8).all()
    assert scales[:, cutouts._full_views(100) :].min() < 0.4


# the codes


@pytest.mark.parametrize(("vectors", "count", "channels"), [(70, 300, 40), (1, 2, 16), (64, 128, 64)])
def test_the_nearest_code_is_the_one_at_the_smallest_distance(
    vectors: int, count: int, channels: int
) -> None:
    book, z = random(count, channels), random(vectors, channels, seed=1)
    z[0] = book[-1] + 0.01
    distances = torch.cdist(z.double(), book.double())
    assert torch.equal(codes.Codebook(book).nearest(z), distances.argmin(1))


def test_of_codes_that_are_equally_near_the_first_is_taken() -> None:
    book = random(200, 16)
    book[150], book[199] = book[3], book[3]
    assert int(codes.Codebook(book).nearest(book[150:151])) == 3


# the compiler


def test_every_kernel_compiles_for_a_gpu_that_is_not_there() -> None:
    """The interpreter takes more than the compiler does."""
    environment = {key: value for key, value in os.environ.items() if key != "TRITON_INTERPRET"}
    command = [sys.executable, "-m", "tests.compiling"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[0]) > 20
