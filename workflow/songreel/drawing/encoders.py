"""ffmpeg's encoders of video, and how each is told what quality is wanted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

ENCODER_THREADS = 2  # fixed: x264's output depends on it
# Every clip starts with an I frame: x264's usual favour for those would show each seam as a sharper frame.
EVEN_QUALITY = {"x264-params": "mbtree=0:ipratio=1.1:pbratio=1.1"}
# H.264 encoders in hardware, best first, and how each is told the quality, `crf` from 0 to 51.
HARDWARE: Mapping[str, Callable[[int], dict[str, Any]]] = {
    # cq 0: its own choice
    "h264_nvenc": lambda crf: {"rc": "vbr", "cq": max(1, crf), "b:v": 0, "preset": "p6"},
    "h264_qsv": lambda crf: {"global_quality": max(1, crf)},
    "h264_amf": lambda crf: {"rc": "cqp", "qp_i": crf, "qp_p": crf},
    "h264_videotoolbox": lambda crf: {"q:v": max(1, 100 - 2 * crf)},  # 1 to 100, higher is better
}


def options(name: str, crf: int) -> dict[str, Any]:
    """ffmpeg's options for an encoder and its quality."""
    if name in HARDWARE:
        return {"c:v": name, **HARDWARE[name](crf)}
    told: dict[str, Any] = {"c:v": name, "crf": crf, "threads": ENCODER_THREADS}
    if name == "libx264":
        told |= EVEN_QUALITY
    if name == "libx265":
        told["tag:v"] = "hvc1"  # the name under which Apple's players look for it
    return told
