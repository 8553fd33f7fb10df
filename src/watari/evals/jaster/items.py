"""Items with a gold answer, in the form in which llm-jp-eval puts them: dataset, input, gold, split."""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

Split = Literal["train", "dev", "test"]

_SHUFFLE_SEED = 42
"""llm-jp-eval's own, wherever it draws a split: Python's generator gives the same order today."""


@dataclass(frozen=True, slots=True)
class JasterItem:
    """One item.

    Args:
        dataset: `jnli`, `niilc`, ...
        id: Unique in its dataset and split.
        input: What stands behind the prompt's input mark, labels of its parts included.
        gold: The right answer, as it is compared.
        split: Which part of the dataset it is in.
    """

    dataset: str
    id: str
    input: str
    gold: str
    split: Split


@dataclass(frozen=True, slots=True)
class Dataset:
    """A dataset as it is asked.

    Args:
        name: `jnli`, ...
        test: Items to be asked, in order.
        train: Where examples come from, in order; may be empty.
        instruction: In the words of the file that it comes from; "" if that has none.
        output_length: Tokens of an answer at most, as its file says; None if it does not.
        sources: The files.
        published: It comes from its published files, whose train split nobody has shuffled yet.
        bundled: It comes with Watari.
    """

    name: str
    test: tuple[JasterItem, ...]
    train: tuple[JasterItem, ...] = ()
    instruction: str = ""
    output_length: int | None = None
    sources: tuple[str, ...] = ()
    published: bool = False
    bundled: bool = False


def normal(text: str) -> str:
    """Return a text in NFKC: how llm-jp-eval 1.0 keeps golds and answers."""
    return unicodedata.normalize("NFKC", text)


def shuffled(items: Sequence[JasterItem]) -> list[JasterItem]:
    """Return items in the order that llm-jp-eval's `random.seed(42)` gives."""
    order = list(items)
    random.Random(_SHUFFLE_SEED).shuffle(order)
    return order


def split_eight_one_one(items: Sequence[JasterItem]) -> list[JasterItem]:
    """Return items with the splits that llm-jp-eval draws where a dataset has none: 8 train, 1 dev, 1 test."""
    order = shuffled(items)
    first, second = int(len(order) * 0.8), int(len(order) * 0.9)
    names: tuple[tuple[Split, list[JasterItem]], ...] = (
        ("train", order[:first]),
        ("dev", order[first:second]),
        ("test", order[second:]),
    )
    return [replace(item, split=split) for split, part in names for item in part]


def datasets_of(items: Iterable[JasterItem], sources: Sequence[str] = ()) -> dict[str, Dataset]:
    """Return items by dataset, each split in its order."""
    test: dict[str, list[JasterItem]] = {}
    train: dict[str, list[JasterItem]] = {}
    for item in items:
        test.setdefault(item.dataset, [])
        train.setdefault(item.dataset, [])
        if item.split == "test":
            test[item.dataset].append(item)
        elif item.split == "train":
            train[item.dataset].append(item)
    return {
        name: Dataset(name, tuple(found), tuple(train[name]), sources=tuple(sources))
        for name, found in test.items()
    }
