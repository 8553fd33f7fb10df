"""Evaluation sets as texts: every text of every item that a corpus must not hold, whatever the file's form.

Read are rows (jsonl, JSON arrays, parquet, csv, tsv), SQuAD's nested JSON (JSQuAD), llm-jp-eval's
`{"samples": [{input, output}]}`, MT-Bench's questions (`turns`) and the rows {task, id, text} of `watari eval texts`, which
name their sets themselves; each also packed (.gz, .zst).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, suppress
from pathlib import PurePosixPath
from typing import Any, Literal, NamedTuple

from watari.artifact.files import DAMAGED, RowFile, dataset_location, open_unpacked, row_files_of
from watari.artifact.reading import ReadOptions, read_records
from watari.artifact.records import Fault, first_line
from watari.artifact.separated import is_separated, separated_rows
from watari.errors import UserError

Split = Literal["train", "test"]
"""`train`: meant to be trained on, so its texts are told of apart; `test`: anything else (test, dev, valid)."""


class EvaluationText(NamedTuple):
    """One text of one item.

    Args:
        task: Name of the set, as the report shows it.
        item: Id of the item within its task; several texts may belong to one item.
        text: What a corpus is searched for.
        split: Whether the item is from a train split.
    """

    task: str
    item: str
    text: str
    split: Split = "test"


_TRAIN = re.compile(r"(?<![a-z])train(?:ing)?(?![a-z])")
_GENERAL = {
    "question",
    "questions",
    "data",
    "dataset",
    "items",
    "test",
    "train",
    "dev",
    "valid",
    "validation",
}
_IDS = (
    "id",
    "qid",
    "q_id",
    "question_id",
    "pair_id",
    "pair_ID",
    "sentence_pair_id",
    "item_id",
    "key",
    "i",
    "idx",
)
_NEVER = re.compile(
    r"^(?:.*_)?(?:ids?|qid|guid|uuid|hash|index|idx|url|uri|link|license|licence|image|audio|split|labels?|semtag)"
    r"(?:_.*)?$|^(?:task|dataset|date|version|language|lang|metrics|heuristics|tags?|scores?)$",
    re.IGNORECASE,
)
"""Fields that name or describe an item and are no text of it."""
_IF_LONG = re.compile(
    r"^(?:answers?|golds?|targets?|choices?\d*|options?\d*|outputs?|derivations?|completion|source|category|subject"
    r"|title|type|class|level|author|model|key|path|file|number)$|^(?:choice|option)_",
    re.IGNORECASE,
)
_OWN_FORM = {"task", "id", "text"}
"""Fields of a row of `watari eval texts`."""
LONG = 40
"""Characters. A shorter answer, choice or title (a name, a number) stands in many texts and tells nothing of its item."""


def read(
    location: str, *, task: str | None = None, split: Split | None = None, fields: Sequence[str] | None = None
) -> Iterator[EvaluationText]:
    """Yield the texts of the evaluation sets at a location, files in the order of their names.

    Args:
        location: A file, folder or glob, or a URL (`hf://datasets/…`).
        task: What to call the set; default: by each file's name (`jsquad_valid-v1.3.json.gz` → `jsquad_valid-v1.3`;
            a name as general as `question.jsonl` gets its folder's before it).
        split: Of the items; default: `train` where the file's name (or the row's `split` field) says so.
        fields: The fields to take, at any depth; default: every text but ids, labels, URLs and other descriptions; of
            answers, choices and titles those of at least 40 characters.

    Raises:
        UserError: if a file cannot be read, a row is broken, or a chosen field is in no row of a file.
    """
    location = dataset_location(location)
    for found in _files(location):
        name = task or task_name(found.path)
        part: Split = split or ("train" if _TRAIN.search(name.lower().replace("_", "-")) else "test")
        count = 0
        for text in _texts(found, name, part, split, fields, named=task is None):
            count += 1
            yield text
        if not count:
            wanted = f"no field {' or '.join(fields)}" if fields else "no text"
            raise UserError(
                f"{found.path}: {wanted} in this evaluation set", "check the file, or choose fields"
            )


def task_name(path: str) -> str:
    """Return what a set is called by its file's name."""
    pure = PurePosixPath(path.replace("\\", "/"))
    stem = re.sub(r"\.(?:jsonl|ndjson|json|parquet|txt|tsv|csv)?(?:\.gz|\.zst)?$", "", pure.name)
    general = re.split(r"[_\-.]", stem.lower())[0] in _GENERAL
    return f"{pure.parent.name}/{stem}" if general and pure.parent.name else stem


