"""Metrics on the characters of a text: shares of classes, sentences, what is said again, n-grams, compression."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from watari.corpus.rules.metrics import FirstFailing, Values, holds, metric
from watari.corpus.rules.profile import Profile, Rule
from watari.kernels.classes import Ranges, class_counts
from watari.kernels.ngrams import ngram_bounds, ngram_figures
from watari.kernels.sentences import SpanFigures, repetition, sentence_figures
from watari.kernels.texts import Texts

if TYPE_CHECKING:
    from watari.corpus.rules.words import Words

TERMINATORS = "terminators"
"""The class of characters that end a sentence, in every profile that has rules on sentences."""


def share(count: npt.NDArray[np.int64], whole: npt.NDArray[np.int64]) -> Values:
    """Return count / whole as float64, NaN where whole is 0."""
    quotient = np.full(len(count), np.nan)
    np.divide(count, whole, out=quotient, where=whole > 0)
    return quotient


def _classes(texts: Texts, rules: Sequence[Rule], profile: Profile, words: Words | None) -> list[Values]:
    names = sorted({name for rule in rules for name in (rule.of, rule.among) if name is not None})
    counts = class_counts(texts, [_ranges(profile, name) for name in names])
    of: dict[str | None, npt.NDArray[np.int64]] = {name: counts[:, at] for at, name in enumerate(names)}
    of[None] = texts.lengths
    return [
        of[rule.of].astype(np.float64) if rule.metric == "characters" else share(of[rule.of], of[rule.among])
        for rule in rules
    ]


@metric("characters", takes=("of",), together=_classes)
def characters(texts: Texts, rule: Rule, profile: Profile, words: Words | None) -> Values:
    """Characters (code points) of the class `of`, or all."""
    return _classes(texts, [rule], profile, words)[0]


@metric("share", takes=("of", "among"), needs=("of",), together=_classes)
def class_share(texts: Texts, rule: Rule, profile: Profile, words: Words | None) -> Values:
    """Characters of the class `of` for each one of the class `among` (default: of all)."""
    return _classes(texts, [rule], profile, words)[0]


def _sentences(texts: Texts, rules: Sequence[Rule], profile: Profile, words: Words | None) -> list[Values]:
    found = []
    endings = [_ranges(profile, rule.of) if rule.of is not None else () for rule in rules]
    asked = {ending: sentence_figures(texts, _ranges(profile, TERMINATORS), ending) for ending in {*endings}}
    for rule, ending in zip(rules, endings, strict=True):
        figures = asked[ending]
        if rule.metric == "average_sentence":
            found.append(share(figures.characters, figures.sentences))
        elif rule.metric == "longest_sentence":
            found.append(np.where(figures.sentences > 0, figures.longest, np.nan))
        else:
            found.append(share(figures.ending, figures.sentences))
    return found


@metric("average_sentence", classes=(TERMINATORS,), together=_sentences)
def average_sentence(texts: Texts, rule: Rule, profile: Profile, words: Words | None) -> Values:
    """Characters a sentence, its terminator counted; see `watari.kernels.sentences` for what a sentence is."""
    return _sentences(texts, [rule], profile, words)[0]


@metric("longest_sentence", classes=(TERMINATORS,), together=_sentences)
def longest_sentence(texts: Texts, rule: Rule, profile: Profile, words: Words | None) -> Values:
    """Characters of the longest sentence."""
    return _sentences(texts, [rule], profile, words)[0]


@metric("sentences_ending", needs=("of",), classes=(TERMINATORS,), together=_sentences)
def sentences_ending(texts: Texts, rule: Rule, profile: Profile, words: Words | None) -> Values:
    """Share of the sentences that end, white space apart, with a character of the class `of`."""
    return _sentences(texts, [rule], profile, words)[0]


def _repeated(texts: Texts, rules: Sequence[Rule], profile: Profile, words: Words | None) -> list[Values]:
    figures = repetition(texts, _ranges(profile, TERMINATORS))
    found = []
    for rule in rules:
        spans: SpanFigures = figures.sentences if rule.unit == "sentence" else figures.paragraphs
        if rule.metric == "duplicates":
            found.append(share(spans.again, spans.spans))
        else:
            found.append(share(spans.characters_again, spans.characters))
    return found


@metric("duplicates", unit="line of sentences", classes=(TERMINATORS,), together=_repeated)
@metric("duplicates", unit="sentence", classes=(TERMINATORS,), together=_repeated)
def duplicates(texts: Texts, rule: Rule, profile: Profile, words: Words | None) -> Values:
    """Share of a text's sentences, or lines of sentences, that repeat an earlier one of it."""
    return _repeated(texts, [rule], profile, words)[0]


