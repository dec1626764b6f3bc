"""Where the files lie that come with songreel: rules, schemas, models, profiles, the demo.

In a checkout they lie beside the package, below its top. A wheel has them inside the package, in `share`,
under the same names; setup.py copies them there when it is built.
"""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
_IN_WHEEL = PACKAGE / "share"

INSTALLED = _IN_WHEEL.is_dir()
ROOT = _IN_WHEEL if INSTALLED else PACKAGE.parents[1]

SNAKEFILE = ROOT / "Snakefile"
SCHEMA = ROOT / "workflow/schemas/config.schema.yaml"
CONDA = ROOT / "envs/songreel.yaml"
MODELS = ROOT / "models"
FONT = ROOT / "fonts/NotoSans-SemiBold.ttf"
NO_FONTS = ROOT / "fonts/none.conf"

# What to do when one of the models is not as it came.
RESTORE = "install songreel again" if INSTALLED else "for example with `git checkout -- models`"
