"""Bits per character of held-back text while a model is trained, by language: what is learned, and what is forgotten.

Measured before the first step, every so many steps and after the last one, on the same documents each time, so that
the curves of one run compare, and with those of other tokenizers. `eval_log.jsonl` (content) has a line a language and
time: {step, tokens, language, bits_per_character, characters, documents}.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from watari.artifact import draws
from watari.artifact.rows import select_rows
from watari.artifact.stage import InputArtifact
from watari.errors import UserError
from watari.pretrained.encoding import encode_documents
from watari.pretrained.rolling import windows
from watari.train.batches import Sample, lay_out, passes
from watari.train.head import token_logprobs

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from watari.train.distributed import World
    from watari.train.language_model import LanguageModel

EVAL_LOG = "eval_log.jsonl"
PER_DOCUMENT = 2_000
"""Characters of a document at most, so that one book does not stand for a language (as in eval.perplexity)."""


@dataclass(frozen=True)
class HeldBack:
    """One language's held-back text.

    Args:
        language: Its code.
        samples: Windows of its documents; only new tokens of each are trained, that is: counted.
        characters: Code points of the text.
        documents: How many.
    """

    language: str
    samples: list[Sample]
    characters: int
    documents: int


class Watch:
    """The text to measure and when.

    Args:
        texts: By language.
        every: Steps between measurements.
        pass_tokens: Most tokens in one forward pass.
    """

    def __init__(self, texts: Sequence[HeldBack], *, every: int, pass_tokens: int) -> None:
        self.texts = list(texts)
        self._every = every
        self._pass_tokens = pass_tokens

    def due(self, step: int, steps: int) -> bool:
        """True if the state after `step` steps is to be measured; before the first it is measured apart from this."""
        return step == steps or step % self._every == 0

    def measure(self, model: LanguageModel, world: World, *, step: int, tokens: int) -> list[dict[str, Any]]:
        """Return the lines of the log for the model as it is.

        Args:
            model: On its device.
            world: Its processes; each measures its share.
            step, tokens: Where the run stands.
        """
        lines = []
        for text in self.texts:
            batches = passes([[sample] for sample in text.samples], self._pass_tokens, ranks=world.size)
            nats = 0.0
            for batch in world.share(batches):
                # A process without a share goes through the motions: a divided model computes together or not at all.
                rows = batches[0] if batch is None else batch
                with torch.no_grad():
                    summed = float(world.forward(model, partial(_logprob, model, rows)))
                if batch is not None:
                    nats -= summed
            (nats,) = world.sum([nats])
            bits = nats / math.log(2) / text.characters
            lines.append(
                {
                    "step": step,
                    "tokens": tokens,
                    "language": text.language,
                    "bits_per_character": float(f"{bits:.6g}"),
                    "characters": text.characters,
                    "documents": text.documents,
                }
            )
        return lines


def _logprob(model: LanguageModel, rows: list[list[Sample]]) -> torch.Tensor:
    batch = lay_out(rows).to(model.compute.device)
    each = token_logprobs(model.hidden(batch), model.head.weight, batch.targets, model.compute.dtype)
    return each.double().sum()


def held_back(
    artifacts: Sequence[InputArtifact],
    tokenizer: PreTrainedTokenizerBase,
    *,
    characters: int,
    sequence: int,
    seed: int,
    stage: str,
) -> list[HeldBack]:
    """Return up to `characters` of text in each language, documents drawn by (seed, id): the same ones in every stage.

    Args:
        artifacts: Documents that nothing is trained on.
        tokenizer: The model's.
        characters: Code points for each language.
        sequence: Tokens read at once; a longer document is read in windows that overlap by a half.
        seed, stage: For the draws.

    Raises:
        UserError: if there is no text, or the tokenizer has neither BOS nor EOS to start a document with.
    """
    start = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
    if start is None:
        raise UserError("evaluate: the tokenizer has neither BOS nor EOS to start a document with")
    found: dict[str, list[tuple[float, str, str]]] = {}
    for artifact in artifacts:
        for row in select_rows(artifact, seed=seed, stage=stage):
            text = (row["text"] or "")[:PER_DOCUMENT]
            if text.strip():
                # Not keyed by the stage: the curve of one stage goes on where that of the one before it ended.
                place = draws.draw_uniform(seed, "evaluate", str(row["id"]))
                found.setdefault(row.get("language") or "und", []).append((place, str(row["id"]), text))
    if not found:
        raise UserError("evaluate: no document with text", "name documents that were held back")
    texts = []
    for language in sorted(found):
        taken: list[str] = []
        room = characters
        for _, _, text in sorted(found[language]):
            if room <= 0:
                break
            taken.append(text[:room])
            room -= len(taken[-1])
        samples = []
        for index, ids in enumerate(encode_documents(tokenizer, taken)):
            for number, window in enumerate(
                windows(index, ids, start, window=sequence, stride=max(1, sequence // 2))
            ):
                counted = np.arange(len(window.ids)) >= len(window.ids) - window.new
                samples.append(Sample(f"{index}:{number}", np.asarray(window.ids, np.int32), counted))
        texts.append(HeldBack(language, samples, sum(map(len, taken)), len(taken)))
    return texts


def summary(path: Path) -> dict[str, Any]:
    """Return, for each language of a log, its bits per character before, after and at best, and the change."""
    curves: dict[str, list[float]] = {}
    for line in path.read_text("utf-8").splitlines():
        entry = json.loads(line)
        curves.setdefault(entry["language"], []).append(entry["bits_per_character"])
    return {
        language: {
            "first": bits[0],
            "last": bits[-1],
            "best": min(bits),
            # Above 0: forgotten, by that share of the bits before.
            "change": round(bits[-1] / bits[0] - 1, 6),
        }
        for language, bits in curves.items()
    }
