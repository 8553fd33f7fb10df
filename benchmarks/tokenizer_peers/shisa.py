"""Merge regeneration, as for Shisa 7B (AUGMXNT/shisa, pretrain/02-create-tokenizer.py).

A new tokenizer of the base's kind is trained on Japanese alone, with pieces of at most 8 characters; what the base lacks
of its vocabulary is appended; the base's merges are thrown away, and every split of every entry, in the order of the
vocabulary, becomes a merge. Line breaks are characters to the trainer, so that a line break becomes a piece.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from tokenizers import Tokenizer

from tokenizer_peers import FastMade, Weighed, stretches
from watari.pretrained.fast import splits, tokenizer_json
from watari.pretrained.sentencepiece import SpmModel

LONGEST = 8
STRETCH = 2000


def learn(base: SpmModel, sources: Sequence[Weighed], most: int) -> list[str]:
    """Return the entries that the base lacks, in the order of the new vocabulary; the first k are a run for fewer."""
    from transformers import PreTrainedTokenizerFast

    model = PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(json.dumps(tokenizer_json(base))))
    # Some of the new vocabulary is the base's too, above all single characters.
    fresh = model.train_new_from_iterator(
        stretches(sources, STRETCH), vocab_size=most + 8_000, max_token_length=LONGEST, show_progress=False
    )
    known = base.ids()
    vocabulary = fresh.get_vocab()
    return [entry for entry in sorted(vocabulary, key=vocabulary.__getitem__) if entry not in known][:most]


def extend(base: SpmModel, entries: Sequence[str]) -> FastMade:
    """Return the base with `entries` and every merge made anew."""
    content = tokenizer_json(base)
    vocabulary = content["model"]["vocab"]
    vocabulary |= {entry: len(base) + place for place, entry in enumerate(entries)}
    content["model"]["merges"] = [
        (left, right)
        for entry in vocabulary
        for left, right in splits(entry)
        if left in vocabulary and right in vocabulary
    ]
    return FastMade(Tokenizer.from_str(json.dumps(content)))
