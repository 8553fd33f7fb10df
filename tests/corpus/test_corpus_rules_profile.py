"""Profiles: what is read, what is refused and in which words; word lists."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watari.corpus.rules.apply import apply, measure
from watari.corpus.rules.listed import read_words
from watari.corpus.rules.metrics import metric, metrics
from watari.corpus.rules.profile import Profile, load_profile, profiles
from watari.corpus.table import undecided
from watari.errors import UserError
from watari.kernels.listed import covered, hits, longest_matches, trie
from watari.kernels.texts import Texts


def table_of(texts: list[str]) -> pa.Table:
    return undecided(
        pa.table({"key": list(map(str, range(len(texts)))), "text": pa.array(texts, pa.large_string())})
    )


def written(folder: Path, rules: str, classes: str = "{kana: [3041-3096]}") -> Path:
    path = folder / "own.yaml"
    path.write_text(f"language: ja\nclasses: {classes}\nrules: [{rules}]\n", "utf-8")
    return path


@pytest.mark.parametrize("name", profiles())
def test_every_packaged_profile_loads_and_says_where_it_comes_from(name: str) -> None:
    profile = load_profile(name)
    assert profile.name == name
    assert profile.description
    assert profile.source
    assert Profile.model_validate_json(profile.model_dump_json()) == profile


def test_overrides_change_limits_and_remove_rules() -> None:
    profile = load_profile(
        "ja-swallow", {"hiragana": {"min": 0.1}, "ellipsis": None, "katakana": {"below": 0.4}}
    )
    rules = {rule.name: rule for rule in profile.rules}
    assert rules["hiragana"].limits == {"min": 0.1}
    assert rules["katakana"].limits == {"below": 0.4}
    assert "ellipsis" not in rules
    assert rules["average sentence"].limits == {"min": 20, "max": 90}
    lifted = load_profile("ja-swallow", {"average sentence": {"max": None}})
    assert {rule.name: rule for rule in lifted.rules}["average sentence"].limits == {"min": 20}


@pytest.mark.parametrize(
    ("rules", "classes", "said"),
    [
        (
            "{name: a, metric: nothing, max: 1}",
            "{}",
            "rule 'a': no metric 'nothing' (known: average_sentence, ",
        ),
        ("{name: a, metric: characters}", "{}", "rule 'a': no limit (give min, max, above or below)"),
        ("{name: a, metric: share, max: 1}", "{}", "rule 'a': share needs `of`"),
        ("{name: a, metric: share, of: kama, max: 1}", "{kana: [あ]}", "no class 'kama' (classes: kana)"),
        ("{name: a, metric: characters, n: 2, max: 1}", "{}", "characters does not read `n`"),
        (
            "{name: a, metric: top_ngram, n: 2, max: 1}",
            "{}",
            "top_ngram is not measured by '' (unit: character",
        ),
        ("{name: a, metric: average_sentence, max: 1}", "{}", "needs a class 'terminators'"),
        (
            "{name: a, metric: characters, max: 1}, {name: a, metric: characters, min: 1}",
            "{}",
            "two rules are called 'a'",
        ),
        (
            "{name: a, metric: characters, max: 1, mux: 2}",
            "{}",
            "rule 'a': mux: Extra inputs are not permitted",
        ),
        (
            "{name: a, metric: characters, max: 1}",
            "{x: [3096-3041]}",
            "'3096-3041' is no range of code points",
        ),
        ("{name: a, metric: characters, max: 1}", "{x: [110000-110001]}", "is no range of code points"),
        ("{name: a, metric: characters, max: 1}", "{x: [kana]}", "class 'x': 'kana' is neither a range"),
        ("{name: a, metric: characters, max: 1}", "{x: [y], y: [x]}", "is made of itself: "),
        (
            "{name: a, metric: characters, max: 1}",
            "{x: [3005]}",
            "3005 is a number: write a code point as U+3005",
        ),
        (
            "{name: a, metric: listed_words, max: 1, file: none.txt}",
            "{}",
            "none.txt: No such file or directory",
        ),
    ],
)
def test_a_wrong_profile_is_one_line_that_names_the_field(
    rules: str, classes: str, said: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError) as caught:
        load_profile(written(tmp_path, rules, classes))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unknown_names_list_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"no profile 'ja-swalow' \(known: .*ja-swallow.*; or a path that ends in"
    ):
        load_profile("ja-swalow")
    with pytest.raises(
        UserError, match=r"ja-swallow has no rule 'hirgana' \(its rules: characters, Japanese letters"
    ):
        load_profile("ja-swallow", {"hirgana": {"min": 0}})
    with pytest.raises(UserError, match=r"there is no profile file .*absent\.yaml"):
        load_profile(tmp_path / "absent.yaml")
    (tmp_path / "list.yaml").write_text("- a\n", "utf-8")
    with pytest.raises(UserError, match="a map with `language` and `rules` is wanted"):
        load_profile(tmp_path / "list.yaml")
    (tmp_path / "broken.yaml").write_text("a: [\n", "utf-8")
    with pytest.raises(UserError, match=r"broken\.yaml: not YAML"):
        load_profile(tmp_path / "broken.yaml")


def test_two_metrics_of_one_name_and_unit_are_refused() -> None:
    assert ("characters", "") in metrics()
    with pytest.raises(ValueError, match="two metrics are called characters"):
        metric("characters")(lambda texts, rule, profile, words: np.zeros(0))


def test_classes_are_ranges_points_characters_and_other_classes(tmp_path: Path) -> None:
    rule = "{name: a, metric: characters, of: all, max: 1}"
    profile = load_profile(
        written(
            tmp_path, rule, '{small: [U+3005, "ー", 30A1-30A3], all: [small, 30A4-30A5, U+20000-U+20001]}'
        )
    )
    assert profile.ranges("all") == [(0x3005, 0x3005), (0x30A1, 0x30A5), (0x30FC, 0x30FC), (0x20000, 0x20001)]


def test_llmjp_measures_full_stops_and_compression() -> None:
    profile = load_profile("ja-llmjp")
    plain = "".join(chr(0x4E00 + (at * 7919) % 3000) + "の" for at in range(300))
    texts = ["漢字", plain, plain + "。。。", "の。" * 400, plain + "。。", "。" * 3 + "あ"]
    done = apply(table_of(texts), profile)
    assert done["reason"].to_pylist() == [
        "kana",
        "full stops",
        None,
        "compression",
        "full stops",
        "compression",
    ]
    assert done["value"].to_pylist()[4] == 602 / 2
    assert measure(table_of(texts), profile).column_names == ["key", "kana", "full stops", "compression"]


# Word lists ---------------------------------------------------------------------------------------------------------


def test_listed_words_are_judged_by_their_share_of_letters(tmp_path: Path) -> None:
    listed = tmp_path / "words.txt"
    listed.write_bytes("\ufeffばか\r\n\n  ばかやろう \nろうか\n".encode())
    assert read_words(str(listed)) == ("ばか", "ばかやろう", "ろうか")
    alone = {rule.name: None for rule in load_profile("ja-llmjp").rules if rule.name != "listed words"}
    assert (
        measure(table_of(["ばか"]), load_profile("ja-llmjp", {"listed words": {"max": 0}})).num_columns == 4
    )
    profile = load_profile("ja-llmjp", {**alone, "listed words": {"file": str(listed)}})
    # 7 characters of ばかやろうか, which two words share; one hit in a long text; nothing that counts as a letter.
    texts = ["ばかやろうか", "ばか" + "あ" * 38, "ばか" + "あ" * 37, "!!!", ""]
    measured = measure(table_of(texts), profile)["listed words"].to_pylist()
    assert measured == [1.0, 2 / 40, 2 / 39, 0.0, 0.0]
    done = apply(table_of(texts), profile)
    assert done["reason"].to_pylist() == ["listed words", None, "listed words", None, None]
    counting = load_profile(
        "ja-llmjp", {**alone, "listed words": None, "adult words": {"file": str(listed), "max": 1}}
    )
    assert measure(table_of(["ばかやろうか", "ばかばかろうか"]), counting)["adult words"].to_pylist() == [
        1.0,
        3.0,
    ]


def test_a_word_list_without_words_or_in_another_encoding_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("\n \n", "utf-8")
    (tmp_path / "sjis.txt").write_bytes("ばか\n".encode("shift_jis"))
    for name, said in (("empty.txt", "no word in it"), ("sjis.txt", "not UTF-8 at byte 0")):
        with pytest.raises(UserError, match=said):
            load_profile("ja-swallow", {"listed words": {"file": str(tmp_path / name)}})


def test_a_word_list_named_in_a_profile_lies_beside_it(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("ばか\n", "utf-8")
    path = written(tmp_path, "{name: a, metric: listed_words, max: 0.05, file: words.txt}")
    assert load_profile(path).files == [str(tmp_path / "words.txt")]
    assert apply(table_of(["ばか", "よい"]), load_profile(path))["reason"].to_pylist() == ["a", None]


LETTERS = st.text(st.sampled_from("abc𠮷\u3099"), max_size=12)


@given(st.lists(LETTERS, max_size=6), st.lists(LETTERS, max_size=5))
def test_matches_are_those_of_trying_every_word_everywhere(words: list[str], texts: list[str]) -> None:
    column = Texts.of(texts)
    for name in ("numba", "numpy"):
        with pytest.MonkeyPatch.context() as patch:
            if name == "numpy":
                patch.setenv("WATARI_KERNELS", name)
            longest = longest_matches(column, trie(words))
        expected = [
            max((len(word) for word in words if word and text.startswith(word, at)), default=0)
            for text in texts
            for at in range(len(text))
        ]
        assert longest.tolist() == expected
        part_of = np.zeros(len(expected), bool)
        for at, length in enumerate(expected):
            part_of[at : at + length] = True
        assert covered(longest).tolist() == part_of.tolist()
        counted, free = [0] * len(texts), 0
        for at, length in enumerate(expected):
            if length and at >= free:
                counted[int(np.searchsorted(column.offsets, at, side="right")) - 1] += 1
                free = at + length
        assert hits(column, longest).tolist() == counted
