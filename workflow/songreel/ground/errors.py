"""The errors that a user can cause and mend, each told in one sentence."""

from __future__ import annotations

import errno
import os
from pathlib import Path

FULL = (errno.ENOSPC, errno.EDQUOT)


class UserError(Exception):
    """One sentence: where (file, row or key), what was found, what was expected, what to do.

    The command line and the Snakefile print it without a traceback and exit with status 1.
    """


class DamageError(Exception):
    """A result that is not what its name says: where, what was found and what was expected.

    It must not be used and can be made again; who sees it says what to do.
    """

    def __init__(self, path: Path, found: str, expected: str) -> None:
        super().__init__(f"{path}: found {found}, expected {expected}")
        self.path = path


def _without_inodes(path: Path) -> bool:
    """Whether the disk has no room for one more file, which may be so while many bytes are free."""
    while not path.exists() and path != path.parent:
        path = path.parent
    try:
        disk = os.statvfs(path)
    except OSError:
        return False
    return disk.f_files > 0 and disk.f_favail == 0


def sentence(error: OSError) -> str:
    """What the operating system refused, and that nothing finished is lost."""
    where = f"{error.filename}: " if error.filename else ""
    if error.errno in FULL:
        found, remedy = "the disk is full", "free some space"
        if error.filename and _without_inodes(Path(str(error.filename))):
            found, remedy = "the disk holds as many files as it can", "remove some files"
    else:
        found, remedy = error.strerror or os.strerror(error.errno or 0), "see to that"
    return f"{where}{found}; {remedy} and run the same command again, finished keyframes are kept."
