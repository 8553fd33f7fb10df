"""set_f1: how many lines of an answer are among the gold answer's, and the other way round (llm-jp-eval 1.3)."""

from __future__ import annotations

from collections.abc import Sequence


def set_f1(preds: Sequence[str], golds: Sequence[str]) -> list[float]:
    """Return the F1 of each answer's lines.

    As upstream counts (facts read in wandb/llm-leaderboard's jaster metrics): the lines of an answer count once each,
    those of the gold answer as often as they stand there, blanks around a line do not count, and an empty answer is one
    empty line.
    """
    return [_one(pred, gold) for pred, gold in zip(preds, golds, strict=True)]


def _one(pred: str, gold: str) -> float:
    wanted = [line.strip() for line in gold.split("\n")]
    given = {line.strip() for line in pred.split("\n")}
    hits = sum(line in wanted for line in given)
    precision, recall = hits / len(given), hits / len(wanted)
    return 2 * (precision * recall) / (precision + recall) if precision + recall else 0.0
