"""Characters per token, per language, before and after."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from watari.tokenizer.spans import BATCH

if TYPE_CHECKING:
    from sentencepiece import SentencePieceProcessor


@dataclass(frozen=True)
class Text:
    """One document, as far as a tokenizer is concerned."""

    id: str
    text: str
    language: str


@dataclass
class Usage:
    """What a tokenizer made of some documents.

    Args:
        counts: How often each id came out.
        characters: Code points by language.
        tokens: Tokens by language, bos and eos not counted.
    """

    counts: npt.NDArray[np.int64]
    characters: dict[str, int] = field(default_factory=dict)
    tokens: dict[str, int] = field(default_factory=dict)

    def characters_per_token(self, language: str | None = None) -> float:
        """Return code points per token of one language, or of all."""
        characters = self.characters.values() if language is None else [self.characters[language]]
        tokens = self.tokens.values() if language is None else [self.tokens[language]]
        return round(sum(characters) / max(1, sum(tokens)), 4)


def measure(processor: SentencePieceProcessor, texts: list[Text]) -> Usage:
    """Return what `processor` makes of `texts`."""
    usage = Usage(np.zeros(processor.get_piece_size(), dtype=np.int64))
    for start in range(0, len(texts), BATCH):
        batch = texts[start : start + BATCH]
        for item, ids in zip(batch, processor.encode([item.text for item in batch]), strict=True):
            if ids:
                usage.counts += np.bincount(np.asarray(ids), minlength=len(usage.counts))
            usage.characters[item.language] = usage.characters.get(item.language, 0) + len(item.text)
            usage.tokens[item.language] = usage.tokens.get(item.language, 0) + len(ids)
    return usage


def compare(before: Usage, after: Usage) -> dict[str, Any]:
    """Return {before, after, by_language} in characters per token, for a manifest."""
    return {
        "before": before.characters_per_token(),
        "after": after.characters_per_token(),
        "by_language": {
            language: {
                "before": before.characters_per_token(language),
                "after": after.characters_per_token(language),
            }
            for language in sorted(before.characters)
        },
    }


def counted(texts: Iterable[Text]) -> int:
    """Return the number of code points of `texts`."""
    return sum(len(item.text) for item in texts)
