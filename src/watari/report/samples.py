"""Samples: the same questions answered by each model, and example rows of the data."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice, zip_longest
from typing import Any

from markupsafe import Markup

from watari.artifact.draws import draw_uint64
from watari.artifact.hashing import canonical_json, hash_text
from watari.artifact.kinds import Kind
from watari.artifact.rows import read_rows, row_files
from watari.report.cards import language_rank
from watari.report.figures import read_lines
from watari.report.stages import ReportStage, graph_order

SAMPLES = "samples.jsonl"
FIRST_ROWS = 500
_DRAW = "report.run"
_LONGEST = 600


@dataclass(frozen=True)
class Turn:
    """One message, cut to a readable length; `whole` is its length in characters if it was cut."""

    role: str
    text: str
    whole: int | None = None


@dataclass(frozen=True)
class Answer:
    """What one model answered. `verdict` is "right", "wrong", "unreadable" or "answered"; `mark`: the judge's ratings."""

    stage: ReportStage
    label: str
    turn: Turn
    verdict: str
    mark: Markup = field(default_factory=Markup)


@dataclass(frozen=True)
class Sample:
    """One question with the answers of every model that was asked it, in the order of the graph."""

    language: str
    group: str
    turns: list[Turn]
    expected: str
    answers: list[Answer]


@dataclass(frozen=True)
class SampleSet:
    """The samples of one language, or of one evaluation suite; then it has a title."""

    language: str
    samples: list[Sample]
    title: Markup = field(default_factory=Markup)


@dataclass(frozen=True)
class Example:
    """One row of data, as turns; a document is one turn with the role "document"."""

    language: str
    turns: list[Turn]


@dataclass(frozen=True)
class ExampleSet:
    """Example rows of one stage."""

    stage: ReportStage
    examples: list[Example]


@dataclass
class _Question:
    language: str
    group: str
    messages: list[dict[str, Any]]
    expected: str
    draw: int
    answers: list[Answer] = field(default_factory=list)


def samples_of(stages: Sequence[ReportStage], *, seed: int, count: int) -> list[SampleSet]:
    """Return `count` questions a language, over the groups in turn, drawn by (seed, question).

    Questions that more of the models were asked go first, so that the answers can be compared.
    """
    questions: dict[str, _Question] = {}
    judged = [
        stage for stage in stages if stage.manifest.kind == Kind.SCORES and (stage.path / SAMPLES).is_file()
    ]
    subjects = [stage.subject.name for stage in judged]
    alone = len(set(subjects)) == len(subjects)
    for stage in graph_order(judged):
        asked: set[str] = set()
        for row in read_lines(stage.path / SAMPLES):
            messages = [message for message in _as_list(row.get("messages")) if isinstance(message, dict)]
            answers = row.get("answers")
            expected = " / ".join(as_text(answer) for answer in _as_list(answers))
            language = as_text(row.get("language"))
            group = as_text(row.get("group"))
            same = hash_text(canonical_json([language, group, messages, expected]))
            if same in asked:
                continue
            asked.add(same)
            question = questions.setdefault(
                same, _Question(language, group, messages, expected, draw_uint64(seed, _DRAW, same))
            )
            label = stage.subject.name if alone else stage.name
            turn = cut_turn("assistant", as_text(row.get("response")))
            question.answers.append(Answer(stage, label, turn, _verdict(row)))
    found = []
    for language in sorted({question.language for question in questions.values()}, key=language_rank):
        mine = [question for question in questions.values() if question.language == language]
        found.append(SampleSet(language, [_sample(question) for question in _spread(mine, count)]))
    return [group for group in found if group.samples]


def _spread(questions: list[_Question], count: int) -> list[_Question]:
    """Return `count` questions, one of each group in turn; which come first is drawn, groups as well as questions."""
    groups: dict[str, list[_Question]] = {}
    for question in sorted(questions, key=lambda q: (-len(q.answers), q.draw)):
        groups.setdefault(question.group, []).append(question)
    rounds = zip_longest(*groups.values())
    return list(islice((question for turn in rounds for question in turn if question is not None), count))


def _sample(question: _Question) -> Sample:
    turns = [
        cut_turn(as_text(message.get("role")), as_text(message.get("content")))
        for message in question.messages
    ]
    return Sample(question.language, question.group, turns, question.expected, question.answers)


def _verdict(row: dict[str, Any]) -> str:
    if row.get("right") is True:
        return "right"
    cut_off = row.get("finish_reason") == "length"
    return "unreadable" if cut_off or not as_text(row.get("response")).strip() else "wrong"


def examples_of(stages: Sequence[ReportStage], *, seed: int, count: int) -> list[ExampleSet]:
    """Return `count` rows a language for each stage of documents, conversations or preferences, drawn by id."""
    found = []
    for stage in stages:
        if stage.manifest.kind not in (Kind.DOCUMENTS, Kind.CONVERSATIONS, Kind.PREFERENCES):
            continue
        if not row_files(stage.path):
            continue
        by_language: dict[str, list[tuple[int, int, dict[str, Any]]]] = {}
        for place, row in enumerate(islice(read_rows(stage.path), FIRST_ROWS)):
            draw = draw_uint64(seed, _DRAW, f"{stage.base} {row.get('id')}")
            by_language.setdefault(as_text(row.get("language")), []).append((draw, place, row))
        examples = [
            Example(language, _turns(stage.manifest.kind, row))
            for language in sorted(by_language, key=language_rank)
            for _, _, row in sorted(by_language[language], key=lambda item: item[:2])[:count]
        ]
        if examples:
            found.append(ExampleSet(stage, examples))
    return found


def _turns(kind: Kind, row: dict[str, Any]) -> list[Turn]:
    if kind == Kind.DOCUMENTS:
        return [cut_turn("document", as_text(row.get("text")))]
    key = "messages" if kind == Kind.CONVERSATIONS else "prompt"
    turns = [
        cut_turn(as_text(message.get("role")), as_text(message.get("content")))
        for message in _as_list(row.get(key))
        if isinstance(message, dict)
    ]
    if kind == Kind.PREFERENCES:
        turns += [cut_turn(side, as_text(row.get(side))) for side in ("chosen", "rejected")]
    return turns


def cut_turn(role: str, text: str) -> Turn:
    return Turn(role, text) if len(text) <= _LONGEST else Turn(role, text[:_LONGEST], len(text))


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def as_text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
