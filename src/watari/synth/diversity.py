"""Keeping generated rows apart: each is compared with everything that was taken before it, while they come.

Two texts are near duplicates if the Jaccard similarity of their character 5-grams (white space left out, as in
`kernels.minhash`) reaches a threshold. MinHash bands find whom to compare with; the similarity itself is exact, so that
the verdict depends on the texts and their order alone. What copies an evaluation set is told by containment: how much of
the set's text stands in the row.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from watari.kernels.lsh import band_keys
from watari.kernels.minhash import signatures
from watari.kernels.texts import Texts

LENGTH = 5
"""Characters of a shingle."""
THRESHOLD = 0.7
"""Jaccard similarity from which two texts count as the same; the figure that self-instruct (Wang et al. 2022) has for
ROUGE-L, which is of the same order for texts without blanks."""
CONTAINED = 0.8
"""Share of an evaluation text's 5-grams in a row from which the row counts as contaminated."""
_SHORTEST = 12
"""5-grams that an evaluation text must have: a shorter one says nothing."""
_BANDS, _ROWS = 42, 3
"""With 42 bands of 3 words two texts of similarity 0.7 meet with probability 1 - 4e-8, of 0.5 with 0.996."""


@dataclass(frozen=True, slots=True)
class Near:
    """Whom a text is like.

    Args:
        name: Of the earlier text.
        group: What that is: `row`, `seed`, `against`.
        similarity: Jaccard, 0 to 1.
    """

    name: str
    group: str
    similarity: float


def shingles(text: str) -> frozenset[str]:
    """Return the character 5-grams of a text, NFKC and lower-case, without white space; a shorter text is its own one."""
    plain = "".join(unicodedata.normalize("NFKC", text).lower().split())
    if len(plain) < LENGTH:
        return frozenset([plain])
    return frozenset(plain[place : place + LENGTH] for place in range(len(plain) - LENGTH + 1))


class Diversity:
    """What was taken so far.

    Args:
        threshold: Similarity from which a text is refused; above 1: nothing is.
    """

    def __init__(self, threshold: float = THRESHOLD) -> None:
        self.threshold = threshold
        self._texts: list[tuple[str, str, frozenset[str]]] = []
        self._buckets: dict[tuple[int, int], list[int]] = {}

    def __len__(self) -> int:
        """How many texts were taken."""
        return len(self._texts)

    def take(self, texts: Sequence[tuple[str, str]], group: str = "row") -> list[Near | None]:
        """Compare texts with all before them, in order, and take those that are like none.

        Args:
            texts: (name, text).
            group: What they are, for those that are compared with them later.

        Returns:
            For each whom it is most like, if that reaches the threshold; None: it was taken.
        """
        return [
            self._one(name, text, keys, group)
            for (name, text), keys in zip(texts, self._keys(texts), strict=True)
        ]

    def know(self, texts: Iterable[tuple[str, str]], group: str) -> int:
        """Take texts whatever they are like (seeds, other data sets); return how many there were."""
        held = list(texts)
        for (name, text), keys in zip(held, self._keys(held), strict=True):
            self._add(name, group, shingles(text), keys)
        return len(held)

    def _keys(self, texts: Sequence[tuple[str, str]]) -> list[list[int]]:
        if not texts:
            return []
        plain = [unicodedata.normalize("NFKC", text).lower() for _, text in texts]
        found = signatures(Texts.of(plain), length=LENGTH, count=_BANDS * _ROWS)
        keys: list[list[int]] = band_keys(found, _BANDS, _ROWS).T.tolist()
        return keys

    def _one(self, name: str, text: str, keys: list[int], group: str) -> Near | None:
        own = shingles(text)
        met: set[int] = set()
        for band, key in enumerate(keys):
            met.update(self._buckets.get((band, key), ()))
        best: Near | None = None
        for place in sorted(met):
            other, of, theirs = self._texts[place]
            common = len(own & theirs)
            similarity = common / (len(own) + len(theirs) - common)
            if similarity >= self.threshold and (best is None or similarity > best.similarity):
                best = Near(other, of, similarity)
        if best is None:
            self._add(name, group, own, keys)
        return best

    def _add(self, name: str, group: str, own: frozenset[str], keys: list[int]) -> None:
        place = len(self._texts)
        self._texts.append((name, group, own))
        for band, key in enumerate(keys):
            self._buckets.setdefault((band, key), []).append(place)


class Contamination:
    """Texts of evaluation sets, found again in rows.

    Args:
        texts: (name, text); those with fewer than 12 5-grams are passed over.
        share: Of a text's 5-grams in a row from which the row is contaminated.
    """

    def __init__(self, texts: Iterable[tuple[str, str]], share: float = CONTAINED) -> None:
        self._share = share
        self._names: list[str] = []
        self._sizes: list[int] = []
        self._holders: dict[str, list[int]] = {}
        for name, text in texts:
            own = shingles(text)
            if len(own) < _SHORTEST:
                continue
            for shingle in own:
                self._holders.setdefault(shingle, []).append(len(self._names))
            self._names.append(name)
            self._sizes.append(len(own))

    def __len__(self) -> int:
        """How many texts are known."""
        return len(self._names)

    def found(self, text: str) -> str:
        """Return the name of the text that stands in `text` to a great part; "" if none does."""
        if not self._names:
            return ""
        seen: Counter[int] = Counter()
        for shingle in shingles(text):
            seen.update(self._holders.get(shingle, ()))
        held = [(count / self._sizes[place], -place) for place, count in seen.items()]
        share, place = max(held, default=(0.0, 0))
        return self._names[-place] if share >= self._share else ""
