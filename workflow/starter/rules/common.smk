# Settings, the sources that they ask for, and where files lie.

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(workflow.basedir).parent))

import jsonschema
import yaml

from songreel.jobs.environment import hand_on
from songreel.ground.errors import UserError
from songreel_starter import sources as packages

HALVES = (
    "steering",
    "judging",
)  # of the sources: what the pair's CLIP sees, and what its judge does


wildcard_constraints:
    source="[a-z0-9-]+",
    half="steering|judging",
    number="[0-9]+",


configfile: str(Path(workflow.basedir) / "config.yaml")


def stop(message):
    """End with one sentence instead of a traceback."""
    sys.exit(f"songreel: {message}")


try:
    schema = Path(workflow.basedir) / "schemas/config.schema.yaml"
    jsonschema.validate(dict(config), yaml.safe_load(schema.read_text()))
    table = packages.table()
except jsonschema.ValidationError as error:
    stop(f"config, {'/'.join(map(str, error.path))}: {error.message}; correct it.")
except UserError as error:
    stop(error)

all_pictured = [name for name, source in table.items() if source.has_pictures]
wanted = all_pictured if config["sources"] == "all" else config["sources"].split()
left_out = config["leave_out"].split()
for name in wanted + left_out + [config["test_style"]]:
    if name not in all_pictured:
        stop(
            f"sources, leave_out, test_style: found {name!r}, expected some of {' '.join(all_pictured)}."
        )
pictured = [name for name in wanted if name not in left_out]
training = [name for name in pictured if table[name].use == "training"]
if not training:
    stop(
        f"sources: found no training source, expected one or more of {' '.join(all_pictured)}."
    )

halves = {
    half: [name for name in training if table[name].half == half] for half in HALVES
}
for half, names in halves.items():
    if not names:
        stop(
            f"sources: found none whose half is {half}, expected one or more for each of {' '.join(HALVES)}."
        )

results = Path(config["results"])
hand_on("")
# Else glibc gives every large tensor back to the system, and training takes a fifth of its time to get them anew.
for setting in ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"):
    os.environ.setdefault(setting, str(1 << 34))


def package(name):
    return results / "packages" / name


def shard(name):
    return results / "sprites" / f"{name}.npz"


def scenes(half):
    files = range(config[f"{half}_files"])
    return [results / "scenes" / half / f"{number}.npy" for number in files]


def captions(half):
    return [file.with_suffix(".txt") for file in scenes(half)]


def texts():
    return results / "texts.txt"


def vectors():
    return results / "texts.npy"


def text_tower():
    return results / "text.safetensors"


def clip():
    return results / "clip.safetensors"


def judge():
    return results / "judge.safetensors"


def sheets():
    return [results / "sheets" / name for name in ("sprites.png", "scenes.png")]


def log(*names):
    return results / "logs" / Path(*names).with_suffix(".log")
