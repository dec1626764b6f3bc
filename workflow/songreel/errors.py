"""The one kind of error that a user can cause and mend."""


class UserError(Exception):
    """One sentence: where (file, row or key), what was found, what was expected, what to do.

    The command line and the Snakefile print it without a traceback and exit with status 1.
    """
