"""Questions of one turn: the benchmarks in their published form, files of one's own, or Watari's bundled ones.

A row says its question as `question`, `Question`, `input` (ELYZA-tasks-100), `text` (Rakuda), or the first of `turns`
(FastChat); a reference answer as `reference`, `output` or `Answer`; criteria for the judge as `criteria`, `eval_aspect` or
`Criteria`. Which benchmark it belongs to: its `dataset`, the hub id, or the file's name; else what the stage's `dataset`
says, else it is a question of one's own, rated from 1 to 10.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from watari.artifact.hashing import hash_json
from watari.artifact.hub import hub_place
from watari.artifact.hub_files import hub_copy, hub_files
from watari.artifact.outside import dataset_location, is_url, local_files
from watari.errors import UserError
from watari.evals.params import BUNDLED
from watari.evals.shaberi.spec import Benchmark, ShaberiSpec

if TYPE_CHECKING:
    from watari.artifact.records import Record

OWN = "own"
_QUESTION = ("question", "Question", "input", "text", "prompt")
_REFERENCE = ("reference", "output", "Answer")
_CRITERIA = ("criteria", "eval_aspect", "Criteria")
_CATEGORY = ("category", "Category")
_NUMBER = ("n", "question_id", "id")


@dataclass(frozen=True, slots=True)
class Question:
    """One question.

    Args:
        id: Unique in the set: `Rakuda/3`.
        dataset: Its benchmark.
        category: "" where there is none.
        text: What the user says.
        reference, criteria: For the judge; "" where there are none.
    """

    id: str
    dataset: Benchmark
    category: str
    text: str
    reference: str = ""
    criteria: str = ""


@dataclass(frozen=True)
class QuestionSet:
    """Questions, benchmark by benchmark, in the order of the files.

    Args:
        name: Where they come from, as given.
        questions: Distinct ids.
    """

    name: str
    questions: tuple[Question, ...]

    @property
    def digest(self) -> str:
        """Hash of what is asked, and of what the judge sees beside."""
        return hash_json(
            [[one.id, one.dataset.id, one.text, one.reference, one.criteria] for one in self.questions]
        )


def own_benchmark(name: str, items: int) -> Benchmark:
    """Return what stands for questions that belong to no benchmark of the spec."""
    return Benchmark(id=name, short=name, items=max(items, 1), scale=(1, 10))


def read_questions(
    spec: ShaberiSpec, location: str | None, *, dataset: str | None = None, limit: int | None = None
) -> QuestionSet:
    """Return a set of questions.

    Args:
        spec: Its benchmarks; what they exclude is not asked.
        location: A file, a folder of files, a hub id; None: the bundled ones, the first turns of Watari's own
            Japanese questions in the manner of MT-Bench.
        dataset: Which benchmark rows belong to that do not say it themselves.
        limit: Only the first so many of each benchmark.

    Raises:
        UserError: for a row without a question, two questions with one number, nothing left; names file and row.
    """
    rows = list(_bundled() if location is None else _rows(spec, location, dataset))
    name = f"{BUNDLED}:mt-bench-ja, first turns" if location is None else location
    found: dict[str, Question] = {}
    numbers: dict[str, int] = {}
    sizes: dict[str, int] = {}
    for label, _, _ in rows:
        sizes[label] = sizes.get(label, 0) + 1
    for label, row, place in rows:
        benchmark = spec.dataset(label) or own_benchmark(label, sizes[label])
        position = numbers[label] = numbers.get(label, 0) + 1
        question = _question(row, benchmark, position, place)
        if _excluded(benchmark, row, position):
            continue
        if question.id in found:
            raise UserError(f"{place}: {question.id} occurs twice")
        found[question.id] = question
    questions = _first(found.values(), limit)
    if not questions:
        raise UserError(f"{name}: holds no questions", "rows with a `question` are wanted")
    return QuestionSet(name, tuple(questions))


def _first(questions: Iterable[Question], limit: int | None) -> list[Question]:
    groups: dict[str, list[Question]] = {}
    for one in questions:
        groups.setdefault(one.dataset.short, []).append(one)
    return [one for group in groups.values() for one in group[:limit]]


def _question(row: Mapping[str, Any], benchmark: Benchmark, position: int, place: str) -> Question:
    text = _said(row, _QUESTION)
    if not text and isinstance(turns := row.get("turns"), list) and turns and isinstance(turns[0], str):
        text = turns[0]
    if not text.strip():
        raise UserError(f"{place}: no question in it", f"one of {', '.join(_QUESTION)} or turns is wanted")
    return Question(
        f"{benchmark.short}/{_number(row, benchmark, position)}",
        benchmark,
        _said(row, _CATEGORY),
        text,
        _said(row, _REFERENCE),
        _said(row, _CRITERIA),
    )


def _number(row: Mapping[str, Any], benchmark: Benchmark, position: int) -> str:
    """Return what a question is called within its benchmark: by the spec's benchmarks its place, as ratings have it."""
    if benchmark.short != benchmark.id and not isinstance(row.get("n"), int):
        return str(position)
    return next(
        (str(row[name]) for name in _NUMBER if isinstance(row.get(name), int | str) and str(row[name])),
        str(position),
    )


