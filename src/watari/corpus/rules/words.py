"""Words of texts: by blanks and punctuation where a language has spaces, by SudachiPy where it is Japanese.

Where they are not datatrove's (0.10.1 with spaCy 3.8), so that a rule may say something else:
    English     a listed string that spaCy finds across a blank (`' 'em`) hides one of ours; symbols that are newer than
                spaCy's table of them; strings of more than 1,000 characters, which are cut here.
    Japanese    texts of more than 40,000 bytes are cut here between sentences, there anywhere.
    others      spaCy's rules for all languages, without its lists for one (Indonesian has 4,000 words, some of them
                doublings with a hyphen); Korean by blanks and punctuation, there by kiwipiepy's morphemes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from watari.corpus.rules.words_spaced import spaced_words
from watari.errors import UserError
from watari.kernels.texts import Texts
from watari.kernels.words import Held, Numbers, Places, Spans, character_flags, held, numbers

WITHOUT_SPACES = ("bo", "dz", "ja", "km", "lo", "my", "th", "yue", "zh")
"""Codes of languages that are written without spaces between words."""


@dataclass(frozen=True)
class Words:
    """The words of a column of texts.

    Args:
        texts: The texts.
        spans: Their words; what lies between two words is white space.
    """

    texts: Texts
    spans: Spans

    @property
    def counts(self) -> Places:
        """int64[n]: words of each text, punctuation among them."""
        return self.spans.counts

    @property
    def lengths(self) -> Places:
        """int64[m]: characters of each word."""
        return self.spans.lengths

    @property
    def offsets(self) -> Places:
        """int64[n + 1]: the words of text i are those from offsets[i] to offsets[i + 1]."""
        return self.spans.offsets

    @cached_property
    def numbers(self) -> Numbers:
        """uint64[m]: each word's number; see `kernels.words`."""
        return numbers(self.texts.codes, self.spans)

    @cached_property
    def held(self) -> Held:
        """What kinds of characters each word holds: the bits of `kernels.words.character_flags`."""
        return held(self.texts.codes, self.spans, character_flags())

    def of(self, text: int) -> list[str]:
        """Return the words of one text as strings."""
        part = slice(self.offsets[text], self.offsets[text + 1])
        begin = int(self.texts.offsets[text])
        whole = self.texts[text]
        return [
            whole[start - begin : end - begin]
            for start, end in zip(
                self.spans.starts[part].tolist(), self.spans.ends[part].tolist(), strict=True
            )
        ]


def segment(texts: Texts, language: str) -> Words:
    """Return the words of texts in `language`.

    Raises:
        UserError: if the language is written without spaces and nothing here finds its words, or what finds them is
            not installed.
    """
    if language == "ja":
        from watari.corpus.rules.words_japanese import japanese_words

        return Words(texts, japanese_words(texts))
    if language in WITHOUT_SPACES:
        raise UserError(
            f"nothing here finds words in '{language}', which is written without spaces",
            "use a profile without rules on words",
        )
    return Words(texts, spaced_words(texts, language))
