"""Rows as training reads them: every token with its text and whether it is trained, for a person to look at.

Rows are encoded by the very functions that training uses, so what is shown is what is trained.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from watari.artifact.reading import ReadOptions, read_records
from watari.artifact.records import Fault
from watari.artifact.rows import read_rows, row_files, select_rows
from watari.artifact.stage import InputArtifact
from watari.errors import UserError
from watari.generate.masking import Encoded, special_ids
from watari.pretrained.pieces import speller

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from watari.train.examples import LossOn, TooLong


@dataclass(frozen=True)
class ShownToken:
    """One token of a row.

    Args:
        id: In the vocabulary.
        text: The characters that it completes; bytes that are no character yet as ⟨E3⟩.
        trained: True if it is predicted.
        special: True for BOS, EOS and other control tokens.
    """

    id: int
    text: str
    trained: bool
    special: bool


@dataclass(frozen=True)
class MaskedRow:
    """One training sequence, or the reason why a row gives none.

    Args:
        id: Of the row.
        part: "chosen" or "rejected" of a preference; "1 of 2" where a row gives several sequences; else "".
        tokens: The sequence; empty if there is none.
        bos, eos: Ids of these tokens, if the tokenizer has them.
        reason, detail: Why the row is not trained on; "" if it is.
    """

    id: str
    part: str
    tokens: tuple[ShownToken, ...]
    bos: int | None
    eos: int | None
    reason: str = ""
    detail: str = ""

    @property
    def trained(self) -> int:
        """How many tokens are predicted."""
        return sum(token.trained for token in self.tokens)


def masked_rows(
    model_folder: Path,
    rows: Path | InputArtifact,
    *,
    template: str = "model",
    template_file: Path | None = None,
    loss_on: LossOn = "assistant",
    too_long: TooLong = "drop",
    sequence: int = 4096,
    limit: int | None = 5,
    ids: Sequence[str] = (),
    seed: int = 0,
) -> list[MaskedRow]:
    """Return rows as the training stages would train on them.

    Args:
        model_folder: Has the tokenizer, and the template if `template` is "model".
        rows: Conversations or preferences: an artifact with its selection, its folder, or a .jsonl or .parquet file.
        template, template_file, loss_on, too_long, sequence: As for `train.sft`; of a preference only the reply is
            trained, and both sides are shown.
        limit: Most rows; None: all.
        ids: Show these rows only, all of them, in the order of the file.
        seed: For an artifact's selection.

    Raises:
        UserError: if the rows cannot be read or are of another kind, an id is not among them, or the template is unfit.
    """
    from watari.pretrained import load_tokenizer
    from watari.train.chat import chosen_template
    from watari.train.examples import control_texts

    tokenizer = load_tokenizer(model_folder)
    file = None if template_file is None else str(template_file)
    chat = chosen_template(tokenizer, template, file, model_folder)
    encoder = _Encoder(tokenizer, chat.template, control_texts(tokenizer), loss_on, too_long, sequence)
    chosen = islice(_chosen(_rows(rows, seed), ids), None if ids else limit)
    return [shown for row in chosen for shown in encoder.shown(row)]


def _rows(rows: Path | InputArtifact, seed: int) -> Iterator[Mapping[str, Any]]:
    if isinstance(rows, InputArtifact):
        yield from select_rows(rows, seed=seed, stage="train.sft")
    elif rows.is_dir() and row_files(rows):
        yield from read_rows(rows)
    else:
        for number, found in enumerate(read_records(str(rows), ReadOptions()), start=1):
            if isinstance(found, Fault):
                raise UserError(str(found))
            yield found.row if found.row.get("id") is not None else {**found.row, "id": f"row {number}"}


def _chosen(rows: Iterable[Mapping[str, Any]], ids: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    """Yield the rows with these ids; all of them if none is given."""
    missing = set(ids)
    for row in rows:
        if not ids or str(row.get("id")) in ids:
            missing.discard(str(row.get("id")))
            yield row
        if ids and not missing:
            return
    if missing:
        raise UserError(f"no row has the id {min(missing)!r}")


@dataclass(frozen=True)
class _Encoder:
    tokenizer: PreTrainedTokenizerBase
    template: str
    control: Sequence[str]
    loss_on: LossOn
    too_long: TooLong
    sequence: int

    def shown(self, row: Mapping[str, Any]) -> Iterator[MaskedRow]:
        """Yield the sequences of one row."""
        from watari.train.examples import checked_messages, encoded_reply, encoded_row

        if row.get("messages") is not None:
            yield from self._attempt(
                row,
                "",
                lambda: encoded_row(
                    row, self.tokenizer, self.template, loss_on=self.loss_on, control=self.control
                ),
            )
            return
        if not {"prompt", "chosen", "rejected"} <= row.keys():
            raise UserError(
                f"row {row.get('id')!r} is neither a conversation nor a preference: its columns are {', '.join(row)}",
                "conversations have `messages`; preferences `prompt`, `chosen` and `rejected`",
            )
        prompt = row["prompt"]
        for side in ("chosen", "rejected"):
            messages = [*prompt, {"role": "assistant", "content": row[side]}] if prompt else None

            def encode(messages: Any = messages) -> list[Encoded]:
                checked = checked_messages(messages, self.control)
                return [encoded_reply(checked, self.tokenizer, self.template)]

            yield from self._attempt(row, side, encode)

    def _attempt(self, row: Mapping[str, Any], part: str, encode: Any) -> Iterator[MaskedRow]:
        from watari.train.examples import Unusable, fitted

        name = str(row.get("id"))
        bos, eos = self.tokenizer.bos_token_id, self.tokenizer.eos_token_id
        try:
            found = [fitted(one, self.sequence, self.too_long) for one in encode()]
        except Unusable as error:
            yield MaskedRow(name, part, (), bos, eos, error.reason, error.detail)
            return
        for number, one in enumerate(found, start=1):
            several = f"{number} of {len(found)}" if len(found) > 1 else ""
            yield MaskedRow(name, part or several, shown_tokens(self.tokenizer, one), bos, eos)


def shown_tokens(tokenizer: PreTrainedTokenizerBase, encoded: Encoded) -> tuple[ShownToken, ...]:
    """Return the tokens of a sequence with the text of each; the texts of all add up to what the model reads."""
    special = special_ids(tokenizer)
    pieces = tokenizer.convert_ids_to_tokens(encoded.ids)
    spell = speller(tokenizer)
    shown = []
    pending = b""
    for position, (token, piece) in enumerate(zip(encoded.ids, pieces, strict=True)):
        if token in special:
            text, pending = str(piece), b""
        else:
            text, pending = _completed(pending, spell(str(piece)))
        trained = encoded.assistant_mask[position] and position > 0
        shown.append(ShownToken(int(token), text, trained, token in special))
    return tuple(shown)


def _completed(pending: bytes, new: bytes) -> tuple[str, bytes]:
    """Return what a token shows, given the open bytes of the tokens before it, and the bytes that it leaves open."""
    text, at, data = "", 0, pending + new
    while at < len(data):
        lead = data[at]
        size = 1 if lead < 0x80 else 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
        part = data[at : at + size]
        try:
            text += part.decode()
        except UnicodeDecodeError as error:
            if len(part) < size and error.reason == "unexpected end of data":
                # Shown as bytes here; those of earlier tokens have been.
                fresh = part[max(0, len(pending) - at) :]
                return text + "".join(f"⟨{value:02X}⟩" for value in fresh), part
            text += f"⟨{lead:02X}⟩" if at >= len(pending) else ""
            size = 1
        at += size
    return text, b""
