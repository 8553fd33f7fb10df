"""What an answer is worth: the metrics of llm-jp-eval, and beside them an F1 of characters that is one."""

from __future__ import annotations

import math
import re
import statistics
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, reduce
from importlib import import_module
from operator import add, eq

import numpy as np

from watari.evals.jaster import correlation
from watari.evals.jaster.correlation import Floats
from watari.evals.jaster.ratio import Backend, token_sort_ratios

ItemMetric = Callable[[Sequence[str], Sequence[str]], Sequence[float]]

_SHIFT = 60
_KEPT = 10_000

UNREADABLE = -2.0
"""What an answer without a number counts as in a correlation, as upstream has it."""

CORRELATIONS: Mapping[str, Callable[[Floats, Floats], float]] = {
    "pearson": correlation.pearson,
    "spearman": correlation.spearman,
}

# Of later releases; what needs a library of its own is imported when it is asked for.
_ELSEWHERE = {
    "set_f1": "metrics_sets",
    "bleu_ja": "metrics_translation",
    "bleu_en": "metrics_translation",
    "bert_score_ja_f1": "metrics_translation",
    "bert_score_en_f1": "metrics_translation",
}

_NOT_NUMBER = re.compile(r"[^0-9.]")


def item_metric(name: str) -> ItemMetric | None:
    """Return a metric that scores items one by one; None for one that does not, or that cannot be computed here."""
    if name == "exact_match":
        return exact_match
    if name == "char_f1":
        return char_f1
    if name == "true_char_f1":
        return true_char_f1
    if name not in _ELSEWHERE or not_computed(name):
        return None
    found: ItemMetric = getattr(import_module(f"watari.evals.jaster.{_ELSEWHERE[name]}"), name)
    return found


def not_computed(name: str) -> str:
    """Return why a metric cannot be computed on this machine, in words; "" if it can."""
    from watari.evals.jaster.metrics_translation import missing

    return missing(name)


def exact_match(preds: Sequence[str], golds: Sequence[str]) -> list[float]:
    """Return 1 for each answer that is its gold answer, character for character, and 0 for others."""
    return list(map((0.0, 1.0).__getitem__, map(eq, preds, golds)))


def char_f1(preds: Sequence[str], golds: Sequence[str], backend: Backend = "levenshtein") -> list[float]:
    """Return what llm-jp-eval calls char_f1: fuzzywuzzy's token_sort_ratio / 100 (see `ratio`)."""
    scores: list[float] = (token_sort_ratios(preds, golds, (backend,))[backend] / 100).tolist()
    return scores


def true_char_f1(preds: Sequence[str], golds: Sequence[str]) -> list[float]:
    """Return the F1 of characters: the harmonic mean of precision and recall of the two multisets of characters.

    Texts are NFKC-normalised, in lower case and without blanks. Two empty ones: 1; one empty: 0.
    """
    return list(map(_true_char_f1, preds, golds))


@lru_cache(maxsize=100_000)
def _true_char_f1(pred: str, gold: str) -> float:
    one, other = _characters(pred), _characters(gold)
    if one == other:
        return 1.0
    return 2 * (Counter(one) & Counter(other)).total() / (len(one) + len(other))


def _characters(text: str) -> str:
    return "".join(unicodedata.normalize("NFKC", text).lower().split())


def number(text: str) -> float:
    """Return the number in an answer: what its digits and dots make, else `UNREADABLE`. `6, 9` is 69, as upstream reads it."""
    try:
        return float(_NOT_NUMBER.sub("", text))
    except ValueError:
        return UNREADABLE


def numbers(texts: Sequence[str]) -> Floats:
    """Return the number in each text; see `number`."""
    return np.fromiter(map(_NUMBERS.__getitem__, texts), np.float64, len(texts))


class _Numbers(dict[str, float]):
    """Answers to their numbers: few differ, and many models give them."""

    def __missing__(self, text: str) -> float:
        found = number(text)
        if len(self) < _KEPT:
            self[text] = found
        return found


_NUMBERS = _Numbers()


def or_zero(correlation: float) -> float:
    """Return a correlation, 0 where there is none: upstream's rule."""
    return 0.0 if math.isnan(correlation) else correlation


def plain_mean(values: Sequence[float]) -> float:
    """Return the sum from left to right over the count, rounded at every step.

    Not `sum`, which is exact from Python 3.12 on: half-way cases at the fourth decimal would flip.
    """
    return reduce(add, values, 0.0) / len(values)


def exact_mean(values: Sequence[float]) -> float:
    """Return the mean rounded once, as `statistics.mean` does, several times faster where values repeat."""
    ones = values.count(1.0)
    if ones + values.count(0.0) == len(values):
        return ones / len(values)
    try:
        return sum(map(_NUMERATORS.__getitem__, values)) / (len(values) << _SHIFT)
    except (ValueError, OverflowError):
        return statistics.mean(values)


class _Numerators(dict[float, int]):
    """A score as an integer over 2 ** `_SHIFT`, where it is one: a share of at least 2 ** -7 always is."""

    def __missing__(self, value: float) -> int:
        numerator = math.ldexp(value, _SHIFT)
        if numerator != int(numerator):
            raise ValueError("finer than that")
        if len(self) < _KEPT:
            self[value] = int(numerator)
        return int(numerator)


_NUMERATORS = _Numerators()
