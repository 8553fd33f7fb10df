"""Metrics of words and lines, as Gopher (Rae et al. 2022) and FineWeb count them; what datatrove's filters do decides.

A share of nothing (no words, no lines) is NaN, which breaks a rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from watari.corpus.rules.metrics import Values, metric
from watari.corpus.rules.profile import Profile, Rule
from watari.corpus.rules.words import Words
from watari.kernels.texts import Texts
from watari.kernels.words import (
    LETTER,
    SPACE,
    Flags,
    Places,
    Spans,
    character_flags,
    held,
    number_of,
    trimmed,
)
from watari.kernels.words_lines import (
    any_lines,
    begin_with,
    come_before,
    end_with,
    feed_lines,
    lines,
    occurrences,
    paragraphs,
)
from watari.kernels.words_ngrams import repeated_ngrams, top_ngrams


def _share(part: Places, whole: Places) -> Values:
    """part / whole; NaN where there is no whole."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(whole > 0, part / whole, np.nan)


def _class_flags(profile: Profile, name: str | None) -> Flags:
    flags = np.zeros(0x110000, np.uint8)
    for first, last in profile.ranges(name) if name else []:
        flags[first : last + 1] = 1
    return flags


def _present(words: Words | None) -> Words:
    if words is None:
        raise TypeError("the metric is registered with needs_words")
    return words


def _spoken(rule: Rule, profile: Profile, words: Words) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """bool[m]: the words that hold more than the characters of the rule's class."""
    if rule.of is None:
        return np.ones(len(words.lengths), bool)
    every = held(words.texts.codes, words.spans, _class_flags(profile, rule.of)).every
    return np.asarray(every == 0)


@metric("words", takes=("of",), needs_words=True)
def count(texts: Texts, rule: Rule, profile: Profile, words: Words | None) -> Values:
    """How many words there are; those made of characters of the class `of` (punctuation) alone do not count."""
    words = _present(words)
    return words.spans.sums(_spoken(rule, profile, words)).astype(np.float64)


@metric("word_length", takes=("of",), needs_words=True)
def word_length(texts: Texts, rule: Rule, profile: Profile, words: Words | None) -> Values:
    """Characters of a word on average, over the words that `words` counts."""
    words = _present(words)
    spoken = _spoken(rule, profile, words)
    return _share(words.spans.sums(np.where(spoken, words.lengths, 0)), words.spans.sums(spoken))


@metric("symbols_per_word", needs=("words",), needs_words=True)
def symbols_per_word(texts: Texts, rule: Rule, profile: Profile, words: Words | None) -> Values:
    """How often the strings `words` (`#`) stand in a text, over its words, punctuation among them."""
    found = np.zeros(len(texts), np.int64)
    for text in rule.words:
        found += occurrences(texts, text)
    return _share(found, _present(words).counts)


@metric("newlines_per_word", needs_words=True)
def newlines_per_word(texts: Texts, rule: Rule, profile: Profile, words: Words | None) -> Values:
    """Line feeds over words, punctuation among them (FineWeb's `list_ratio`: high in lists)."""
    return _share(occurrences(texts, "\n"), _present(words).counts)


@metric("letter_words", needs_words=True)
def letter_words(texts: Texts, rule: Rule, profile: Profile, words: Words | None) -> Values:
    """Share of words that hold a letter (`str.isalpha`)."""
    words = _present(words)
    return _share(words.spans.sums((words.held.some & LETTER) != 0), words.counts)


@metric("stop_words", needs=("words",), needs_words=True)
def stop_words(texts: Texts, rule: Rule, profile: Profile, words: Words | None) -> Values:
    """How many different ones of `words` are among a text's words, written just so."""
    words = _present(words)
    found = np.zeros(len(texts), np.int64)
    for word in sorted(set(rule.words)):
        found += words.spans.sums(words.numbers == np.uint64(number_of(word))) > 0
    return found.astype(np.float64)


def _top(texts: Texts, rules: Sequence[Rule], profile: Profile, words: Words | None) -> Sequence[Values]:
    words = _present(words)
    found = top_ngrams(words.numbers, words.lengths, words.offsets, [rule.n or 1 for rule in rules])
    return [_share(characters, texts.lengths) for characters in found]


@metric("top_ngram", unit="word", needs=("n",), needs_words=True, together=_top)
def top_ngram(texts: Texts, rule: Rule, profile: Profile, words: Words | None) -> Values:
    """Share of a text's characters in its most frequent n-gram of words; see `kernels.words_ngrams.top_ngrams`."""
    return _top(texts, [rule], profile, words)[0]


