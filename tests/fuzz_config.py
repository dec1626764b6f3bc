"""Odd documents for config.yaml: each is a config or one sentence, in bounded memory. Say how many to try.

python -m tests.fuzz_config 10000 [SEED]
"""

from __future__ import annotations

import random
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from snakemake.common.configfile import load_configfile

from songreel.ground.errors import UserError
from songreel.planning import config

REPOSITORY = Path(__file__).parents[1]
MOST_MEGABYTES = 500
MOST_LETTERS = 500  # of a sentence
KEYS = list(config.schema()["properties"])

SCALARS = (
    *(
        "2024-13-01",
        "2024-02-30T25:61:61Z",
        "12:30:45.5",
        "190:20:30",
        "0x" + "f" * 5000,
        "9" * 5000,
        "1" * 4301,
    ),
    *(
        "1e999",
        ".inf",
        ".nan",
        "-.INF",
        "0b1",
        "0o7",
        "017",
        "1_000",
        "+",
        "~",
        "yes",
        "off",
        "<<",
        "=",
        "-",
        "?",
    ),
    *(
        "'",
        '"',
        "''",
        '"\\x00"',
        '"\\ud800"',
        '"\\u202e"',
        "|",
        "> x",
        "&a",
        "*a",
        "!",
        "!!",
        "!<x>",
        "%TAG",
        "@",
        "`",
    ),
    *('!!timestamp "9"', "!!int x", "!!float x", '!!binary "é"', "!!bool maybe", "!!null x", "!!set {a, b}"),
    *(
        "!!omap [a: 1]",
        "!!pairs [a]",
        "!!python/object/apply:os.system [true]",
        "!!python/name:os.system",
        "!!str 9",
    ),
    *("!!map [a]", "!!seq {a: 1}", "!foo bar", "[a, b", "{a: 1", "{a, b}", "[]", "{}", "[[a]]", "{? [a]: b}"),
    *(
        "日本",
        "\u2028",
        "\ufeff",
        "\x07",
        "a: b",
        "a #b",
        "#",
        "---",
        "...",
        "\t",
        " ",
        "x" * 3000,
        "256x256",
        "7",
    ),
    *("screenplays/song.csv", "starter", "none", "draft", "libx264", "30", "1.5", "~/x", "-out", "0"),
)


def document(chance: random.Random) -> bytes:
    """A config.yaml with something odd in it."""
    return chance.choice([_keys, _keys, _mutated, _bomb, _deep, _bytes])(chance)


def _keys(chance: random.Random) -> bytes:
    rows = [f"{_key(chance)}: {_odd(chance)}" for _ in range(chance.randint(1, 6))]
    return "\n".join(rows).encode("utf-8", "surrogatepass")


def _key(chance: random.Random) -> str:
    return chance.choice(KEYS) if chance.random() < 0.8 else chance.choice(SCALARS)


def _odd(chance: random.Random, depth: int = 0) -> str:
    kind = chance.random()
    if depth < 4 and kind < 0.12:
        return f"[{', '.join(_odd(chance, depth + 1) for _ in range(chance.randint(0, 4)))}]"
    if depth < 4 and kind < 0.2:
        return f"{{{chance.choice(SCALARS)}: {_odd(chance, depth + 1)}}}"
    return f"&a {chance.choice(SCALARS)}" if kind < 0.25 else chance.choice(SCALARS)


def _mutated(chance: random.Random) -> bytes:
    """This checkout's config.yaml with some bytes changed, removed or doubled."""
    text = bytearray((REPOSITORY / "config.yaml").read_bytes())
    for _ in range(chance.randint(1, 8)):
        at = chance.randrange(len(text))
        end = at + chance.randint(1, 30)
        text[at:end] = chance.choice(
            [b"", text[at:end] * 2, bytes([chance.randrange(256)]), b"\n", b": ", b"*a"]
        )
    return bytes(text)


def _bomb(chance: random.Random) -> bytes:
    """Aliases of aliases, which are gigabytes when they are written out."""
    rows = ["a0: &a0 [" + ", ".join(["x"] * 9) + "]"]
    for level in range(1, chance.randint(2, 12)):
        rows.append(f"a{level}: &a{level} [" + ", ".join([f"*a{level - 1}"] * 9) + "]")
    last = f"*a{len(rows) - 1}"
    rows.append(
        chance.choice([f"title: {last}", f"<<: {{title: {last}}}", f"? {last}\n: 1", "artist: &b [*b]"])
    )
    named = chance.random() < 0.5  # a key that is known is shown with its value
    return "\n".join(
        row.replace(f"a{at}:", f"{KEYS[at]}:") if named else row for at, row in enumerate(rows)
    ).encode()


def _deep(chance: random.Random) -> bytes:
    count = chance.choice([5, 18, 22, 900, 20_000])
    opened, closed = chance.choice([("[", "]"), ("{a: ", "}"), ("- ", ""), ("? ", ""), ("[{a: ", "}]")])
    return f"{chance.choice(KEYS)}: {opened * count}1{closed * chance.choice([count, 0])}".encode()


def _bytes(chance: random.Random) -> bytes:
    if chance.random() < 0.3:
        return "title: Déjà vu".encode(
            chance.choice(["utf-16", "latin-1", "utf-32", "utf-8-sig", "utf-16-le"])
        )
    return bytes(
        chance.choice(b"ab:-[]{}&*!|>'\"%@`#,? \n\t0123\xff\xc3\xa9\x00")
        for _ in range(chance.randint(0, 60))
    )


def fault(raw: bytes, folder: Path) -> str | None:
    """What is wrong with how a document is taken; None when it is a config or one sentence."""
    path = folder / "config.yaml"
    path.write_bytes(raw)
    try:
        keys: dict[str, Any] = config.read(path)
    except UserError as error:
        return _unlike_a_sentence(str(error), str(path))
    taken = load_configfile(path)  # Snakemake's own reading, which follows: it has nothing to complain of
    for given in (keys, taken):
        try:
            config.resolve(given)
        except UserError as error:
            if wrong := _unlike_a_sentence(str(error), "config key "):
                return wrong
    return None


def _unlike_a_sentence(told: str, start: str) -> str | None:
    good = told.startswith(start) and told.isprintable() and len(told) < MOST_LETTERS and told.endswith(".")
    return None if good else f"no sentence: {told[:1000]!r}"


def _guarded(raw: bytes, folder: Path, check: Callable[[bytes, Path], str | None]) -> str | None:
    try:
        return check(raw, folder)
    except Exception as error:  # what a user would see as a traceback
        return f"{type(error).__name__}: {str(error)[:300]}"


def main(arguments: Sequence[str]) -> int:
    """Try so many documents; the exit status is 0 when all were taken rightly."""
    count, seed = int(arguments[0]), int(arguments[1]) if len(arguments) > 1 else 0
    chance, wrong = random.Random(seed), 0
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(count):
            raw = document(chance)
            if told := _guarded(raw, Path(folder), fault):
                wrong += 1
                print(f"{raw[:300]!r}\n  {told}", flush=True)
    megabytes = _most_megabytes()
    print(f"{count} documents, {wrong} taken wrongly, {megabytes:.0f} MB at the most")
    return int(wrong > 0 or megabytes > MOST_MEGABYTES)


def _most_megabytes() -> float:
    """The most memory that this process has had; getrusage would count its parent's before it was started."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
