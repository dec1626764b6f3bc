"""Damaged files of lyrics by lot. `python -m tests.lyrics_by_lot 1000` reads so many of each format."""

from __future__ import annotations

import json
import random
import re
import sys
import tempfile
import time
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from songreel.ground.errors import UserError
from songreel.planning import screenplay

LRC = """[ti:A song]
[ar:Somebody]
[offset:-250]
[00:12.00][01:15.00]Sung twice
[00:17.20]<00:17.20> Some <00:17.80> words <00:18.30>
[00:21.1]a [bracket] in a text
[00:25.000]
"""
SUBRIP = """1
00:00:01,000 --> 00:00:03,500
Down by the <i>river</i>

2
00:00:04,000 --> 00:00:06,000
{\\an8}where the
willows grow

3
00:00:07,250 --> 00:00:09,000
1999
"""
VTT = """WEBVTT - a song

STYLE
::cue { color: red }

intro
00:01.000 --> 00:03.500 align:start
<v Ann>Down by &lt;the&gt; <c.loud>river</c>

NOTE nobody sings this

00:00:04.000 --> 00:00:06.000
<00:00:04.000>where <00:00:04.500>the willows <00:00:05.250>grow
"""
SBV = "0:00:01.000,0:00:03.500\nDown by\nthe river\n\n0:00:04.000,0:00:06.000\nwhere the willows grow\n"
ASS = """[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour
Style: Default,Arial,20,&H00FFFFFF

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Comment: 0,0:00:00.00,0:00:01.00,Default,,0,0,0,,nobody sings this
Dialogue: 0,0:00:01.00,0:00:03.50,Default,,0,0,0,,{\\an8}Down by,\\Nthe {\\i1}river
Dialogue: 0,0:00:04.00,0:00:06.00,Default,,0,0,0,,{\\k50}where {\\kf75}the wil{\\k25}lows
"""
TTML = """<?xml version="1.0" encoding="UTF-8"?>
<tt xmlns="http://www.w3.org/ns/ttml" xmlns:ttp="http://www.w3.org/ns/ttml#parameter" ttp:frameRate="25">
<head><metadata/></head>
<body begin="10s"><div>
<p begin="1s" end="3.5s">Down by<br/>the &amp; river</p>
<p begin="00:00:04:05" dur="50f"><span begin="0s" end="500ms">where</span>
<span begin="1s">the willows</span></p>
</div></body></tt>
"""
SAMI = """<SAMI><HEAD><TITLE>x</TITLE></HEAD><BODY>
<SYNC Start=1000><P Class=ENCC>Down by<br>the <i>river</i>
<SYNC Start=3500><P Class=ENCC>&nbsp;
<SYNC Start=4000><P Class=ENCC>where the willows grow
</BODY></SAMI>
"""
WHISPER = """{"text": "x", "segments": [
 {"id": 0, "start": 1.0, "end": 3.5, "text": " Down by, the river", "words": [
  {"word": " Down", "start": 1.0, "end": 1.25}, {"word": " by,", "start": 1.5, "end": 2.0},
  {"word": " the"}, {"word": " river", "start": 2.5, "end": 3.5}]},
 {"id": 1, "start": 4, "end": 6, "text": " where the willows grow"}], "language": "en"}
"""
SPOTIFY = """{"lyrics": {"syncType": "LINE_SYNCED", "lines": [
 {"startTimeMs": "1000", "words": "Down by the river", "syllables": [], "endTimeMs": "0"},
 {"startTimeMs": "3500", "words": "\u266a", "syllables": [], "endTimeMs": "0"},
 {"startTimeMs": "4000", "words": "where the willows grow", "syllables": [], "endTimeMs": "0"}]}}
"""
LABELS = "1.000000\t3.500000\tDown by the river\n4.000000\t4.000000\twhere the willows grow\n"
WORDS = "[Verse 1]\nDown by the river\nwhere the willows grow\n\nAnd the water runs\n"

SAMPLES = {
    "lrc": LRC,
    "srt": SUBRIP,
    "vtt": VTT,
    "sbv": SBV,
    "ass": ASS,
    "ttml": TTML,
    "smi": SAMI,
    "json": WHISPER,
    "spotify.json": SPOTIFY,
    "labels.txt": LABELS,
    "words.txt": WORDS,
}

