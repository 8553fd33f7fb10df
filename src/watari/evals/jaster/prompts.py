"""How an item is put to a model: upstream's own template from a file, or one built by the spec's rule.

A file of prompts is JSON in one of these forms:

    {dataset: template}                 a whole template with {input}; shots included
    {dataset: {bos: template}}          as stored of Shisa's runs: "" is the one without a BOS
    {"header": ..., "instructions": {dataset: ...}}   the words alone; shots are the first of the train split

Upstream's words are not in this repository. Where a dataset's template is the very one that the spec pins by its hash,
the score is the spec's; otherwise it is marked with our own label.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from watari.artifact.hashing import hash_json
from watari.errors import UserError
from watari.evals.jaster.items import Dataset, JasterItem, shuffled
from watari.evals.jaster.spec import JasterSpec

OWN = "watari-jaster"
INPUT = "{input}"


@dataclass(frozen=True, slots=True)
class Book:
    """What a file of prompts says.

    Args:
        templates: Whole templates by dataset, without BOS.
        header: Opening words; "" if it gives none.
        instructions: By dataset.
        source: The file; "" for none.
    """

    templates: Mapping[str, str] = field(default_factory=dict)
    header: str = ""
    instructions: Mapping[str, str] = field(default_factory=dict)
    source: str = ""


@dataclass(frozen=True, slots=True)
class Template:
    """A dataset's template.

    Args:
        text: With {input} once, without BOS.
        bos_at: Where a BOS goes that is asked for inside.
        shots: How many examples it holds.
        pinned: It is the one that the spec pins.
        words: Where its words come from: `file`, `dataset` (its own instruction) or `own`.
    """

    text: str
    bos_at: int
    shots: int
    pinned: bool
    words: str

    def render(self, text: str, bos: str = "") -> str:
        """Return the prompt of an item.

        Args:
            text: The item's input.
            bos: Written where Shisa's patch of llm-jp-eval wrote it.
        """
        opened = self.text[: self.bos_at] + bos + self.text[self.bos_at :]
        head, _, tail = opened.rpartition(INPUT)
        return head + text + tail


def read_book(path: Path) -> Book:
    """Read a file of prompts.

    Raises:
        UserError: if it cannot be read or is in no known form.
    """
    try:
        content = json.loads(path.read_text("utf-8-sig"))
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such file", "check `prompts`") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read: {error}", "a file of prompts is JSON") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: not an object", "wanted: {dataset: template}")
    if "instructions" in content or "header" in content:
        header, instructions = content.get("header", ""), content.get("instructions", {})
        if not isinstance(header, str) or not _texts(instructions):
            raise UserError(f"{path}: `header` is a text, `instructions` texts by dataset")
        return Book(header=header, instructions=instructions, source=str(path))
    templates = {}
    for dataset, given in content.items():
        template = given.get("") if isinstance(given, dict) else given
        if isinstance(given, dict) and template is None:
            raise UserError(f"{path}: {dataset}: no template without BOS", 'give it under the key ""')
        if not isinstance(template, str) or template.count(INPUT) != 1:
            raise UserError(f"{path}: {dataset}: no text with {INPUT} once", "mend the template")
        templates[dataset] = template
    return Book(templates=templates, source=str(path))


def template_of(
    spec: JasterSpec, dataset: Dataset, book: Book, *, shots: int | None = None, strict: bool = False
) -> Template:
    """Return a dataset's template.

    Args:
        spec: Says how one is built.
        dataset: Its train split gives the examples.
        book: Upstream's words, if they are there.
        shots: Examples; None: the spec's.
        strict: Our own words are refused.

    Raises:
        UserError: if there are too few examples, or nobody's words for it.
    """
    rule = spec.prompt
    given = book.templates.get(dataset.name)
    if given is not None:
        pinned = rule.templates.get(dataset.name) == hashlib.sha256(given.encode()).hexdigest()
        opening = _opening(rule.item)
        count = max(given.count(opening) - 1, 0)
        if shots is not None and shots != count:
            raise UserError(
                f"shots: {dataset.name}: the template in {book.source} has {count}", "leave `shots` out"
            )
        return Template(given, _bos_place(given, rule.intro, opening), count, pinned, "file")
    wanted = rule.shots if shots is None else shots
    train: Sequence[JasterItem] = dataset.train
    if rule.shuffled and dataset.published and dataset.name != "jsem":  # JSeM's splits are drawn already
        train = shuffled(train)[: int(len(train) * 0.9)]
    if len(train) < wanted:
        raise UserError(
            f"{dataset.name}: {wanted} examples are wanted, its train split has {len(train)}",
            "give its train file too, a file of `prompts`, or set `shots`",
        )
    header = book.header or rule.header or wording()["header"]
    instruction = book.instructions.get(dataset.name) or dataset.instruction
    words = "file" if dataset.name in book.instructions else "dataset" if instruction else "own"
    if not instruction:
        if strict:
            raise UserError(f"{dataset.name}: no instruction in upstream's words", "give a file of `prompts`")
        own = spec.datasets[dataset.name].instruction if dataset.name in spec.datasets else {}
        instruction = own.get("ja") or wording()["instructions"].get(dataset.name) or wording()["default"]
    intro = rule.intro.replace("{header}", header)
    before, _, after = intro.partition("{bos}") if "{bos}" in intro else (intro, "", "")
    before, after = (part.replace("{instruction}", instruction) for part in (before, after))
    head = before + after
    # Examples stand as the dataset has them: only what is compared is normalised.
    examples = "".join(_item(rule.item, one.input, one.gold) for one in train[:wanted])
    text = head + examples + _item(rule.item, INPUT, "")
    return Template(text, len(before) if "{bos}" in rule.intro else 0, wanted, False, words)


def label_of(spec: JasterSpec, templates: Mapping[str, Template]) -> str:
    """Return what scores are marked with: the spec's label where every prompt is the pinned one, else our own before it.

    Words of the datasets' own files or of a file of prompts are upstream's for all we know, but nothing proves it.
    """
    if templates and all(one.pinned for one in templates.values()):
        return spec.label
    if any(one.words == "own" for one in templates.values()):
        return f"{OWN}/{wording()['version']} ({spec.label})"
    return f"{spec.label} with prompts {hash_json(sorted(one.text for one in templates.values()))[:8]}"


@cache
def wording() -> dict[str, Any]:
    """Return our own words: header, instructions by dataset, default, version."""
    import yaml

    file = resources.files("watari.evals.jaster") / "wording.yaml"
    content: dict[str, Any] = yaml.safe_load(file.read_text("utf-8"))
    return content


def _item(form: str, text: str, output: str) -> str:
    # Filled from the back: an input may hold a name in braces.
    head, _, tail = form.rpartition("{output}")
    before, _, after = head.partition("{input}")
    return before + text + after + output + tail


def _opening(form: str) -> str:
    return form.partition("{input}")[0]


def _bos_place(template: str, intro: str, opening: str) -> int:
    """Return where the spec's intro has its {bos}: after the mark that stands before the instruction."""
    before, found, _ = intro.partition("{bos}")
    mark = before.rpartition("}")[2]
    place = template.find(mark) if mark else -1
    return place + len(mark) if found and 0 <= place < template.find(opening) else 0


def _texts(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(one, str) for one in value.values())