def _excluded(benchmark: Benchmark, row: Mapping[str, Any], position: int) -> bool:
    number = row.get("n")
    return (number if isinstance(number, int) else position) in benchmark.excluded


def _said(row: Mapping[str, Any], names: Sequence[str]) -> str:
    for name in names:
        value = row.get(name)
        if isinstance(value, list):  # FastChat's references: one a turn
            value = value[0] if value else None
        if isinstance(value, str) and value.strip():
            return value
    return ""


def _bundled() -> Iterable[tuple[str, Mapping[str, Any], str]]:
    from watari.evals.mtbench.questions import read_questions as read_turns

    for one in read_turns(BUNDLED, "ja").questions:
        row = {
            "id": one.id,
            "category": one.category,
            "turns": list(one.turns),
            "reference": list(one.reference),
        }
        yield OWN, row, one.id


def _rows(
    spec: ShaberiSpec, location: str, dataset: str | None
) -> Iterable[tuple[str, Mapping[str, Any], str]]:
    """Yield (name of the benchmark, row, place)."""
    location = dataset_location(location)
    repository = hub_place(location)
    whole = _object_of_lists(location)
    if whole is not None:
        for name, rows in whole.items():
            known = spec.dataset(name)
            for at, row in enumerate(rows, 1):
                if not isinstance(row, dict):
                    raise UserError(f"{location}: {name}, item {at}: not an object: {row!r:.60}")
                if any(field in row for field in (*_QUESTION, "turns")):
                    yield (known.short if known else name), row, f"{location}: {name}, item {at}"
        return
    named = spec.dataset(repository.name) if repository is not None else None
    for record in _records(location):
        stated = record.row.get("dataset")
        stem = Path(record.place.file).name.split(".")[0]
        found = spec.dataset(stated) if isinstance(stated, str) else named or spec.dataset(stem)
        if found is not None:
            label = found.short
        else:
            label = stated if isinstance(stated, str) and stated else dataset or OWN
        yield label, record.row, str(record.place)


def _records(location: str) -> Iterator[Record]:
    """Yield the rows of a location; ELYZA-tasks-100 is a .csv file."""
    from watari.artifact.files import row_files_of
    from watari.artifact.reading import ReadOptions, read_records
    from watari.artifact.records import Fault
    from watari.artifact.separated import is_separated, separated_rows

    if hub_place(location) is not None:
        files = hub_files(location)
    else:
        files = [location] if is_url(location) else local_files(location)
    tables = [file for file in files if is_separated(file)]
    if tables:
        others = [file for file in files if file.endswith((".jsonl", ".parquet"))]
        if others:
            raise UserError(f"{location}: holds {tables[0]} and {others[0]}", "name the file that is meant")
        for found in (found for table in tables for found in row_files_of(table, "txt")):
            yield from separated_rows(found)
        return
    for record in read_records(location, ReadOptions()):
        if isinstance(record, Fault):
            raise UserError(str(record))
        yield record


def _object_of_lists(location: str) -> dict[str, list[Any]] | None:
    """Return the content of a JSON file {benchmark: [items]}; None if it is none."""
    if Path(location).suffix != ".json":
        return None
    path = hub_copy(location) if hub_place(location) is not None else Path(location)
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text("utf-8-sig"))
    except (ValueError, OSError, RecursionError):
        return None
    if isinstance(content, dict) and content and all(isinstance(value, list) for value in content.values()):
        return content
    return None
