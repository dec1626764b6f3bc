"""What `bench` measured, as a table for a person to read: a column for each case."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from songreel.costs import bench_parts
from songreel.costs.bench import LINE_SECONDS
from songreel.ground.files import Document


def as_table(document: Document) -> str:
    """The measurements for a person to read, a column for each case."""
    machine, cases = document["machine"], document["cases"]
    head = (
        f"{machine['device']}, {machine['threads']} CPU threads, {machine['precision']},"
        f" torch {machine['torch']}\n"
        f"{machine['matmul_flop_per_second'] / 1e12:.3g} TFLOP/s multiplying matrices,"
        f" {machine['copy_bytes_per_second'] / 1e9:.3g} GB/s copying"
    )
    rows = [("", list(cases)), *((label, [show(case) for case in cases.values()]) for label, show in ROWS)]
    return "\n".join(
        [head, *(f"{label:<40}" + "".join(f"{it:>14}" for it in cells) for label, cells in rows)]
    )


def _number(key: str, unit: float = 1.0) -> Callable[[Document], str]:
    return lambda case: f"{case[key] / unit:.3g}"


def _film_hours(film: str) -> Callable[[Document], str]:
    return lambda case: " or ".join(f"{took[film] / 3600:.3g}" for took in case["films"].values())


def _percent(key: str) -> Callable[[Document], str]:
    return lambda case: f"{case[key]:.1%}"


def _part(key: str, part: str, unit: float, name: str) -> Callable[[Document], str]:
    return lambda case: f"{case[key][part] / unit:.2f} {name}"


def _at_once(lines: int) -> Callable[[Document], str]:
    def cell(case: Document) -> str:
        rate = case["line_iterations_per_second"].get(str(lines))
        return "-" if rate is None else f"{rate:.3g}"

    return cell


PARTS = {"nearest": "nearest codes", "decoder": "decoder", "cutouts": "cutouts", "tower": "towers"}
STARTS = {
    "python": "Python",
    "torch": "importing torch",
    "imports": "importing the rest",
    "device": "waking the device",
    "models": "reading the models",
    "words": "placing the words",
    "canvas": "the canvas",
}
ROWS: Sequence[tuple[str, Callable[[Document], str]]] = (
    ("size", lambda case: "x".join(map(str, case["size"]))),
    ("cutouts", lambda case: str(case["cutouts"])),
    ("iterations/s", _number("iterations_per_second")),
    ("baseline's iterations/s", _number("baseline_iterations_per_second")),
    ("the baseline augments with", lambda case: case["baseline_augmentations"]),
    ("times the baseline", _number("times_baseline")),
    *((f"  {what}, both ways", _part("seconds_by_part", part, 1e-3, "ms")) for part, what in PARTS.items()),
    *((f"{lines} lines at once, line-iterations/s", _at_once(lines)) for lines in bench_parts.AT_ONCE),
    ("keyframes/s", _number("keyframes_per_second")),
    ("TFLOP an iteration", _number("flop_per_iteration", 1e12)),
    ("GB moved an iteration, at most", _number("bytes_per_iteration", 1e9)),
    ("share of the matmul peak", _percent("share_of_matmul_peak")),
    ("share of the roofline", _percent("share_of_roofline")),
    ("decoded frames/s", _number("decoded_frames_per_second")),
    ("encoded frames/s", _number("encoded_frames_per_second")),
    (f"drawing a line of {LINE_SECONDS} s, of optimising it", _percent("drawing_share_of_optimising")),
    ("start-up of a job, s", _number("start_up_seconds")),
    *((f"  {what}", _part("start_up_by_part", part, 1, "s")) for part, what in STARTS.items()),
    ("start-up of a worker's next job, s", _number("next_start_up_seconds")),
    ("first keyframe's extra, s", _number("first_keyframe_extra_seconds")),
    ("a song of 209 s, h (reference or swift)", _film_hours("song")),
    ("a concert of 40 min, h (the same)", _film_hours("concert")),
    ("peak memory, GB", _number("peak_memory_bytes", 1e9)),
    ("baseline's peak memory, GB", _number("baseline_peak_memory_bytes", 1e9)),
)
