"""How much of the world is told of: all of it, or a part that a very small model can learn in a minute or two."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from watari.demo.draws import Cast, Draw
from watari.demo.facts import LOOKUP_KINDS, Fact
from watari.demo.goods import Put
from watari.demo.life import Keep


@dataclass(frozen=True)
class Level:
    """A part of the world.

    Args:
        kinds: the kinds of fact that stories tell.
        words: how many words of each pool are used (None: all).
        beside: most facts that a story tells beside those that are asked about.
        reading: the groups of reading questions.
        examined: the groups that `questions` asks about.
        talk: the groups of conversations, with weights.
    """

    kinds: tuple[type[Fact], ...]
    words: int | None
    beside: int
    reading: tuple[str, ...]
    examined: tuple[str, ...]
    talk: tuple[tuple[str, int], ...]

    def cast(self, draw: Draw) -> Cast:
        """An empty cast for one story."""
        return Cast(draw, words=self.words)

    def some_kinds(self, draw: Draw, count: int) -> list[type[Fact]]:
        """`count` kinds in drawn order, none twice before all have come."""
        found: list[type[Fact]] = []
        while len(found) < count:
            found += draw.shuffled(self.kinds)
        return found[:count]


FULL: Final = Level(
    kinds=LOOKUP_KINDS,
    words=None,
    beside=1,
    reading=("copy", "choose", "yesno", "count"),
    examined=("copy", "choose", "yesno", "count", "translate"),
    talk=(
        ("copy", 28),
        ("choose", 22),
        ("yesno", 16),
        ("count", 10),
        ("translate", 14),
        ("tell", 4),
        ("word", 3),
        ("smalltalk", 3),
    ),
)
EASY: Final = Level(
    kinds=(Put, Keep),
    words=16,
    beside=0,
    reading=("copy",),
    examined=("copy",),
    talk=(("copy", 92), ("smalltalk", 8)),
)
LEVELS: Final = {"full": FULL, "easy": EASY}
