"""The index of evaluation texts that documents are searched for, and its parameters.

A document holds an item if a run of at least `ngram` characters of the item stands in it, compared in the folded
form of `kernels.fold` (case, width, white space, punctuation and symbols do not count; kana keep their dakuten).
Letters of alphabets and digits count a third each: 20 letters are four English words, which many texts share, 60
letters are the 13 words that are usual there. Of a long text (a passage) a run must be longer, since passages hold
phrases that many texts share (`は、かつて日本の地方行政区分だった令制国の一つ`); a few changed characters do not end it.

Of an item all of whose texts are shorter than a run, the longest is looked for whole: between two ends of sentences,
lines or quotations. One that is too short even for that (`short`) is counted and told of, not looked for.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from watari.errors import UserError
from watari.kernels.fold import CODE, NARROW_PER_WIDE, Folded, fold, units
from watari.kernels.overlap import GramSet, HashSet, gram_hashes, stride_of, whole_hashes
from watari.text.evaluation_sets import EvaluationText

_FORM = 1
_MIN_DISTINCT = 5
"""A run of fewer distinct characters (a ruled line, zeros) is in too many texts to say anything."""
_PASSAGE = 2.5
"""The longest run that is asked for, in `ngram`s: 50 characters, a sentence (Swallow's mean is 20 to 90)."""
_LABEL = re.compile(r"^\s*[^\s:：]{1,8}[:：]\s*")


class ContaminationParams(BaseModel):
    """How evaluation items are looked for in documents, and what becomes of a document that holds one."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    ngram: int = Field(
        default=20,
        ge=8,
        le=64,
        description="characters of an item (kana, kanji, Hangul; other letters and digits count a third) that a"
        " document must hold in one run. At 13, 4.3 % of unrelated documents were hit, at 20 0.09 %, both with"
        " every planted item found; at 30, .99 of them (facts/corpus.md §2)",
    )
    passage: float = Field(
        default=0.65,
        ge=0,
        le=1,
        description="share of one text of an item that a run must cover where that is more than `ngram`, up to 2.5"
        " times `ngram`. At 0, 1 % of Wikipedia's first sentences share a common phrase with some passage of JSQuAD",
    )
    short: int = Field(
        default=10,
        ge=4,
        description="an item all of whose texts are shorter than `ngram` is looked for by the longest of them, whole (a"
        " sentence, line or quotation of its own), if that has at least this many characters, counted as for"
        " `ngram`; items with less text are not looked for, but told of in the report",
    )
    min_ngrams: int = Field(
        default=1,
        ge=1,
        description="n-grams of evaluation texts that a document must hold; a whole short text is one",
    )
    share: float = Field(
        default=0.0, ge=0, le=1, description="share of a document's characters that runs must cover at least"
    )
    action: Literal["drop", "cut"] = Field(
        default="drop",
        description="drop the document, or cut the sentences that hold the run and keep the rest if it is long enough",
    )
    keep_characters: int = Field(
        default=200, ge=1, description="with `cut`: a document of which fewer characters are left is dropped"
    )
    train: Literal["flag", "drop", "cut"] = Field(
        default="flag",
        description="the same for items of train splits, which a corpus may hold knowingly (Shisa mixed them in):"
        " flag keeps the document and tells of it in the report",
    )


@dataclass(frozen=True)
class TaskIndex:
    """What the index holds of one task.

    Args:
        task: Its name.
        split: train or test.
        items: Items with a text.
        texts: Different texts of them.
        whole: Texts that are looked for whole.
        too_short: Items with too little text to be looked for.
    """

    task: str
    split: str
    items: int
    texts: int
    whole: int
    too_short: int

    @property
    def label(self) -> str:
        """What reports call it: its name, and `(train)` behind it for a train split."""
        return self.task if self.split == "test" else f"{self.task} (train)"


@dataclass(frozen=True)
class ContaminationIndex:
    """Evaluation texts, ready to be looked for. Made by `build_index`; the same texts give the same index in any order.

    Args:
        ngram, short, passage: As in the parameters it was built with.
        tasks: What it holds of each task, sorted by (task, split).
        items: (task's number, item's id) of every item, sorted.
        grams: uint64, sorted hashes of runs of `ngram` characters.
        needs: int64, of each gram: units that a run must have (`kernels.fold.units`).
        inner: uint64, sorted hashes of the shorter grams for the first look.
        whole: uint64, sorted hashes of short texts.
        lengths: int64[2]: folded characters of the shortest and the longest short text.
        owners: int32: items of a gram or a short text, grams first, see `offsets`; one for each task.
        offsets: int64[grams + whole + 1]: into `owners`.
    """

    ngram: int
    short: int
    passage: float
    tasks: tuple[TaskIndex, ...]
    items: tuple[tuple[int, str], ...]
    grams: npt.NDArray[np.uint64]
    needs: npt.NDArray[np.int64]
    inner: npt.NDArray[np.uint64]
    whole: npt.NDArray[np.uint64]
    lengths: npt.NDArray[np.int64]
    owners: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]

    @cached_property
    def gram_set(self) -> GramSet:
        """What `find_grams` asks."""
        return GramSet(self.ngram, HashSet.of(self.grams), HashSet.of(self.inner))

    @cached_property
    def whole_set(self) -> HashSet:
        """What `find_whole` asks."""
        return HashSet.of(self.whole)

    def label(self, item: int) -> str:
        """Return how reports call an item's task: its name, and `(train)` behind it for a train split."""
        return self.tasks[self.items[item][0]].label

    def split(self, item: int) -> str:
        """Return the split of an item."""
        return self.tasks[self.items[item][0]].split

    def save(self, path: Path) -> None:
        """Write the index as .npz, without pickles; the same index gives the same bytes."""
        head = {
            "form": _FORM,
            "ngram": self.ngram,
            "short": self.short,
            "passage": self.passage,
            "tasks": [vars(task) for task in self.tasks],
            "items": self.items,
        }
        text = json.dumps(head, ensure_ascii=False, sort_keys=True).encode()
        with path.open("wb") as file:
            np.savez(
                file,
                head=np.frombuffer(text, np.uint8),
                **{name: getattr(self, name) for name in _ARRAYS},
            )

    @staticmethod
    def load(path: Path) -> ContaminationIndex:
        """Return a saved index.

        Raises:
            UserError: if the file is none, or of another form.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                head = json.loads(file["head"].tobytes())
                arrays = {name: file[name] for name in _ARRAYS}
        except (OSError, ValueError, KeyError, EOFError) as error:
            raise UserError(f"{path}: not a contamination index: {error}", "build it again") from None
        if head.get("form") != _FORM:
            raise UserError(f"{path}: a contamination index of another version", "build it again")
        return ContaminationIndex(
            head["ngram"],
            head["short"],
            head["passage"],
            tuple(TaskIndex(**task) for task in head["tasks"]),
            tuple((task, item) for task, item in head["items"]),
            **arrays,
        )


_ARRAYS = ("grams", "needs", "inner", "whole", "lengths", "owners", "offsets")


def build_index(
    sets: Iterable[tuple[str, str, str] | EvaluationText], params: ContaminationParams | None = None
) -> ContaminationIndex:
    """Return the index of some evaluation texts.

    Args:
        sets: (task, item id, text), or `EvaluationText`s, which also say the split. Texts of the same task and item
            belong together. Of a text of many lines each line is one more short text, without a label before a
            colon (`質問：`).
        params: `ngram`, `passage` and `short` count here.

    Raises:
        UserError: if there is no text at all.
    """
    params = params or ContaminationParams()
    rows = sorted(
        {(row.task, row.split, row.item, _clean(row.text)) for row in (EvaluationText(*s) for s in sets)}
    )
    if not rows:
        raise UserError("no evaluation texts to decontaminate against", "check the paths given")
    names = sorted({(task, split) for task, split, _, _ in rows})
    number = {name: index for index, name in enumerate(names)}
    items = sorted({(number[task, split], item) for task, split, item, _ in rows})
    place = {item: index for index, item in enumerate(items)}

    owners = np.fromiter(
        (place[number[task, split], item] for task, split, item, _ in rows), np.int64, len(rows)
    )
    folded = fold(pa.array([text for _, _, _, text in rows], pa.large_string()))
    sizes = _row_sums(units(folded.codes), folded.offsets)
    limit, least = NARROW_PER_WIDE * params.ngram, NARROW_PER_WIDE * params.short

    grams, gram_places = gram_hashes(folded, params.ngram)
    gram_rows = np.searchsorted(folded.offsets, gram_places, side="right") - 1
    wanted = (sizes >= limit)[gram_rows] & _varied(folded, gram_places, params.ngram)
    grams, gram_rows = grams[wanted], gram_rows[wanted]
    needs = np.clip((sizes * params.passage).astype(np.int64), limit, int(limit * _PASSAGE))
    inner, inner_places = gram_hashes(folded, params.ngram - stride_of(params.ngram) + 1)
    inner_rows = np.searchsorted(folded.offsets, inner_places, side="right") - 1

    # What an item's texts say line by line: of a `質問：…\n選択肢：…` the question must be found without the choices.
    lines = [
        (owner, _LABEL.sub("", line))
        for owner, row in zip(owners, rows, strict=True)
        for line in _lines(row[3])
    ]
    line_folded = fold(pa.array([line for _, line in lines], pa.large_string()))
    line_sizes = _row_sums(units(line_folded.codes), line_folded.offsets)
    line_owners = np.array([owner for owner, _ in lines], np.int64)
    longest = np.zeros(len(items), np.int64)
    np.maximum.at(longest, line_owners, line_sizes)
    chosen = (line_sizes == longest[line_owners]) & (line_sizes < limit) & (line_sizes >= least)
    findable = np.zeros(len(items), bool)
    findable[owners[gram_rows]] = True
    findable[line_owners[chosen]] = True

    task_of = np.array([task for task, _ in items], np.int64)
    gram_keys, gram_offsets, gram_owners = _owned(grams, owners[gram_rows], task_of)
    whole_keys, whole_offsets, whole_owners = _owned(
        whole_hashes(line_folded)[chosen], line_owners[chosen], task_of
    )
    spans = np.diff(line_folded.offsets)[chosen]
    gram_needs = np.full(len(gram_keys), np.iinfo(np.int64).max)
    np.minimum.at(gram_needs, np.searchsorted(gram_keys, grams), needs[gram_rows])
    texts = np.array([number[task, split] for task, split, _ in {row[:2] + row[3:] for row in rows}])
    counted = (task_of, texts, task_of[whole_owners], task_of[~findable])
    per_task = np.stack([np.bincount(tasks, minlength=len(names)) for tasks in counted], axis=1)
    return ContaminationIndex(
        params.ngram,
        params.short,
        params.passage,
        tuple(TaskIndex(*name, *row) for name, row in zip(names, per_task.tolist(), strict=True)),
        tuple(items),
        gram_keys,
        gram_needs,
        np.unique(inner[(sizes >= limit)[inner_rows]]),
        whole_keys,
        np.array([spans.min(initial=1 << 30), spans.max(initial=0)], np.int64),
        np.concatenate([gram_owners, whole_owners]).astype(np.int32),
        np.concatenate([gram_offsets, whole_offsets[1:] + gram_offsets[-1]]),
    )


def _lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()]


def _clean(text: str) -> str:
    return unicodedata.normalize("NFC", text.encode("utf-8", "replace").decode("utf-8"))


def _row_sums(values: npt.NDArray[np.int64], offsets: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    sums = np.concatenate([[0], np.cumsum(values)])
    return np.asarray(sums[offsets[1:]] - sums[offsets[:-1]])


def _varied(folded: Folded, places: npt.NDArray[np.int64], n: int) -> npt.NDArray[np.bool_]:
    """Return which runs have at least `_MIN_DISTINCT` different characters."""
    codes = folded.codes & np.uint32(CODE)
    keep = np.zeros(len(places), bool)
    for first in range(0, len(places), 1 << 18):
        part = places[first : first + (1 << 18)]
        runs = np.sort(codes[part[:, None] + np.arange(n)], axis=1)
        keep[first : first + (1 << 18)] = (np.diff(runs, axis=1) != 0).sum(axis=1) + 1 >= _MIN_DISTINCT
    return keep


def _owned(
    hashes: npt.NDArray[np.uint64], owners: npt.NDArray[np.int64], task_of: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return (hashes, each once; offsets; the first owner of each task), sorted."""
    tasks = task_of[owners]
    order = np.lexsort((owners, tasks, hashes))
    hashes, owners, tasks = hashes[order], owners[order], tasks[order]
    new = np.ones(len(hashes), bool)
    new[1:] = hashes[1:] != hashes[:-1]
    first = new.copy()
    first[1:] |= tasks[1:] != tasks[:-1]
    hashes, owners, new = hashes[first], owners[first], new[first]
    starts = np.flatnonzero(new)
    return hashes[starts], np.concatenate([starts, [len(hashes)]]), owners
