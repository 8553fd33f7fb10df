"""Reads files, evaluation folders and artifacts into rows to scan."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from watari.artifact.files import row_files_of
from watari.artifact.outside import dataset_location, is_url
from watari.artifact.reading import ReadOptions, read_records
from watari.artifact.records import Fault, Record
from watari.artifact.rows import row_files
from watari.errors import UserError
from watari.leakage.rows import PROMPT_TEXTS, Row, holds_prompt, rows_of

BESIDE = "prompts.jsonl"
GENERATIONS, ITEMS, ABOUT = "generations.parquet", "items.jsonl", "evaluation.json"
_AGREE = 2
_OPTIONS = ReadOptions()


@dataclass(frozen=True)
class Prompts:
    """Prompts in a file of their own.

    Args:
        path: The file.
        columns: Its columns that may name a prompt: in every row, one short value.
        rows: Its rows.
    """

    path: str
    columns: tuple[str, ...]
    rows: tuple[Mapping[str, Any], ...]

    def shared(self, row: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the columns that a row of responses has as well."""
        return tuple(name for name in self.columns if row.get(name) is not None)


Keep = Callable[[Mapping[str, Any]], bool]


def read(
    locations: Sequence[str], *, prompts: str | None = None, keep: Keep | None = None
) -> Iterator[Row | Fault]:
    """Yield the responses of some locations, in order; what cannot be read comes as a fault.

    Args:
        locations: Files of rows, folders of them, evaluation folders, artifacts, datasets of the hub.
        prompts: A file of prompts for rows that hold none, joined by the columns that both have. Default: where rows have
            no prompt, `prompts.jsonl` beside them, if two columns or more agree.
        keep: Which rows, by their columns as they stand there; default: all.

    Raises:
        UserError: if there is nothing to read there, or prompts cannot be joined.
    """
    for location in map(dataset_location, locations):
        folder = Path(location)
        if (folder / GENERATIONS).is_file():
            yield from _evaluation(folder, keep)
        elif not is_url(location) and not folder.exists() and not any(mark in location for mark in "*?["):
            raise UserError(f"{location}: no such file or folder")
        elif folder.is_dir() and (files := row_files(folder)):
            for file in files:
                yield from _file(str(file), prompts, keep)
        else:
            yield from _file(location, prompts, keep)


def _file(location: str, prompts: str | None, keep: Keep | None) -> Iterator[Row | Fault]:
    joined: _Joined | None = None
    looked = False
    for record in read_records(location, _options(location)):
        if isinstance(record, Fault):
            yield record
            continue
        if keep is not None and not keep(record.row):
            continue
        if not looked:
            looked = True
            if not holds_prompt(record.row):
                joined = _joined(location, prompts, record.row)
        if joined is None:
            yield from rows_of(record)
            continue
        asked = joined.of(record.row)
        if asked is None:
            named = ", ".join(f"{name} = {record.row.get(name)!r}" for name in joined.columns)
            yield record.fault("no such prompt", f"{joined.path} has none with {named}")
        else:
            yield from rows_of(record, asked)


def _options(location: str) -> ReadOptions:
    """Return how to read a location: a file whose name does not say what it is holds one JSON object a line."""
    path = Path(location)
    if path.is_file():
        try:
            row_files_of(location, "auto")
        except UserError:
            return ReadOptions(format="jsonl")
    return _OPTIONS


@dataclass(frozen=True)
class _Joined:
    path: str
    columns: tuple[str, ...]
    rows: Mapping[tuple[Any, ...], Mapping[str, Any]]

    def of(self, row: Mapping[str, Any]) -> Mapping[str, Any] | None:
        return self.rows.get(tuple(row.get(name) for name in self.columns))


