"""What of another program's settings songreel has no counterpart for, by name, a sentence a topic."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

_NOTHING = re.compile(r"\s*(?:0\s*:)?\s*\(?\s*[-+]?0*\.?0*\s*\)?\s*")
_OFF: tuple[object, ...] = (None, False, "", "None", "none", 0, "0", [], {})
DIFFUSION = (
    *("strength_schedule", "noise_schedule", "contrast_schedule", "cfg_scale_schedule", "steps_schedule"),
    *("subseed_schedule", "sampler_schedule", "checkpoint_schedule", "clipskip_schedule", "amount_schedule"),
)
MOVED_IN_3D = (
    *("translation_x", "translation_y", "translation_z", "rotation_3d_x", "rotation_3d_y", "rotation_3d_z"),
)
# By what says that it is used: the topic, and what to do
SWITCHES: Mapping[str, str] = {
    "hybrid_motion": "motion taken from a video",
    "hybrid_composite": "pictures mixed with a video's",
    "use_looper": "guided images; name pictures in the column image",
    "enable_perspective_flip": "the perspective flip",
    "use_mask": "a mask over the whole film; image and mask are columns of a line",
    "optical_flow_cadence": "optical flow between frames",
    "r_upscale_video": "upscaling afterwards",
}
ENGINE = "frame_interpolation_engine"
CENTER = ("transform_center_x", "transform_center_y")


def of_deforum(said: Mapping[str, Any]) -> Iterator[str]:
    """What is not carried over of Deforum's settings, where it is used."""
    mode = said.get("animation_mode", "2D")
    if mode == "3D":
        moved = [key for key in (*MOVED_IN_3D, "fov_schedule") if not _still(said.get(key))]
        if moved:
            yield f"animation_mode 3D, whose camera has depth, has no counterpart: {', '.join(moved)}."
    elif mode not in ("2D", "2d"):
        yield f"animation_mode {mode!r} has no counterpart; prompts and times are taken."
    diffused = [key for key in DIFFUSION if said.get(key) not in _OFF]
    if diffused:
        yield f"settings of a diffusion model have no counterpart: {', '.join(diffused)}."
    if str(said.get("diffusion_cadence", 1)) not in ("1", "0", "None"):
        yield "diffusion_cadence has no counterpart; keyframes_per_second says how many pictures are made."
    for key, topic in SWITCHES.items():
        if said.get(key) not in _OFF:
            yield f"{key}: {topic} has no counterpart here."
    if any(not _half(said.get(key)) for key in CENTER) and mode != "3D":
        yield f"{' and '.join(CENTER)} have no counterpart; pictures turn and grow around their middle."
    if said.get(ENGINE) not in _OFF:
        yield f"{ENGINE} is not needed; frames_per_second is what songreel draws between keyframes."
    if nets := sorted({key for key, value in said.items() if _is_net(key) and value not in _OFF}):
        yield f"{', '.join(nets)}: ControlNet has no counterpart."


def _is_net(key: str) -> bool:
    return bool(re.fullmatch(r"cn_[0-9]+_enabled", key))


def _still(schedule: object) -> bool:
    return schedule in _OFF or bool(_NOTHING.fullmatch(str(schedule)))


def _half(schedule: object) -> bool:
    return schedule in _OFF or bool(re.fullmatch(r"\s*(?:0\s*:)?\s*\(?\s*0?\.50*\s*\)?\s*", str(schedule)))
