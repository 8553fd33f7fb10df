"""Rows of conversations as training sequences; every row that cannot be one is in the ledger, by reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

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
NOTHING_LEFT = "nothing to train on once cut to the sequence"

TooLong = Literal["drop", "cut"]
LossOn = Literal["assistant", "last"]


class Unusable(Exception):
    """A row cannot be trained on."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail


@dataclass
class DatasetCounts:
    """What one input came to.

    Args:
        rows: Rows that its selection gave, repeated ones each time.
        kept: Those that gave at least one sequence.
        cut: Those of them that were cut to the sequence.
        sequences, tokens, supervised_tokens: Of those kept.
    """

    rows: int = 0
    kept: int = 0
    cut: int = 0
    sequences: int = 0
    tokens: int = 0
    supervised_tokens: int = 0


@dataclass(frozen=True)
class Examples:
    """Conversations ready to train on.

    Args:
        samples: The sequences, in the order of the rows; a row may give several. No two have the same id.
        datasets: Counts by input, in their order.
        ledger: The rows that gave none.
    """

    samples: list[Sample]
    datasets: list[DatasetCounts]
    ledger: Ledger

    @property
    def rows_in(self) -> int:
        """Rows read."""
        return sum(counts.rows for counts in self.datasets)

    @property
    def rows_kept(self) -> int:
        """Rows that gave at least one sequence."""
        return sum(counts.kept for counts in self.datasets)


def read_conversations(
    artifacts: Sequence[InputArtifact],
    tokenizer: PreTrainedTokenizerBase,
    template: str,
    *,
    sequence: int,
    loss_on: LossOn,
    too_long: TooLong,
    seed: int,
    stage: str,
) -> Examples:
    """Return the selected conversations of all artifacts as training sequences.

    Args:
        artifacts: Inputs, with their selections.
        tokenizer: The model's.
        template: The chat template.
        sequence: Longest sequence.
        loss_on: "last" to supervise only the last reply (Swallow), else all of them.
        too_long: Whether a longer row is dropped or cut at its end.
        seed, stage: For the selections' draws.
    """
    samples: list[Sample] = []
    datasets: list[DatasetCounts] = []
    ledger = Ledger()
    control = control_texts(tokenizer)
    seen: Counter[str] = Counter()
    for artifact in artifacts:
        counts = DatasetCounts()
        datasets.append(counts)
        for row in select_rows(artifact, seed=seed, stage=stage):
            counts.rows += 1
            try:
                encoded = encoded_row(row, tokenizer, template, loss_on=loss_on, control=control)
                fitting = [fitted(one, sequence, too_long) for one in encoded]
            except Unusable as error:
                ledger.drop(
                    error.reason, id=row.get("id"), source=row.get("source") or "", detail=error.detail
                )
                continue
            counts.kept += 1
            counts.cut += any(len(a.ids) < len(b.ids) for a, b in zip(fitting, encoded, strict=True))
            for one in fitting:
                # A repeated row is drawn for apart from its first copy: another place in the order, other noise.
                name = str(row.get("id"))
                seen[name] += 1
                sample = as_sample(name if seen[name] == 1 else f"{name} ({seen[name]})", one)
                counts.sequences += 1
                counts.tokens += len(sample)
                counts.supervised_tokens += sample.supervised
                samples.append(sample)
    return Examples(samples, datasets, ledger)


def encoded_row(
    row: Mapping[str, Any],
    tokenizer: PreTrainedTokenizerBase,
    template: str,
    *,
    loss_on: LossOn,
    control: Sequence[str],
) -> list[Encoded]:
    """Return a row of conversations as whole sequences, however long.

    Args:
        row: With `messages`.
        tokenizer, template, loss_on: As for `read_conversations`.
        control: `control_texts` of the tokenizer.

    Raises:
        Unusable: if it is no conversation, or the template refuses it.
    """
    messages = checked_messages(row.get("messages"), control)
    if loss_on == "last":
        return [encoded_reply(messages, tokenizer, template)]
    try:
        return encode_conversation(tokenizer, messages, template)
    except UserError as error:
        raise Unusable(REFUSED, error.message) from None


def encoded_reply(
    messages: Sequence[Mapping[str, str]], tokenizer: PreTrainedTokenizerBase, template: str
) -> Encoded:
    """Return checked messages as one sequence in which the last reply is supervised.

    Raises:
        Unusable: if the template refuses them.
    """
    try:
        return encode_reply(tokenizer, messages, template)
    except UserError as error:
        raise Unusable(REFUSED, error.message) from None


def fitted(encoded: Encoded, sequence: int, too_long: TooLong) -> Encoded:
    """Return the sequence as it fits into `sequence` tokens.

    Raises:
        Unusable: if it is longer and not to be cut, or has no supervised token once it is cut.
    """
    if len(encoded.ids) <= sequence:
        return encoded
    if too_long == "drop":
        raise Unusable(TOO_LONG, f"{len(encoded.ids)} tokens")
    cut = Encoded(encoded.ids[:sequence], encoded.assistant_mask[:sequence])
    if not any(cut.assistant_mask[1:]):
        raise Unusable(NOTHING_LEFT, f"{len(encoded.ids)} tokens")
    return cut


def as_sample(name: str, encoded: Encoded) -> Sample:
    """Return an encoded conversation as a sequence to lay out."""
    return Sample(name, np.asarray(encoded.ids, np.int32), np.asarray(encoded.assistant_mask, np.bool_))


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
