"""`python -m songreel` is the command line."""

import sys

from songreel.cli import main

sys.exit(main())
