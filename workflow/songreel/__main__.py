"""`python -m songreel` is the command line."""

import contextlib
import os
import sys

from songreel.cli import main

status = main()
if "torch" in sys.modules:
    # To take PyTorch down takes a third of a second, and all files are written and closed by now.
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
    os._exit(status)
sys.exit(status)
