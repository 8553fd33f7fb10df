"""Files of judgments as one list of ratings: FastChat's judgment files, wide tables, evaluation folders, several runs.

Several files of the same model and judge are runs: a file goes into the first run that it does not overlap with, so that
a file a run, a file a turn, and a file a run and turn all come out right.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from watari.artifact.files import RowFile, row_files_of
from watari.artifact.reading import ReadOptions, read_file
from watari.artifact.records import Fault
from watari.errors import UserError
from watari.evals.mtbench.fields import question_of
from watari.evals.mtbench.rows import Pair, Rating, is_pair, pair_of, ratings_of
from watari.evals.mtbench.spec import MTBenchSpec

UNKNOWN_JUDGE = "unknown"
_NAMED = ("_single", "_pair")
_SUFFIXES = (".jsonl", ".ndjson", ".json", ".parquet", ".arrow", ".feather")
_PACKED = (".gz", ".zst")


@dataclass(frozen=True)
class Source:
    """What one file or folder holds.

    Args:
        name: As the user named it.
        label: What its figures are marked with: the spec, or our own where an evaluation used our own prompts.
        ratings, pairs: In the order of its rows; their `run` counts within this source.
        questions: Category of each question, where the source says it (an evaluation folder does).
    """

    name: str
    label: str
    ratings: tuple[Rating, ...] = ()
    pairs: tuple[Pair, ...] = ()
    questions: Mapping[str, str] = field(default_factory=dict)

    @property
    def judges(self) -> list[str]:
        """Who rated in it, in the order of the first rows."""
        return list(dict.fromkeys([*(one.judge for one in self.ratings), *(one.judge for one in self.pairs)]))


def read_sources(spec: MTBenchSpec, paths: Sequence[Path]) -> list[Source]:
    """Return what each path holds: files in one of the forms of `rows`, folders of them, or evaluation folders.

    Raises:
        UserError: for a path given twice, one that holds nothing, a row that cannot be read, an evaluation under another
            spec; or ratings and pairs together.
    """
    from watari.evals.folder import is_evaluation

    if not paths:
        raise UserError("no files of judgments", "name at least one")
    seen: set[Path] = set()
    found: list[Source] = []
    for path in paths:
        if path.resolve() in seen:
            raise UserError(f"{path}: given twice", "a run counts once")
        seen.add(path.resolve())
        found += [_evaluation(spec, path)] if is_evaluation(path) else _files(spec, path)
    if any(one.pairs for one in found) and any(one.ratings for one in found):
        pairs, ratings = (next(one.name for one in found if part(one)) for part in (_pairs, _ratings))
        raise UserError(f"{pairs} holds pairs, {ratings} ratings", "score them one after the other")
    return found


def with_runs(sources: Iterable[Source]) -> list[tuple[Source, Rating]]:
    """Return every rating with its source, with runs counted through over all sources of a model and judge."""
    taken: dict[tuple[str, str, str], set[tuple[str, int, int]]] = {}
    found: list[tuple[Source, Rating]] = []
    for source in sources:
        groups: dict[tuple[str, str, str], set[tuple[str, int, int]]] = {}
        for one in source.ratings:
            groups.setdefault((source.label, one.judge, one.model), set()).add(
                (one.question, one.turn, one.run)
            )
        offsets: dict[tuple[str, str, str], int] = {}
        for group, keys in groups.items():
            before = taken.setdefault(group, set())
            offset = 0
            while any((question, turn, run + offset) in before for question, turn, run in keys):
                offset += 1
            offsets[group] = offset
            before |= {(question, turn, run + offset) for question, turn, run in keys}
        for one in source.ratings:
            offset = offsets[source.label, one.judge, one.model]
            found.append((source, replace(one, run=one.run + offset) if offset else one))
    return found


def read_questions(path: Path) -> dict[str, str]:
    """Return the category of each question of a question file in FastChat's form, in its order.

    Raises:
        UserError: naming the row without an id or a category, or with an id that stands there already.
    """
    found: dict[str, str] = {}
    for row, place in _rows(path):
        question = question_of(row, place)
        category = row.get("category")
        if not isinstance(category, str) or not category.strip():
            raise UserError(f"{place}: category: a text is wanted", "each question names its category")
        if question in found:
            raise UserError(f"{place}: question {question} stands there already", "ids are unique")
        found[question] = category.strip()
    if not found:
        raise UserError(f"{path}: no questions in it")
    return found


def judge_of_file(name: str) -> str:
    """Return the judge that a file's name says, as FastChat names them (`gpt-4_single.jsonl`); "" if it says none."""
    stem = Path(name).name
    for suffix in (*_PACKED, *_SUFFIXES):
        stem = stem.removesuffix(suffix)
    for ending in _NAMED:
        head, found, _ = stem.rpartition(ending)
        if found:
            return head
    return ""


