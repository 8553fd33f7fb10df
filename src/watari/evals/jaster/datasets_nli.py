"""Pairs of premise and hypothesis, as published: JNLI (JSON lines), JaNLI, JSICK and Jamp (TSV), JSeM (XML)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from watari.errors import UserError
from watari.evals.jaster.items import JasterItem, Split, split_eight_one_one

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_UNUSED = frozenset({"", "infelicitous", "unacceptable", "weakacceptable"})
"""Labels of JSeM that llm-jp-eval leaves out: they judge the sentence, not the inference."""


def pair(premise: str, hypothesis: str) -> str:
    """Return a premise and a hypothesis as an item's input."""
    return f"前提：{premise}\n仮説：{hypothesis}"


def jnli(rows: Iterable[tuple[Any, str]], split: Split) -> Iterator[JasterItem]:
    """Yield the items of JNLI's rows {sentence_pair_id, sentence1, sentence2, label}."""
    for row, place in rows:
        text = pair(field(row, "sentence1", place), field(row, "sentence2", place))
        name = str(row.get("sentence_pair_id", place))
        yield JasterItem("jnli", name, text, field(row, "label", place), split)


def janli(table: Sequence[tuple[dict[str, str], str]]) -> Iterator[JasterItem]:
    """Yield JaNLI's items; its column `split` says train or test."""
    for row, place in table:
        text = pair(field(row, "sentence_A_Ja", place), field(row, "sentence_B_Ja", place))
        split: Split = "test" if row.get("split", "").strip() == "test" else "train"
        yield JasterItem("janli", row.get("", place), text, field(row, "entailment_label_Ja", place), split)


def jsick(table: Sequence[tuple[dict[str, str], str]], split: Split) -> Iterator[JasterItem]:
    """Yield JSICK's items."""
    for row, place in table:
        text = pair(field(row, "sentence_A_Ja", place), field(row, "sentence_B_Ja", place))
        gold = field(row, "entailment_label_Ja", place)
        yield JasterItem("jsick", row.get("pair_ID", place), text, gold, split)


def jamp(table: Sequence[tuple[list[str], str]], split: Split) -> Iterator[JasterItem]:
    """Yield Jamp's items: its columns are id, premise, hypothesis, gold label and more."""
    for cells, place in table:
        if len(cells) < 4:
            raise UserError(
                f"{place}: {len(cells)} columns, not id, premise, hypothesis, gold", "is it whole?"
            )
        yield JasterItem("jamp", cells[0] or place, pair(cells[1], cells[2]), cells[3].strip(), split)


def jsem(roots: Sequence[tuple[Element, str]]) -> list[JasterItem]:
    """Return JSeM's items of all its files, in the splits that llm-jp-eval draws.

    Args:
        roots: (document, file), in the order of the files' names: the draw depends on it.
    """
    found: list[JasterItem] = []
    for root, file in roots:
        for number, problem in enumerate(root.iter("problem"), 1):
            answer = problem.get("answer") or ""
            if answer in _UNUSED:
                continue
            name = problem.get("jsem_id") or str(number)
            place = f"{file}: problem {name}"
            premise = "".join(_script(one, place) for one in problem.findall("p"))
            hypotheses = problem.findall("h")
            if len(hypotheses) != 1 or not problem.findall("p"):
                raise UserError(f"{place}: no premise, or not one hypothesis", "mend or remove the problem")
            text = pair(premise, _script(hypotheses[0], place))
            found.append(JasterItem("jsem", name, text, answer, "test"))
    return split_eight_one_one(found)


def _script(part: Element, place: str) -> str:
    script = part.find("script")
    if script is None or script.text is None:
        raise UserError(f"{place}: a sentence without a script", "mend or remove the problem")
    # Lines are folded in the files; xmltodict, with which llm-jp-eval reads them, strips the ends only.
    return script.text.strip()


def field(row: Any, name: str, place: str) -> str:
    """Return a text of a row; numbers are written out.

    Raises:
        UserError: if it is missing, or neither text nor number.
    """
    value = row.get(name) if isinstance(row, dict) else None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        what = "is missing" if value is None else f"is {value!r:.40}"
        raise UserError(f"{place}: `{name}` {what}", "is it a file of another dataset?")
    return str(value)
