"""Metrics on the characters of a text: shares of classes, sentences, what is said again, n-grams, compression."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from watari.corpus.rules.metrics import FirstFailing, Integers, Values, holds, metric, share
from watari.corpus.rules.profile import Profile, Rule
from watari.kernels.classes import Ranges, class_counts
from watari.kernels.ngrams import most_frequent_bound, ngram_bounds, ngram_figures
from watari.kernels.sentences import SpanFigures, repetition, sentence_figures
from watari.kernels.texts import Texts

if TYPE_CHECKING:
    from watari.corpus.rules.words import Words

TERMINATORS = "terminators"
"""The class of characters that end a sentence, in every profile that has rules on sentences."""


def _classes(texts: Texts, rules: Sequence[Rule], profile: Profile, words: Words | None) -> list[Values]:
    names = sorted({name for rule in rules for name in (rule.of, rule.among) if name is not None})
    counts = class_counts(texts, [_ranges(profile, name) for name in names])
    of: dict[str | None, Integers] = {name: counts[:, at] for at, name in enumerate(names)}
    of[None] = texts.lengths
    found = []
    for rule in rules:
        if rule.metric == "characters":
            found.append(of[rule.of].astype(np.float64))
        elif rule.metric == "characters_per":
            found.append(share(texts.lengths, of[rule.of]))
        else:
            found.append(share(of[rule.of], of[rule.among]))
    return found


@metric("characters", takes=("of",), together=_classes)
def characters(texts: Texts, rule: Rule, profile: Profile, words: Words | None) -> Values:
    """Characters (code points) of the class `of`, or all."""
    return _classes(texts, [rule], profile, words)[0]


@metric("share", takes=("of", "among"), needs=("of",), together=_classes)
def class_share(texts: Texts, rule: Rule, profile: Profile, words: Words | None) -> Values:
    """Characters of the class `of` for each one of the class `among` (default: of all)."""
    return _classes(texts, [rule], profile, words)[0]


@metric("characters_per", needs=("of",), together=_classes)
def characters_per(texts: Texts, rule: Rule, profile: Profile, words: Words | None) -> Values:
    """All characters for each one of the class `of`."""
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
    rows = np.arange(len(texts), dtype=np.int64)
    lengths = [_n(rule) for rule in rules]
    return _counted(texts, rows, rules, np.full(len(rows), min(lengths)), np.full(len(rows), max(lengths)))


def _counted(
    texts: Texts,
    rows: Integers,
    rules: Sequence[Rule],
    lowest: Integers,
    highest: Integers,
) -> list[Values]:
    """Each rule's values for the texts at `rows`; NaN for n-grams outside a text's `lowest` to `highest`."""
    figures = ngram_figures(texts, rows, lowest, highest)
    found = []
    for rule in rules:
        n = _n(rule)
        if n >= figures.most.shape[1]:
            found.append(np.full(len(rows), np.nan))
            continue
        total = np.where((n >= lowest) & (n <= highest), texts.lengths[rows] - n + 1, 0)
        if rule.metric == "top_ngram":
            found.append(share(figures.most[:, n], total))
        else:
            found.append(share(figures.repeated[:, n], np.where(total > 0, figures.distinct[:, n], 0)))
    return found


def _decide_ngrams(texts: Texts, rules: Sequence[Rule], profile: Profile) -> FirstFailing:
    """Count only where a bound on what could be found does not already tell that a text breaks no rule.

    The most frequent n-gram is no more frequent than the most frequent character. Of the positions whose m-gram comes
    again there are no more for a larger m, and each repeated n-gram stands at two of them at least; with every
    character that n grows by, at most one distinct n-gram is lost. So for n ≥ m the share of distinct n-grams that
    are repeated is at most (positions that come again with m) / 2 / (distinct m-grams - (n - m)). Quotients of floats
    keep the order of the real ones, so a bound within a limit proves that the value is within it.
    """
    size = len(texts)
    undecided = np.ones((len(rules), size), bool)
    most = most_frequent_bound(texts)
    duplicates = sorted({_n(rule) for rule in rules if rule.metric == "duplicate_ngrams"})
    for number, rule in enumerate(rules):
        if rule.metric == "top_ngram":
            undecided[number] = ~_holds_at_most(share(most, texts.lengths - _n(rule) + 1), rule)
    # The shortest leaves few open, most of them long texts, for which that two longer leaves hardly any.
    for m in (*duplicates[:1], *duplicates[2:3], *duplicates[1:2]):
        asked = [
            (number, rule)
            for number, rule in enumerate(rules)
            if rule.metric == "duplicate_ngrams" and _n(rule) >= m
        ]
        rows = np.flatnonzero(undecided[[number for number, _ in asked]].any(axis=0))
        bounds = ngram_bounds(texts, rows, m)
        for number, rule in asked:
            least = bounds.distinct - (_n(rule) - m)
            bound = share(bounds.again / 2, np.where(texts.lengths[rows] >= _n(rule), least, 0))
            undecided[number, rows] &= ~_holds_at_most(bound, rule)
    rule_of = np.full(size, -1, np.int64)
    value_of = np.full(size, np.nan)
    rows = np.flatnonzero(undecided.any(axis=0))
    if len(rows):
        lengths = np.array([_n(rule) for rule in rules])[:, None]
        open_ = undecided[:, rows]
        lowest = np.where(open_, lengths, lengths.max()).min(axis=0)
        highest = np.where(open_, lengths, 0).max(axis=0)
        values = _counted(texts, rows, rules, lowest, highest)
        for number in reversed(range(len(rules))):
            failing = open_[number] & ~holds(values[number], rules[number])
            rule_of[rows[failing]] = number
            value_of[rows[failing]] = values[number][failing]
    return FirstFailing(rule_of, value_of)


def _holds_at_most(bound: Values, rule: Rule) -> npt.NDArray[np.bool_]:
    """Return where no value up to `bound` breaks the rule; nowhere if it has a lower limit."""
    if rule.min is not None or rule.above is not None:
        return np.zeros(len(bound), bool)
    return holds(bound, rule)


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