@metric("duplicate_characters", unit="line of sentences", classes=(TERMINATORS,), together=_repeated)
@metric("duplicate_characters", unit="sentence", classes=(TERMINATORS,), together=_repeated)
def duplicate_characters(texts: Texts, rule: Rule, profile: Profile, words: Words | None) -> Values:
    """The characters of such sentences or lines, as a share of those of all of them."""
    return _repeated(texts, [rule], profile, words)[0]


def _ngrams(texts: Texts, rules: Sequence[Rule], profile: Profile, words: Words | None) -> list[Values]:
    return _counted(texts, rules, np.full(len(texts), min(_n(rule) for rule in rules), np.int64))


def _counted(texts: Texts, rules: Sequence[Rule], lowest: npt.NDArray[np.int64]) -> list[Values]:
    """Each rule's values; NaN for n-grams shorter than a text's `lowest`, which are not counted."""
    figures = ngram_figures(texts, lowest, max(_n(rule) for rule in rules))
    found = []
    for rule in rules:
        n = _n(rule)
        total = np.where(n >= lowest, texts.lengths - n + 1, 0)
        if rule.metric == "top_ngram":
            found.append(share(figures.most[:, n], total))
        else:
            found.append(share(figures.repeated[:, n], np.where(total > 0, figures.distinct[:, n], 0)))
    return found


def _decide_ngrams(texts: Texts, rules: Sequence[Rule], profile: Profile) -> FirstFailing:
    """Count only where a bound on what could be found does not already tell that a text breaks no rule.

    The most frequent n-gram is no more frequent than the most frequent character. Occurrences beyond the first of
    their kind do not grow with n, each repeated n-gram has one at least, and with every character that n grows by
    at most one distinct n-gram is lost: so the share of n-grams that are repeated is at most
    (n-grams - d) / (d - (n - m)), where d is a lower bound of the number of distinct m-grams and m the smallest n.
    Quotients of floats keep the order of the real ones, so a bound within a limit proves that the value is.
    """
    shortest = min((_n(rule) for rule in rules if rule.metric == "duplicate_ngrams"), default=1)
    bounds = ngram_bounds(texts, shortest)
    size = len(texts)
    # The length of n-gram from which a text must be counted.
    lowest = np.full(size, max(_n(rule) for rule in rules) + 1, np.int64)
    for rule in rules:
        n = _n(rule)
        total = texts.lengths - n + 1
        if rule.metric == "top_ngram":
            bound = share(bounds.most, total)
        else:
            extra = texts.lengths - shortest + 1 - bounds.distinct
            bound = share(extra, np.where(total > 0, bounds.distinct - (n - shortest), 0))
        upper = rule.model_copy(update={"min": None, "above": None})
        passed = holds(bound, upper) if rule.min is None and rule.above is None else np.zeros(size, bool)
        lowest = np.where(passed, lowest, np.minimum(lowest, n))
    rule_of = np.full(size, -1, np.int64)
    value_of = np.full(size, np.nan)
    open_ = np.flatnonzero(lowest <= max(_n(rule) for rule in rules))
    if len(open_):
        values = _counted(texts.take(open_), rules, lowest[open_])
        for number in reversed(range(len(rules))):
            counted = lowest[open_] <= _n(rules[number])
            failing = counted & ~holds(values[number], rules[number])
            rule_of[open_[failing]] = number
            value_of[open_[failing]] = values[number][failing]
    return FirstFailing(rule_of, value_of)


@metric("top_ngram", unit="character", needs=("n",), together=_ngrams, decide=_decide_ngrams)
def top_ngram(texts: Texts, rule: Rule, profile: Profile, words: Words | None) -> Values:
    """Occurrences of the most frequent character n-gram as a share of all n-grams of the text."""
    return _ngrams(texts, [rule], profile, words)[0]


@metric("duplicate_ngrams", unit="character", needs=("n",), together=_ngrams, decide=_decide_ngrams)
def duplicate_ngrams(texts: Texts, rule: Rule, profile: Profile, words: Words | None) -> Values:
    """Distinct character n-grams that occur more than once as a share of all distinct ones."""
    return _ngrams(texts, [rule], profile, words)[0]


@metric("compression")
def compression(texts: Texts, rule: Rule, profile: Profile, words: Words | None) -> Values:
    """UTF-8 bytes after zlib at level 9 for each byte before; nothing to measure in an empty text.

    zlib's own format is fixed but its choices are not: another build of zlib may differ in the last digits.
    """
    found = np.full(len(texts), np.nan)
    for row in range(len(texts)):
        content = texts[row].encode("utf-8")
        if content:
            found[row] = len(zlib.compress(content, 9)) / len(content)
    return found


def _n(rule: Rule) -> int:
    assert rule.n is not None  # `needs` says so
    return rule.n


def _ranges(profile: Profile, name: str) -> Ranges:
    return tuple(profile.ranges(name))
