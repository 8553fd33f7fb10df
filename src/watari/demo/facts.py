"""Every kind of fact, how one is drawn, and the rule that parts the training world from the test world.

The rule looks at a fact's whole combination of words and at nothing else: one combination in five belongs to the test
world, whatever the seed. So two files made with different seeds still never share a fact across the split, and a
combination that a test asks about stands in no training text, in either language.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any, Final, TypeAlias, TypeVar

from watari.demo.draws import Cast, digest
from watari.demo.goods import Buy, Give, Own, Put
from watari.demo.life import Do, Eat, Job, Keep
from watari.demo.scenes import Crowd, Weather

Fact: TypeAlias = Put | Buy | Own | Give | Keep | Eat | Do | Job | Weather | Crowd
AnyFact = TypeVar("AnyFact", bound=Fact)

SPLITS: Final = ("train", "test")
LANGUAGES: Final = ("en", "ja")
TEST_SHARE: Final = 5  # one combination in this many is a test combination

KINDS: Final[tuple[type[Fact], ...]] = (Put, Buy, Own, Give, Keep, Eat, Do, Job, Weather, Crowd)
LOOKUP_KINDS: Final[tuple[type[Fact], ...]] = (Put, Buy, Keep, Eat, Do, Job, Weather, Crowd)


def key_of(fact: Fact) -> str:
    """The combination as text, the same for both languages: `put|Ken|3|red|pen|in the kitchen`."""
    values = (getattr(fact, field.name) for field in fields(fact))
    return "|".join([fact.kind, *(str(value if isinstance(value, int) else value.en) for value in values)])


def split_of(fact: Fact) -> str:
    """`train` or `test`, decided by the combination alone."""
    return "test" if digest("watari-demo-split", key_of(fact)) % TEST_SHARE == 0 else "train"


def draw_fact(cast_: Cast, kind: type[AnyFact], split: str, **fixed: Any) -> AnyFact:
    """A fact of one kind and split whose words the story does not hold yet; they are then marked as held.

    Args:
        cast_: the story's words so far.
        kind: which fact.
        split: `train` or `test`.
        fixed: parts that are given and not drawn.
    """
    while True:
        drawn = Cast(cast_.draw, cast_.used, cast_.words)
        parts: dict[str, Any] = {}
        for slot, pool in kind.pools.items():
            parts[slot] = fixed[slot] if slot in fixed else drawn.pick(pool)
            drawn.take([parts[slot]])
        fact = kind(**parts)
        if split_of(fact) == split:
            cast_.take(parts.values())
            return fact


def vary(cast_: Cast, fact: AnyFact, slot: str, split: str | None = None) -> AnyFact | None:
    """The same fact with one part changed to a word that the story does not hold.

    Returns:
        The changed fact, of the given split if one is given; None where no change leads there.
    """
    parts: dict[str, Any] = {field.name: getattr(fact, field.name) for field in fields(fact)}
    for word in cast_.draw.shuffled(cast_.known(fact.pools[slot])):
        other = type(fact)(**{**parts, slot: word})
        if word not in cast_.used and split in (None, split_of(other)):
            return other
    return None
