"""Questions of two turns: FastChat's `question.jsonl`, its file of reference answers, and the sets that come with Watari.

References belong to a set of questions. FastChat looks for them under the judge's name, so that another judge silently
has none; here a file of references is named beside the questions, whoever judges.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

from watari.artifact.hashing import hash_json
from watari.errors import UserError
from watari.evals.params import BUNDLED

CATEGORIES = ("writing", "roleplay", "reasoning", "math", "coding", "extraction", "stem", "humanities")
"""MT-Bench's, in the order of its tables."""
TURNS = 2


@dataclass(frozen=True, slots=True)
class Question:
    """One question.

    Args:
        id: As its file has it, as text.
        category: One word; `writing`, ...
        turns: What the user says.
        reference: A reference answer to each turn; empty where there is none.
    """

    id: str
    category: str
    turns: tuple[str, ...]
    reference: tuple[str, ...] = ()


@dataclass(frozen=True)
class QuestionSet:
    """Questions in the order of their file.

    Args:
        name: Where they come from, as given.
        questions: Distinct ids.
        sha256: Of the questions file's bytes, unpacked; "" where that is not one local file.
        references_sha256: Likewise, of the references.
    """

    name: str
    questions: tuple[Question, ...]
    sha256: str = ""
    references_sha256: str = ""

    @property
    def digest(self) -> str:
        """Hash of what is asked, and of the references."""
        return hash_json([[one.id, one.category, one.turns, one.reference] for one in self.questions])


def read_questions(
    location: str,
    language: str,
    *,
    references: str | None = None,
    categories: Collection[str] = (),
    limit: int | None = None,
    turns: int = TURNS,
) -> QuestionSet:
    """Return a set of questions.

    Args:
        location: `bundled`, or a file or hub id of rows {question_id, category, turns, reference?}.
        language: Of the bundled set: `ja` or `en`.
        references: A file of rows {question_id, choices: [{turns}]} as FastChat has them; they go before those that stand
            in the questions.
        categories: Only these; empty: all.
        limit: Only the first so many of each category.
        turns: How many turns a question must have at least; further ones are left out.

    Raises:
        UserError: for a row that is no question, an id that occurs twice, nothing left; names file and row.
    """
    if location == BUNDLED:
        location = str(_bundled(language))
        name = f"{BUNDLED}:mt-bench-{language}"
    else:
        name = location
    found: dict[str, Question] = {}
    for place, row in _rows(location):
        question = _question(place, row, turns)
        if question.id in found:
            raise UserError(f"{place}: question {question.id} occurs twice")
        found[question.id] = question
    questions = list(found.values())
    if categories:
        known = {one.category for one in questions}
        for category in categories:
            if category not in known:
                raise UserError(
                    f"{name}: no questions of category {category}", f"it has {', '.join(sorted(known))}"
                )
        questions = [one for one in questions if one.category in set(categories)]
    if limit is not None:
        questions = list(_first(questions, limit))
    if not questions:
        raise UserError(f"{name}: holds no questions")
    if references is not None:
        answers = read_references(references, turns)
        questions = [replace(one, reference=answers.get(one.id, one.reference)) for one in questions]
    return QuestionSet(
        name, tuple(questions), file_sha256(location), file_sha256(references) if references else ""
    )


def read_references(location: str, turns: int = TURNS) -> dict[str, tuple[str, ...]]:
    """Return reference answers by question id, from a file in the form of FastChat's answers.

    Raises:
        UserError: for a row that holds none; names file and row.
    """
    found: dict[str, tuple[str, ...]] = {}
    for place, row in _rows(location):
        choices = row.get("choices")
        first = choices[0] if isinstance(choices, list) and choices else None
        said = first.get("turns") if isinstance(first, dict) else None
        if "question_id" not in row or not isinstance(said, list):
            raise UserError(
                f"{place}: no reference answer", "rows have question_id and choices: [{turns: [text, text]}]"
            )
        # Some published files have an empty place where a category needs no reference: what is needed is checked later.
        found[_id(place, row["question_id"])] = tuple(
            one if isinstance(one, str) else "" for one in said[:turns]
        )
    if not found:
        raise UserError(f"{location}: holds no reference answers")
    return found


