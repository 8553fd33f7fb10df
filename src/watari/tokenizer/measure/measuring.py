"""Encoding documents once, and reading every figure off the counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal

import numpy as np
import numpy.typing as npt

from watari.errors import UserError
from watari.languages import languages, load_language
from watari.stats import Estimate, bootstrap_ratio
from watari.text import guess_language
from watari.tokenizer.encoder import Encoder
from watari.tokenizer.measure.figures import CONTEXT, PAGE, Figures, Interval
from watari.tokenizer.texts import Text

BATCH = 256
"""Documents encoded at once."""
SEVERAL = "mul"
"""ISO 639-2's code for several languages."""
_DRAWS = 20_000_000
"""Documents drawn by one bootstrap at most: beyond 10,000 documents there are fewer than 2,000 rounds, not below 200."""

Counts = npt.NDArray[np.int64]
Chosen = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Documents:
    """What is counted of documents whatever the tokenizer; one row a document.

    Args:
        ids: Their own.
        sources: Where they are from.
        languages: Codes.
        chars: Code points.
        bytes: Bytes of UTF-8.
        words: Stretches between blanks.
        unblanked: Whether its language is written without blanks between words.
    """

    ids: list[str]
    sources: list[str]
    languages: list[str]
    chars: Counts
    bytes: Counts
    words: Counts
    unblanked: npt.NDArray[np.bool_]

    def where(self, source: str | None, language: str | None) -> Chosen:
        """Return the rows of a source and language; None stands for all."""
        return np.array(
            [
                row
                for row, (of, spoken) in enumerate(zip(self.sources, self.languages, strict=True))
                if source in (None, of) and language in (None, spoken)
            ],
            dtype=np.intp,
        )


@dataclass(frozen=True)
class Measurement:
    """What one tokenizer made of documents; `figures` reads it off for any source and language.

    Args:
        tokenizer: Its name.
        vocabulary: One above its highest id.
        entries: Which ids stand for text.
        documents: What was encoded.
        tokens: Tokens of each document.
        broken: Tokens of each document that are no whole characters.
        unknown: Tokens of each document that stand for no text of their own.
        whole: Whether each document decodes to itself; None if that was not asked for.
        counts: How often each id came out, by (source, language).
        unreachable: Entries that their own text does not give; None if that was not asked for.
    """

    tokenizer: str
    vocabulary: int
    entries: npt.NDArray[np.bool_]
    documents: Documents
    tokens: Counts
    broken: Counts
    unknown: Counts
    whole: npt.NDArray[np.bool_] | None
    counts: dict[tuple[str, str], Counts]
    unreachable: int | None

    def usage(self, source: str | None = None, language: str | None = None) -> Counts:
        """Return how often each id came out of a source and language; None stands for all."""
        total = np.zeros(self.vocabulary, dtype=np.int64)
        for (of, spoken), counts in self.counts.items():
            if source in (None, of) and language in (None, spoken):
                total += counts
        return total

    def characters_per_token(self, source: str | None = None, language: str | None = None) -> float:
        """Return code points per token, to four places."""
        rows = self.documents.where(source, language)
        return round(int(self.documents.chars[rows].sum()) / max(1, int(self.tokens[rows].sum())), 4)

    def figures(
        self,
        source: str | None = None,
        language: str | None = None,
        *,
        file: str | None = None,
        first: Measurement | None = None,
        context: int = CONTEXT,
        seed: int = 0,
    ) -> Figures:
        """Return the figures of a source and language; None stands for all.

        Args:
            source: A source of the documents.
            language: A code.
            file: What to call the source; default: its name, or "all".
            first: The measurement, on the same documents, that the number of tokens is compared with.
            context: Tokens of the context window that a page is compared with.
            seed: Of the bootstrap.

        Raises:
            ValueError: if there are no such documents, or `first` was made on others.
        """
        documents = self.documents
        rows = documents.where(source, language)
        if not rows.size:
            raise ValueError(f"no documents of source {source!r} and language {language!r}")
        if first is not None and first.documents.ids != documents.ids:
            raise ValueError(f"{first.tokenizer} was measured on other documents than {self.tokenizer}")
        ids = [documents.ids[row] for row in rows]
        chars, size, tokens = (
            int(column[rows].sum()) for column in (documents.chars, documents.bytes, self.tokens)
        )
        unit: Literal["word", "character"] = "character" if documents.unblanked[rows].any() else "word"
        units = chars if unit == "character" else int(documents.words[rows].sum())
        per_token = _ratio(documents.chars[rows], self.tokens[rows], ids, seed)
        used = self.usage(source, language) > 0
        page = PAGE * tokens / chars if chars else None
        relative = None if first is None else _ratio(self.tokens[rows], first.tokens[rows], ids, seed)
        spoken = {documents.languages[row] for row in rows}
        return Figures(
            tokenizer=self.tokenizer,
            file=file if file is not None else source if source is not None else "all",
            language=spoken.pop() if len(spoken) == 1 else SEVERAL,
            documents=int(rows.size),
            chars=chars,
            bytes=size,
            tokens=tokens,
            chars_per_token=_rounded(per_token.value if per_token else None),
            chars_per_token_low=_rounded(per_token.low if per_token else None),
            chars_per_token_high=_rounded(per_token.high if per_token else None),
            bytes_per_token=_share(size, tokens),
            fertility=_share(tokens, units),
            fertility_unit=unit,
            byte_fallback=_share(int(self.broken[rows].sum()), tokens),
            unknown=_share(int(self.unknown[rows].sum()), tokens),
            vocabulary=self.vocabulary,
            entries=int(self.entries.sum()),
            unused=int((self.entries & ~used).sum()),
            unreachable=self.unreachable,
            round_trip=None if self.whole is None else _share(int(self.whole[rows].sum()), int(rows.size)),
            tokens_per_page=_rounded(page),
            context=context,
            context_share=_rounded(None if page is None else page / context),
            relative_tokens=None
            if relative is None
            else Interval(
                value=round(relative.value, 6), low=_rounded(relative.low), high=_rounded(relative.high)
            ),
        )


