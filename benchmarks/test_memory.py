"""The models whose memory is told are the published ones."""

from __future__ import annotations

from benchmarks import memory
from songreel.costs import bench_models


def test_the_full_size_is_that_of_the_published_models() -> None:
    assert memory.full_vqgan("imagenet-16384") == bench_models.IMAGENET_16384
    for name, built in bench_models.CLIPS.items():
        assert memory.full_clip(name) == built
