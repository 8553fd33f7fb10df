"""Collects texts from evaluation folders and from files of several forms.

A row goes by what it holds, not by its file's name: FastChat's questions, answers and judgments, llm-jp-eval's outputs
and rows of predictions, Shaberi's answers and judges' texts. What a file does not hold is simply not there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from watari.evals.page.rows import rows_of
from watari.evals.page.texts import Key, Question, Rated, Said, Texts, plain

if TYPE_CHECKING:
    from watari.evals.mtbench.spec import MTBenchSpec


def add_folder(texts: Texts, folder: Path, names: Mapping[str, str]) -> None:
    """Collect the texts of an evaluation folder.

    Args:
        texts: Grows.
        folder: The evaluation.
        names: How a dataset is called in results, by how files call it (casefolded).

    Raises:
        UserError: if it cannot be read.
    """
    from watari.evals.folder import read_evaluation

    kept = read_evaluation(folder)
    judged = kept.about.judge is not None
    datasets = {item.id: str(item.meta["dataset"]) for item in kept.items if "dataset" in item.meta}

    def key(item: str, group: str) -> Key:
        # Jaster's items are grouped by dataset; a judged one's group is its category, and its dataset stands in `meta`.
        dataset = datasets.get(item, "" if judged else group)
        return names.get(dataset.casefold(), dataset), item

    for item in kept.items:
        texts.questions[key(item.id, item.group)] = Question(item.turns, item.reference, item.gold)
    for one in kept.generations:
        read = one.pred if not judged and one.pred != one.response else None
        text = one.response if not one.problem else f"{one.response}\n[{one.problem}]".strip()
        said = Said(text, one.finish_reason == "length", read)
        for model in dict.fromkeys((one.model, kept.about.model)):
            texts.add_answer(key(one.item_id, one.group), model, one.run, one.turn, said)
    # A judge that was asked again counts by its last word.
    superseded = {parent for rating in kept.judgments for parent in rating.parents}
    for rating in kept.judgments:
        if rating.id in superseded:
            continue
        place, rated = (rating.run, rating.turn), Rated(rating.text or rating.problem, rating.user_prompt)
        for model in dict.fromkeys((plain(rating.model), plain(kept.about.model))):
            texts.add_judgment(key(rating.question_id, rating.category), rating.judge, model, place, rated)


def add_judgments(texts: Texts, spec: MTBenchSpec, paths: Sequence[Path]) -> None:
    """Collect the judgments of files that are scored together: which run a file is depends on those before it.

    Raises:
        UserError: if one cannot be read; names the row.
    """
    from watari.evals.mtbench.reading import judgment_files, read_sources, rows_of, with_runs

    sent = {
        place: row["user_prompt"]
        for path in paths
        for file in judgment_files(path)
        for row, place in rows_of(file)
        if isinstance(row.get("user_prompt"), str)
    }
    for _, one in with_runs(read_sources(spec, paths)):
        if one.text is not None:
            rated = Rated(one.text, sent.get(one.place, ""))
            texts.add_judgment(("", one.question), one.judge, one.model, (one.run, one.turn or 1), rated)


def add_file(texts: Texts, path: Path, names: Mapping[str, str]) -> None:
    """Collect the texts of one file of any known form; a row that holds none is passed over.

    Args:
        texts: Grows.
        path: The file.
        names: How a dataset is called in results, by how files call it (casefolded).

    Raises:
        UserError: if it cannot be read; names the row.
    """
    counts: dict[tuple[str, ...], int] = {}
    is_reference = "reference" in path.name.casefold() or "reference" in path.parent.name.casefold()
    for row in rows_of(path):
        if isinstance(row.get("choices"), list):
            _fastchat_answer(texts, row, reference=is_reference)
        elif "question_id" in row and "turns" not in row:
            continue  # a judgment: see `add_judgments`
        elif isinstance(row.get("turns"), list):
            _fastchat_question(texts, row)
        elif "pred" in row and "dataset" in row:
            continue  # see `add_predictions`
        elif "dataset" in row and "input" in row:
            key = (str(row["dataset"]), _item(row))
            texts.questions[key] = Question((_text(row["input"]),), (), _text(row.get("gold")))
        elif is_items(row):
            _shaberi_items(texts, row, names)
        elif any(name in row for name in _SHABERI):
            _shaberi(texts, row, names, path, counts)
        else:
            _output_eval(texts, row)


def is_items(row: Mapping[str, Any]) -> bool:
    """Return whether a document holds the items of Shaberi's benchmarks: lists of {n, category, ...} by dataset."""
    return bool(row) and all(
        isinstance(items, list) and items and isinstance(items[0], dict) and "n" in items[0] and "pred" not in items[0]
        for items in row.values()
    )  # fmt: skip