def measure(
    encoder: Encoder,
    texts: Sequence[Text],
    *,
    documents: Documents | None = None,
    round_trip: bool = True,
    reach: bool = False,
) -> Measurement:
    """Return what `encoder` makes of `texts`.

    Args:
        encoder: Any tokenizer.
        texts: Documents; their sources and languages are what figures can be read off for.
        documents: What `describe(texts)` gave, so that several tokenizers share it.
        round_trip: Decode every document again.
        reach: Look for entries that cannot come out: a pass over the vocabulary.
    """
    from watari.tokenizer.measure.reach import unreachable

    documents = documents or describe(texts)
    surfaces = encoder.surfaces()
    entries = np.array([surface is not None for surface in surfaces], dtype=np.bool_)
    broken_id = np.array([surface is not None and not _is_text(surface) for surface in surfaces])
    tokens, broken, unknown = (np.zeros(len(texts), dtype=np.int64) for _ in range(3))
    whole = np.zeros(len(texts), dtype=np.bool_) if round_trip else None
    counts: dict[tuple[str, str], Counts] = {}
    for start in range(0, len(texts), BATCH):
        batch = texts[start : start + BATCH]
        for row, ids in enumerate(encoder.encode([item.text for item in batch]), start):
            key = (documents.sources[row], documents.languages[row])
            if key not in counts:
                counts[key] = np.zeros(len(encoder), dtype=np.int64)
            np.add.at(counts[key], ids, 1)
            tokens[row] = ids.size
            broken[row] = np.count_nonzero(broken_id[ids])
            unknown[row] = ids.size - np.count_nonzero(entries[ids])
            if whole is not None:
                whole[row] = encoder.decode(ids.tolist()) == texts[row].text
    return Measurement(
        tokenizer=encoder.name,
        vocabulary=len(encoder),
        entries=entries,
        documents=documents,
        tokens=tokens,
        broken=broken,
        unknown=unknown,
        whole=whole,
        counts=counts,
        unreachable=len(unreachable(encoder)) if reach else None,
    )


def describe(texts: Sequence[Text]) -> Documents:
    """Return what is counted of documents whatever the tokenizer."""
    kinds = sorted({(item.source, item.language) for item in texts})
    unblanked = {kind: _without_blanks(*kind, texts) for kind in kinds}
    return Documents(
        # The place keeps two documents with one id apart.
        ids=[f"{item.source}\x1f{item.id}\x1f{row}" for row, item in enumerate(texts)],
        sources=[item.source for item in texts],
        languages=[item.language for item in texts],
        chars=np.array([len(item.text) for item in texts], dtype=np.int64),
        bytes=np.array([len(item.text.encode("utf-8")) for item in texts], dtype=np.int64),
        words=np.array([len(item.text.split()) for item in texts], dtype=np.int64),
        unblanked=np.array([unblanked[item.source, item.language] for item in texts], dtype=np.bool_),
    )


def _without_blanks(source: str, language: str, texts: Sequence[Text]) -> bool:
    """True if a language is written without blanks between words, as its pack says; "und" is guessed by script."""
    if language == "und":
        some = (item.text[:200] for item in texts if (item.source, item.language) == (source, language))
        language = guess_language("\n".join(islice(some, 50)))
    return language in languages() and not load_language(language).script.spaces


def _is_text(surface: bytes) -> bool:
    try:
        surface.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _ratio(top: Counts, bottom: Counts, ids: list[str], seed: int) -> Estimate | None:
    if not int(bottom.sum()):
        return None
    rounds = max(200, min(2000, _DRAWS // len(ids)))
    return bootstrap_ratio(top.tolist(), bottom.tolist(), ids, seed=seed, rounds=rounds)


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 6) if whole else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


def check_texts(texts: Sequence[Text]) -> None:
    """Refuse texts that say nothing.

    Raises:
        UserError: if none of them holds a character.
    """
    if not any(item.text for item in texts):
        raise UserError("text: every document is empty", "give files with text")
