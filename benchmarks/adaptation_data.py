"""Texts of the adaptation benchmark, and the artifacts that Watari's stages take.

Documents are held back whole before anything is learned: books, literary works, articles. A quarter of those held back is
the development part, on which every choice is made; the rest is the test part, on which every claim is made.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from inputs import artifact

from watari.artifact.draws import shuffled
from watari.artifact.kinds import Kind
from watari.artifact.rows import write_rows
from watari.artifact.stage import InputArtifact
from watari.demo import documents
from watari.tokenizer.texts import Text

Document = tuple[str, str]
"""(id, text)."""
STRETCH = 2000
"""Characters of a training document: a long work is cut, so that every draw meets many of them."""


@dataclass(frozen=True)
class Amounts:
    """How much text there is, in characters, and how many documents are held back of each source.

    Args:
        english: Of the English that the base learns from; replay draws from it as well.
        japanese: Of each Japanese source.
        held_back: Documents held back of each source.
        stretches: Stretches that are measured of each source in the test part; the development part has a third.
        measured: Characters of a Japanese stretch; an English one has twice as many.
    """

    english: int = 12_000_000
    japanese: int = 2_500_000
    held_back: int = 24
    stretches: int = 24
    measured: int = 500


@dataclass(frozen=True)
class Corpus:
    """Everything that is learned from and measured on.

    Args:
        english, japanese: Training documents.
        test, development: Stretches of held-back documents, by source.
    """

    english: list[Text]
    japanese: list[Text]
    test: dict[str, list[str]]
    development: dict[str, list[str]]

    def __str__(self) -> str:
        learned = ", ".join(
            f"{name} {sum(len(text.text) for text in texts) / 1e6:.1f} M characters"
            for name, texts in (("English", self.english), ("Japanese", self.japanese))
        )
        held = ", ".join(
            f"{name} {len(texts)} stretches of {sum(map(len, texts)):,} characters"
            for name, texts in self.test.items()
        )
        return f"learned from {learned}; test: {held}"


def read_corpus(data: Path | None, amounts: Amounts) -> Corpus:
    """Return the texts.

    Args:
        data: WATARI_TEST_DATA: books, literature, Wikipedia on Kyoto. None: the demo's little world.
        amounts: See there.
    """
    sources = _sources(data)
    train: dict[str, list[Text]] = {"en": [], "ja": []}
    test: dict[str, list[str]] = {}
    development: dict[str, list[str]] = {}
    for name, (language, found) in sources.items():
        order = shuffled([identity for identity, _ in found], 0, f"bench.adaptation.{name}")
        held = [found[place][1] for place in order[: amounts.held_back]]
        quarter = -(-len(held) // 4)
        length = amounts.measured * (2 if language == "en" else 1)
        development[name] = _measured(held[:quarter], -(-amounts.stretches // 3), length)
        test[name] = _measured(held[quarter:], amounts.stretches, length)
        budget = amounts.english if language == "en" else amounts.japanese
        train[language] += _taken(
            [found[place] for place in order[amounts.held_back :]], name, language, budget
        )
    return Corpus(train["en"], train["ja"], test, development)


def _sources(data: Path | None) -> dict[str, tuple[str, list[Document]]]:
    """Return each source's language and documents."""
    if data is None:
        return {
            "books": ("en", _demo("en", 0)),
            "aozora": ("ja", _demo("ja", 0)),
            "kyoto": ("ja", _demo("ja", 1)),
        }
    kyoto = [
        (str(row["id"]), "\n".join(map(str, row["ja"])))  # type: ignore[call-overload]
        for row in _rows(data / "kyoto-wiki" / "docs.jsonl.gz")
    ]
    return {
        "books": ("en", _texts(data / "en-books" / "docs.jsonl.gz")),
        "aozora": ("ja", _texts(data / "aozora" / "docs.jsonl.gz")),
        "kyoto": ("ja", [row for row in kyoto if len(row[1]) >= 200]),
    }


def _rows(path: Path) -> Iterator[dict[str, object]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def _texts(path: Path) -> list[Document]:
    return [(str(row["id"]), str(row["text"]).replace("\r", "")) for row in _rows(path)]


def _demo(language: str, seed: int) -> list[Document]:
    return [
        (f"{language}-{seed}-{place}", row["text"])
        for place, row in enumerate(documents(seed=seed, count=400, language=language, level="full"))
    ]


def _measured(texts: Sequence[str], count: int, length: int) -> list[str]:
    """Return `count` stretches, as many of each text as of every other, evenly over its length."""
    each = -(-count // len(texts))
    found = []
    for text in texts:
        places = [(2 * number + 1) * len(text) // (2 * each) for number in range(each)]
        starts = [max(0, min(place - length // 2, len(text) - length)) for place in places]
        found += [text[start : start + length] for start in dict.fromkeys(starts)]
    return found[:count]


def _taken(found: Iterable[Document], name: str, language: str, budget: int) -> list[Text]:
    """Return stretches of every document in turn, first ones first, of `budget` characters."""
    works = list(found)
    taken: list[Text] = []
    size = 0
    for start in range(0, max((len(text) for _, text in works), default=0), STRETCH):
        for identity, text in works:
            if start < len(text) and size < budget:
                part = text[start : start + STRETCH]
                taken.append(Text(f"{name}-{identity}-{start}", part, language, name))
                size += len(part)
    return taken


def documents_of(texts: Sequence[Text], name: str, folder: Path) -> InputArtifact:
    """Write texts as documents and return them as a stage gets them."""
    if not (folder / "rows.parquet").is_file():
        rows = [
            {"id": text.id, "text": text.text, "language": text.language, "source": text.source}
            for text in texts
        ]
        write_rows(folder / "rows.parquet", Kind.DOCUMENTS, rows)
    return artifact(name, folder, Kind.DOCUMENTS)
