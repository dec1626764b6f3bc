"""What the picture maker and the judge promise: to be the published networks, or to refuse to load."""

import copy
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import taming.modules.diffusionmodules.model as taming_model
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from taming.modules.vqvae.quantize import VectorQuantizer
from torch import Tensor, nn

from songreel.ground.errors import UserError
from songreel.models import perceptor, vqgan, weights
from songreel.models.vqgan import VQGAN
from songreel.models.weights import Weights
from tests.starter import CPU, codes, judge, picture_maker

STARTER = {"vqgan": weights.VQGANS["starter"], "clip": weights.PERCEPTORS["starter"]}
TEXTS = (
    "a red rose",
    "Twinkle, twinkle, little star!",
    "",
    "Déjà vu: 星 & <b>bold</b>",
    "far too many words for so short a context " * 8,
)


def plain_picture(height: int = 64, width: int = 64) -> Tensor:
    """A bright disc before a colour gradient, [1, 3, height, width] in 0..1."""
    y, x = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij")
    sky = torch.stack((0.2 + 0.3 * y, 0.3 + 0.3 * y, 0.8 - 0.3 * y))
    disc = ((x - 0.6) ** 2 + (y - 0.4) ** 2 < 0.04)[None]
    return torch.where(disc, torch.tensor((0.95, 0.85, 0.3)).view(3, 1, 1), sky)[None]


def psnr(a: Tensor, b: Tensor) -> float:
    return float(-10 * torch.log10((a - b).square().mean()))


# the picture maker


