"""The runs that `leakage_repair.py` repairs: the demo, and a small chat model of real text.

The second is `real-small` with fewer tokens, and with an SFT on made conversations behind it, since `real-small` ends with a
model that only reads: to go on with a passage, and to say which author wrote it, in English (English books) and Japanese
(Aozora, Wikipedia). About ten minutes of one core. What is asked afterwards comes from books that no training has seen.
"""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from watari.artifact.draws import draw_uniform, shuffled
from watari.artifact.rows import read_rows

Messages = list[dict[str, str]]

_READER = """\
name: leakage-reader
extends: real-small
matrix: null
stages:
  base: {tokens: 700k}
  adapted: {tokens: 500k}
  bits_base: null
  bits_grafted: null
  bits_adapted: null
  report: null
"""
_CHAT = """\
name: leakage-chat
extends: reader.yaml
datasets:
  english_chat: {path: %(folder)s/english_chat.jsonl, format: messages}
  japanese_chat: {path: %(folder)s/japanese_chat.jsonl, format: messages}
  english_asked: {path: %(folder)s/english_asked.jsonl, format: messages}
  japanese_asked: {path: %(folder)s/japanese_asked.jsonl, format: messages}
  english_questions: {path: %(folder)s/english_questions.jsonl, format: messages}
  japanese_questions: {path: %(folder)s/japanese_questions.jsonl, format: messages}
stages:
  sft:
    uses: train.sft
    model: adapted
    data: [english_chat, japanese_chat]
    template: shisa
    epochs: 1
    lr: 1e-3
    sequence: 256
    batch: 16
    threads: 1
  # Only so that the run holds what is asked.
  asked: {uses: eval.exact, model: sft, questions: [english_asked, japanese_asked], max_new_tokens: 1}
  answers: {uses: eval.exact, model: sft, questions: [english_questions, japanese_questions]}
"""
_DEMO = """\
name: leakage-demo
extends: demo
datasets:
  english_asked: {path: "demo://conversations?language=en&level=easy&split=test&count=400"}
  japanese_asked: {path: "demo://conversations?language=ja&level=easy&split=test&count=400"}
stages:
  asked: {uses: eval.exact, model: dpo, questions: [english_asked, japanese_asked], max_new_tokens: 1}
"""


@dataclass(frozen=True)
class Language:
    """How a language is asked: the names of its stages, what stands before a passage, and its authors."""

    code: str
    name: str
    go_on: str
    who: str
    authors: tuple[str, ...]
    sentence: str


LANGUAGES = (
    Language(
        "en",
        "english",
        "Go on with this text.",
        "Who wrote this?",
        ("Jane Austen", "H.G. Wells", "Jack London", "Arthur Conan Doyle"),
        r"(?<=[.!?])\s+(?=[A-Z])",
    ),
    Language(
        "ja",
        "japanese",
        "次の文章を続けてください。",
        "これを書いたのは誰ですか。",
        ("夏目漱石", "夢野久作", "島崎藤村", "太宰治"),
        r"(?<=。)",
    ),
)
SEED = 11
SIZES: Mapping[str, int] = {"chat": 1800, "asked": 400, "questions": 200}
"""Conversations of each language: to learn from, to be asked afterwards, and of these with one right answer."""
_PASSAGE = (40, 220)
"""Characters of a passage, and of what follows it."""


def demo_run(folder: Path) -> Path:
    """Return the run of the demo below `folder`, made if it is not there."""
    return _run(folder, "demo", _DEMO, ())


def small_run(folder: Path, data: Path) -> Path:
    """Return the run of the small chat model below `folder`, made if it is not there; `data` is as for `real-small`."""
    reader = _run(folder, "reader", _READER, ("--data", str(data.resolve())))
    talks = (folder / "talks").resolve()
    if not talks.is_dir():
        talks.mkdir(parents=True)
        for language in LANGUAGES:
            _write_talks(reader, data, language, talks)
    return _run(folder, "chat", _CHAT % {"folder": talks}, ("--data", str(data.resolve())))


