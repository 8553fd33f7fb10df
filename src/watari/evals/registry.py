"""What evaluations ask, as rows {task, id, text}: for whoever must keep it out of training data, or look for it there.

A name is a spec (its bundled questions), an evaluation folder, files or folders of datasets as `watari eval run` takes
them, a file of FastChat questions, or any other set that `corpus.build` can read. Ids and tasks are those that scores have,
so that what is found in training data can be left out of a score.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from watari.artifact import atomic
from watari.errors import UserError
from watari.evals.folder import is_evaluation, read_evaluation
from watari.evals.spec import load_spec, spec_names
from watari.text.evaluation_sets import LONG, EvaluationText, read

QUESTION = re.compile(r"^\s*(?:質問|問題|問い|設問|問|question|q)\s*[:：]\s*", re.IGNORECASE)
"""What marks the question in an item of several parts."""
LANGUAGES = ("ja", "en")
"""Of bundled questions."""


def evaluation_texts(names: Sequence[str]) -> list[EvaluationText]:
    """Return every text of every item that some evaluations ask: test items only, each text once.

    Of references and gold answers those of at least 40 characters: a shorter one stands in many texts.

    Args:
        names: Specs, evaluation folders, datasets, question files.

    Raises:
        UserError: for a name that is none of these, or holds no text.
    """
    texts: dict[EvaluationText, None] = {}
    for name in names:
        found = list(_of_name(name))
        if not found:
            raise UserError(f"{name}: no texts of test items in it", "is it an evaluation set?")
        texts |= dict.fromkeys(found)
    return list(texts)


def write_texts(path: Path, texts: Iterable[EvaluationText]) -> int:
    """Write rows {task, id, text}, one a line, which `corpus.build` and `data.mix` take; return how many."""
    lines = [
        json.dumps({"task": text.task, "id": text.item, "text": text.text}, ensure_ascii=False) + "\n"
        for text in texts
    ]
    atomic.write_text(path, "".join(lines))
    return len(lines)


def _of_name(name: str) -> Iterator[EvaluationText]:
    path = Path(name)
    if name in spec_names() and not path.exists():
        yield from _bundled(name)
    elif is_evaluation(path):
        for item in read_evaluation(path).items:
            yield from _texts(item.group, item.id, item.turns, (*item.reference, item.gold))
    elif (datasets := _datasets(name)) is not None:
        yield from datasets
    else:
        yield from (text for text in read(name) if text.split == "test")


def _bundled(spec: str) -> Iterator[EvaluationText]:
    """Yield what a spec asks where no other questions are named."""
    family = load_spec(spec).family
    if family == "jaster":
        from watari.evals.params import BUNDLED

        yield from _datasets(BUNDLED) or []
    elif family == "mtbench":
        for language in LANGUAGES:
            yield from _questions("bundled", language)
    else:
        raise UserError(
            f"{spec}: no questions of it come with Watari", "give the files or the folder of an evaluation"
        )


def _questions(location: str, language: str) -> Iterator[EvaluationText]:
    from watari.evals.mtbench.questions import read_questions

    for question in read_questions(location, language, turns=1).questions:
        yield from _texts(question.category, question.id, question.turns, question.reference)


def _datasets(name: str) -> list[EvaluationText] | None:
    """Return the test items of datasets that the family jaster can load; None if there is none of them."""
    from watari.evals.jaster.datasets import load_datasets
    from watari.evals.params import BUNDLED

    path = Path(name)
    if name != BUNDLED and not path.exists():
        return None  # a glob or a URL: rows of any form
    if _asks(path):
        return list(_questions(name, "ja"))
    try:
        datasets = load_datasets([name])
    except UserError as error:
        if "in a known form" in error.message:
            return None
        raise
    return [
        text
        for dataset in datasets.values()
        for item in dataset.test
        for text in _texts(dataset.name, item.id, (item.input,), (item.gold,))
    ]


def _asks(path: Path) -> bool:
    """Return whether a file is FastChat's questions, by its first row."""
    from watari.artifact.reading import ReadOptions, read_records
    from watari.artifact.records import Record

    if not path.is_file() or not path.name.removesuffix(".gz").endswith(".jsonl"):
        return False
    first = next(iter(read_records(str(path), ReadOptions())), None)
    return isinstance(first, Record) and {"question_id", "category", "turns"} <= set(first.row)


def _texts(task: str, item: str, asked: Iterable[str], answers: Iterable[str]) -> Iterator[EvaluationText]:
    found = []
    for text in asked:
        lines = text.splitlines()
        found.append(text)
        # Behind a passage, or before choices: it must be found without them.
        found += [QUESTION.sub("", line) for line in lines if len(lines) > 1 and QUESTION.match(line)]
    found += [answer for answer in answers if len(answer.strip()) >= LONG]
    for text in dict.fromkeys(found):
        if text.strip():
            yield EvaluationText(task, item, text)
