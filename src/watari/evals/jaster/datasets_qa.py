"""Questions, as published: JCommonsenseQA, JSQuAD and JSTS (JGLUE), JEMHopQA (JSON), NIILC (XML)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from watari.errors import UserError
from watari.evals.jaster.datasets_nli import field
from watari.evals.jaster.items import JasterItem, Split

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

CHOICES = 5


def jcommonsenseqa(rows: Iterable[tuple[Any, str]], split: Split) -> Iterator[JasterItem]:
    """Yield the items of JCommonsenseQA's rows {q_id, question, choice0 ... choice4, label}; the gold is a number."""
    for row, place in rows:
        choices = ",".join(f"{n}.{field(row, f'choice{n}', place)}" for n in range(CHOICES))
        text = f"質問：{field(row, 'question', place)}\n選択肢：{choices}"
        yield JasterItem(
            "jcommonsenseqa", str(row.get("q_id", place)), text, field(row, "label", place), split
        )


def jsts(rows: Iterable[tuple[Any, str]], split: Split) -> Iterator[JasterItem]:
    """Yield the items of JSTS's rows {sentence_pair_id, sentence1, sentence2, label}; the gold is 0.0 to 5.0."""
    for row, place in rows:
        text = f"文1：{field(row, 'sentence1', place)}\n文2：{field(row, 'sentence2', place)}"
        gold = field(row, "label", place)
        yield JasterItem("jsts", str(row.get("sentence_pair_id", place)), text, gold, split)


def jsquad(content: Any, file: str, split: Split) -> Iterator[JasterItem]:
    """Yield JSQuAD's questions; the gold is the first of the answers.

    Raises:
        UserError: if it is not in SQuAD's form.
    """
    try:
        for article in content["data"]:
            for paragraph in article["paragraphs"]:
                for question in paragraph["qas"]:
                    text = f"文章：{paragraph['context']}\n質問：{question['question']}"
                    yield JasterItem(
                        "jsquad", str(question["id"]), text, str(question["answers"][0]["text"]), split
                    )
    except (KeyError, TypeError, IndexError) as error:
        raise UserError(
            f"{file}: not in SQuAD's form: {error!r}", "data → paragraphs → qas → answers"
        ) from None


def jemhopqa(rows: Iterable[tuple[Any, str]], split: Split) -> Iterator[JasterItem]:
    """Yield the items of JEMHopQA's rows {qid, question, answer}."""
    for row, place in rows:
        text = f"質問：{field(row, 'question', place)}"
        yield JasterItem("jemhopqa", str(row.get("qid", place)), text, field(row, "answer", place), split)


def niilc(root: Element, file: str, split: Split) -> Iterator[JasterItem]:
    """Yield NIILC's questions; the gold is all their answers, joined by commas; a question without one (`-`) is left out."""
    for number, question in enumerate(root.iter("question"), 1):
        text = question.findtext("text")
        name = question.get("id") or str(number)
        if text is None:
            raise UserError(f"{file}: question {name}: no text", "mend or remove it")
        answers = [one.text for one in question.findall("answers/answer") if one.text and one.text != "-"]
        if answers:
            yield JasterItem("niilc", name, f"質問：{text}", ",".join(answers), split)
