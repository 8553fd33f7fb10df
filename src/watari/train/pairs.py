"""Rows of preferences as pairs of training sequences; every row that cannot be one is in the ledger, by reason.

A pair that is longer than the sequence is dropped, or cut so that neither side gains by it: the prompt from its left, the
same for both, and if that does not suffice both replies at one number of tokens, short of the shorter one's end, so that
there is never a whole reply beside a cut one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from watari.artifact.hashing import hash_json
from watari.artifact.rows import Ledger, select_rows
from watari.artifact.stage import InputArtifact
from watari.generate.masking import Encoded
from watari.text.leakage import UNDETERMINED, find_events
from watari.train.batches import Sample
from watari.train.examples import TOO_LONG, Unusable, checked_messages, control_texts, encoded_reply

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SAME = "chosen and rejected are the same"
SAME_CUT = "chosen and rejected are the same once cut to the sequence"


@dataclass(frozen=True)
class Pair:
    """One preference.

    Args:
        id: The row's.
        key: Hash of both sequences: what a stored reference log-probability belongs to.
        chosen, rejected: The prompt with each reply; only the reply is supervised.
        leaks: Whether (chosen, rejected) leaks into another language (`text.leakage`); None if the row names no language.
    """

    id: str
    key: str
    chosen: Sample
    rejected: Sample
    leaks: tuple[bool, bool] | None = None

    @property
    def replies(self) -> tuple[int, int]:
        """Supervised tokens of (chosen, rejected)."""
        return self.chosen.supervised, self.rejected.supervised


@dataclass(frozen=True)
class Pairs:
    """Preferences ready to train on.

    Args:
        pairs: In the order of the rows.
        rows_in: Rows read.
        cut_prompts, cut_replies: Pairs whose prompt was cut, and pairs whose replies were.
        ledger: The rows that gave no pair.
    """

    pairs: list[Pair]
    rows_in: int
    cut_prompts: int
    cut_replies: int
    ledger: Ledger


def read_preferences(
    artifacts: Sequence[InputArtifact],
    tokenizer: PreTrainedTokenizerBase,
    template: str,
    *,
    sequence: int,
    too_long: Literal["drop", "cut"] = "drop",
    seed: int,
    stage: str,
) -> Pairs:
    """Return the selected preferences of all artifacts as pairs of sequences.

    Args:
        artifacts: Preferences.
        tokenizer: The model's.
        template: The chat template.
        sequence: Longest prompt with a reply.
        too_long: What becomes of a longer pair (see the module's header).
        seed, stage: For the selections' draws.
    """
    pairs: list[Pair] = []
    ledger = Ledger()
    rows_in = cut_prompts = cut_replies = 0
    control = control_texts(tokenizer)
    for artifact in artifacts:
        for row in select_rows(artifact, seed=seed, stage=stage):
            rows_in += 1
            try:
                sides = _encoded(row, tokenizer, template, control)
                fit = fitted(*sides, sequence=sequence, too_long=too_long, bos=tokenizer.bos_token_id)
            except Unusable as error:
                ledger.drop(
                    error.reason, id=row.get("id"), source=row.get("source") or "", detail=error.detail
                )
                continue
            cut_prompts += fit.prompt_cut
            cut_replies += fit.replies_cut
            pairs.append(_pair(row, fit))
    return Pairs(pairs, rows_in, cut_prompts, cut_replies, ledger)


@dataclass(frozen=True)
class Fitted:
    """A pair that fits into the sequence.

    Args:
        chosen, rejected: Its sides.
        prompt_cut, replies_cut: What was cut for it.
    """

    chosen: Encoded
    rejected: Encoded
    prompt_cut: bool = False
    replies_cut: bool = False


def fitted(
    chosen: Encoded, rejected: Encoded, *, sequence: int, too_long: Literal["drop", "cut"], bos: int | None
) -> Fitted:
    """Return a pair cut to `sequence` tokens a side, by a rule that does not ask which side is which.

    The prompt gives way first, from its left (a BOS at its start stays), but keeps half of the sequence. If the longer
    reply still does not fit, both are cut to as many tokens: what there is room for, and at most one less than the
    shorter reply has, whose end of turn would else stand against a reply without one.

    Args:
        chosen, rejected: The sides.
        sequence: Most tokens of each.
        too_long: Whether a longer pair is cut or refused.
        bos: The tokenizer's BOS.

    Raises:
        Unusable: if it is longer and not to be cut, its sides do not share their prompt, or nothing to tell them apart
            is left.
    """
    longest = max(len(chosen.ids), len(rejected.ids))
    if longest <= sequence:
        return Fitted(chosen, rejected)
    detail = f"{longest} tokens"
    start = shared_prompt(chosen, rejected)
    if too_long == "drop" or not start:
        raise Unusable(TOO_LONG, detail)
    replies = [side.ids[start:] for side in (chosen, rejected)]
    masks = [side.assistant_mask[start:] for side in (chosen, rejected)]
    kept = min(start, max(sequence - max(map(len, replies)), sequence // 2))
    prompt = chosen.ids[start - kept : start]
    if kept < start and chosen.ids[0] == bos:
        prompt[0] = chosen.ids[0]
    room = sequence - kept
    cut = max(map(len, replies)) > room
    if cut:
        most = min(room, *(sum(mask) - 1 for mask in masks))
        replies, masks = [reply[:most] for reply in replies], [mask[:most] for mask in masks]
        if replies[0] == replies[1]:
            raise Unusable(SAME_CUT, detail)
    sides = [
        Encoded([*prompt, *reply], [False] * kept + mask) for reply, mask in zip(replies, masks, strict=True)
    ]
    return Fitted(sides[0], sides[1], prompt_cut=kept < start, replies_cut=cut)


def shared_prompt(chosen: Encoded, rejected: Encoded) -> int:
    """Return the number of tokens before the first supervised one, or 0 if the two sides do not share just these."""
    first, other = (side.assistant_mask.index(True) for side in (chosen, rejected))
    return first if first == other and chosen.ids[:first] == rejected.ids[:first] else 0


def _encoded(
    row: Mapping[str, Any], tokenizer: PreTrainedTokenizerBase, template: str, control: Sequence[str]
) -> tuple[Encoded, Encoded]:
    sides = []
    prompt = row.get("prompt")
    for side in ("chosen", "rejected"):
        reply = {"role": "assistant", "content": row.get(side)}
        messages = checked_messages([*prompt, reply] if isinstance(prompt, list) else None, control)
        sides.append(encoded_reply(messages, tokenizer, template))
    if sides[0].ids == sides[1].ids:
        raise Unusable(SAME)
    return sides[0], sides[1]


def _pair(row: Mapping[str, Any], fit: Fitted) -> Pair:
    name = str(row.get("id"))
    sides = [
        Sample(name, np.asarray(side.ids, np.int32), np.asarray(side.assistant_mask, np.bool_))
        for side in (fit.chosen, fit.rejected)
    ]
    key = hash_json([[side.ids.tolist() for side in sides], [side.supervised for side in sides]])
    prompt = "\n".join(message["content"] for message in row["prompt"])
    leaks = _leaks(row, prompt)
    return Pair(name, key, sides[0], sides[1], leaks)


def _leaks(row: Mapping[str, Any], prompt: str) -> tuple[bool, bool] | None:
    """Return whether each reply leaks into another language than the row's; None where the row names none."""
    language = row.get("language") or UNDETERMINED
    if language == UNDETERMINED:
        return None
    chosen, rejected = (
        bool(find_events(row[side], language, prompt=prompt)) for side in ("chosen", "rejected")
    )
    return chosen, rejected