def _repeated(texts: Texts, rules: Sequence[Rule], profile: Profile, words: Words | None) -> Sequence[Values]:
    words = _present(words)
    found = repeated_ngrams(words.numbers, words.lengths, words.offsets, [rule.n or 1 for rule in rules])
    return [_share(characters, texts.lengths) for characters in found]


@metric("duplicate_ngrams", unit="word", needs=("n",), needs_words=True, together=_repeated)
def duplicate_ngrams(texts: Texts, rule: Rule, profile: Profile, words: Words | None) -> Values:
    """Share of a text's characters in n-grams of words that come again; see `kernels.words_ngrams.repeated_ngrams`."""
    return _repeated(texts, [rule], profile, words)[0]


@metric("bullet_lines", needs=("words",))
def bullet_lines(texts: Texts, rule: Rule, profile: Profile, words: Words | None) -> Values:
    """Share of lines (`str.splitlines`) that begin with one of the strings `words`, after white space."""
    every = trimmed(texts.codes, any_lines(texts))
    hit = np.zeros(len(every.starts), bool)
    for text in rule.words:
        hit |= begin_with(texts.codes, every, text)
    return _share(every.sums(hit), every.counts)


@metric("lines_ending", needs=("words",))
def lines_ending(texts: Texts, rule: Rule, profile: Profile, words: Words | None) -> Values:
    """Share of lines (`str.splitlines`) that end with one of the strings `words` (an ellipsis), before white space."""
    every = trimmed(texts.codes, any_lines(texts))
    hit = np.zeros(len(every.starts), bool)
    for text in rule.words:
        hit |= end_with(texts.codes, every, text)
    return _share(every.sums(hit), every.counts)


def _filled(texts: Texts) -> Spans:
    """The lines that hold more than white space."""
    every = lines(texts)
    blank = (held(texts.codes, every, character_flags()).every & SPACE) != 0
    return every.where(~blank & (every.lengths > 0))


@metric("punctuated_lines", needs=("of",))
def punctuated_lines(texts: Texts, rule: Rule, profile: Profile, words: Words | None) -> Values:
    """Share of the filled lines whose last character is of the class `of` (FineWeb's `line_punct_ratio`)."""
    filled = _filled(texts)
    hit = _class_flags(profile, rule.of)[texts.codes[filled.ends - 1]] != 0
    return _share(filled.sums(hit), filled.counts)


@metric("short_lines", needs=("n",))
def short_lines(texts: Texts, rule: Rule, profile: Profile, words: Words | None) -> Values:
    """Share of the filled lines that have `n` characters or fewer (FineWeb's `short_line_ratio`)."""
    filled = _filled(texts)
    return _share(filled.sums(filled.lengths <= (rule.n or 0)), filled.counts)


@metric("duplicates", unit="line")
def duplicate_lines(texts: Texts, rule: Rule, profile: Profile, words: Words | None) -> Values:
    """Share of lines (parted by runs of line feeds) that have come before in the text."""
    every = feed_lines(texts)
    return _share(every.sums(come_before(texts.codes, every)), np.where(texts.lengths > 0, every.counts, 0))


@metric("duplicates", unit="paragraph")
def duplicate_paragraphs(texts: Texts, rule: Rule, profile: Profile, words: Words | None) -> Values:
    """Share of paragraphs (parted by two or more line feeds) that have come before in the text."""
    every = paragraphs(texts)
    return _share(every.sums(come_before(texts.codes, every)), np.where(texts.lengths > 0, every.counts, 0))


def _characters_again(texts: Texts, spans: Spans) -> Places:
    return spans.sums(np.where(come_before(texts.codes, spans), spans.lengths, 0))


@metric("duplicate_characters", unit="line")
def duplicate_line_characters(texts: Texts, rule: Rule, profile: Profile, words: Words | None) -> Values:
    """Share of the text's characters in lines (parted by runs of line feeds) that have come before in it."""
    return _share(_characters_again(texts, feed_lines(texts)), texts.lengths)


@metric("duplicate_characters", unit="paragraph")
def duplicate_paragraph_characters(texts: Texts, rule: Rule, profile: Profile, words: Words | None) -> Values:
    """Share of the text's characters in paragraphs that have come before in it."""
    return _share(_characters_again(texts, paragraphs(texts)), texts.lengths)


@metric("duplicate_characters", unit="filled line")
def duplicate_filled_characters(texts: Texts, rule: Rule, profile: Profile, words: Words | None) -> Values:
    """Share of the text's characters without line feeds in filled lines that have come before (FineWeb's `char_dup_ratio`)."""
    filled = _filled(texts)
    # Of a text without a filled line there is nothing to take a share of, however many blanks it has.
    whole = np.where(filled.counts > 0, texts.lengths - occurrences(texts, "\n"), 0)
    return _share(_characters_again(texts, filled), whole)
