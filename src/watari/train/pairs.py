"""Rows of preferences as pairs of training sequences; every row that cannot be one is in the ledger, by reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from watari.artifact.hashing import hash_json
from watari.artifact.rows import Ledger, select_rows
from watari.artifact.stage import InputArtifact
from watari.errors import UserError
from watari.generate.masking import Encoded, encode_reply
from watari.train.batches import Sample
from watari.train.examples import REFUSED, TOO_LONG, Unusable, checked_messages, control_texts

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SAME = "chosen and rejected are the same"


@dataclass(frozen=True)
class Pair:
    """One preference.

    Args:
        id: The row's.
        key: Hash of both sequences: what a stored reference log-probability belongs to.
        chosen, rejected: The prompt with each reply; only the reply is supervised.
    """

    id: str
    key: str
    chosen: Sample
    rejected: Sample


@dataclass(frozen=True)
class Pairs:
    """Preferences ready to train on."""

    pairs: list[Pair]
    rows_in: int
    ledger: Ledger


def read_preferences(
    artifacts: Sequence[InputArtifact],
    tokenizer: PreTrainedTokenizerBase,
    template: str,
    *,
    sequence: int,
    seed: int,
    stage: str,
) -> Pairs:
    """Return the selected preferences of all artifacts as pairs of sequences. Arguments as `read_conversations`."""
    pairs: list[Pair] = []
    ledger = Ledger()
    rows_in = 0
    control = control_texts(tokenizer)
    for artifact in artifacts:
        for row in select_rows(artifact, seed=seed, stage=stage):
            rows_in += 1
            try:
                pairs.append(_pair(row, tokenizer, template, sequence, control))
            except Unusable as error:
                ledger.drop(
                    error.reason, id=row.get("id"), source=row.get("source") or "", detail=error.detail
                )
    return Pairs(pairs, rows_in, ledger)


def _pair(
    row: Mapping[str, Any],
    tokenizer: PreTrainedTokenizerBase,
    template: str,
    sequence: int,
    control: Sequence[str],
) -> Pair:
    sides = []
    prompt = row.get("prompt")
    for side in ("chosen", "rejected"):
        reply = {"role": "assistant", "content": row.get(side)}
        messages = checked_messages([*prompt, reply] if isinstance(prompt, list) else None, control)
        encoded = _encoded(tokenizer, messages, template)
        if len(encoded.ids) > sequence:
            raise Unusable(TOO_LONG, f"{len(encoded.ids)} tokens")
        mask = np.asarray(encoded.assistant_mask, np.bool_)
        sides.append(Sample(str(row.get("id")), np.asarray(encoded.ids, np.int32), mask))
    ids = [side.ids.tolist() for side in sides]
    if ids[0] == ids[1]:
        raise Unusable(SAME)
    return Pair(str(row.get("id")), hash_json([ids, [side.supervised for side in sides]]), sides[0], sides[1])


def _encoded(tokenizer: PreTrainedTokenizerBase, messages: list[dict[str, str]], template: str) -> Encoded:
    try:
        return encode_reply(tokenizer, messages, template)
    except UserError as error:
        raise Unusable(REFUSED, error.message) from None
