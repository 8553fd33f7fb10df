"""Specs of llm-jp-eval: what they pin, and what no spec may say."""

import hashlib
import json

import pytest
from pydantic import ValidationError

from watari.evals.jaster.reading import read_files
from watari.evals.jaster.scoring import results_of
from watari.evals.jaster.spec import JasterSpec
from watari.evals.spec import load_spec

FIRST, LATER = load_spec("llm-jp-eval-1.0"), load_spec("llm-jp-eval-1.3")


def test_figures_are_named_as_published():
    assert [name for name, _, _ in FIRST.dataset_figures()] == [
        "jamp_exact_match", "janli_exact_match", "jcommonsenseqa_exact_match", "jemhopqa_char_f1", "jnli_exact_match",
        "jsem_exact_match", "jsick_exact_match", "jsquad_char_f1", "jsts_pearson", "jsts_spearman", "niilc_char_f1",
    ]  # fmt: skip
    assert FIRST.category_of("jsem") == "NLI"
    assert FIRST.category_of("jsts") is None


def test_the_pinned_templates_are_those_that_were_sent(test_data):
    sent = json.loads((test_data / "shisa-llm-jp-eval" / "prompts.json").read_text("utf-8"))
    assert {
        dataset: hashlib.sha256(forms[""].encode()).hexdigest() for dataset, forms in sent.items()
    } == FIRST.prompt.templates
    for forms in sent.values():
        for bos, template in forms.items():
            header, _, rest = template.partition("\n### 指示\n")
            instruction = rest.removeprefix(bos).partition("\n\n### 入力")[0]
            assert template.startswith(
                FIRST.prompt.intro.format(header=header, bos=bos, instruction=instruction)
            )
            assert template.endswith(FIRST.prompt.item.format(input="{input}", output=""))
            assert template.count("### 回答") == FIRST.prompt.shots + 1


@pytest.mark.parametrize(
    "change",
    [
        {"categories": {"NLI": ("aio",)}},
        {"categories": {"NLI": ("jnli",), "QA": ("jnli",)}},
        {"sum_order": ("NLI", "QA")},
        {"datasets": {"jnli": {"metrics": ()}}, "categories": {}, "sum_order": ()},
        {"datasets": {"jnli": {"metrics": ("bleu",)}}, "categories": {}, "sum_order": ()},
        {"family": "shaberi"},
    ],
)
def test_what_a_spec_may_not_say(change):
    with pytest.raises(ValidationError):
        JasterSpec(**(FIRST.model_dump() | change))


def test_later_releases_count_missing_categories_as_0(test_data):
    answers = read_files([test_data / "shisa-llm-jp-eval" / "predictions.jsonl.gz"])[:2]
    for first, later in zip(results_of(FIRST, answers), results_of(LATER, answers), strict=True):
        for category in ("NLI", "QA", "RC", "MC"):
            assert later.figures[category].value == first.figures[category].value
        for category in ("HE", "EL", "FA", "MR", "MT"):
            assert later.figures[category].value == 0.0
            assert f"it counts 0 in {LATER.overall}" in " ".join(later.notes)
        assert later.figures[LATER.overall].value == pytest.approx(first.figures["AVR"].value * 4 / 9)
        assert later.figures[LATER.overall].low == pytest.approx(first.figures["AVR"].low * 4 / 9)
        assert later.spec == LATER.label != first.spec