def _files(location: str) -> list[RowFile]:
    return row_files_of(location, "txt" if is_separated(location) else "auto")


def _texts(
    found: RowFile,
    task: str,
    part: Split,
    given: Split | None,
    fields: Sequence[str] | None,
    *,
    named: bool,
) -> Iterator[EvaluationText]:
    for number, (name, row, row_split) in enumerate(_rows(found, part), 1):
        own = row.get("split")
        if given is None and isinstance(own, str):
            row_split = "train" if _TRAIN.search(own.lower()) else "test"
        item = name or _item_id(row) or str(number)
        own_task = row["task"] if named and set(row) == _OWN_FORM and isinstance(row["task"], str) else task
        for text in dict.fromkeys(_strings(row, fields)):
            yield EvaluationText(own_task or task, item, text, row_split)


def _rows(found: RowFile, split: Split) -> Iterator[tuple[str, dict[str, Any], Split]]:
    """Yield (item id or "", fields, split) of each item of a file."""
    if is_separated(found.path):
        yield from (("", record.row, split) for record in separated_rows(found))
        return
    document = _json_object(found) if found.format == "json" else None
    if document is None:
        options = ReadOptions(format=found.format, unit="line" if found.format == "txt" else "document")
        for record in read_records(found.path, options):
            if isinstance(record, Fault):
                raise UserError(str(record), "mend the file: an item that is not read is not looked for")
            yield "", record.row, split
    elif isinstance(document.get("data"), list):
        yield from ((name, row, split) for name, row in _squad(document["data"]))
    elif isinstance(document.get("samples"), list):
        for key, part in (("samples", split), ("few_shots", "train")):
            for number, row in enumerate(_objects(document.get(key)), 1):
                yield (f"{key} {number}", row, "train" if part == "train" else split)
    else:
        for key, value in document.items():
            rows = _objects(value)
            yield from ((f"{key} {number}", row, split) for number, row in enumerate(rows, 1))
            if isinstance(value, str):
                yield key, {"text": value}, split


def _objects(value: Any) -> list[dict[str, Any]]:
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def _json_object(found: RowFile) -> dict[str, Any] | None:
    """Return the object that a .json file is; None if it is an array or one object a line."""
    try:
        with closing(open_unpacked(found)) as stream:
            data = stream.read()
    except DAMAGED as error:
        raise UserError(f"{found.path}: damaged file: {first_line(error)}") from None
    value = None
    with suppress(ValueError, RecursionError):
        value = json.loads(data.decode("utf-8-sig"))
    if not isinstance(value, dict):
        return None
    nested = any(isinstance(item, dict | list) for item in value.values())
    return value if nested and not any(name in value for name in ("turns", *_IDS)) else None


def _squad(articles: list[Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for place, article in enumerate(_objects(articles), 1):
        if not isinstance(article.get("paragraphs"), list):
            yield _item_id(article) or f"data {place}", article
            continue
        title = article.get("title") or f"article {place}"
        for number, paragraph in enumerate(_objects(article["paragraphs"])):
            yield f"{title} p{number}", {"context": paragraph.get("context")}
            for index, question in enumerate(_objects(paragraph.get("qas"))):
                name = _item_id(question) or f"{title} p{number} q{index}"
                # Its answers stand in the context.
                yield name, {"question": question.get("question")}


def _item_id(row: dict[str, Any]) -> str:
    for name in _IDS:
        if isinstance(value := row.get(name), str | int) and not isinstance(value, bool) and value != "":
            return f"{row['dataset']} {value}" if isinstance(row.get("dataset"), str) else str(value)
    return ""


def _strings(value: Any, fields: Sequence[str] | None, least: int = 0) -> Iterator[str]:
    if isinstance(value, str):
        if fields is None and len(value.strip()) > least and not value.startswith(("http://", "https://")):
            yield value
    elif isinstance(value, dict):
        for name, inner in value.items():
            if fields is not None:
                yield from _all_strings(inner) if name in fields else _strings(inner, fields)
            elif not _NEVER.match(str(name)):
                yield from _strings(inner, None, LONG - 1 if _IF_LONG.match(str(name)) else least)
    elif isinstance(value, Iterable):
        for inner in value:
            yield from _strings(inner, fields, least)


def _all_strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list | tuple):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _all_strings(inner)


def read_all(sets: Iterable[str], *, tasks: dict[str, str] | None = None) -> Iterator[EvaluationText]:
    """Yield the texts of several locations, and of those that `tasks` names ({task: location})."""
    for location in sets:
        yield from read(location)
    for task, location in (tasks or {}).items():
        yield from read(location, task=task)
