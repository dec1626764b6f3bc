"""What is said of the words on a clip's picture: a part of its plan, and so of its id."""

from dataclasses import dataclass

# Bumped when the same document gives other words on the picture; clips without any keep their ids.
LETTERING = 1

# Of a frame, by the clock of a script for libass, which counts frames
FRAME_MS = 100

# What config.yaml calls words on the picture.
ON_PICTURE = ("burned", "karaoke")


@dataclass(frozen=True)
class Sung:
    """Words, or a part of a word, and the clip's frame from which they are sung."""

    text: str  # with the space after it
    frame: int


@dataclass(frozen=True)
class Face:
    """A font by its file's content, and which of the faces that a collection holds."""

    sha256: str
    number: int = 0


@dataclass(frozen=True)
class Lettering:
    """Which words are seen on a clip's picture, from when to when, and how they look."""

    recipe: int
    first_frame: int  # of the clip
    end_frame: int  # the first one without them
    sung: tuple[Sung, ...]  # one after the other, the whole line; several light up one by one
    faces: tuple[Face, ...]  # each letter has the first that draws it; without any it is left out
    size: float  # of an em, in percent of the picture's shorter side
    colour: str  # six hex digits, red first
    position: str  # "bottom", "middle" or "top"
