"""Where things are by themselves: which grounds become them when the words name no place."""

from __future__ import annotations

from collections.abc import Sequence

from songreel.sampling.drawings import Drawings, Thing

ANYWHERE = frozenset(("meadow", "plain", "floor", "table", "garden", "street", "road", "stage", "sky"))
INDOORS = frozenset(("floor", "table", "stage", "window"))
MIDDLE = frozenset(("plain", "fire", "underwater", "sky", "space"))  # grounds that nothing stands on
OPEN = "hills"  # where there is a sky to see
SNOWED_ON = frozenset(("meadow", "hills", "forest", "road", "street"))


def flies(thing: Thing) -> bool:
    """Whether a thing is seen in the air by itself."""
    return thing.home in ("sky", "space", "night") or thing.aloft


def homes(album: Drawings, things: Sequence[Thing], outdoors: bool, weather: str) -> Sequence[str]:
    """Grounds for things when none is asked for, the best first."""
    found = [it.home for it in things if not it.aloft] or [it.home for it in things] or [OPEN]
    home = next((it for it in found if it not in ANYWHERE), found[0])
    outdoors = outdoors or len(things) - len(found) > 0
    if outdoors and home in INDOORS | {"plain"}:
        home = OPEN
    grounds = album.elsewhere.get(home, (OPEN,))
    return ("snow", *grounds) if weather == "snow" and home in SNOWED_ON else grounds


def sunk(ground: str, things: Sequence[Thing]) -> str:
    """A ground, or under water where it is one and all that is shown lives there."""
    if ground in ("sea", "lake", "river") and things and all(it.home == "underwater" for it in things):
        return "underwater"
    return ground
