"""Words that scenes are told with, and what they look like: colours, skies, grounds, weather, numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Rgb = tuple[int, int, int]

COLOURS: dict[str, Rgb] = {
    "red": (215, 35, 35),
    "orange": (245, 140, 25),
    "tangerine": (248, 130, 40),
    "yellow": (250, 215, 45),
    "golden": (222, 170, 40),
    "green": (50, 160, 60),
    "lime": (160, 215, 50),
    "teal": (30, 150, 150),
    "turquoise": (60, 205, 195),
    "blue": (45, 95, 215),
    "light blue": (125, 195, 245),
    "navy": (25, 35, 100),
    "purple": (125, 50, 175),
    "violet": (150, 80, 210),
    "pink": (245, 130, 175),
    "magenta": (220, 45, 150),
    "brown": (125, 75, 40),
    "black": (22, 22, 26),
    "white": (245, 245, 245),
    "grey": (135, 135, 140),
    "silver": (190, 195, 200),
    "crimson": (170, 20, 50),
    "scarlet": (235, 40, 25),
    "emerald": (20, 150, 90),
    "peach": (250, 190, 150),
    "cream": (250, 240, 210),
    "marmalade": (240, 145, 40),
    "amber": (250, 180, 30),
    "lavender": (190, 160, 235),
    "indigo": (70, 40, 150),
    "cherry": (200, 20, 50),
    "rose": (235, 80, 120),
    "dark green": (20, 85, 40),
    "dark blue": (20, 35, 120),
    "dark red": (120, 15, 20),
}
# What people say most; the others come now and then.
COMMON = (
    "red",
    "orange",
    "yellow",
    "green",
    "blue",
    "purple",
    "pink",
    "brown",
    "black",
    "white",
    "golden",
    "grey",
)
HUES = (
    *((15, "red"), (42, "orange"), (68, "yellow"), (165, "green"), (195, "turquoise"), (255, "blue")),
    *((290, "purple"), (345, "pink"), (360, "red")),
)  # degrees up to which a hue has the name


@dataclass(frozen=True)
class Sky:
    """Names of a sky, its colours at the top and above the horizon, and its time: day or night."""

    names: tuple[str, ...]
    top: Rgb
    bottom: Rgb
    night: bool = False
    grey: bool = False
    weight: float = 2


SKIES = (
    Sky(("blue sky", "clear blue sky", "summer sky"), (70, 145, 235), (185, 220, 250), weight=7),
    Sky(("orange sky", "marmalade sky"), (235, 110, 30), (255, 200, 90), weight=3),
    Sky(("sunset", "sunset sky", "evening sky"), (100, 60, 140), (255, 140, 50), weight=4),
    Sky(
        ("night sky", "night", "dark night", "midnight sky"), (8, 10, 40), (30, 35, 85), night=True, weight=8
    ),
    Sky(("deep black night", "black sky"), (3, 3, 10), (14, 14, 30), night=True),
    Sky(("pink sky", "rosy sky"), (240, 130, 170), (255, 200, 210)),
    Sky(("purple sky", "violet sky"), (80, 35, 130), (190, 120, 200)),
    Sky(("grey sky", "cloudy sky"), (110, 115, 125), (180, 185, 190), grey=True),
    Sky(("stormy sky", "storm", "dark sky"), (45, 50, 65), (110, 115, 125), grey=True),
    Sky(("red sky", "blood red sky"), (170, 30, 30), (250, 120, 60)),
    Sky(("green sky",), (40, 130, 80), (170, 220, 150), weight=1),
    Sky(("yellow sky", "golden sky"), (245, 200, 60), (255, 240, 160)),
    Sky(("dawn", "morning sky", "sunrise"), (120, 130, 190), (255, 190, 150)),
    Sky(("dusk", "twilight"), (40, 40, 95), (200, 110, 110), night=True),
    Sky(("white sky", "pale winter sky"), (215, 222, 230), (245, 247, 250), grey=True, weight=1),
)


@dataclass(frozen=True)
class Ground:
    """Names of a place, its colours far and near, how it is painted, and where things are in it."""

    names: tuple[str, ...]
    far: Rgb
    near: Rgb
    paint: str = ""  # water, river, road, beach, flowers, rails, tiles
    skyline: str = ""  # hills, mountains, city, trees
    where: tuple[str, ...] = ("in", "on")
    weight: float = 2


GROUNDS = (
    Ground(("the green grass", "the grass", "a green meadow"), (70, 160, 55), (45, 120, 40), weight=3),
    Ground(("a meadow", "the fields", "the green fields"), (120, 185, 70), (60, 140, 45)),
    Ground(("a golden field", "a field of wheat", "the cornfield"), (225, 190, 80), (190, 140, 45)),
    Ground(("the sea", "the ocean", "the deep blue sea"), (40, 120, 190), (15, 60, 130), "water", weight=4),
    Ground(("the water", "the lake", "a quiet lake"), (80, 150, 200), (40, 100, 150), "water", "hills"),
    Ground(
        ("a river", "the river"),
        (90, 160, 210),
        (45, 110, 170),
        "river",
        where=("on", "by", "down"),
        weight=4,
    ),
    Ground(
        ("the beach", "the shore", "the sand"),
        (240, 215, 155),
        (225, 190, 120),
        "beach",
        where=("on", "at"),
        weight=3,
    ),
    Ground(("the desert", "the desert sand"), (235, 185, 105), (205, 145, 70)),
    Ground(("the snow", "a snowy field", "winter snow"), (245, 248, 252), (205, 220, 240)),
    Ground(
        ("the road", "a long road", "the highway"),
        (105, 105, 110),
        (70, 70, 75),
        "road",
        where=("on", "down"),
    ),
    Ground(
        ("the street", "a city street", "the avenue"),
        (115, 112, 115),
        (80, 78, 82),
        "road",
        "city",
        ("on", "down"),
    ),
    Ground(("the hills", "the green hills"), (100, 170, 75), (60, 120, 50), "", "hills"),
    Ground(("the mountains", "snowy mountains"), (95, 150, 80), (60, 110, 55), "", "mountains", ("by", "in")),
    Ground(("the forest", "the woods", "the trees"), (60, 120, 50), (25, 75, 35), "", "trees", ("in", "by")),
    Ground(("the city", "the town", "the skyline"), (90, 90, 105), (60, 60, 75), "", "city", ("in", "over")),
    Ground(("the station", "the platform"), (170, 165, 160), (120, 115, 112), "rails", where=("at", "in")),
    Ground(("a flower field", "a field of flowers", "the garden"), (90, 170, 70), (50, 130, 45), "flowers"),
    Ground(
        ("the wooden floor", "an old wooden floor"),
        (170, 115, 65),
        (130, 80, 40),
        "tiles",
        where=("on",),
        weight=1,
    ),
    Ground(("the harbour", "the bay"), (60, 130, 180), (25, 75, 130), "water", "city", ("in", "by"), 1),
    Ground(
        ("the island sea", "the sea by the mountains"),
        (50, 140, 190),
        (20, 80, 140),
        "water",
        "mountains",
        ("on",),
        1,
    ),
)

STARS = ("stars", "a thousand stars", "twinkling stars", "shining stars", "little stars")
MOONS = {
    "full": ("the moon", "a full moon", "the silver moon", "moonlight"),
    "crescent": ("a crescent moon", "a new moon"),
}
SUNS = ("the sun", "the bright sun", "sunshine", "sunlight")
CLOUDS = {"white": ("clouds", "white clouds", "drifting clouds"), "dark": ("dark clouds", "heavy clouds")}
RAINS = ("rain", "falling rain", "the pouring rain")
SNOWS = ("falling snow", "snowflakes", "the snow coming down")
FOGS = ("fog", "mist", "the morning mist")

NUMBERS = {2: ("two", "a pair of"), 3: ("three",), 4: ("four",), 5: ("five",), 6: ("six",), 7: ("seven",)}
MANY = ("many", "lots of", "so many", "a crowd of")
LARGE, SMALL = ("big", "giant", "huge", "great"), ("little", "tiny", "small")

# Things that are at home in the sky or on the water, when one of these is in their label.
FLYING = frozenset(
    (
        *("airplane", "balloon", "bat", "bee", "bird", "butterfly", "cloud", "comet", "crow"),
        *("dove", "dragon", "duck", "eagle", "fairy", "falcon", "helicopter", "kite", "moon", "owl"),
        *("parachute", "parrot", "planet", "plane", "raven", "rocket", "satellite", "seagull"),
        *("star", "sun", "swallow", "swan", "ufo", "airship", "bluebird", "rainbow", "angel"),
        *("lightning", "firework", "fireworks", "snowflake", "dragonfly", "jet", "spaceship"),
    )
)
FLOATING = frozenset(
    (
        *("boat", "canoe", "dolphin", "duck", "ferry", "fish", "kayak", "sailboat", "seal", "shark"),
        *("ship", "speedboat", "submarine", "surfing", "surfer", "swan", "swimmer", "swimming"),
        *("turtle", "whale", "yacht", "anchor", "frog", "lobster", "octopus", "crab", "motorboat"),
        *("raft", "gondola", "goose"),
    )
)

# {} is what is to be seen. Most captions say just that.
LYRICS = (
    *("I see {}", "look at {}", "there's {}", "she dreams of {}", "he sings about {}", "and I remember {}"),
    *("take me to {}", "I'm waiting for {}", "we will follow {}", "you are like {}", "somewhere there is {}"),
    *("picture yourself with {}", "oh, {}", "all I want is {}", "I had a dream of {}", "{} and nothing else"),
    *(
        "I'm thinking of {}",
        "tell me about {}",
        "nothing but {}",
        "there you go, {}",
        "my love, {}",
        "{} in my mind",
    ),
)
PICTURES = (
    "a picture of {}",
    "a drawing of {}",
    "a painting of {}",
    "a photo of {}",
    "an illustration of {}",
)


def article(noun: str) -> str:
    """`an owl`, `a boat`; unchanged when there is one already."""
    if noun.startswith(("a ", "an ", "the ", "my ", "some ")):
        return noun
    return f"{'an' if noun[:1] in 'aeiou' else 'a'} {noun}"


def plural(noun: str) -> str:
    """The plural as a rule makes it, of the word before `with`, `of`, `in` … when there is one."""
    for preposition in (" with ", " of ", " in ", " on ", " and ", " at "):
        head, joint, rest = noun.partition(preposition)
        if joint:
            return f"{plural(head)}{joint}{rest}"
    if noun.endswith(("children", "people", "sheep", "fish", "deer", "dice")):
        return noun
    if noun.endswith(("man", "woman")):
        return noun[:-2] + "en"
    if noun.endswith("s") and not noun.endswith("ss"):
        return noun
    if noun.endswith(("ss", "x", "ch", "sh", "z")):
        return noun + "es"
    if noun.endswith("y") and noun[-2:-1] not in tuple("aeiou"):
        return noun[:-1] + "ies"
    for ending in ("leaf", "wolf", "knife", "loaf", "elf", "thief"):
        if noun.endswith(ending):
            return noun.removesuffix("fe").removesuffix("f") + "ves"
    return noun + "s"


def colour_of(pixels: npt.NDArray[np.uint8], share: float) -> str:
    """The name of the colour that at least `share` of the pixels [n, 3] have, or nothing."""
    if not len(pixels):
        return ""
    names, codes = _named(pixels.astype(np.float32) / np.float32(255))
    counts = np.bincount(codes, minlength=len(names))
    best = int(counts.argmax())
    return names[best] if counts[best] >= share * len(pixels) else ""


def _named(rgb: npt.NDArray[np.float32]) -> tuple[list[str], npt.NDArray[np.int64]]:
    """Colour names and for each pixel [n, 3] in 0..1 which of them it has."""
    names = [*dict.fromkeys(name for _, name in HUES), "brown", "black", "grey", "white"]
    value, chroma = rgb.max(1), rgb.max(1) - rgb.min(1)
    hue = _hue(rgb, value, chroma)
    limits = np.array([limit for limit, _ in HUES])
    of_hue = np.array([names.index(name) for _, name in HUES])
    codes = of_hue[np.searchsorted(limits, hue).clip(max=len(HUES) - 1)]
    codes = np.where((hue > 8) & (hue < 42) & (value < 0.68), names.index("brown"), codes)
    dull = chroma < 0.13 + 0.1 * (value > 0.85)
    codes = np.where(dull, names.index("grey"), codes)
    codes = np.where(dull & (value > 0.85), names.index("white"), codes)
    return names, np.where(value < 0.2, names.index("black"), codes)


def _hue(
    rgb: npt.NDArray[np.float32], value: npt.NDArray[np.float32], chroma: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """Degrees, 0 where there is no colour."""
    red, green, blue = rgb.T
    safe = np.where(chroma > 0, chroma, 1)
    sixth = np.select(
        [value == red, value == green],
        [(green - blue) / safe % 6, (blue - red) / safe + 2],
        (red - green) / safe + 4,
    )
    return np.where(chroma > 0, sixth * 60, 0).astype(np.float32)
