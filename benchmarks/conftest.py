"""What the tests set up before anything is imported, these need, too."""

import tests.conftest  # noqa: F401
