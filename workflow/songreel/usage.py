"""How the command line helps: an example of each command, what a misspelt word was to be, completion."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

SHELLS = ("bash", "zsh", "fish")

# What `--help` shows of each command, as it is typed; a test has each understood.
EXAMPLES: Mapping[str, Sequence[str]] = {
    "new": ("songreel new mysong",),
    "plan": ("songreel plan --price 2.50", "songreel plan --config preset=reference seed=7 --json"),
    "prune": ("songreel prune", "songreel prune --configfile config.yaml night.yaml --yes"),
    "bench": ("songreel bench --only starter --json bench.json",),
    "convert": (
        "songreel convert river.lrc screenplays/river.csv",
        "songreel convert words.txt draft.csv --audio river.mp3",
        "songreel convert film_settings.txt film.csv  # Deforum's, or a Parseq document",
    ),
    "export": (
        "songreel export srt",
        "songreel export gif --line 2",
        "songreel export chapters --output chapters.txt --force",
    ),
    "sound": ("songreel sound", "songreel sound --output curves.csv"),
    "preview": ("songreel preview", "songreel preview --config screenplay=screenplays/river.csv"),
    "watch": ("songreel watch screenplays/river.csv",),
    "storyboard": ("songreel storyboard results/river/timeline.json",),
    "doctor": ("songreel doctor", "songreel doctor --json > doctor.json"),
    "completion": (
        "songreel completion bash > ~/.local/share/bash-completion/completions/songreel",
        "songreel completion zsh > ~/.zfunc/_songreel",
        "songreel completion fish > ~/.config/fish/completions/songreel.fish",
    ),
    "keyframes": ("songreel keyframes results/plan/segments/0123456789abcdef.json 25 --threads 2",),
    "clip": (
        "songreel clip results/plan/clips/0123456789abcdef.json results/latents/0123456789abcdef-25.zarr.zip",
    ),
    "fetch": ("songreel fetch imagenet-16384 ViT-B/32",),
    "film": ("songreel film results/river/timeline.json results/clips/0123456789abcdef.mp4",),
    "choose": ("songreel choose --results results < request.json",),
}


class Parser(argparse.ArgumentParser):
    """A parser that says of a word which it does not know which one is nearest, as Python 3.14's will."""

    commands: Mapping[str, argparse.ArgumentParser]  # by their names

    def parse_args(  # type: ignore[override]
        self, arguments: Sequence[str], namespace: argparse.Namespace | None = None
    ) -> argparse.Namespace:
        """As argparse's. Ends with exit status 2 where something is not understood."""
        self._check_command(arguments)
        options, unknown = self.parse_known_args(arguments, namespace)
        if unknown:
            parser: argparse.ArgumentParser = getattr(options, "parser", self)
            parser.error(f"found {' '.join(unknown)}, expected none{_meant(unknown[0], parser)}")
        return options

    def _check_command(self, arguments: Sequence[str]) -> None:
        """Options come after a command, or are alone."""
        word = next((argument for argument in arguments if not argument.startswith("-")), None)
        if word is not None and word not in self.commands:
            known = ", ".join(self.commands)
            near = nearest(word, self.commands)
            self.error(f"found no command {word!r}, expected one of {known}{near}")


def one_of(known: Sequence[str]) -> Callable[[str], str]:
    """A type of argument: one of some words. A misspelt one is told the nearest."""

    def word(text: str) -> str:
        if text not in known:
            raise argparse.ArgumentTypeError(
                f"found {text!r}, expected one of {', '.join(known)}{nearest(text, known)}"
            )
        return text

    return word


def nearest(word: str, known: Iterable[str]) -> str:
    """`; did you mean 'plan'?`, or nothing where no known word is near."""
    near = difflib.get_close_matches(word, [*known], n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else ""


def _meant(option: str, parser: argparse.ArgumentParser) -> str:
    options = [text for action in parser._actions for text in action.option_strings]
    return nearest(option.partition("=")[0], options) if option.startswith("-") else ""


def help_with_examples(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Give each command's `--help` its purpose and examples; what it parses says which parser that was."""
    purposes = {action.dest: action.help for action in subparsers._choices_actions}
    for name, parser in subparsers.choices.items():
        parser.formatter_class = argparse.RawDescriptionHelpFormatter
        purpose = str(purposes[name])
        parser.description = f"{purpose[0].upper()}{purpose[1:]}."
        if examples := EXAMPLES.get(name):
            parser.epilog = "\n  ".join(("example:" if len(examples) == 1 else "examples:", *examples))
        parser.set_defaults(parser=parser)


def completion(parser: Parser, shell: str) -> str:
    """The script that completes songreel's commands, options and files in a shell."""
    import shtab

    for action in (action for command in parser.commands.values() for action in command._actions):
        if action.type is Path:
            action.complete = shtab.FILE  # type: ignore[attr-defined]
    return str(shtab.complete(parser, shell=shell))
