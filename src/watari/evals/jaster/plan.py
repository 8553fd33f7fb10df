"""What an evaluation will ask: items, prompts and limits, settled before anybody is asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from watari.artifact.hashing import hash_json
from watari.errors import UserError
from watari.evals.jaster.datasets import load_datasets
from watari.evals.jaster.items import Dataset, JasterItem
from watari.evals.jaster.params import Params
from watari.evals.jaster.postprocess import gold
from watari.evals.jaster.prompts import Book, Template, label_of, read_book, template_of
from watari.evals.jaster.spec import JasterSpec
from watari.evals.params import BUNDLED
from watari.evals.recording import named
from watari.evals.spec import load_spec
from watari.generate.prompting import Prompt


@dataclass(frozen=True)
class Plan:
    """What is asked.

    Args:
        spec: The spec.
        datasets: Those that are asked, in the order of the spec, with the items that are asked.
        templates: Of each dataset.
        limits: Tokens of an answer to each.
        notes: What a reader must be told.
        places: Where the items come from, for people.
        chats: Whether prompts go as messages.
        bos: What is written inside of prompts.
    """

    spec: JasterSpec
    datasets: tuple[Dataset, ...]
    templates: dict[str, Template]
    limits: dict[str, int]
    notes: tuple[str, ...]
    places: tuple[str, ...]
    chats: bool
    bos: str

    @property
    def items(self) -> list[JasterItem]:
        """Every item, dataset by dataset."""
        return [item for dataset in self.datasets for item in dataset.test]

    @cached_property
    def label(self) -> str:
        """What the scores are marked with."""
        return label_of(self.spec, self.templates)

    @cached_property
    def digest(self) -> str:
        """Hash of the items and of the prompts' templates."""
        items = [[item.dataset, item.id, item.input, item.gold] for item in self.items]
        return hash_json([items, {name: one.text for name, one in self.templates.items()}])

    @property
    def empty(self) -> list[str]:
        """What categories without a dataset mean for the overall figure, in words; scoring says it too."""
        asked = {one.name for one in self.datasets}
        counts = "counts 0.0 in" if self.spec.missing_category == "zero" else "is left out of"
        return [
            f"{name}: no dataset, it {counts} {self.spec.overall}"
            for name, members in self.spec.categories.items()
            if not asked & set(members)
        ]

    def prompt(self, item: JasterItem) -> Prompt:
        """Return what is asked for an item: a text, or one message."""
        text = self.templates[item.dataset].render(item.input, self.bos)
        return [{"role": "user", "content": text}] if self.chats else text

    def probes(self) -> dict[str, tuple[str, Prompt]]:
        """Return the first item of each dataset with its prompt."""
        return {one.name: (one.test[0].id, self.prompt(one.test[0])) for one in self.datasets}


def plan_of(params: Params) -> Plan:
    """Settle what is asked.

    Raises:
        UserError: for datasets, prompts or settings that cannot be used.
    """
    spec = load_spec(params.spec)
    if not isinstance(spec, JasterSpec):
        raise UserError(f"spec: {params.spec} is no spec of llm-jp-eval's kind", "llm-jp-eval-1.0 or -1.3")
    places = tuple(params.questions) or (BUNDLED,)
    there = load_datasets(places)
    book = read_book(Path(params.prompts)) if params.prompts else Book()
    wanted = _wanted(spec, there, params.datasets)
    limit = spec.prompt.samples if params.limit is None else params.limit or None
    notes = list(_notes(spec, there, wanted, params))
    datasets, templates, limits = [], {}, {}
    for name in wanted:
        dataset = there[name]
        if not dataset.test:
            raise UserError(
                f"{name}: nothing to ask: {dataset.sources[0]} holds its train split", "give its test file"
            )
        if limit is not None and len(dataset.test) < limit and params.limit:
            notes.append(f"{name}: {len(dataset.test):,} items are there, {limit:,} were wanted")
        asked = tuple(replace(item, gold=gold(item.gold, spec.answer)) for item in dataset.test[:limit])
        _check_ids(asked)
        datasets.append(replace(dataset, test=asked))
        templates[name] = template_of(spec, dataset, book, shots=params.shots)
        rule = spec.datasets[name].max_new_tokens
        limits[name] = params.max_tokens or dataset.output_length or rule or spec.prompt.max_new_tokens
    plan = Plan(
        spec,
        tuple(datasets),
        templates,
        limits,
        (),
        tuple(map(named, places)),
        params.chats,
        params.bos_in_prompt,
    )
    if plan.label != spec.label:
        strange = [name for name, one in templates.items() if not one.pinned]
        which = "all datasets" if len(strange) == len(templates) else ", ".join(strange)
        notes.insert(
            0,
            f"marked {plan.label}: the prompts of {which} are not those that {spec.label} pins",
        )
    return replace(plan, notes=tuple(notes))


def _wanted(spec: JasterSpec, there: dict[str, Dataset], only: Sequence[str]) -> list[str]:
    """Return the datasets to be asked, in the order of the spec."""
    for name in only:
        if name not in spec.datasets:
            raise UserError(f"datasets: {spec.name} has no {name}", "one of " + ", ".join(spec.datasets))
        if name not in there:
            raise UserError(f"datasets: {name} is not there", f"there are {', '.join(there)}")
    # Of those that happen to be there with their examples alone nothing can be asked.
    found = [n for n in spec.datasets if n in there and (n in only if only else bool(there[n].test))]
    if not found:
        raise UserError(
            f"none of the datasets of {spec.name} is there: {', '.join(there)}",
            "its datasets are " + ", ".join(spec.datasets),
        )
    return found


def _notes(spec: JasterSpec, there: dict[str, Dataset], wanted: Sequence[str], params: Params) -> list[str]:
    notes = []
    if strange := [name for name in there if name not in spec.datasets]:
        notes.append(f"not asked, {spec.name} has no such dataset: {', '.join(strange)}")
    if any(there[name].bundled for name in wanted):
        notes.append("the bundled items are Watari's own in the datasets' forms: no figure is a benchmark's")
    if params.bos_in_prompt:
        notes.append(f"{params.bos_in_prompt} stands inside of each prompt, as Shisa's patch wrote it")
    return notes


def _check_ids(items: Sequence[JasterItem]) -> None:
    seen: set[str] = set()
    for item in items:
        if item.id in seen:
            raise UserError(f"{item.dataset}: two items have the id {item.id}", "give each its own")
        seen.add(item.id)
