"""Compiles the fused path's kernels for a GPU that need not be there: python -m tests.compiling.

The interpreter takes more than the compiler does. Nothing is launched, so all numbers are left as they are.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch
from triton.backends.compiler import GPUTarget
from triton.runtime import JITFunction, driver

from songreel.kernels.fused import codes, decoder, tower
from songreel.kernels.fused.cutouts import FusedLook
from songreel.models import perceptor
from songreel.models.clip_configs import MEAN, STD
from tests.fusing import both_ways, picture_maker, randomised
from tests.published import PERCEPTORS

CAPABILITY = 90  # a Hopper GPU's


def main() -> None:
    """Compile what models of usual and of odd widths need, and say how many kernels that were."""
    card: Any = SimpleNamespace(
        get_current_target=lambda: GPUTarget("cuda", CAPABILITY, 32),
        get_current_device=lambda: 0,
        get_current_stream=lambda device: 0,
    )
    driver.set_active(card)
    run, compiled = JITFunction.run, set[str]()

    def compile_only(function: Any, *arguments: Any, warmup: bool, **others: Any) -> None:
        made = run(function, *arguments, warmup=True, **others)
        compiled.add(f"{made.metadata.name} {len(made.asm['cubin'])}")

    JITFunction.run = compile_only
    dtype = torch.bfloat16
    for ch, ch_mult in ((32, [1, 2]), (96, [1])):
        maker = picture_maker("coco", ch=ch, ch_mult=ch_mult, resolution=16, num_res_blocks=0)
        made = decoder.fused(maker.decoder.to(dtype))
        assert made is not None
        z = torch.zeros(1, 32, 4, 4, dtype=dtype)
        both_ways(made, z, made(z))
    visual = randomised(perceptor.build(PERCEPTORS["ViT-B/32"] | {"vision_layers": 1}).visual)
    perceptor.fuse(visual)
    seeing = tower.fused(visual.to(dtype))
    assert seeing is not None
    patches = torch.zeros(2, 49, 3072, dtype=dtype)
    both_ways(seeing, patches, seeing(patches))
    normal = tuple(torch.tensor(it).view(1, 3, 1, 1) for it in (MEAN, STD))
    look = FusedLook(4, 32, 16, (70, 81), 3, 0.1, (normal[0], normal[1]), dtype)
    generator, step = torch.Generator(), torch.zeros(1, dtype=torch.long)
    both_ways(lambda image: look(image, generator, step), torch.rand(1, 3, 70, 81), torch.zeros(4, 4, 768))
    codes.Codebook(torch.zeros(300, 40)).nearest(torch.zeros(70, 40))
    print(f"{len(compiled)} kernels were compiled.")


if __name__ == "__main__":
    main()
