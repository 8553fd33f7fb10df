"""Were the test questions in the training data? By task, item by item, and what the score is without them.

The search is that of `corpus.build` (`kernels.contamination`): runs of an item's text in folded form, so that line breaks,
widths, case and punctuation hide nothing; short items are looked for whole. An item is touched

- `exact`: if the whole of a text of it stands in one row, or its question without passage and choices; where no line is
  marked as the question, the longest line;
- `run`: if only a part does: at least `ngram` characters of a text, more of a long one.

A touched passage is not yet a leaked answer: JSQuAD's passages are Wikipedia's, which every corpus holds. So the table says
how, and the score without the touched items says what it is worth.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import pyarrow as pa

from watari.errors import UserError
from watari.evals.intervals import figures_of
from watari.evals.pairing import counted
from watari.evals.registry import QUESTION
from watari.evals.result import Figure, Result, Unit
from watari.evals.training_rows import TrainingRow
from watari.kernels.contamination import runs
from watari.kernels.contamination_index import ContaminationIndex, ContaminationParams, build_index
from watari.kernels.fold import CODE, fold
from watari.text.evaluation_sets import EvaluationText

How = Literal["exact", "run"]
_BATCH = 1000
_CHARACTERS = 4_000_000
_SHOWN = 160
_LABEL = re.compile(r"^\s*[^\s:：]{1,8}[:：]\s*")
EXAMPLES = 3


@dataclass(frozen=True)
class Touch:
    """One item that training data hold.

    Args:
        task, item: Which.
        how: The closest that any row comes.
        rows: How many rows hold some of it.
        place: Of the row shown: the first of the closest.
        text: What stands there, cut to 160 characters.
    """

    task: str
    item: str
    how: How
    rows: int
    place: str
    text: str


@dataclass(frozen=True)
class TaskContamination:
    """One task.

    Args:
        task: Its name.
        items: How many it has.
        too_short: Of them, those with too little text to be looked for.
        touched: Items that training data hold.
        exact: Of them, those that stand there as a whole.
        examples: A few of them, whole ones first.
    """

    task: str
    items: int
    too_short: int
    touched: int
    exact: int
    examples: tuple[Touch, ...] = ()

    @property
    def share(self) -> float:
        """Share of the items that are touched."""
        return self.touched / self.items if self.items else 0.0


@dataclass(frozen=True)
class Contamination:
    """What was found: tasks by name, every touched item, rows and characters searched."""

    tasks: tuple[TaskContamination, ...]
    touches: tuple[Touch, ...]
    rows: int
    characters: int
    ngram: int


@dataclass
class _Found:
    rows: int = 0
    how: How = "run"
    place: str = ""
    text: str = ""


def find_contamination(
    tests: Iterable[EvaluationText],
    training: Iterable[TrainingRow],
    params: ContaminationParams | None = None,
) -> Contamination:
    """Return which items of some evaluations stand in training data.

    Args:
        tests: Texts of items (`registry.evaluation_texts`).
        training: Rows that were trained on.
        params: `ngram`, `passage` and `short` count; default: those of `corpus.build`.

    Raises:
        UserError: if there are no texts of items, or none in the training data: nothing would be clean.
    """
    params = params or ContaminationParams()
    tests = list(tests)
    index = build_index(tests, params)
    wholes = _Wholes(tests, index)
    found: dict[int, _Found] = {}
    rows = characters = 0
    for batch in _batches(training):
        rows += len(batch)
        characters += sum(len(row.text) for row in batch)
        column = pa.array([row.text for row in batch], pa.large_string())
        for place, listed in runs(column, index).items():
            row = batch[place]
            folded = _folded([row.text])[0]
            spans: dict[int, tuple[int, int]] = {}
            for run in listed:
                for owner in run.owners:
                    old = spans.get(owner, (0, 0))
                    spans[owner] = max(old, (run.start, run.stop), key=lambda span: span[1] - span[0])
            for owner, (start, stop) in spans.items():
                one = found.setdefault(owner, _Found())
                one.rows += 1
                exact = any(whole in folded for whole in wholes.of(owner))
                if not one.place or (exact and one.how != "exact"):
                    one.place, one.text = row.place, row.text[start:stop][:_SHOWN]
                    one.how = "exact" if exact else "run"
    if not characters:
        raise UserError(
            "the training data hold no text", "name what was trained on: artifacts, or files of rows"
        )
    touches = tuple(
        Touch(index.label(owner), index.items[owner][1], one.how, one.rows, one.place, one.text)
        for owner, one in sorted(found.items())
    )
    return Contamination(tuple(_tasks(index, touches)), touches, rows, characters, params.ngram)


def _tasks(index: ContaminationIndex, touches: Sequence[Touch]) -> Iterator[TaskContamination]:
    for task in index.tasks:
        own = [touch for touch in touches if touch.task == task.label]
        exact = [touch for touch in own if touch.how == "exact"]
        rest = [touch for touch in own if touch.how != "exact"]
        yield TaskContamination(
            task.label, task.items, task.too_short, len(own), len(exact), tuple([*exact, *rest][:EXAMPLES])
        )


class _Wholes:
    """The folded texts that an item is, and its question without the label before it; made when asked for."""

    def __init__(self, tests: Sequence[EvaluationText], index: ContaminationIndex) -> None:
        number = {
            (index.tasks[task].task, index.tasks[task].split, item): place
            for place, (task, item) in enumerate(index.items)
        }
        self._texts: dict[int, list[str]] = {}
        for test in tests:
            self._texts.setdefault(number[test.task, test.split, test.item], []).append(test.text)
        self._least = index.short
        self._known: dict[int, list[str]] = {}

    def of(self, owner: int) -> list[str]:
        if owner not in self._known:
            texts = self._texts[owner]
            lines = [line for text in texts for line in text.splitlines() if line.strip()]
            asked = [line for line in lines if QUESTION.match(line)]
            bare = [_LABEL.sub("", line) for line in asked or lines]
            folded = _folded([*texts, *(bare if asked else [max(bare, key=len)])])
            self._known[owner] = [text for text in folded if len(text) >= self._least]
        return self._known[owner]


def _folded(texts: Sequence[str]) -> list[str]:
    """Return texts in the form in which they are compared, as strings."""
    folded = fold(pa.array(list(texts), pa.large_string()))
    return [
        (folded.row(row) & CODE).astype("<u4").tobytes().decode("utf-32-le", "replace")
        for row in range(len(texts))
    ]


def _batches(rows: Iterable[TrainingRow]) -> Iterator[list[TrainingRow]]:
    batch: list[TrainingRow] = []
    size = 0
    for row in rows:
        batch.append(row)
        size += len(row.text)
        if len(batch) >= _BATCH or size >= _CHARACTERS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


@dataclass(frozen=True)
class WithoutTouched:
    """A model's figures with and without the touched items.

    Args:
        model, judge: Whose.
        overall: The figure of all items, and of those that are not touched (None: nothing is left).
        clean: See above.
        touched: The figure of the touched items alone; None if there is none.
        units: Scores in all, and how many are of touched items.
        categories: By category: the figure of all items, and of the clean ones.
    """

    model: str
    judge: str | None
    overall: Figure
    clean: Figure | None
    touched: Figure | None
    units: tuple[int, int]
    categories: dict[str, tuple[Figure, Figure | None]] = field(default_factory=dict)


def without_touched(result: Result, touches: Iterable[Touch], *, seed: int = 0) -> WithoutTouched:
    """Return a result's figures with and without the touched items.

    The mean without them keeps each dataset's share where it has clean items left: what falls out of the weights of a
    mean of means is given back to the rest of its stratum.

    Args:
        result: Of one model and judge.
        touches: Items, whose tasks are the result's strata or categories.
        seed: Of the bootstrap.
    """
    keys = {(touch.task, touch.item) for touch in touches}
    units = counted(result.units)
    hit = [(u.stratum, u.item) in keys or (u.category, u.item) in keys for u in units]
    clean = _reweighted(units, [unit for unit, bad in zip(units, hit, strict=True) if not bad])
    touched = [unit for unit, bad in zip(units, hit, strict=True) if bad]
    names = [name for name in dict.fromkeys(unit.category for unit in units) if name]
    groups: list[Sequence[Unit]] = [units, clean, touched]
    for name in names:
        own = [unit for unit in units if unit.category == name]
        kept = [unit for unit, bad in zip(units, hit, strict=True) if unit.category == name and not bad]
        groups += [own, _reweighted(own, kept)]
    figures = figures_of(groups, seed=seed)
    overall = result.figures.get(result.overall, figures[0])
    return WithoutTouched(
        result.model,
        result.judge,
        overall,
        _or_none(figures[1]),
        _or_none(figures[2]),
        (len(units), len(touched)),
        {
            name: (figures[3 + 2 * place], _or_none(figures[4 + 2 * place]))
            for place, name in enumerate(names)
        },
    )


def _or_none(figure: Figure) -> Figure | None:
    return figure if figure.n else None


def _reweighted(units: Sequence[Unit], kept: Sequence[Unit]) -> list[Unit]:
    """Return the kept units with the weight of their strata before anything was left out."""
    from dataclasses import replace

    if len({unit.stratum for unit in units}) < 2:
        return list(kept)
    before: dict[str, float] = {}
    after: dict[str, float] = {}
    for sums, part in ((before, units), (after, kept)):
        for unit in part:
            sums[unit.stratum] = sums.get(unit.stratum, 0.0) + unit.weight
    return [
        replace(unit, weight=unit.weight * before[unit.stratum] / after[unit.stratum])
        if after[unit.stratum]
        else unit
        for unit in kept
    ]
