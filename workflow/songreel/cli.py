"""The command line: reads what is asked for, runs it, and says in a sentence why it could not be done."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path

from songreel import __version__, commands, film_commands, help_commands, rule_commands, usage
from songreel.ground import shortage, stops
from songreel.ground.errors import DamageError, UserError, sentence
from songreel.ground.files import set_aside
from songreel.ground.messages import FAILED, fail, logged, note, print_anywhere, quiet
from songreel.jobs import leases

UNREAD = 128 + signal.SIGPIPE  # exit status


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. What a user can mend is told in one sentence; returns the exit status."""
    print_anywhere()
    parser = _parser()
    given = sys.argv[1:] if arguments is None else arguments
    if not given:
        parser.print_help()
        return 0
    options = parser.parse_args(given)
    options.given = given
    with logged(options.log), quiet(options.quiet):
        try:
            with stops.handled(lambda: _report_stop(options.log)):
                return _run(options)
        except UserError as error:
            fail(str(error))
            return 1
        except BrokenPipeError:
            return _unread()
        except Exception as error:
            message = shortage.sentence(error) or (
                sentence(error) if isinstance(error, OSError) and error.errno else None
            )
            if message is None:
                note(traceback.format_exc(), options.log)
                note(f"{FAILED}{type(error).__name__}: {' '.join(str(error).split())}", options.log)
                raise
            fail(message)
            return 1


def _unread() -> int:
    """The status of a program whose reader is gone, as `head` is; what is yet to be printed goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return UNREAD


def _run(options: argparse.Namespace) -> int:
    """The exit status, which is 0 where a command returns none."""
    try:
        status: int | None = options.run(options)
        sys.stdout.flush()
        return status or 0
    except DamageError as fault:
        aside = set_aside(fault.path)
        raise UserError(
            f"{fault}; it is now {aside.name}: run the same command again to render it anew."
        ) from None


def _report_stop(log: Path | None) -> None:
    if leases.HELD in os.environ:  # the job that this process works for says it
        return
    message = "stopped; finished keyframes are kept and the next run goes on from them."
    # `print` fails inside a `print` that was interrupted
    os.write(2, f"songreel: {message}\n".encode())
    note(message, log)


def _parser() -> usage.Parser:
    parser = usage.Parser(
        prog="songreel",
        description="Turns a song's lyrics into a music video.",
        epilog="songreel COMMAND --help tells of a command, with examples. snakemake renders.",
    )
    parser.add_argument("--version", action="version", version=f"songreel {__version__}")
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=argparse.ArgumentParser)
    declared = {
        **commands.declare(subparsers),
        **film_commands.declare(subparsers),
        **help_commands.declare(subparsers),
        **rule_commands.declare(subparsers),
    }

    _declare_common(subparsers.choices)
    declared["completion"].set_defaults(whole=parser)
    usage.help_with_examples(subparsers)
    parser.commands = subparsers.choices
    return parser


def _declare_common(parsers: Mapping[str, argparse.ArgumentParser]) -> None:
    """The options that commands share."""
    for command in parsers.values():
        command.add_argument("--log", type=Path, help="also write progress and errors to this file")
        command.add_argument("-q", "--quiet", action="store_true", help="print errors and answers alone")
    for name in ("keyframes", "clip", "bench"):
        parsers[name].add_argument("--threads", type=int, default=1, help="CPU threads (default 1)")
    for name in ("clip", "film", "storyboard"):
        parsers[name].add_argument("--ffmpeg", default="", help="an ffmpeg other than imageio-ffmpeg's")
