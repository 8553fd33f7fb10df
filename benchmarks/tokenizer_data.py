"""Texts for the tokenizer benchmark: what is learned from, what is held back, and what must not move at all.

Learned from: at most 50 MB of stored Japanese that may be trained on. Held back: JSQuAD's paragraphs, and articles and
works drawn by document before anything is learned; a line of learning text that shares 20 characters in a row with any
of them is dropped and counted. Nothing else that this project evaluates on is learned from: of the task sets only the
train splits, of ja-text only the rows of ku-wikipedia. The sentences of JSTS, JSICK, JaNLI and JSeM (captions and made-up
ones, 4.4 MB) were tried and left out: as much more literature raised Kyoto dev and Aozora dev, and cost JSQuAD valid 0.1 %.
"""

from __future__ import annotations

import gettext
import gzip
import json
import re
import sys
import sysconfig
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from watari.artifact.draws import shuffled
from watari.tokenizer.script import script_of

SHINGLE = 20
"""Characters in a row that a line of learning text may not share with a text held back (the issue's bar)."""
BUDGET = 50_000_000
"""UTF-8 bytes of learning text."""
ARTICLES, WORKS = 400, 50
"""Documents held back for the test; a quarter as many again are where choices are made."""
DEVELOPMENT = ("JSQuAD valid", "Kyoto dev", "Aozora dev")
JAPANESE = script_of("ja")
_FACTOR = np.uint64(0x9E3779B97F4A7C15)


@dataclass
class Source:
    """Learning text from one place.

    Args:
        name: Of the source.
        documents: What is left of its documents.
        dropped_lines: Lines left out because they share a shingle with a text held back.
        dropped_characters: Their length.
    """

    name: str
    documents: list[str]
    dropped_lines: int = 0
    dropped_characters: int = 0

    @property
    def size(self) -> int:
        """UTF-8 bytes of its documents."""
        return sum(len(text.encode("utf-8")) for text in self.documents)


@dataclass
class Corpus:
    """Everything that is learned from and measured on.

    Args:
        learning: The learning text, by source.
        held: Japanese texts held back, by name. Weights and options were chosen on `DEVELOPMENT`, never on the others.
        other: Texts without a strict Japanese character, by kind.
        apart: Documents left out of `other` because they hold one, by kind.
    """

    learning: list[Source]
    held: dict[str, list[str]]
    other: dict[str, list[str]] = field(default_factory=dict)
    apart: dict[str, int] = field(default_factory=dict)

    def told(self) -> str:
        """Return in words what is learned from."""
        parts = ", ".join(f"{source.name} {source.size / 1e6:.1f}" for source in self.learning)
        total = sum(source.size for source in self.learning)
        lines = sum(source.dropped_lines for source in self.learning)
        characters = sum(source.dropped_characters for source in self.learning)
        return (
            f"{total / 1e6:.1f} MB ({parts}); {lines:,} lines of {characters:,} characters dropped that share "
            f"{SHINGLE} characters with a text held back"
        )