_ODD = [
    *"[]<>{}:.,;-0123456789\\&|\"'/ \t\n\r\u266a\u2060\u00e9\u05d0",
    "[00:59.99]",
    "<00:00:01.000>",
    "00:00:01,000 --> 00:00:00,500\n",
    "\\k99999",
    "{\\k-1}",
    "&#x110000;",
    "&nbsp;",
    "1e999",
    "NaN",
    "<span begin='1s'>",
    "<!DOCTYPE x [<!ENTITY a 'b'>]>",
    "\x00",
    "\\u0000",
    "\\ud83d",
    "\ufeff",
    "null",
    "[" * 40,
    "9" * 30,
    "<!--",
]


def damaged(sample: str, chance: random.Random) -> bytes:
    """A file that was damaged by a few edits, and then perhaps by its encoding.

    What has a grammar, as JSON and XML, is in half of the cases whole and says odd things.
    """
    if sample.startswith("{") and chance.random() < 0.5:
        text = json.dumps(_odd_json(json.loads(sample), chance))
    elif sample.startswith("<?xml") and chance.random() < 0.5:
        text = re.sub('(?<=[nr]=")[^"]*', lambda value: _odd_time(value[0], chance), sample)
    else:
        text = _edited(sample, chance)
    encoding = chance.choice(["utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16", "cp1252"])
    raw = text.encode(encoding, "replace")
    return raw[: chance.randrange(len(raw) + 1)] if chance.random() < 0.1 else raw


def _edited(text: str, chance: random.Random) -> str:
    for _ in range(chance.randint(1, 8)):
        start, end = sorted(chance.randrange(len(text) + 1) for _ in range(2))
        end = min(end, start + chance.choice([0, 1, 1, 3, 40]))
        again = text[start:end] * chance.choice([2, 50])
        put = chance.choice([chance.choice(_ODD), "", again, text[end : end + 60]])
        text = text[:start] + put + text[end:]
    return text


def _odd_time(value: str, chance: random.Random) -> str:
    odd = ["", "-1s", "1e9s", "99999h", "00:00:61", "1:2:3:4:5", "3f", "7t", "0.5m", "12.5", "x", "1:02.5"]
    return chance.choice(odd) if chance.random() < 0.2 else value


def _odd_json(value: Any, chance: random.Random) -> Any:
    if chance.random() < 0.04:
        odd: list[Any] = [
            None,
            True,
            -1,
            0,
            1e300,
            -1e-9,
            float("nan"),
            float("inf"),
            10**30,
            "",
            "x",
            "1e5",
            "\ud83d\x07",
            [],
            {},
        ]
        return chance.choice([*odd, [value], {"text": value}])
    if isinstance(value, dict):
        return {key: _odd_json(part, chance) for key, part in value.items() if chance.random() > 0.02}
    if isinstance(value, list):
        return [
            _odd_json(part, chance) for part in value for _ in range(chance.choice([0, 1, 1, 1, 1, 1, 2]))
        ]
    return value


def outcome(path: Path) -> str:
    """What a file gives: how many lines, or the one sentence."""
    try:
        lines = screenplay.read(path)
    except UserError as error:
        told = str(error)
        assert told.isprintable(), told
        assert re.fullmatch(r".+: found .+, expected .+; .+", told), told
        assert len(told) < 600, told
        return told
    starts = [line.start_seconds for line in lines]
    assert starts == sorted(set(starts))
    assert starts[0] >= 0
    for line in lines:
        assert line.text.strip()
        assert not {"Cc", "Cs"} & set(map(unicodedata.category, line.text))
        assert not line.words or "".join(word.text for word in line.words) == line.text
        assert line.end_seconds is None or line.end_seconds > line.start_seconds
    return f"{len(lines)} lines"


def by_lot(name: str, count: int, seed: int, folder: Path) -> Iterator[str]:
    """What so many damaged files of one format give."""
    chance = random.Random(f"{name} {seed}")
    for number in range(count):
        path = folder / f"{number}.{name}"
        path.write_bytes(damaged(SAMPLES[name], chance))
        yield outcome(path)
        path.unlink()


def main(count: int, seed: int) -> None:
    """Print for each format how many were read, how many refused, and the longest time that one took."""
    with tempfile.TemporaryDirectory() as folder:
        for name in SAMPLES:
            read, longest, last = 0, 0.0, time.monotonic()
            for told in by_lot(name, count, seed, Path(folder)):
                read += told.endswith(" lines")
                now = time.monotonic()
                longest, last = max(longest, now - last), now
            print(f"{name:14} {read:6} read {count - read:6} refused  {longest:.3f} s at most")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1)