def judgment_files(path: Path) -> list[RowFile]:
    """Return the files of a path; a file whose name does not say its format is taken for JSON lines.

    Raises:
        UserError: if there are none.
    """
    if not path.exists():
        raise UserError(f"{path}: no such file")
    plain = path.name.lower()
    for packed in _PACKED:
        plain = plain.removesuffix(packed)
    try:
        return row_files_of(str(path), "auto" if path.is_dir() or plain.endswith(_SUFFIXES) else "jsonl")
    except UserError as error:
        if error.mend is None or "file format" not in error.mend:
            raise
        raise UserError(  # a recipe could say the format
            error.message, f"name the files of judgments themselves: {', '.join(_SUFFIXES)}, also packed"
        ) from None


def rows_of(found: RowFile) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield (row, place) of a file.

    Raises:
        UserError: naming the place that cannot be read.
    """
    for record in read_file(found, ReadOptions()):
        if isinstance(record, Fault):
            raise UserError(str(record), "mend the row, or take it out")
        yield record.row, str(record.place)


def _rows(path: Path) -> Iterator[tuple[dict[str, Any], str]]:
    for found in judgment_files(path):
        yield from rows_of(found)


def _files(spec: MTBenchSpec, path: Path) -> list[Source]:
    sources = []
    for file in judgment_files(path):
        named = judge_of_file(file.path)
        ratings: list[Rating] = []
        pairs: list[Pair] = []
        for row, place in rows_of(file):
            if is_pair(row):
                one = pair_of(row, place)
                pairs.append(one if one.judge else replace(one, judge=named or UNKNOWN_JUDGE))
            else:
                ratings += (
                    one if one.judge else replace(one, judge=named or UNKNOWN_JUDGE)
                    for one in ratings_of(row, place)
                )
            if pairs and ratings:
                raise UserError(f"{place}: pairs and ratings in one file", "score them one after the other")
        if not pairs and not ratings:
            raise UserError(f"{file.path}: no judgments in it", "each line is one judgment")
        sources.append(Source(file.path, spec.label, tuple(ratings), tuple(pairs)))
    return sources


def _evaluation(spec: MTBenchSpec, folder: Path) -> Source:
    from watari.evals.folder import read_evaluation

    evaluation = read_evaluation(folder)
    about = evaluation.about
    if about.spec != spec.name:
        raise UserError(
            f"{folder}: an evaluation under {about.spec}: its answers and ratings are not {spec.name}'s",
            f"score it as {about.spec}",
        )
    # A judge that was asked again is counted once, by its last word.
    superseded = {parent for one in evaluation.judgments for parent in one.parents}
    ratings = tuple(
        Rating(
            question=one.question_id,
            model=one.model,
            judge=one.judge,
            turn=one.turn,
            run=one.run,
            score=one.rating,
            stored=True,
            text=one.text,
            prompt=one.prompt_name,
            category=one.category,
            problem=one.problem,
            place=f"{folder}: judgment {one.id}",
            id=one.id,
        )
        for one in evaluation.judgments
        if one.id not in superseded
    )
    if not ratings:
        raise UserError(f"{folder}: no judgments in it", "run the evaluation with a judge")
    return Source(str(folder), about.label, ratings, (), {item.id: item.group for item in evaluation.items})


def _pairs(source: Source) -> tuple[Pair, ...]:
    return source.pairs


def _ratings(source: Source) -> tuple[Rating, ...]:
    return source.ratings