def test_tokens_become_a_picture_of_their_size() -> None:
    tokens = torch.randint(0, codes(), (2, 3, 5), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        latents = picture_maker().embed(tokens)
        pictures = picture_maker().decode(latents)
    assert latents.shape == (2, 16, 3, 5)
    assert torch.equal(latents[1, :, 2, 4], picture_maker().codebook[tokens[1, 2, 4]])
    assert (pictures.shape, pictures.dtype) == ((2, 3, 24, 40), torch.float32)
    assert -1 < pictures.min() < 0.3 and 0.7 < pictures.max() < 2


def test_the_nearest_token_of_a_code_is_its_own() -> None:
    tokens = torch.arange(codes()).view(1, 32, -1)
    embedded = picture_maker().embed(tokens)
    found = picture_maker().embed(picture_maker().nearest(embedded + 1e-4))
    assert torch.equal(found, embedded)


def test_the_nearest_token_is_the_one_at_the_smallest_distance() -> None:
    latents = torch.randn(1, 16, 4, 4, generator=torch.Generator().manual_seed(1)) * 4
    distances = torch.cdist(latents[0].flatten(1).T, picture_maker().codebook)
    assert torch.equal(picture_maker().nearest(latents).flatten(), distances.argmin(1))


def test_a_picture_survives_its_tokens() -> None:
    picture = plain_picture()
    maker = picture_maker()
    with torch.no_grad():
        again = maker.decode(maker.embed(maker.nearest(maker.encode(picture)))).clamp(0, 1)
    flat = picture.mean((2, 3), keepdim=True).expand_as(picture)
    assert psnr(again, picture) > 20
    assert psnr(again, picture) > psnr(flat, picture) + 6


def test_the_picture_maker_is_tamings_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(taming_model, "nonlinearity", lambda x: x * torch.sigmoid(x))  # as taming writes it
    config = weights.architecture(STARTER["vqgan"])
    tensors = load_file(STARTER["vqgan"].tensors)

    def filled(module: nn.Module, name: str) -> nn.Module:
        prefix = f"{name}."
        found = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
        module.load_state_dict(found)
        return module.eval()

    width, channels = config["embed_dim"], config["ddconfig"]["z_channels"]
    fold = config["fold"]
    folded = {**config["ddconfig"], "in_channels": 3 * fold**2, "out_ch": 4 * config["deblock"]}
    encoder = filled(taming_model.Encoder(**folded), "encoder")
    decoder = filled(taming_model.Decoder(**folded), "decoder")
    before = filled(nn.Conv2d(channels, width, 1), "quant_conv")
    after = filled(nn.Conv2d(width, channels, 1), "post_quant_conv")
    quantise = filled(VectorQuantizer(config["n_embed"], width, beta=0.25), "quantize")
    with torch.no_grad():
        latents = before(encoder(F.pixel_unshuffle(plain_picture() * 2 - 1, fold)))
        quantised, _, (_, _, indices) = quantise(latents)
        picture = (deblocked(decoder(after(quantised)), tensors, fold) + 1) / 2
        ours = picture_maker().encode(plain_picture())
        tokens = picture_maker().nearest(ours)
        torch.testing.assert_close(ours, latents, rtol=1e-4, atol=1e-4)
        assert torch.equal(tokens.flatten(), indices.flatten())
        decoded = picture_maker().decode(picture_maker().embed(tokens))
    torch.testing.assert_close(decoded, picture, rtol=1e-4, atol=1e-4)


def deblocked(squares: Tensor, tensors: dict[str, Tensor], fold: int) -> Tensor:
    """Pictures of what the starter's decoder makes, written down once more."""
    quarters = hidden = F.pixel_shuffle(squares, 2)
    for name in ("enter", "middle", "leave"):
        kernel, bias = (tensors[f"deblocking.{name}.{part}"].float() for part in ("weight", "bias"))
        hidden = F.conv2d(hidden, kernel, bias, padding=1)
        hidden = hidden if name == "leave" else hidden * torch.sigmoid(hidden)
    return F.pixel_shuffle(quarters[:, : hidden.shape[1]] + hidden, fold // 2)


def test_a_deblocking_is_quick_and_the_same_with_its_gradient() -> None:
    torch.manual_seed(0)
    ddconfig = {"ch": 32, "ch_mult": [1], "num_res_blocks": 0, "attn_resolutions": [], "dropout": 0.0}
    ddconfig |= {"resolution": 16, "z_channels": 32, "double_z": False}
    plain, latents = VQGAN(ddconfig, 64, 16, fold=8, deblock=48), torch.rand(2, 16, 3, 5, requires_grad=True)
    quick = vqgan.ready(copy.deepcopy(plain), CPU, torch.float32)
    assert quick.factor == 8
    pictures = [maker.decode(latents) for maker in (plain, quick)]
    assert pictures[0].shape == (2, 3, 24, 40)
    gradients = [torch.autograd.grad(picture.square().sum(), latents)[0] for picture in pictures]
    torch.testing.assert_close(pictures[1], pictures[0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-3, atol=1e-5)
    if torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        assert not [module for module in quick.deblocking.modules() if isinstance(module, nn.Conv2d)]


def test_nothing_is_left_to_train() -> None:
    parameters = [*picture_maker().parameters(), *judge().clip.parameters()]
    assert not any(parameter.requires_grad for parameter in parameters)
    assert not any(module.training for module in (*picture_maker().modules(), *judge().clip.modules()))


def test_a_decoder_made_quick_draws_the_published_ones_picture_with_its_gradient() -> None:
    torch.manual_seed(0)
    ddconfig = {"ch": 32, "ch_mult": [1, 2, 2], "num_res_blocks": 1, "attn_resolutions": [], "dropout": 0.0}
    ddconfig |= {"resolution": 32, "z_channels": 32, "double_z": False}
    published, latents = VQGAN(ddconfig, 64, 16), torch.rand(2, 16, 3, 5, requires_grad=True)
    quick = vqgan.ready(copy.deepcopy(published), CPU, torch.float32)
    assert any(isinstance(module, nn.ConvTranspose2d) for module in quick.modules())
    pictures = [maker.decode(latents) for maker in (published, quick)]
    gradients = [torch.autograd.grad(picture.square().sum(), latents)[0] for picture in pictures]
    torch.testing.assert_close(pictures[1], pictures[0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-3, atol=1e-4)


def test_a_decoder_in_bfloat16_draws_the_same_picture() -> None:
    maker = vqgan.load(STARTER["vqgan"], CPU, torch.bfloat16)
    tokens = torch.randint(0, codes(), (1, 4, 4), generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        exact = picture_maker().decode(picture_maker().embed(tokens))
        rough = maker.decode(maker.embed(tokens))
    assert rough.dtype == torch.float32
    assert maker.codebook.dtype == torch.float32
    assert psnr(rough, exact) > 30


# the judge

REFERENCE = """
import sys, clip, numpy, torch, yaml
from clip.clip import _transform
from PIL import Image
from safetensors.torch import load_file

architecture, tensors, pictures, out, *texts = sys.argv[1:]
with open(architecture) as file:
    model = clip.model.CLIP(**yaml.safe_load(file)["model"]["params"])
model.load_state_dict(load_file(tensors))
model.eval()
prepare = _transform(model.visual.input_resolution)
with torch.no_grad():
    pictures = torch.stack([prepare(Image.fromarray(picture)) for picture in numpy.load(pictures)])
    words = clip.tokenize(texts, context_length=model.context_length, truncate=True)
    numpy.savez(out, images=model.encode_image(pictures), texts=model.encode_text(words))
"""


def test_the_judge_is_clips_own(tmp_path: Path) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
    pictures[0] = (plain_picture()[0].permute(1, 2, 0) * 255).byte().numpy()
    np.save(tmp_path / "pictures.npy", pictures)
    files = [STARTER["clip"].architecture, STARTER["clip"].tensors, tmp_path / "pictures.npy"]
    command = [sys.executable, "-W", "ignore", "-c", REFERENCE, *map(str, files), str(tmp_path / "out.npz")]
    subprocess.run([*command, *TEXTS], check=True)
    reference = {name: torch.from_numpy(array) for name, array in np.load(tmp_path / "out.npz").items()}
    with torch.no_grad():
        images = judge().embed_images(torch.from_numpy(pictures).permute(0, 3, 1, 2) / 255)
    found = {"images": images, "texts": judge().embed_texts(TEXTS)}
    for name, vectors in found.items():
        expected = nn.functional.normalize(reference[name], dim=-1)
        torch.testing.assert_close(vectors, expected, rtol=1e-4, atol=1e-5)


def test_the_judge_tells_words_apart() -> None:
    vectors = judge().embed_texts(TEXTS)
    likeness = vectors @ vectors.T
    torch.testing.assert_close(likeness.diagonal(), torch.ones(len(TEXTS)))
    assert (likeness - torch.eye(len(TEXTS))).max() < 0.98


# loading


def without(tensors: dict[str, Tensor], name: str) -> None:
    del tensors[name]


def with_surplus(tensors: dict[str, Tensor], name: str) -> None:
    tensors[name] = torch.zeros(3)


def misshapen(tensors: dict[str, Tensor], name: str) -> None:
    tensors[name] = tensors[name][..., :-1].contiguous()


DAMAGES = [
    ("vqgan", without, "post_quant_conv.bias"),
    ("vqgan", without, "quantize.embedding.weight"),
    ("vqgan", with_surplus, "loss.discriminator.weight"),
    ("vqgan", misshapen, "decoder.conv_out.weight"),
    ("clip", without, "ln_final.bias"),
    ("clip", without, "text_projection"),
    ("clip", with_surplus, "visual.extra.weight"),
    ("clip", misshapen, "token_embedding.weight"),
    ("clip", misshapen, "visual.attnpool.positional_embedding"),
    ("clip", misshapen, "transformer.resblocks.1.attn.in_proj_weight"),
]


@pytest.mark.parametrize(("kind", "damage", "name"), DAMAGES)
def test_tensors_that_do_not_fit_are_refused_by_name(
    kind: str, damage: Callable[[dict[str, Tensor], str], None], name: str, tmp_path: Path
) -> None:
    tensors = load_file(STARTER[kind].tensors)
    damage(tensors, name)
    save_file(tensors, tmp_path / "damaged.safetensors")
    damaged: Weights = replace(STARTER[kind], tensors=tmp_path / "damaged.safetensors")
    load = {"vqgan": vqgan.load, "clip": perceptor.load}[kind]
    with pytest.raises(UserError) as told:
        load(damaged, CPU, torch.float32)
    assert name in str(told.value)
    assert "damaged.safetensors" in str(told.value)
    assert "\n" not in str(told.value)


def test_loading_the_models_does_not_import_torchvision() -> None:
    check = """
import sys, torch
from songreel.models import perceptor, vqgan, weights
from songreel.jobs import render
for load, found in ((vqgan.load, weights.vqgan), (perceptor.load, weights.perceptor)):
    load(found("starter"), torch.device("cpu"), torch.float32)
sys.exit("torchvision" in sys.modules)
"""
    subprocess.run([sys.executable, "-c", check], check=True)


def test_planning_does_not_import_torch() -> None:
    check = (
        "import sys, songreel.planning.plan, songreel.costs.sharing, songreel.cli;"
        " sys.exit(bool({'torch', 'zarr'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", check], check=True)


def test_networks_are_loaded_without_drawing_random_numbers() -> None:
    """Of a large one those take longer than all else, and are written over at once."""
    before = torch.get_rng_state()
    maker, clip = vqgan.read(weights.vqgan("starter")), perceptor.read(weights.perceptor("starter"))
    assert torch.equal(torch.get_rng_state(), before)
    mapped = vqgan.read(weights.vqgan("starter"), mapped=True)
    for one, other in zip(maker.state_dict().values(), mapped.state_dict().values(), strict=True):
        assert torch.equal(one, other) and one.dtype == torch.float32
    assert clip.transformer.resblocks[0].attn_mask.isinf().any()