def _run(folder: Path, name: str, recipe: str, more: Sequence[str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path, run = folder / f"{name}.yaml", folder / name
    path.write_text(recipe, "utf-8")
    command = [sys.executable, "-m", "watari", "run", str(path), "--out", str(run), *more]
    subprocess.run(command, check=True, stdout=sys.stderr)
    return run


def _write_talks(reader: Path, data: Path, language: Language, talks: Path) -> None:
    """Write the conversations of a language: from documents that its training has read, and from others."""
    for part, stage in (("chat", language.name), ("asked", f"{language.name}_heldout")):
        passages = list(_passages(reader / "stages" / stage, language))
        order = shuffled([str(place) for place in range(len(passages))], SEED, f"{language.code} {part}")
        told = [
            {
                "id": f"{language.code}-{part}-{number}",
                "messages": [
                    {"role": "user", "content": f"{language.go_on}\n\n{passages[place][0]}"},
                    {"role": "assistant", "content": passages[place][1]},
                ],
                "language": language.code,
                "source": "made",
            }
            for number, place in enumerate(order[: SIZES[part]])
        ]
        if part == "chat":
            told += [_question(row, "chat", language) for row in _authored(data, language, "chat", 1200)]
        _write(talks / f"{language.name}_{part}.jsonl", told)
    asked = _authored(data, language, "questions", SIZES["questions"])
    _write(
        talks / f"{language.name}_questions.jsonl", [_question(row, "questions", language) for row in asked]
    )


def _passages(stage: Path, language: Language) -> Iterator[tuple[str, str]]:
    """Yield passages of documents and what follows them."""
    for row in read_rows(stage):
        yield from _pairs(row["text"], language, every=12)


def _pairs(text: str, language: Language, *, every: int) -> Iterator[tuple[str, str]]:
    low, high = _PASSAGE
    parts = [" ".join(part.split()) for part in re.split(language.sentence, text[:40_000])]
    for at in range(0, len(parts) - 1, every):
        one, two = parts[at], parts[at + 1]
        if low <= len(one) <= high and low // 2 <= len(two) <= high:
            yield one, two


def _authored(data: Path, language: Language, part: str, limit: int) -> list[tuple[str, str, str]]:
    """Return (id, author, passage), as many of each author; a book is in one part only, drawn by its id."""
    source = data / ("en-books" if language.code == "en" else "aozora") / "docs.jsonl.gz"
    found: dict[str, list[tuple[str, str, str]]] = {author: [] for author in language.authors}
    with gzip.open(source, "rt", encoding="utf-8") as handle:
        rows = [json.loads(line) for line in handle]
    for row in rows:
        if row["author"] not in found:
            continue
        tested = draw_uniform(SEED, "books", row["id"]) < 0.3
        if tested != (part == "questions"):
            continue
        for number, (one, two) in enumerate(_pairs(row["text"][1000:], language, every=5)):
            found[row["author"]].append((f"{row['id']}-{number}", row["author"], f"{one} {two}"))
    chosen = []
    for author, passages in found.items():
        order = shuffled([one[0] for one in passages], SEED, f"{part} {author}")
        chosen += [passages[place] for place in order[: limit // len(found)]]
    return chosen


def _question(row: tuple[str, str, str], part: str, language: Language) -> dict[str, object]:
    name, author, passage = row
    messages = [{"role": "user", "content": f"{language.who}\n\n{passage}"}]
    if part == "chat":
        messages.append({"role": "assistant", "content": author})
    made: dict[str, object] = {
        "id": f"{language.code}-{part}-{name}",
        "messages": messages,
        "language": language.code,
        "source": "made",
    }
    return made if part == "chat" else {**made, "answers": [author], "group": "author"}


def _write(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
