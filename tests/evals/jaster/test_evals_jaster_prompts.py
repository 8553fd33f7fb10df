"""Prompts: upstream's stored ones exactly, from a file and by the rule; what is read out of answers."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watari.errors import UserError
from watari.evals.jaster.datasets import load_datasets
from watari.evals.jaster.items import Dataset, JasterItem
from watari.evals.jaster.metrics_sets import set_f1
from watari.evals.jaster.metrics_translation import missing, refuse_missing
from watari.evals.jaster.postprocess import gold, prediction
from watari.evals.jaster.prompts import Book, label_of, read_book, template_of
from watari.evals.jaster.spec import JasterSpec
from watari.evals.spec import load_spec


def spec(name: str = "llm-jp-eval-1.0") -> JasterSpec:
    found = load_spec(name)
    assert isinstance(found, JasterSpec)
    return found


def dataset(name: str = "jnli", shots: int = 4) -> Dataset:
    train = tuple(JasterItem(name, str(n), f"例{n}", f"答{n}", "train") for n in range(shots))
    return Dataset(name, (), train)


def test_stored_prompts_come_out_exactly_with_every_bos(test_data: Path) -> None:
    path = test_data / "shisa-llm-jp-eval" / "prompts.json"
    book, stored = read_book(path), json.loads(path.read_text("utf-8"))
    templates = {name: template_of(spec(), Dataset(name, ()), book) for name in stored}
    assert sum(len(variants) for variants in stored.values()) == 30
    for name, variants in stored.items():
        for bos, text in variants.items():
            assert templates[name].render("{input}", bos) == text
        assert templates[name].shots == 4
        assert templates[name].pinned
    assert label_of(spec(), templates) == "llm-jp-eval-1.0/1"


def test_the_rule_builds_stored_prompts_from_their_words(test_data: Path) -> None:
    stored = json.loads((test_data / "shisa-llm-jp-eval" / "prompts.json").read_text("utf-8"))
    for name, variants in stored.items():
        words = re.match(r"(.*?)\n### 指示\n(.*?)\n\n### 入力：\n", variants[""], re.S)
        shots = re.findall(r"### 入力：\n(.*?)\n### 回答：\n(.*?)\n\n", variants[""], re.S)
        assert words is not None
        train = tuple(JasterItem(name, str(n), *shot, "train") for n, shot in enumerate(shots))
        book = Book(header=words[1], instructions={name: words[2]})
        made = template_of(spec(), Dataset(name, (), train), book)
        for bos, text in variants.items():
            assert made.render("{input}", bos) == text
    jglue = load_datasets([str(test_data / "jglue")])
    words = re.match(r"(.*?)\n### 指示\n(.*?)\n\n###", stored["jcommonsenseqa"][""], re.S)
    assert words is not None
    book = Book(header=words[1], instructions={"jcommonsenseqa": words[2]})
    # Of this one upstream's examples are the first of its train file.
    assert template_of(spec(), jglue["jcommonsenseqa"], book).text == stored["jcommonsenseqa"][""]


def test_examples_of_1_3_are_those_of_a_shuffled_train_split(tmp_path: Path) -> None:
    """Of published files; rows and llm-jp-eval's own files have their order already."""
    keys = ("sentence_pair_id", "sentence1", "sentence2", "label")
    rows = [dict(zip(keys, (str(n), f"文{n}", "文", "neutral"), strict=True)) for n in range(40)]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / "train.json").write_text(text, "utf-8")
    found = load_datasets([str(tmp_path)])["jnli"]
    order = list(range(40))
    random.Random(42).shuffle(order)
    later = template_of(spec("llm-jp-eval-1.3"), found, Book()).text
    assert [int(n) for n in re.findall(r"前提：文(\d+)", later)] == order[:4]
    older = template_of(spec(), found, Book()).text
    assert [int(n) for n in re.findall(r"前提：文(\d+)", older)] == [0, 1, 2, 3]
    assert "例0" in template_of(spec("llm-jp-eval-1.3"), dataset(), Book()).text


def test_a_template_with_another_word_is_not_the_specs(tmp_path: Path, test_data: Path) -> None:
    stored = json.loads((test_data / "shisa-llm-jp-eval" / "prompts.json").read_text("utf-8"))
    path = tmp_path / "prompts.json"
    path.write_text(json.dumps({"jnli": stored["jnli"][""].replace("厳守", "徹底")}), "utf-8")
    made = template_of(spec(), dataset(), read_book(path))
    assert not made.pinned
    assert label_of(spec(), {"jnli": made}).startswith("llm-jp-eval-1.0/1 with prompts ")
    with pytest.raises(UserError, match=r"shots: jnli: the template in .* has 4"):
        template_of(spec(), dataset(), read_book(path), shots=2)


