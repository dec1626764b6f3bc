"""`python -m songreel_starter`."""

import sys

from songreel_starter.cli import main

sys.exit(main())
