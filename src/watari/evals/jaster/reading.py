"""Reads saved answers to items with a gold answer, in any of the forms that they are kept in.

- llm-jp-eval's own `output_eval.json`: {dataset: [{prompt, input, pred, gold}]}, or the same under `outputs`; the model is
  called as the file's folder is;
- rows {model, dataset, i, gold, pred}, a JSON object a line, many models in a file; `run` may stand beside;
- an evaluation folder of `watari eval run`; any other folder stands for the `output_eval.json` files in it.

All but folders may be packed (.gz).
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from watari.errors import UserError
from watari.evals import folder
from watari.evals.jaster.places import files_of, names_of

NO_TEXT = "the answer is no text"
_NAME = 1 << 30  # longer than any number
_KEPT = 24  # orders of items that are remembered: about as many datasets as a release has


@dataclass
class Column:
    """One dataset of one model: the same place in each list is one answer.

    Args:
        items: Their names, unique within a run.
        golds, preds: Right and given answers; "" where none was given.
        runs: From 0.
        reasons: By place, why there is no answer.
        twice: How many rows were left out, their item having one already...
        differing: ...and how many of these say something else.
    """

    items: list[str] = field(default_factory=list)
    golds: list[str] = field(default_factory=list)
    preds: list[str] = field(default_factory=list)
    runs: list[int] = field(default_factory=list)
    reasons: dict[int, str] = field(default_factory=dict)
    twice: int = 0
    differing: int = 0
    seen: dict[tuple[str, int], int] = field(default_factory=dict, repr=False)

    def add(self, item: str, gold: str, pred: object, run: int = 0, reason: str = "") -> None:
        """Add an answer; the first to an item in a run stays."""
        place = self.seen.setdefault((item, run), len(self.items))
        if place < len(self.items):
            self.twice += 1
            self.differing += (self.preds[place], self.golds[place]) != (pred, gold)
            return
        if type(pred) is not str:
            reason, pred = reason or NO_TEXT, ""
        if reason:
            self.reasons[place] = reason
        self.items.append(item)
        self.golds.append(gold)
        self.preds.append(pred)
        self.runs.append(run)

    def sort(self) -> None:
        """Put the answers in the order of runs and items: 7 before 10, numbers before names."""
        keys = [
            (run, len(item) if item.isdecimal() else _NAME, item)
            for run, item in zip(self.runs, self.items, strict=True)
        ]
        order = sorted(range(len(keys)), key=keys.__getitem__)
        if order == list(range(len(keys))):
            return
        for texts in (self.items, self.golds, self.preds):
            texts[:] = [texts[place] for place in order]
        self.runs[:] = [self.runs[place] for place in order]
        now = {before: place for place, before in enumerate(order)}
        self.reasons = {now[place]: reason for place, reason in sorted(self.reasons.items())}
        self.seen = {key: now[place] for key, place in self.seen.items()}


@dataclass
class Answers:
    """All answers of one model.

    Args:
        model: As tables call it.
        columns: By dataset, in the order of the file.
        sources: The files.
        label: What an evaluation folder marks its scores with; "" elsewhere: the spec's.
    """

    model: str
    columns: dict[str, Column] = field(default_factory=dict)
    sources: list[str] = field(default_factory=list)
    label: str = ""


def read_files(paths: Sequence[Path]) -> list[Answers]:
    """Return the answers of every model in some files, in the order of the files.

    A model that rows of several files name is one model. Two `output_eval.json` in folders of one name are two: they are
    told apart by the folders above.

    Raises:
        UserError: for a file that cannot be read or holds no answers; names the file and the row.
    """
    found: dict[str, Answers] = {}
    files = files_of(paths)
    names = names_of([path for path in files if not folder.is_evaluation(path)])
    for path in files:
        if folder.is_evaluation(path):
            _read_folder(path, found)
        else:
            _read_file(path, names[path], found)
    _sort(column for answers in found.values() for column in answers.columns.values())
    return list(found.values())


def _sort(columns: Iterable[Column]) -> None:
    """Put each column into the order of its items, so that no sum of floats depends on the order of rows."""
    ordered: list[tuple[list[int], list[str]]] = []
    for column in columns:
        if (column.runs, column.items) not in ordered:  # most models have the same items in the same order
            column.sort()
            ordered = [*ordered[1 - _KEPT :], (column.runs, column.items)]


def answers_of(evaluation: folder.Evaluation) -> Answers:
    """Return the answers in an evaluation: each as it was read out of the response, by dataset, item and run."""
    answers = Answers(evaluation.about.model, label=evaluation.about.label)
    for one in evaluation.generations:
        column = answers.columns.setdefault(one.group, Column())
        column.add(one.item_id, one.gold, one.pred, one.run, one.problem)
    return answers


def _read_folder(path: Path, found: dict[str, Answers]) -> None:
    answers = answers_of(folder.read_evaluation(path))
    if not answers.columns:
        raise UserError(f"{path}: holds no answers", "run the evaluation again")
    name = answers.model
    if name in found:  # the same model evaluated twice is two rows of a table
        name = answers.model = f"{name} ({path})"
    found[name] = answers
    answers.sources.append(str(path))


def _read_file(path: Path, name: str, found: dict[str, Answers]) -> None:
    content = _content(path)
    whole = _whole(content)
    if isinstance(whole, dict) and not _is_row(whole):
        outputs = whole["outputs"] if isinstance(whole.get("outputs"), dict) else whole
        if name in found:
            raise UserError(f"{path}: another file has answers of {name}", "score them one at a time")
        found[name] = answers = Answers(name, sources=[str(path)])
        _read_outputs(path, outputs, answers)
        return
    rows: Iterable[tuple[int, Any]]
    if isinstance(whole, list):
        rows = enumerate(whole, 1)
    elif whole is not None:
        rows = [(1, whole)]
    else:
        rows = _lines(path, content)
    before = len(found)
    if not _read_rows(path, name, rows, found) and len(found) == before:
        raise UserError(
            f"{path}: holds no rows", "rows {model, dataset, i, gold, pred}, or an output_eval.json"
        )


def _is_row(whole: Mapping[str, Any]) -> bool:
    """Return whether a file's only object is a row of answers, be it a whole one, and not llm-jp-eval's lists of items."""
    return "pred" in whole or any(isinstance(whole.get(name), str) for name in ("model", "dataset", "gold"))


def _content(path: Path) -> bytes:
    try:
        content = path.read_bytes()
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such file", "check the path") from None
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path}: cannot be read: {error}", "is it whole?") from None
    return content.removeprefix(b"\xef\xbb\xbf")


def _whole(content: bytes) -> Any:
    """Return a file that is one JSON value, or None for one of lines."""
    head, _, rest = content.partition(b"\n")
    if rest.strip() and _loads(head) is not None:
        return None
    return _loads(content)


def _loads(text: bytes) -> Any:
    """Return a JSON value, or None for what is none (or is `null`)."""
    try:
        return orjson.loads(text)
    except ValueError:
        try:  # Python writes NaN and halves of surrogate pairs, which orjson refuses
            return json.loads(text)
        except (ValueError, RecursionError):
            return None


def _lines(path: Path, content: bytes) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(content.split(b"\n"), 1):
        if line and not line.isspace():
            row = _loads(line)
            if row is None:
                raise UserError(f"{path}:{number}: not JSON", "mend or remove the line")
            yield number, row


def _read_rows(path: Path, name: str, rows: Iterable[tuple[int, Any]], found: dict[str, Answers]) -> int:
    count = 0
    columns: dict[tuple[str, str], Column] = {}
    for number, row in rows:
        count += 1
        try:
            model = row.get("model", name)
            column = columns.get((model, row["dataset"]))
            item, gold, pred, run = row["i"], row["gold"], row["pred"], row.get("run", 0)
        except (KeyError, AttributeError, TypeError):
            raise _misshapen(f"{path}:{number}", row, ("dataset", "i", "gold", "pred")) from None
        if column is None:
            column = columns[model, row["dataset"]] = _column(f"{path}:{number}", model, row, path, found)
        if type(gold) is not str or type(run) is not int or run < 0 or type(item) not in (int, str):
            raise _misshapen(f"{path}:{number}", row, ())
        column.add(str(item), gold, pred, run)
    return count


def _column(
    place: str, model: object, row: Mapping[str, Any], path: Path, found: dict[str, Answers]
) -> Column:
    dataset = row["dataset"]
    if not isinstance(model, str) or not model or not isinstance(dataset, str):
        raise _misshapen(place, row, ())
    answers = found.setdefault(model, Answers(model))
    if str(path) not in answers.sources:
        answers.sources.append(str(path))
    return answers.columns.setdefault(dataset, Column())


def _read_outputs(path: Path, outputs: Mapping[str, Any], answers: Answers) -> None:
    for dataset, items in outputs.items():
        if not isinstance(items, list):
            raise UserError(
                f"{path}: {dataset}: not a list of items",
                "llm-jp-eval's form: {dataset: [{input, pred, gold}]}",
            )
        column = answers.columns[dataset] = Column()
        for number, item in enumerate(items):
            place = f"{path}: {dataset}: item {number + 1}"
            if not isinstance(item, dict) or "pred" not in item:
                raise _misshapen(place, item, ("pred",))
            gold = item.get("gold", item.get("true"))
            if not isinstance(gold, str):
                raise _misshapen(place, item, ("gold",))
            column.add(str(number), gold, item["pred"])
    if not any(column.items for column in answers.columns.values()):
        raise UserError(f"{path}: holds no answers", "llm-jp-eval's form: {dataset: [{input, pred, gold}]}")


def _misshapen(place: str, row: object, wanted: Sequence[str]) -> UserError:
    if not isinstance(row, dict):
        return UserError(f"{place}: not an object", "rows {model, dataset, i, gold, pred}")
    for name in wanted:
        if name not in row:
            return UserError(f"{place}: no `{name}`", "rows {model, dataset, i, gold, pred}")
    for name in ("model", "dataset", "gold"):
        if name in row and not (isinstance(row[name], str) and (row[name] or name == "gold")):
            return UserError(
                f"{place}: `{name}` is {json.dumps(row[name])[:40]}: no text", "put it in quotes"
            )
    for name, kinds in (("i", (int, str)), ("run", (int,))):
        if name in row and (type(row[name]) not in kinds or (name == "run" and row[name] < 0)):
            return UserError(f"{place}: `{name}` is {json.dumps(row[name])[:40]}", "an integer")
    return UserError(f"{place}: not a row of answers", "rows {model, dataset, i, gold, pred}")