def read_corpus(data: Path, *, budget: int = BUDGET, other: int = 8_000_000) -> Corpus:
    """Return the texts of a folder of stored data.

    Args:
        data: The folder, as in WATARI_TEST_DATA.
        budget: UTF-8 bytes of learning text.
        other: UTF-8 bytes of each kind of `Corpus.other`, where there is as much.
    """
    kyoto, aozora = list(_kyoto(data, "ja")), list(_aozora(data))
    kyoto_order = shuffled([name for name, _ in kyoto], 0, "bench.tokenizer.kyoto")
    aozora_order = shuffled([name for name, _ in aozora], 0, "bench.tokenizer.aozora")
    article, work = (
        iter(kyoto[place][1] for place in kyoto_order),
        iter(aozora[place][1] for place in aozora_order),
    )
    valid, test = _jsquad(data, "valid"), _jsquad(data, "test")
    held = {
        "JSQuAD": list(dict.fromkeys(valid + test)),
        "JSQuAD test": test,
        "Kyoto articles": list(islice(article, ARTICLES)),
        "Aozora works": list(islice(work, WORKS)),
        "JSQuAD valid": valid,
        "Kyoto dev": list(islice(article, ARTICLES // 4)),
        "Aozora dev": list(islice(work, WORKS // 4)),
    }
    known = shingles(text for texts in held.values() for text in texts)
    learning: list[Source] = []
    left = budget
    pools: list[tuple[str, Iterable[str]]] = [(name, read(data)) for name, read in _MODERN.items()]
    pools += [
        ("kyoto-wiki", article),
        ("aozora", work),
    ]
    for name, documents in pools:
        source = without_shared(name, documents, known, left)
        left -= source.size
        learning.append(source)
    corpus = Corpus(learning, held)
    _add_other(corpus, "English", (text for _, text in _english(data)), other)
    _add_other(corpus, "code", _code(), other)
    _add_other(corpus, "other alphabets and data", _alphabets(data), other)
    return corpus


def shingles(texts: Iterable[str]) -> npt.NDArray[np.uint64]:
    """Return the sorted hashes of every `SHINGLE` characters in a row inside a line of `texts`."""
    found = [_hashes(line) for text in texts for line in text.split("\n") if len(line) >= SHINGLE]
    return np.unique(np.concatenate(found)) if found else np.zeros(0, dtype=np.uint64)


def without_shared(name: str, documents: Iterable[str], known: npt.NDArray[np.uint64], budget: int) -> Source:
    """Return a source without the lines that share a shingle with `known`, and without documents that pass `budget`."""
    source = Source(name, [])
    for text in documents:
        weight = len(text.encode("utf-8"))
        if weight > budget:
            continue
        lines = []
        for line in text.split("\n"):
            if len(line) >= SHINGLE and _shares(_hashes(line), known):
                source.dropped_lines += 1
                source.dropped_characters += len(line)
            else:
                lines.append(line)
        kept = "\n".join(lines)
        if kept.strip():
            source.documents.append(kept)
            budget -= len(kept.encode("utf-8"))
    return source


def _hashes(line: str) -> npt.NDArray[np.uint64]:
    """Return a 64-bit hash of every window; two of the some 10**13 pairs here meet by chance once in 10**6 runs."""
    codes = np.frombuffer(line.encode("utf-32-le"), dtype=np.uint32).astype(np.uint64) + np.uint64(1)
    count = len(codes) - SHINGLE + 1
    found = np.zeros(count, dtype=np.uint64)
    for at in range(SHINGLE):
        found = (found ^ codes[at : at + count]) * _FACTOR
        found ^= found >> np.uint64(29)
    return found


def _shares(found: npt.NDArray[np.uint64], known: npt.NDArray[np.uint64]) -> bool:
    if not len(known):
        return False
    places = np.minimum(np.searchsorted(known, found), len(known) - 1)
    return bool((known[places] == found).any())


def _add_other(corpus: Corpus, kind: str, texts: Iterable[str], size: int) -> None:
    kept: list[str] = []
    apart = 0
    for text in texts:
        if size <= 0:
            break
        if JAPANESE.has_strict(text):
            apart += 1
        elif text:
            kept.append(text)
            size -= len(text.encode("utf-8"))
    corpus.other[kind], corpus.apart[kind] = kept, apart


def _lines(path: Path) -> Iterator[str]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        yield from file


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    for line in _lines(path):
        yield json.loads(line)


def _kyoto(data: Path, language: str) -> Iterator[tuple[str, str]]:
    for row in _rows(data / "kyoto-wiki" / "docs.jsonl.gz"):
        yield str(row["id"]), "\n".join(row[language])


def _aozora(data: Path) -> Iterator[tuple[str, str]]:
    for row in _rows(data / "aozora" / "docs.jsonl.gz"):
        yield str(row["id"]), row["text"]


def _jsquad(data: Path, split: str) -> list[str]:
    content = json.loads("".join(_lines(data / "jglue" / f"jsquad_{split}-v1.3.json.gz")))
    contexts = [part["context"] for article in content["data"] for part in article["paragraphs"]]
    # "title [SEP] paragraph" is a form of JGLUE's; the paragraph is the text.
    return list(dict.fromkeys(context.partition(" [SEP] ")[2] or context for context in contexts))


def _ku_wikipedia(data: Path) -> list[str]:
    rows = _rows(data / "ja-text" / "ja_wikipedia_paragraphs.jsonl.gz")
    return [row["text"] for row in rows if row["source"] == "ku-wikipedia"]


def _questions(data: Path) -> list[str]:
    """Return the questions of NIILC (dev) and JEMHopQA (train), with the passages and facts that answer them."""
    text = "".join(_lines(data / "niilc" / "NIILC-ECQA2015_dev.xml.gz"))
    found = []
    for question in re.findall(r"<question .*?</question>", text, flags=re.DOTALL):
        parts = re.findall(r"<(?:text|answer|D\.2|E\.5)>([^<]+)<", question)
        found.append("\n".join(parts))
    for row in json.loads("".join(_lines(data / "jemhopqa" / "train_ver1.2.json.gz"))):
        facts = [f"{a}、{b}、{'、'.join(c)}" for a, b, c in row["derivations"]]
        found.append("\n".join([row["question"], *facts]))
    return found


def _commonsense(data: Path) -> list[str]:
    """Return the questions of JCommonsenseQA (train) with their choices."""
    return [
        row["question"] + "\n" + "、".join(row[f"choice{number}"] for number in range(5))
        for row in _rows(data / "jglue" / "jcommonsenseqa_train-v1.3.json.gz")
    ]


_MODERN: dict[str, Callable[[Path], list[str]]] = {
    "ku-wikipedia": _ku_wikipedia,
    "questions": _questions,
    "commonsense": _commonsense,
}


def _english(data: Path) -> Iterator[tuple[str, str]]:
    """Yield chapters of books and articles on Kyoto in turn."""
    books = _rows(data / "en-books" / "docs.jsonl.gz")
    for number, (name, text) in enumerate(_kyoto(data, "en")):
        yield name, text
        if number % 100 == 0 and (book := next(books, None)) is not None:
            yield from ((book["id"], part) for part in re.split(r"\n(?=## )", book["text"]))


def _code() -> Iterator[str]:
    """Yield Python sources of the standard library and of installed packages, in the order of their paths."""
    roots = [Path(sysconfig.get_path("stdlib")), Path(sysconfig.get_path("purelib"))]
    for pattern in ("*.py", "*/*.py", "*/*/*.py"):
        for root in roots:
            for path in sorted(root.glob(pattern)):
                if path.stat().st_size < 200_000 and (text := _utf8(path)):
                    yield text


def _alphabets(data: Path | None) -> Iterator[str]:
    """Yield translations in every language that installed packages carry, the other languages of en-ja-pairs, and data files."""
    for catalogue in sorted(Path(sys.prefix, "lib").rglob("*.mo")):
        with catalogue.open("rb") as file:
            # `_catalog` is the only place where gettext keeps a whole catalogue.
            entries = getattr(gettext.GNUTranslations(file), "_catalog", {})
        text = "\n".join(str(value) for value in entries.values())
        if not text.isascii():
            yield text[:200_000]
    if data is not None:
        for row in _rows(data / "en-ja-pairs" / "pairs-bad.jsonl.gz"):
            if row["fault"] in (
                "wrong_language",
                "mixed_language",
                "leak_ko",
                "leak_ru",
                "leak_th",
                "leak_vi",
            ):
                yield "\n".join(message["content"] for message in row["tgt"])
    for suffix in ("rst", "md", "txt", "csv", "yaml", "h", "js", "html", "json"):
        for path in sorted(Path(sysconfig.get_path("purelib")).rglob(f"*.{suffix}")):
            if 1_000 < path.stat().st_size < 500_000 and (text := _utf8(path)):
                yield text


def _utf8(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (UnicodeDecodeError, OSError):
        return ""


def demo_corpus(quick: bool) -> Corpus:
    """Return texts of the demo's little world, where there is no stored data; tiny ones if `quick`."""
    from watari.demo import documents

    train, test = (200, 20) if quick else (10_000, 500)

    def texts(language: str, count: int) -> list[str]:
        rows = documents(seed=0, count=count, language=language, level="full")
        return [row["text"] for row in rows]

    japanese = list(dict.fromkeys(texts("ja", train + test)))
    held = {"Japanese": japanese[:test]}
    corpus = Corpus([Source("demo", japanese[test:])], held)
    _add_other(corpus, "English", texts("en", test), 10**6)
    _add_other(corpus, "code", islice(_code(), 3 if quick else 100), 10**6)
    return corpus
