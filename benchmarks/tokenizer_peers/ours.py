"""Our own side, through the public functions of `watari.tokenizer`: learned once, cut at any number."""

from __future__ import annotations

from collections.abc import Sequence

from tokenizer_peers import Weighed
from watari.tokenizer.bytes import ByteBpe
from watari.tokenizer.collect import collect
from watari.tokenizer.encoder import BpeTokenizer
from watari.tokenizer.policy import Policy
from watari.tokenizer.prune import prune
from watari.tokenizer.texts import Text
from watari.tokenizer.train import banned, learn


def as_texts(sources: Sequence[Weighed]) -> list[Text]:
    """Return the documents as the house's own."""
    return [
        Text(f"{source.name}:{place}", text, "ja", source.name)
        for source in sources
        for place, text in enumerate(source.documents)
    ]


def spare(count: int) -> int:
    """Return how many pieces `extend_tokenizer` learns beyond those wanted, to put in the place of unused ones."""
    return max(64, count // 20)


def learn_entries(base: BpeTokenizer, sources: Sequence[Weighed], policy: Policy, most: int) -> list[str]:
    """Return vocabulary entries, best first, enough for any number up to `most`."""
    weights = {source.name: float(source.weight) for source in sources}
    sequences = collect(base, as_texts(sources), policy, weights)
    learned = learn(sequences, policy, banned(base, policy), most + spare(most)).pieces
    if isinstance(base, ByteBpe):
        return list(base.with_intermediates(learned, policy).pieces)
    return [text.replace(" ", "▁") for text in learned]


def chosen(base: BpeTokenizer, entries: Sequence[str], count: int, sources: Sequence[Weighed]) -> list[str]:
    """Return the best `count` entries, as `extend_tokenizer` chooses: without those that are never used."""
    texts = [text for source in sources for text in source.documents]
    kept = prune(base, entries[: count + spare(count)], count, texts).kept
    return [entries[place] for place in kept]
