"""The commands that help with songreel itself, each declared beside what it runs."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from songreel import commands, usage

if TYPE_CHECKING:
    from songreel.commands import Commands, Parser


def declare(subparsers: Commands) -> dict[str, Parser]:
    """Add them to a command line; returns each one's parser, by its name."""
    return {"doctor": _declare_doctor(subparsers), "completion": _declare_completion(subparsers)}


def _declare_doctor(subparsers: Commands) -> Parser:
    doctor = subparsers.add_parser(
        "doctor", help="look whether this machine and this folder can make the film, and say what to do"
    )
    doctor.add_argument(
        "--json", action="store_true", help="for a bug report; names no user and no home folder"
    )
    commands.declare_settings(doctor)
    doctor.set_defaults(run=_doctor)
    return doctor


def _doctor(options: argparse.Namespace) -> int:
    from songreel.upkeep.doctor import examine, report

    film, checks = examine.examine(options.configfile, dict(options.config))
    print(report.as_json(checks, film.config) if options.json else report.as_table(checks, options.quiet))
    return int(any(check.state == "fault" for check in checks))


def _declare_completion(subparsers: Commands) -> Parser:
    completion = subparsers.add_parser("completion", help="print what completes songreel's words in a shell")
    completion.add_argument("shell", choices=usage.SHELLS, help="which shell")
    completion.set_defaults(run=_completion)
    return completion


def _completion(options: argparse.Namespace) -> None:
    print(usage.completion(options.whole, options.shell))
