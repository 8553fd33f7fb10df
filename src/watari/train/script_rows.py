"""Mended replies as whole sequences, each with the tokens that would be a leak in it, and what a model makes of them.

Wrong are the tokens of scripts that the row's language is not written with (`generate.wrong_tokens`); Latin letters in a
language that has others only where the row's own leak is of Latin letters. What the conversation or the mended reply itself
holds is right there, whatever its script: a name that was asked about, a term that was quoted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from watari.artifact.hashing import hash_json
from watari.artifact.stage import Progress
from watari.generate.masking import Encoded
from watari.generate.wrong_tokens import scripts_in, wrong_tokens
from watari.train.batches import Batch, Sample, lay_out, passes
from watari.train.language_model import LanguageModel
from watari.train.scoring import each_pass
from watari.train.script_loss import LIKELIEST, Held, held, script_loss

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from watari.train.distributed import World

_UNKNOWN = ("", "und", "mul", "zxx")
"""What says that a text's language is not known, that there are several, or none."""


@dataclass(frozen=True)
class MendedReply:
    """A prompt with its mended reply.

    Args:
        key: Hash of the sequence and its wrong tokens.
        sample: The sequence; all of the reply is marked.
        wrong: [tokens] True for the tokens that the language is not written with; shared by many rows.
        allowed: Ids that are right in this sequence all the same.
    """

    key: str
    sample: Sample
    wrong: npt.NDArray[np.bool_]
    allowed: npt.NDArray[np.int32]


class Wrong:
    """The wrong tokens of a vocabulary by language, each computed once.

    Args:
        tokenizer: The model's.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer
        self._known: dict[tuple[str, bool], npt.NDArray[np.bool_]] = {}

    def reply(
        self, name: str, encoded: Encoded, language: str, leaks: Sequence[str], sequence: int
    ) -> MendedReply | None:
        """Return a row's mended reply, cut to `sequence` tokens; None if its language is not known.

        Args:
            name: The row's id.
            encoded: Its prompt with the mended reply.
            language: ISO 639 code of what the reply should be in.
            leaks: What leaked in it.
            sequence: Tokens at most.
        """
        if language in _UNKNOWN:
            return None
        key = language, any("latin" in scripts_in(leak) for leak in leaks)
        if key not in self._known:
            self._known[key] = wrong_tokens(self._tokenizer, language, latin=key[1]).mask
        ids = np.asarray(encoded.ids[:sequence], np.int32)
        trained = np.asarray(encoded.assistant_mask[:sequence], np.bool_)
        if not trained[1:].any():
            return None
        wrong = self._known[key]
        unique = np.unique(ids)
        allowed = unique[wrong[unique]]
        return MendedReply(
            hash_json([ids.tolist(), trained.tolist(), *key]), Sample(name, ids, trained), wrong, allowed
        )


@dataclass(frozen=True)
class ReplyPass:
    """Mended replies that share a forward pass."""

    replies: tuple[MendedReply, ...]

    def laid(self) -> Batch:
        """Return their tensors."""
        return lay_out([[reply.sample] for reply in self.replies])

    def wrong(self, rows: int) -> Tensor:
        """Return [replies, rows] True for the tokens that are wrong in each.

        Args:
            rows: Of the model's output matrix, which may be padded.
        """
        table = np.zeros((len(self.replies), rows), np.bool_)
        for place, reply in enumerate(self.replies):
            table[place, : len(reply.wrong)] = reply.wrong
            table[place, reply.allowed] = False
        return torch.from_numpy(table)

    def before(self, known: Mapping[str, Held]) -> Held:
        """Return what all their positions are held to."""
        found = [known[reply.key] for reply in self.replies]
        return Held(
            torch.cat([one.ids for one in found]),
            torch.cat([one.share for one in found]),
            torch.cat([one.rest for one in found]),
        )

    @property
    def positions(self) -> int:
        """Tokens of the replies."""
        return sum(reply.sample.supervised for reply in self.replies)


def reply_passes(replies: Sequence[MendedReply], pass_tokens: int, *, ranks: int = 1) -> list[ReplyPass]:
    """Return replies as forward passes of at most `pass_tokens` tokens, padding included."""
    of = {id(reply.sample): reply for reply in replies}
    rows = [[reply.sample] for reply in replies]
    return [
        ReplyPass(tuple(of[id(row[0])] for row in part))
        for part in passes(rows, pass_tokens, ranks=ranks)
        if part
    ]


def say_before(
    model: LanguageModel,
    work: Sequence[ReplyPass],
    *,
    progress: Progress,
    world: World | None = None,
) -> dict[str, Held]:
    """Return what `model` says at every position of the replies, by their keys, on the CPU.

    It is computed as the model stands: call it before the first step. A resumed run calls it with the model that it began
    with, and gets the same.

    Raises:
        Interrupted: if the user asked to stop.
    """
    wide = min(LIKELIEST, int(model.head.weight.shape[0]))
    columns = 2 * wide + 1
    found: dict[str, Held] = {}
    for one, values in each_pass(
        model,
        work,
        partial(_said, model),
        lambda one: one.positions * columns,
        progress=progress,
        note="as it was",
        world=world,
    ):
        table = values.view(-1, columns)
        at = 0
        for reply in one.replies:
            part = table[at : at + reply.sample.supervised]
            at += len(part)
            found[reply.key] = Held(
                part[:, :wide].long(), part[:, wide:-1].float(), part[:, -1].float().clone()
            )
    return found


def _said(model: LanguageModel, one: ReplyPass) -> Tensor:
    laid = one.laid().to(model.compute.device)
    weight = model.head.weight
    said = held(model.hidden(laid), weight, one.wrong(len(weight)).to(weight.device), laid.owner)
    return torch.cat([said.ids.double(), said.share.double(), said.rest.double()[:, None]], 1)


@dataclass(frozen=True)
class ReplyScore:
    """What a model makes of a mended reply: probability of wrong tokens and drift (nats), summed; positions."""

    mass: float
    drift: float
    positions: int


def score_replies(
    model: LanguageModel,
    work: Sequence[ReplyPass],
    known: Mapping[str, Held],
    *,
    progress: Progress,
    note: str,
    world: World | None = None,
) -> dict[str, ReplyScore]:
    """Return what `model` makes of the replies, by their keys.

    Raises:
        Interrupted: if the user asked to stop.
    """
    found: dict[str, ReplyScore] = {}
    for one, values in each_pass(
        model,
        work,
        partial(_scored, model, known),
        lambda one: 2 * len(one.replies),
        progress=progress,
        note=note,
        world=world,
    ):
        for reply, (mass, drift) in zip(one.replies, values.view(-1, 2).tolist(), strict=True):
            found[reply.key] = ReplyScore(mass, drift, reply.sample.supervised)
    return found


def _scored(model: LanguageModel, known: Mapping[str, Held], one: ReplyPass) -> Tensor:
    laid = one.laid().to(model.compute.device)
    weight = model.head.weight
    before = moved(one.before(known), weight.device)
    wrong = one.wrong(len(weight)).to(weight.device)
    scores = script_loss(model.hidden(laid), weight, wrong, laid.owner, before, unlikely=1.0, hold=1.0)
    sums = torch.zeros(len(one.replies), 2, dtype=torch.float64, device=weight.device)
    return sums.index_add(0, laid.owner, torch.stack([scores.mass, scores.drift], 1))


def moved(what: Held, device: torch.device) -> Held:
    """Return it on a device."""
    return Held(what.ids.to(device), what.share.to(device), what.rest.to(device))
