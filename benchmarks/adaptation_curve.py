"""What an arm's training came to: bits per character of held-back text along the CPU seconds that it took."""

from __future__ import annotations

import gc
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from watari.evals.bits import bits_of
from watari.pretrained.encoding import encode_documents

ENGLISH = "books"
JAPANESE = ("aozora", "kyoto")
MARKS = (1 / 8, 1 / 4, 1 / 2, 3 / 4)
"""Shares of an arm's steps after which it is measured, beside its start and its end."""


@dataclass(frozen=True)
class Point:
    """One place of a curve.

    Args:
        seconds: CPU seconds of training so far; neither measuring nor setting up counts.
        tokens: Trained on so far.
        bits: Bits per character by source.
    """

    seconds: float
    tokens: int
    bits: Mapping[str, float]

    @property
    def japanese(self) -> float:
        """Bits per Japanese character: both sources weigh alike."""
        return sum(self.bits[name] for name in JAPANESE) / len(JAPANESE)

    @property
    def english(self) -> float:
        """Bits per English character."""
        return self.bits[ENGLISH]


class Meter:
    """Measures a model on texts, by source.

    Args:
        texts: By source.
        tokenizer: The model's.
        window: Tokens read at once; a long text's later windows have half of it as context.
    """

    def __init__(
        self, texts: Mapping[str, Sequence[str]], tokenizer: PreTrainedTokenizerBase, window: int
    ) -> None:
        self._start = int(tokenizer.bos_token_id)
        self._window = window
        self._characters = {name: sum(map(len, found)) for name, found in texts.items()}
        self._ids = {name: encode_documents(tokenizer, list(found)) for name, found in texts.items()}

    @property
    def characters_per_token(self) -> dict[str, float]:
        """By source."""
        return {
            name: count / max(1, sum(map(len, self._ids[name]))) for name, count in self._characters.items()
        }

    def bits(self, model: PreTrainedModel) -> dict[str, float]:
        """Return bits per character by source; matrices are multiplied in bfloat16, as in training."""
        training = model.training
        model.eval()
        found = {}
        with torch.autocast("cpu", torch.bfloat16):
            for name, ids in self._ids.items():
                bits = bits_of(model, ids, start=self._start, window=self._window, stride=self._window // 2)
                found[name] = sum(bits) / self._characters[name]
        model.train(training)
        return found


@dataclass
class Course:
    """Follows one training: its CPU seconds, and its curve.

    Args:
        meter: Measures the model; None: only the seconds count.
        steps: Of the training.
        step_tokens: Tokens of a step.
        model: Set before the first step.
    """

    meter: Meter | None
    steps: int
    step_tokens: int
    model: PreTrainedModel | None = None
    points: list[Point] = field(default_factory=list)
    each: list[float] = field(default_factory=list)
    _before: float = 0.0
    _done: int = 0

    def __post_init__(self) -> None:
        self._marks = {round(share * self.steps) for share in MARKS} | {0, self.steps}

    def begin(self) -> None:
        """Start the clock anew unless a step was done: what came before was no training."""
        if self._done == 0:
            gc.collect()
            self._measure()
            self._before = time.process_time()

    def step(self, done: int) -> None:
        """Take note that `done` steps are done, and measure where it is due; the clock stands meanwhile."""
        if done > self._done:
            self.each.append(time.process_time() - self._before)
            self._done = done
            self._measure()
            self._before = time.process_time()

    def _measure(self) -> None:
        if self.meter is None or self.model is None or self._done not in self._marks:
            return
        if self.points and self.points[-1].tokens == self._done * self.step_tokens:
            return
        self.points.append(Point(self.seconds, self._done * self.step_tokens, self.meter.bits(self.model)))

    @property
    def seconds(self) -> float:
        """CPU seconds of all steps so far."""
        return sum(self.each)
