"""Sheets of ratings: what one judge made of one model's answers to one benchmark, wherever it was read from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from watari.evals.shaberi.spec import Benchmark

UNREADABLE = "unreadable"
RAW = "a raw record instead of a number"
MINUS_ONE = "-1"


@dataclass(frozen=True, slots=True)
class Sheet:
    """The ratings of one model by one judge on one benchmark, in the order of their file.

    Args:
        judge: Who rated.
        dataset: The benchmark.
        model: Who answered.
        items: The question of each rating: its number in the benchmark, or a name where it is not among them.
        ratings: On the judge's own scale; None if there is none.
        reasons: Why there is none, by place.
        runs: The run of each; () where there is one.
        source: The file and row, for people.
    """

    judge: str
    dataset: Benchmark
    model: str
    items: tuple[str, ...]
    ratings: tuple[float | None, ...]
    reasons: Mapping[int, str]
    runs: tuple[int, ...] = ()
    source: str = ""


@dataclass(slots=True)
class Answers:
    """One model's answers to one benchmark.

    Args:
        judge: Whose file they stand in; "" for a file of answers.
        texts: In the order of the file.
    """

    judge: str = ""
    texts: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Read:
    """Everything that some files hold.

    Args:
        sheets: In the order in which they were found.
        answers: By model and benchmark (short name).
        categories: By benchmark (short name): item to category.
        notes: What a reader must be told, by model; "" for all.
        labels: By judge and model: what its scores are marked with, where that is not the spec's own label.
        files: What was read.
    """

    sheets: list[Sheet] = field(default_factory=list)
    answers: dict[tuple[str, str], Answers] = field(default_factory=dict)
    categories: dict[str, dict[str, str]] = field(default_factory=dict)
    notes: dict[str, list[str]] = field(default_factory=dict)
    labels: dict[tuple[str, str], str] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)

    def note(self, model: str, text: str) -> None:
        """Keep a note, once."""
        notes = self.notes.setdefault(model, [])
        if text not in notes:
            notes.append(text)


def japanese_share(texts: Iterable[str]) -> float | None:
    """Return upstream's `% JA`: the mean over answers of the share of kana, kanji (U+4E00-9FFF), ASCII punctuation and
    digits among the characters that are not blank; an answer without any counts 0. None without answers.

    It is a share, 0 to 1. Letters of program code and Japanese punctuation count as not Japanese: 。 is missing from its
    ranges, so a perfect answer has about 0.9.
    """
    shares = [_share(text) for text in texts]
    return sum(shares) / len(shares) if shares else None


_PUNCTUATION = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")


def _share(text: str) -> float:
    counts: dict[str, int] = {}
    for character in text:
        counts[character] = counts.get(character, 0) + 1
    said = sum(count for character, count in counts.items() if not character.isspace())
    if not said:
        return 0.0
    return sum(count for character, count in counts.items() if _counts(character)) / said


def _counts(character: str) -> bool:
    return (
        "\u3040" <= character <= "\u30ff"
        or "\u4e00" <= character <= "\u9fff"
        or character in _PUNCTUATION
        or (character.isdigit() and not character.isspace())
    )
