"""Reading ratings of the family shaberi: the forms in which they lie about, told apart row by row.

    {judge, dataset, model, scores: [...], order?: [...]}     one sheet a row; null: unreadable
    {judge?, dataset?, model?, score, n? | id?, run?, ...}    one rating a row; what is not said comes from upstream's
                                                              folders: judge_<judge>/<dataset>/<model>.json
    {model, dataset, n, answer}                               answers, for the share of Japanese
    {dataset: [{n, id, category, question?}, ...], ...}       one JSON object: the benchmarks' items, for categories
    an evaluation folder                                      of `watari eval run shaberi`

A rating belongs to an item: its place in the benchmark, from 1. In older files the questions differ: `order` (or the
question's text, in upstream's own files) says which they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from watari.artifact.reading import ReadOptions, read_records
from watari.artifact.records import Fault, Record
from watari.errors import UserError
from watari.evals import folder
from watari.evals.shaberi.files import check_suffix, items_of, sorted_out, upstream_place
from watari.evals.shaberi.pending import (
    Pending,
    Problem,
    base_questions,
    item_name,
    names_of,
    number_of,
    ordered_names,
    plain_names,
    sheet_of,
)
from watari.evals.shaberi.questions import own_benchmark
from watari.evals.shaberi.sheets import Answers, Read, Sheet
from watari.evals.shaberi.spec import Benchmark, ShaberiSpec
from watari.pages.noted import Note

_FORMS = "rows {judge, dataset, model, scores} or upstream's judge_<judge>/<dataset>/<model>.json are wanted"


def read_files(spec: ShaberiSpec, paths: Sequence[Path]) -> Read:
    """Return everything that files and folders hold, sheets in the order in which they were found.

    Raises:
        UserError: for a file or row that cannot be read, or contradicts another; names it.
    """
    reader = _Reader(spec)
    for path in paths:
        if path.is_dir() and folder.is_evaluation(path):
            reader.evaluation(path)
        elif path.is_dir():
            files, left = sorted_out(path)
            for file in files:
                reader.file(file)
            if left:
                reader.note(
                    Note(
                        f"{path}: no ratings of this family in {', '.join(left)}: left out",
                        f"{path}：この系統の評点を含まないファイルを除きました：{'、'.join(left)}",
                    )
                )
        else:
            reader.file(path)
    return reader.done()


class _Reader:
    def __init__(self, spec: ShaberiSpec) -> None:
        self._spec = spec
        self._read = Read()
        self._whole: dict[tuple[str, str, str], Sheet] = {}
        self._by_rating: dict[tuple[str, str, str], Pending] = {}

    def done(self) -> Read:
        base = base_questions(self._by_rating.values())
        for key, one in self._by_rating.items():
            names = names_of(one, base.get(one.dataset.short, {}))
            for name, category in zip(names, one.categories, strict=True):
                if category:
                    self._read.categories.setdefault(one.dataset.short, {}).setdefault(name, category)
            self._keep(
                key, sheet_of(one.judge, one.dataset, one.model, names, one.scores, one.source, one.runs)
            )
        self._read.sheets = list(self._whole.values())
        if not self._read.sheets:
            raise UserError(
                f"{self._read.files[0] if self._read.files else 'nothing given'}: no ratings", _FORMS
            )
        return self._read

    def note(self, text: str) -> None:
        """Keep what every reader must be told."""
        self._read.note("", text)

    def file(self, path: Path) -> None:
        """Take a file, of items or of rows."""
        if (items := items_of(path)) is not None:
            self.items(path, items)
        else:
            self.rows(path)

    def items(self, path: Path, content: dict[str, Any]) -> None:
        """Take the benchmarks' items: their categories."""
        self._read.files.append(str(path))
        for name, rows in content.items():
            dataset = self._dataset(name, str(path))
            known = self._read.categories.setdefault(dataset.short, {})
            for place, row in enumerate(rows, 1):
                if not isinstance(row, dict):
                    raise UserError(f"{path}: {name}, item {place}: not an object: {row!r:.60}")
                category = row.get("category")
                if isinstance(category, str) and category:
                    known[item_name(row.get("n", place))] = category

    def rows(self, path: Path) -> None:
        """Take the rows of a file."""
        if not path.exists():
            raise UserError(f"{path}: no such file or folder")
        check_suffix(path)
        self._read.files.append(str(path))
        for record in read_records(str(path), ReadOptions()):
            if isinstance(record, Fault):
                raise UserError(str(record), "mend the file, or take the row out")
            self._row(record)

    def evaluation(self, path: Path) -> None:
        """Take an evaluation folder."""
        self._read.files.append(str(path))
        found = folder.read_evaluation(path)
        self._read.labels[str(found.about.judge), found.about.model] = found.about.label
        sizes = Counter(str(item.meta.get("dataset", "")) for item in found.items)
        datasets: dict[str, Benchmark] = {}
        for item in found.items:
            name = str(item.meta.get("dataset", ""))
            if not name:
                raise UserError(f"{path / folder.ITEMS}: {item.id} does not say its dataset")
            datasets[item.id] = known = self._spec.dataset(name) or own_benchmark(name, sizes[name])
            if item.group != known.short:
                self._read.categories.setdefault(known.short, {})[item.id] = item.group
        for answer in found.generations:
            if answer.item_id in datasets and not answer.problem:
                self._answer(found.about.model, datasets[answer.item_id], answer.response)
        # A judgment that was asked again is there beside the one that counts.
        earlier = {parent for one in found.judgments for parent in one.parents}
        sheets: dict[tuple[str, str, str], Pending] = {}
        for one in found.judgments:
            if one.id in earlier:
                continue
            if one.question_id not in datasets:
                raise UserError(
                    f"{path / folder.JUDGMENTS}: its question {one.question_id} is not in {folder.ITEMS}"
                )
            known = datasets[one.question_id]
            sheet = sheets.setdefault(
                (one.judge, known.short, one.model), Pending(one.judge, known, one.model, str(path))
            )
            sheet.scores.append(one.rating if one.rating is not None else Problem(one.problem))
            sheet.numbers.append(one.question_id)
            sheet.runs.append(one.run)
        for key, sheet in sheets.items():
            names = tuple(str(number) for number in sheet.numbers)
            self._keep(
                key,
                sheet_of(
                    sheet.judge, sheet.dataset, sheet.model, names, sheet.scores, sheet.source, sheet.runs
                ),
            )

    def _row(self, record: Record) -> None:
        row, place = record.row, str(record.place)
        if "scores" in row:
            self._whole_sheet(row, place)
        elif "score" in row:
            self._rating(row, record)
        elif "answer" in row and "model" in row:
            model, dataset = _text(row, "model", place), self._dataset(_text(row, "dataset", place), place)
            text = _text(row, "answer", place, empty=True)
            self._answer(model, dataset, text, number=row.get("n"))
        else:
            raise UserError(f"{place}: neither `scores` nor `score` nor `answer` in it", _FORMS)

    def _whole_sheet(self, row: dict[str, Any], place: str) -> None:
        judge, model = _text(row, "judge", place), _text(row, "model", place)
        dataset = self._dataset(_text(row, "dataset", place), place)
        scores = row["scores"]
        if not isinstance(scores, list) or not scores:
            raise UserError(f"{place}: `scores` is not a list of ratings", "[8, 7.5, null, ...] is wanted")
        order = row.get("order")
        if order is None:
            if len(scores) > dataset.items:
                raise UserError(
                    f"{place}: {len(scores)} scores, and {dataset.id} has {dataset.items} items",
                    "`order` says which items they are (null: none of them)",
                )
            names = plain_names(len(scores))
            if len(scores) < dataset.items:
                self._read.note(
                    model,
                    Note(
                        f"{dataset.short}: {len(scores)} of {dataset.items} items, judge {judge}",
                        f"{dataset.short}：{dataset.items} 問のうち {len(scores)} 問です（判定モデル：{judge}）",
                    ),
                )
        else:
            if not isinstance(order, list) or len(order) != len(scores):
                raise UserError(f"{place}: `order` is not a list as long as `scores` ({len(scores)})")
            names = ordered_names(tuple(order), dataset.items, place)
        self._keep((judge, dataset.short, model), sheet_of(judge, dataset, model, names, scores, place, ()))

    def _rating(self, row: dict[str, Any], record: Record) -> None:
        place = str(record.place)
        parts = Path(record.place.file).absolute().parts
        upstream = upstream_place(Path(record.place.file))
        judge = _said(row, "judge", parts[-3].removeprefix("judge_") if upstream else None, place)
        name = _said(row, "dataset", parts[-2] if upstream else None, place)
        model = _said(row, "model", parts[-1].split(".json")[0] if upstream else None, place)
        dataset = self._dataset(name, place)
        sheet = self._by_rating.setdefault(
            (judge, dataset.short, model), Pending(judge, dataset, model, record.place.file)
        )
        number = row.get("n", row.get("id"))
        if number is not None and (isinstance(number, bool) or not isinstance(number, int | str)):
            raise UserError(f"{place}: `n` is neither a number nor a name: {number!r:.40}")
        run = row.get("run", 0)
        if isinstance(run, bool) or not isinstance(run, int) or run < 0:
            raise UserError(f"{place}: `run` is no number from 0: {run!r:.40}")
        sheet.scores.append(number_of(row["score"], dataset, place))
        sheet.numbers.append(number)
        question = row.get("Question", row.get("question"))
        sheet.questions.append(question if isinstance(question, str) else None)
        sheet.runs.append(run)
        category = row.get("Category", row.get("category"))
        sheet.categories.append(category if isinstance(category, str) else "")
        answer = row.get("ModelAnswer", row.get("answer"))
        if isinstance(answer, str):
            at = len(sheet.scores) if number is None else number
            self._answer(model, dataset, answer, judge, number=at)

    def _answer(
        self, model: str, dataset: Benchmark, text: str, judge: str = "", *, number: Any = None
    ) -> None:
        if number in dataset.excluded:
            return
        # The same answers stand in the file of each judge: the first one's are taken.
        known = self._read.answers.setdefault((model, dataset.short), Answers(judge=judge))
        if known.judge == judge:
            known.texts.append(text)

    def _keep(self, key: tuple[str, str, str], sheet: Sheet) -> None:
        before = self._whole.get(key)
        if before is None:
            self._whole[key] = sheet
        elif (before.items, before.ratings) == (sheet.items, sheet.ratings):
            self._read.note(
                sheet.model,
                Note(
                    f"{sheet.dataset.short}, judge {sheet.judge}: given twice, counted once",
                    f"{sheet.dataset.short}（判定モデル：{sheet.judge}）：2度渡されたため、1度だけ数えています",
                ),
            )
        else:
            raise UserError(
                f"{sheet.source}: {sheet.model} on {sheet.dataset.id} by {sheet.judge} is also in {before.source},"
                " with other ratings",
                "give one of them",
            )

    def _dataset(self, name: str, place: str) -> Benchmark:
        found = self._spec.dataset(name)
        if found is None:
            known = ", ".join(one.id for one in self._spec.datasets)
            raise UserError(f"{place}: {self._spec.label} has no benchmark {name!r:.80}", f"it has {known}")
        return found


def _text(row: dict[str, Any], field: str, place: str, *, empty: bool = False) -> str:
    value = row.get(field)
    if not isinstance(value, str) or not (value or empty):
        raise UserError(
            f"{place}: no `{field}`" if value is None else f"{place}: `{field}` is no text", _FORMS
        )
    return value


def _said(row: dict[str, Any], field: str, folder: str | None, place: str) -> str:
    """Return what the row says, else what its folder says."""
    value = row.get(field) or folder
    if not isinstance(value, str) or not value:
        raise UserError(f"{place}: nothing says its {field}", _FORMS)
    return value