def test_our_own_words_have_our_own_label() -> None:
    made = template_of(spec(), dataset(), Book())
    assert (made.words, made.pinned, made.shots) == ("own", False, 4)
    assert label_of(spec(), {"jnli": made}) == "watari-jaster/1 (llm-jp-eval-1.0/1)"
    assert made.text.count("### 入力：\n") == 5
    assert made.text.endswith("\n\n### 入力：\n{input}\n### 回答：\n")
    assert template_of(spec(), dataset(), Book(), shots=0).text.count("### 入力：\n") == 1
    own = Dataset("jnli", (), dataset().train, instruction="決めよ。")
    assert template_of(spec(), own, Book()).words == "dataset"
    with pytest.raises(UserError, match="4 examples are wanted, its train split has 2"):
        template_of(spec(), dataset(shots=2), Book())


def test_every_dataset_of_both_specs_has_our_own_instruction() -> None:
    from watari.evals.jaster.prompts import wording

    for name in ("llm-jp-eval-1.0", "llm-jp-eval-1.3"):
        assert set(spec(name).datasets) <= set(wording()["instructions"])


def test_the_form_of_1_3() -> None:
    made = template_of(spec("llm-jp-eval-1.3"), dataset(shots=1), Book(header="頭。"), shots=1)
    assert made.render("問").startswith("頭。\n\n### 指示:\n")
    assert made.render("問").endswith("\n\n### 入力:\n例0\n\n### 応答:\n答0\n\n### 入力:\n問\n\n### 応答:\n")
    assert len(spec("llm-jp-eval-1.3").datasets) == 23
    assert list(spec("llm-jp-eval-1.3").categories) == ["NLI", "QA", "RC", "MC", "HE", "EL", "FA", "MR", "MT"]


@given(st.text(), st.sampled_from(["", "<s>", "<|startoftext|>"]))
def test_an_input_stands_in_its_prompt_as_it_is(text: str, bos: str) -> None:
    made = template_of(spec(), dataset(), Book())
    head, tail = made.text.split("{input}")
    rendered = made.render(text, bos)
    assert rendered.replace(bos, "", 1) == f"{head}{text}{tail}" if bos else rendered == f"{head}{text}{tail}"
    assert not bos or rendered.startswith(f"{head[: made.bos_at]}{bos}")


def test_braces_in_examples_are_not_filled() -> None:
    tricky = JasterItem("jnli", "0", "{output} {input} {header}", "{input}", "train")
    made = template_of(spec(), Dataset("jnli", (), (tricky,)), Book(), shots=1)
    assert made.render("問").count("問\n### 回答：") == 1
    assert "{output} {input} {header}\n### 回答：\n{input}\n" in made.render("問")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "cannot be read"),
        ("[]", "not an object"),
        ('{"jnli": "no place"}', "jnli: no text with {input} once"),
        ('{"jnli": {"<s>": "x {input}"}}', "jnli: no template without BOS"),
        ('{"header": 3, "instructions": {}}', "`header` is a text"),
        ('{"instructions": {"jnli": 1}}', "texts by dataset"),
    ],
)
def test_files_of_prompts_that_are_none(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "prompts.json"
    path.write_text(content, "utf-8")
    with pytest.raises(UserError, match=said):
        read_book(path)
    with pytest.raises(UserError, match="no such file"):
        read_book(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("text", "old", "new"),
    [
        ("neutral\n### 入力：", "neutral", "neutral\n### 入力:"),
        (" ２ \nx", " 2 ", "2 \nx"),
        ("\nneutral", "", "neutral"),
        ("a\nb\n\nc", "a", "a\nb"),
        ("\n\nneutral", "", ""),
        ("", "", ""),
    ],
)
def test_what_is_read_out_of_an_answer(text: str, old: str, new: str) -> None:
    assert prediction(text, spec().answer) == old
    assert prediction(text, spec("llm-jp-eval-1.3").answer) == new


def test_golds_are_compared_in_nfkc() -> None:
    assert gold("長崎県（対馬）", spec().answer) == "長崎県(対馬)"


def test_set_f1_counts_as_upstream() -> None:
    golds = ["a positive\nb negative", "a\na\nb", "a", ""]
    preds = ["b negative\na positive\n", "a\nb", "x", ""]
    values = set_f1(preds, golds)
    # An empty line of an answer is one of its lines; a gold line counts as often as it stands there.
    assert values[0] == pytest.approx(2 * (2 / 3) * 1 / (2 / 3 + 1))
    assert values[1] == pytest.approx(2 * 1 * (2 / 3) / (1 + 2 / 3))
    assert values[2:] == [0.0, 1.0]


def test_neural_metrics_are_refused_not_faked() -> None:
    assert "not computed here" in missing("comet_wmt22")
    assert missing("exact_match") == ""
    with pytest.raises(UserError, match="COMET is not computed"):
        refuse_missing("comet_wmt22")
    for metric in ("bert_score_ja_f1", "bleu_ja"):
        said = missing(metric)
        assert said == "" or metric in said