def check_references(questions: QuestionSet, categories: Sequence[str], turns: Sequence[int]) -> list[str]:
    """Make sure that the judge can be shown a reference answer wherever the spec wants one.

    Returns:
        Notes: references that are there and empty, as one of the published Nejumi v1 is; they are shown as they are.

    Raises:
        UserError: naming the first question without.
    """
    wanted = [one for one in questions.questions if one.category in categories]
    missing = [one for one in wanted if len(one.reference) < max(turns)]
    if missing:
        first = missing[0]
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise UserError(
            f"{questions.name}: question {first.id}{more} of {first.category} has no reference answer for the judge",
            "name the set's file of references: `references:`, or --set references=FILE",
        )
    return [
        f"question {one.id}, turn {turn}: the reference answer is empty"
        for one in wanted
        for turn in turns
        if not one.reference[turn - 1].strip()
    ]


def file_sha256(location: str) -> str:
    """Return the sha256 of a local file's bytes, unpacked where it ends in .gz; "" for anything else."""
    path = Path(location)
    if not path.is_file():
        return ""
    if path.suffix == ".gz":
        import gzip

        with gzip.open(path, "rb") as stream:
            return hashlib.sha256(stream.read()).hexdigest()
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _bundled(language: str) -> Path:
    file = Path(str(resources.files("watari.evals") / "bundled" / f"mt-bench-{language}.jsonl"))
    if not file.is_file():
        raise UserError(
            f"{language}: no bundled questions in this language",
            "ja or en; for others name a file: `questions:`, or --questions FILE",
        )
    return file


def _rows(location: str) -> Iterator[tuple[str, dict[str, Any]]]:
    from watari.artifact.reading import ReadOptions, read_records
    from watari.artifact.records import Fault

    count = 0
    for record in read_records(location, ReadOptions()):
        if isinstance(record, Fault):
            raise UserError(str(record))
        count += 1
        yield str(record.place), record.row
    if not count:
        raise UserError(f"{location}: holds no rows", "one question a line")


def _question(place: str, row: dict[str, Any], turns: int) -> Question:
    if "question_id" not in row:
        raise UserError(f"{place}: no question_id", "rows have question_id, category and turns")
    name = _id(place, row["question_id"])
    category = row.get("category")
    if not isinstance(category, str) or not category.strip():
        raise UserError(f"{place}: question {name} has no category")
    said = row.get("turns")
    if not _texts(said):
        raise UserError(f"{place}: question {name}: `turns` is no list of texts")
    assert isinstance(said, list)
    if len(said) < turns:
        raise UserError(f"{place}: question {name} has {len(said)} turn; the spec wants {turns}")
    reference = row.get("reference")
    given = tuple(reference[:turns]) if isinstance(reference, list) and _texts(reference) else ()
    return Question(name, category.strip(), tuple(said[:turns]), given)


def _id(place: str, value: Any) -> str:
    """Return a question's id as text: 81 and "81" are the same."""
    if isinstance(value, bool) or not isinstance(value, int | str) or value == "":
        raise UserError(f"{place}: question_id is {value!r:.40}", "a number or a text")
    try:
        return str(value)
    except ValueError:  # more digits than Python writes out
        raise UserError(f"{place}: question_id is a number of thousands of digits") from None


def _texts(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, str) and one for one in value)


def _first(questions: Sequence[Question], limit: int) -> Iterator[Question]:
    seen: dict[str, int] = {}
    for one in questions:
        seen[one.category] = seen.get(one.category, 0) + 1
        if seen[one.category] <= limit:
            yield one
