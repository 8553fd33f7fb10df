"""What a spec of llm-jp-eval's kind pins: datasets with their metrics, categories, prompt, shots, post-processing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from watari.evals.spec import SpecHead

Metric = Literal[
    "exact_match",
    "char_f1",
    "set_f1",
    "pearson",
    "spearman",
    "bleu_ja",
    "bleu_en",
    "bert_score_ja_f1",
    "bert_score_en_f1",
    "comet_wmt22",
]


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DatasetRule(_Frozen):
    """How one dataset is scored.

    Args:
        metrics: In the order of the table. The first is what its category counts.
        max_new_tokens: Tokens of an answer at most; None: the prompt rule's.
        instruction: Our own words for the task, used where upstream's are not given; by language.
    """

    metrics: tuple[Metric, ...] = Field(min_length=1)
    max_new_tokens: int | None = Field(default=None, ge=1)
    instruction: dict[str, str] = Field(default_factory=dict)


class PromptRule(_Frozen):
    """How an item is put to a model: intro, shots, the item without its output.

    Args:
        intro: Format with {header}, {instruction} and, where the release put one there, {bos}.
        item: Format with {input} and {output}; shots are whole, the item itself ends where {output} stands.
        header: Our own opening words, used where upstream's are not given.
        shots: Examples before each item: the first so many of the train split.
        shuffled: The train split of published files is shuffled first, as that release drew its dev split from it.
        samples: Items of each dataset: the first so many of the test split.
        max_new_tokens: Tokens of an answer at most.
        templates: sha256 (of UTF-8) of upstream's whole templates with {input} literal and no BOS, by dataset: what a
            file of prompts is held against.
    """

    intro: str
    item: str
    header: str
    shots: int = Field(default=4, ge=0)
    shuffled: bool = False
    samples: int = Field(default=100, ge=1)
    max_new_tokens: int = Field(default=128, ge=1)
    templates: dict[str, str] = Field(default_factory=dict)


class AnswerRule(_Frozen):
    """What is made of the text that a model gave: cut, then normalised, then stripped.

    Args:
        until: The answer ends before the first of these.
        normal_form: Unicode normalisation.
        strip: Take blanks off both ends.
    """

    until: tuple[str, ...] = ()
    normal_form: Literal["NFC", "NFKC"] | None = "NFKC"
    strip: bool = False


class JasterSpec(SpecHead):
    """A release of llm-jp-eval.

    Args:
        family: Always jaster.
        overall: Name of its overall figure: the plain mean of the categories.
        categories: Datasets of each, in the order of the table; the mean of their first metrics is its figure.
        datasets: Every dataset, in the order of the table; one may be in no category.
        missing_category: What a category without any dataset counts in the overall figure: 0 or nothing.
        sum_order: The order in which the categories are added up, in plain floats; default: the table's.
        prompt, answer: How items are put, and what is made of answers.
    """

    family: Literal["jaster"]
    overall: str
    categories: dict[str, tuple[str, ...]]
    datasets: dict[str, DatasetRule]
    missing_category: Literal["zero", "leave-out"] = "zero"
    sum_order: tuple[str, ...] = ()
    prompt: PromptRule
    answer: AnswerRule

    @model_validator(mode="after")
    def _categories_name_datasets(self) -> JasterSpec:
        counted = [dataset for members in self.categories.values() for dataset in members]
        if strange := sorted(set(counted) - set(self.datasets)):
            raise ValueError(f"categories: no such dataset: {', '.join(strange)}")
        if len(counted) != len(set(counted)):
            raise ValueError("categories: a dataset is in two of them")
        if self.sum_order and sorted(self.sum_order) != sorted(self.categories):
            raise ValueError("sum_order: the categories, in another order")
        return self

    def category_of(self, dataset: str) -> str | None:
        """Return the category of a dataset, or None for one that is in none."""
        return next((name for name, members in self.categories.items() if dataset in members), None)

    def dataset_figures(self) -> Iterator[tuple[str, str, Metric]]:
        """Yield the figures of datasets in the order of the table: name of the figure, dataset, metric."""
        for dataset, rule in self.datasets.items():
            for metric in rule.metrics:
                yield f"{dataset}_{metric}", dataset, metric
