"""A whole song, for tests and benchmarks of more lines than the demo has."""

from __future__ import annotations

Lines = list[tuple[str, float]]

SUNG_EIGHT_TIMES = "Row on, row on, till the morning"
SONG = """
The harbour lights are going out, one by one|0
I count the boats, I count the birds|5.8
Nothing moves, not even the weather|10.35
And the old man says, "not yet, not yet"|16
{again}|21.12
{again}|24.9
There is salt on the window, salt on the bread|29
My mother's letters, tied with string|34.567
A map, a knife, a compass, a coat|40.08
I fold the night and put it in my pocket|45.3
{again}|51
{again}|54.71
Oh, the sea is a house without a door|58.4
Oh, the sea is a clock without hands|64.125
Oh, the sea, the sea|70
It never learned to read, it never learned to wait|73.333
So I sing to the engine, I sing to the rope|79.9
Half a mile, a mile, a mile and a half|85
And the lighthouse turns like a thought|91.65
{again}|97.2
{again}|100.86
Who left the lamp on, up in the tower?|105
Who painted the boat's name out?|110.49
Somebody's daughter, somebody's son|116.02
Somebody's dog, asleep on the nets|121
Gulls, gulls, a whole white argument of gulls|126.66
And the sun, when it comes, comes sideways|132.3
Gold on the water, gold on the oars|138
Gold on the hands, on the ring, on the tin cup|143.75
I have been gone for a year, or a day|149.2
The pier looks smaller, the sky does not|155
{again}|160.44
{again}|164.1
Ring the bell, somebody, ring it twice|168.8
Put the kettle on, open the blue door|175
I am bringing the morning, I am bringing the fish|182.915
And the harbour lights go on, one by one|193.6
(end)|209
"""


def whole_song() -> Lines:
    """38 lines of 209 seconds; the last one marks the end."""
    rows = (row.rsplit("|", 1) for row in SONG.replace("{again}", SUNG_EIGHT_TIMES).strip().splitlines())
    return [(text, float(start)) for text, start in rows]