def _shaberi_items(texts: Texts, row: Mapping[str, Any], names: Mapping[str, str]) -> None:
    for dataset, items in row.items():
        for place, item in enumerate(items, 1):
            question = item.get("question") if isinstance(item, dict) else None
            if isinstance(question, str):
                key = (names.get(dataset.casefold(), dataset), str(item.get("n", place)))
                texts.questions[key] = Question((question,))


_SHABERI = ("answer", "ModelAnswer", "judge_output", "judgement")


def _item(row: Mapping[str, Any]) -> str:
    return str(row.get("i", row.get("n", row.get("id", ""))))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else str(value)


def _int(value: Any, otherwise: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else otherwise


def _fastchat_question(texts: Texts, row: Mapping[str, Any]) -> None:
    reference = row.get("reference")
    texts.questions[("", str(row.get("question_id")))] = Question(
        tuple(map(_text, row["turns"])), tuple(map(_text, reference)) if isinstance(reference, list) else ()
    )


def _fastchat_answer(texts: Texts, row: Mapping[str, Any], *, reference: bool) -> None:
    key = ("", str(row.get("question_id")))
    for place, choice in enumerate(row["choices"]):
        turns = choice.get("turns") if isinstance(choice, dict) else None
        if not isinstance(turns, list):
            continue
        if reference:
            texts.questions.setdefault(key, Question()).reference = tuple(map(_text, turns))
            return
        run = _int(choice.get("index"), place)
        for turn, text in enumerate(turns, 1):
            texts.add_answer(key, _text(row.get("model_id", row.get("model"))), run, turn, Said(_text(text)))


def add_predictions(texts: Texts, paths: Sequence[Path]) -> None:
    """Collect the answers of files of llm-jp-eval's that are scored together: that tells their models' names.

    Raises:
        UserError: if one cannot be read; names the row.
    """
    from watari.evals.jaster.reading import read_files

    for answers in read_files(paths):
        for dataset, column in answers.columns.items():
            for item, gold, pred, run in zip(
                column.items, column.golds, column.preds, column.runs, strict=True
            ):
                question = texts.questions.setdefault((dataset, str(item)), Question())
                question.gold = question.gold or _text(gold)
                texts.add_answer((dataset, str(item)), answers.model, run, 1, Said(pred))


def _output_eval(texts: Texts, row: Mapping[str, Any]) -> None:
    """llm-jp-eval's own file: lists of {input, gold, pred} by dataset."""
    outputs = row.get("outputs") if isinstance(row.get("outputs"), dict) else row
    assert isinstance(outputs, Mapping)
    for dataset, items in outputs.items():
        for place, one in enumerate(items if isinstance(items, list) else ()):
            if isinstance(one, dict) and isinstance(one.get("input"), str):
                known = texts.questions.setdefault((dataset, str(place)), Question())
                known.turns = known.turns or (one["input"],)


def _shaberi(
    texts: Texts, row: Mapping[str, Any], names: Mapping[str, str], path: Path, counts: dict[tuple[str, ...], int]
) -> None:  # fmt: skip
    dataset = _text(row.get("dataset")) or next(_datasets_in(path, names), "")
    dataset = names.get(dataset.casefold(), dataset)
    model = _text(row.get("model"))
    place = (dataset, model)
    counts[place] = counts.get(place, 0) + 1
    key = (dataset, str(row.get("n", counts[place])))
    prompt = row.get("Question", row.get("question"))
    if isinstance(prompt, str) and key not in texts.questions:
        texts.questions[key] = Question((prompt,))
    answer = row.get("answer", row.get("ModelAnswer"))
    if isinstance(answer, str):
        texts.add_answer(key, model, 0, 1, Said(answer))
    said = row.get("judge_output", row.get("judgement"))
    if isinstance(said, str):
        judge = _text(row.get("judge")) or _judge_in(path)
        texts.add_judgment(key, judge, model, (0, 1), Rated(said))


def _datasets_in(path: Path, names: Mapping[str, str]) -> Iterator[str]:
    for part in (path.parent.name, path.name):
        yield from (name for name in names if name and name in part.casefold())


def _judge_in(path: Path) -> str:
    """Return the judge that a file's name tells, as `judge_texts_gpt-5.1_...` does; "" if it tells none."""
    parts = path.name.split("_")
    return parts[2] if path.name.startswith("judge_texts_") and len(parts) > 2 else ""
