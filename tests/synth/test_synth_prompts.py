from __future__ import annotations

from pathlib import Path

import pytest

from watari.errors import UserError
from watari.languages.prompts import prompt_languages, prompt_texts
from watari.synth.comparison.agreement import chrf
from watari.synth.glossary import Glossary, read_glossary
from watari.synth.prompts import Prompts
from watari.synth.segments import Exchange, segmented


def test_a_language_lays_its_own_words_over_the_base_and_one_without_a_file_is_asked_in_the_base_s() -> None:
    assert {"en", "ja"} <= set(prompt_languages())
    japanese, korean = prompt_texts("ja"), prompt_texts("ko")
    assert "です・ます" in japanese.translate.register_["polite"]
    assert korean.translate.register_["polite"].startswith("use the polite form")
    assert japanese.translate.system == korean.translate.system
    assert japanese.version != korean.version
    with pytest.raises(UserError, match="xx"):
        prompt_texts("xx")


def test_the_request_names_both_languages_who_speaks_and_the_segments() -> None:
    talk = [{"role": "user", "content": "Hi."}, {"role": "assistant", "content": "Hello there."}]
    taken = segmented([*talk, *talk])
    messages = Prompts("en", "ko", "keep").translate(taken.segments, Exchange(), {})
    assert "from English into Korean" in messages[0]["content"]
    assert "{" not in messages[0]["content"]
    assert messages[1]["content"].startswith(
        "Translate into Korean. Who speaks: 1 user, 2 assistant, 3 user, 4 assistant.\n\n[[1]] Hi."
    )


def test_many_problems_are_told_once_each_and_not_all() -> None:
    taken = segmented([{"role": "user", "content": "Hi there."}])
    problems = ["same", "same", *(f"problem {n}" for n in range(30))]
    last = Prompts("en", "ja", "polite").repair(taken.segments, Exchange(), {}, "x" * 9000, problems)
    assert last[-1]["content"].count("- same") == 1
    assert "- and 19 more" in last[-1]["content"]
    assert len(last[-2]["content"]) < 300


def test_only_the_terms_of_a_text_are_told() -> None:
    glossary = Glossary({"machine learning": "機械学習", "machine": "機械", "Box": "箱"})
    assert glossary.of("Machine Learning with boxes") == {"Box": "箱", "machine learning": "機械学習"}
    assert glossary.of("two machines") == {"machine": "機械"}
    assert glossary.of("machinery") == {}
    assert Glossary({}).of("machine") == {}


def test_glossaries_are_read_from_yaml_csv_tsv_and_json_and_mistakes_are_named(tmp_path: Path) -> None:
    def read(name: str, text: str) -> dict[str, str]:
        (tmp_path / name).write_text(text, "utf-8")
        return read_glossary(str(tmp_path / name)).terms

    wanted = {"a b": "あ", "c": "か"}
    assert read("a.yaml", "a b: あ\nc: か\n") == wanted
    assert read("a.csv", "source,target\na b,あ\n\nc,か\n") == wanted
    assert read("a.tsv", "a b\tあ\nc\tか\n") == wanted
    assert read("a.json", '{"a b": "あ", "c": "か"}') == wanted
    assert read("empty.yaml", "") == {}
    for name, text, said in (
        ("b.yaml", "a: 5\n", "'a' has no text"),
        ("b.csv", "a\n", "line 1: one column"),
        ("c.csv", "a,b\na,c\n", "line 2: 'a' stands there twice"),
        ("c.yaml", "- a\n", "no mapping"),
        ("d.yaml", "a: [", "cannot be read"),
    ):
        with pytest.raises(UserError, match=said.replace("(", "\\(")):
            read(name, text)


def test_chrf_is_the_same_both_ways_one_for_the_same_and_none_for_nothing() -> None:
    assert chrf(["あいうえお かき"], ["あいうえおかき"]) == 1.0
    one, other = chrf(["abcdefg"], ["abcxefg"]), chrf(["abcxefg"], ["abcdefg"])
    assert one == other
    # Of six orders: 6/7 letters, 4/6 pairs, 2/5 triples, none of the longer ones.
    assert one == pytest.approx((6 / 7 + 4 / 6 + 2 / 5) / 6)
    assert chrf(["abc"], ["xyz"]) == 0.0
    assert chrf([""], [""]) is None
