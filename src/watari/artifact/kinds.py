"""The kinds of artifact. An edge of a recipe joins two of the same kind."""

from __future__ import annotations

from enum import StrEnum


class Kind(StrEnum):
    """What an artifact is; the value stands in its manifest and in its path in the store."""

    DOCUMENTS = "documents"
    TOKENS = "tokens"
    TOKENIZER = "tokenizer"
    MODEL = "model"
    CONVERSATIONS = "conversations"
    PREFERENCES = "preferences"
    GENERATIONS = "generations"
    JUDGMENTS = "judgments"
    VOTES = "votes"
    SCORES = "scores"
    CARD = "card"
