"""Rows of conversations and preferences as training sequences; every row that cannot be one is in the ledger, by reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from watari.artifact.hashing import hash_json
from watari.artifact.rows import Ledger, select_rows
from watari.artifact.stage import InputArtifact
from watari.errors import UserError
from watari.generate.masking import Encoded, encode_conversation, encode_reply
from watari.train.batches import Sample

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

MALFORMED = "messages are malformed"
NO_REPLY = "does not end with a reply"
EMPTY_REPLY = "a reply is empty"
CONTROL_TOKEN = "a message holds the text of a control token"
REFUSED = "refused by the chat template"
TOO_LONG = "longer than the sequence"
SAME = "chosen and rejected are the same"


class Unusable(Exception):
    """A row cannot be trained on."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True)
class Examples:
    """Conversations ready to train on.

    Args:
        samples: The sequences, in the order of the rows; a row may give several.
        rows_in, rows_kept: Rows read, and rows that gave at least one sequence.
        ledger: The others.
    """

    samples: list[Sample]
    rows_in: int
    rows_kept: int
    ledger: Ledger


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


def read_conversations(
    artifacts: Sequence[InputArtifact],
    tokenizer: PreTrainedTokenizerBase,
    template: str,
    *,
    sequence: int,
    last_only: bool,
    seed: int,
    stage: str,
) -> Examples:
    """Return the selected conversations of all artifacts as training sequences.

    Args:
        artifacts: Inputs, with their selections.
        tokenizer: The model's.
        template: The chat template.
        sequence: Longest sequence; a longer row is dropped, never cut.
        last_only: True to supervise only the last reply (Swallow), else all of them.
        seed, stage: For the selections' draws.
    """
    samples: list[Sample] = []
    ledger = Ledger()
    rows_in = kept = 0
    control = control_texts(tokenizer)
    for artifact in artifacts:
        for row in select_rows(artifact, seed=seed, stage=stage):
            rows_in += 1
            try:
                messages = checked_messages(row.get("messages"), control)
                encoded = (
                    [_encoded(encode_reply, tokenizer, messages, template)]
                    if last_only
                    else _encoded(encode_conversation, tokenizer, messages, template)
                )
                found = [_sample(str(row.get("id")), one, sequence) for one in encoded]
            except Unusable as error:
                ledger.drop(
                    error.reason, id=row.get("id"), source=row.get("source") or "", detail=error.detail
                )
                continue
            kept += 1
            samples.extend(found)
    return Examples(samples, rows_in, kept, ledger)


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


def control_texts(tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """Return the texts that the tokenizer reads as control tokens wherever they stand."""
    added = {str(token) for token in tokenizer.added_tokens_decoder.values() if token.special}
    return sorted(text for text in added | set(tokenizer.all_special_tokens) if text)


def checked_messages(messages: Any, control: Sequence[str]) -> list[dict[str, str]]:
    """Return the messages of a row in the OpenAI form, after the checks that do not need a template.

    Raises:
        Unusable: if they are not such messages, end without a reply, have an empty one, or hold the text of a control
            token, which would be read as that token.
    """
    if not isinstance(messages, list) or not messages:
        raise Unusable(MALFORMED, "no messages")
    plain = []
    for number, message in enumerate(messages):
        role, content = (
            (message.get("role"), message.get("content")) if isinstance(message, Mapping) else (None, None)
        )
        if not isinstance(role, str) or not isinstance(content, str):
            raise Unusable(MALFORMED, f"message {number} has no role or no text")
        if role == "assistant" and not content.strip():
            raise Unusable(EMPTY_REPLY, f"message {number}")
        found = next((text for text in control if text in content), None)
        if found is not None:
            raise Unusable(CONTROL_TOKEN, f"message {number}: {found}")
        plain.append({"role": role, "content": content})
    if plain[-1]["role"] != "assistant":
        raise Unusable(NO_REPLY, f"the last message is by '{plain[-1]['role']}'")
    return plain


def _encoded(encode: Any, tokenizer: Any, messages: list[dict[str, str]], template: str) -> Any:
    try:
        return encode(tokenizer, messages, template)
    except UserError as error:
        raise Unusable(REFUSED, error.message) from None


def _sample(row_id: str, encoded: Encoded, sequence: int) -> Sample:
    if len(encoded.ids) > sequence:
        raise Unusable(TOO_LONG, f"{len(encoded.ids)} tokens")
    return Sample(row_id, np.asarray(encoded.ids, np.int32), np.asarray(encoded.assistant_mask, np.bool_))


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
        sides.append(
            _sample(str(row.get("id")), _encoded(encode_reply, tokenizer, messages, template), sequence)
        )
    ids = [side.ids.tolist() for side in sides]
    if ids[0] == ids[1]:
        raise Unusable(SAME)
    return Pair(str(row.get("id")), hash_json([ids, [side.supervised for side in sides]]), sides[0], sides[1])