def _joined(location: str, given: str | None, row: Mapping[str, Any]) -> _Joined | None:
    """Return the prompts that belong to the rows of a file, by what its first row has; None if there are none.

    Raises:
        UserError: if those given cannot be joined.
    """
    path = given or str(Path(location).parent / BESIDE)
    if given is None and (not Path(path).is_file() or Path(path) == Path(location)):
        return None
    found = read_prompts(path)
    columns = found.shared(row)
    rows: dict[tuple[Any, ...], Mapping[str, Any]] = {}
    for asked in found.rows:
        rows.setdefault(tuple(asked[name] for name in columns), asked)
    # One number that happens to stand in both says little: 3 of one list is not 3 of another.
    if given is None and (len(columns) < _AGREE or tuple(row[name] for name in columns) not in rows):
        return None
    if not columns or len(rows) < len(found.rows):
        what = f"only {', '.join(columns)}, which several prompts share" if columns else "none"
        raise UserError(
            f"{path}: cannot be joined to {location}: columns that both have: {what}",
            "name each prompt in both, in a column such as prompt_id",
        )
    return _Joined(path, columns, rows)


def read_prompts(path: str) -> Prompts:
    """Read a file of prompts: `{prompt}`, `{messages}`, `{turns}` or `{system, user}`, with columns that name each.

    Raises:
        UserError: if a row cannot be read, or holds no prompt.
    """
    rows = []
    for record in read_records(path, _OPTIONS):
        if isinstance(record, Fault):
            raise UserError(str(record), "mend the row")
        if not holds_prompt(record.row):
            raise UserError(f"{record.place}: no prompt", f"it needs {', '.join(PROMPT_TEXTS)} or messages")
        rows.append(record.row)
    if not rows:
        raise UserError(f"{path}: holds no prompts")
    names = [
        name
        for name in rows[0]
        if name not in (*PROMPT_TEXTS, "system", "licensed", "type")
        and all(isinstance(row.get(name), str | int) for row in rows)
    ]
    return Prompts(path, tuple(names), tuple(rows))


def _evaluation(folder: Path, keep: Keep | None) -> Iterator[Row | Fault]:
    """Yield the answers in an evaluation folder, each turn with what came before it."""
    items: dict[tuple[str, str], Mapping[str, Any]] = {}
    if (folder / ITEMS).is_file():
        for record in read_records(str(folder / ITEMS), _OPTIONS):
            if isinstance(record, Fault):
                yield record
                continue
            items[_text(record.row.get("group")), _text(record.row.get("id"))] = record.row
    said: dict[tuple[str, str, str, int], dict[int, str]] = {}
    records = []
    for record in read_records(str(folder / GENERATIONS), _OPTIONS):
        if isinstance(record, Fault):
            yield record
            continue
        key, turn = _answer(record.row)
        said.setdefault(key, {})[turn] = _text(record.row.get("response"))
        records.append(record)
    for record in records:
        if keep is not None and not keep(record.row):
            continue
        key, turn = _answer(record.row)
        asked = items.get(key[:2], {}).get("turns")
        row = dict(record.row)
        if isinstance(asked, list) and len(asked) >= turn:
            messages = []
            for number in range(1, turn + 1):
                messages.append({"role": "user", "content": str(asked[number - 1])})
                if number < turn:
                    messages.append({"role": "assistant", "content": said[key].get(number, "")})
            row["messages"] = messages
            row.setdefault("response", "")
        # `gold` and `pred` are parts of an answer, not of how it was made.
        kept = {name: value for name, value in row.items() if name not in ("gold", "pred", "problem")}
        kept["response"] = _text(row.get("response"))
        yield from rows_of(Record(record.place, kept))


def _answer(row: Mapping[str, Any]) -> tuple[tuple[str, str, str, int], int]:
    key = (
        _text(row.get("group")),
        _text(row.get("item_id")),
        _text(row.get("model")),
        int(row.get("run") or 0),
    )
    return key, max(1, int(row.get("turn") or 1))


def _text(value: Any) -> str:
    return "" if value is None else str(value)
