"""YAML as recipes read it."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from watari.artifact.problems import RecipeError, did_you_mean, dotted
from watari.artifact.yaml_tree import Tree, merge, read_tree


def read(text: str):
    return read_tree(text, "r.yaml", Path("/")).value


def problem(text: str) -> str:
    with pytest.raises(RecipeError) as caught:
        read(text)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("no", "no"),
        ("yes", "yes"),
        ("on", "on"),
        ("n", "n"),
        ("1e-4", 1e-4),
        ("1E5", 1e5),
        (".5", 0.5),
        ("-3.", -3.0),
        ("0123", 123),
        ("0o17", "0o17"),
        ("1_000", "1_000"),
        ("12:30:45", "12:30:45"),
        ("2024-01-01", "2024-01-01"),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("'5'", "5"),
        ('"null"', "null"),
        ("!!str 5", "5"),
        ("!!int 5", 5),
        ("!!int '5'", 5),
        ("!!null 'null'", None),
        (".inf", ".inf"),
        ("nan", "nan"),
        ("8B", "8B"),
        ("1.2.3", "1.2.3"),
        ("ja", "ja"),
        ("日本語", "日本語"),
        ("=", "="),
    ],
)
def test_scalars_follow_yaml_1_2(written, value):
    got = read(f"x: {written}")["x"]
    assert got == value
    assert type(got) is type(value)


def test_lines_are_those_of_the_keys():
    tree = read_tree("a:\n  b: 1\n  c:\n    - x\n    - y: 2\n", "r.yaml", Path("/"))
    assert [tree.place(path).line for path in (("a",), ("a", "b"), ("a", "c"), ("a", "c", 1))] == [1, 2, 3, 5]
    assert tree.place(("a", "c", 1, "y", "unknown")).line == 5
    assert str(tree.place(("a",))) == "r.yaml:1"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: [1,\nb: 2\n", "r.yaml:3: malformed YAML: expected ',' or ']', but got '<stream end>'"),
        ("a: b: c\n", "r.yaml:1: malformed YAML: mapping values are not allowed here"),
        ("a: 'x\n", "r.yaml:2: malformed YAML: found unexpected end of stream"),
        ("a:\n\tb: 1\n", "r.yaml:2: malformed YAML: found character '\\t' that cannot start any token"),
        ("a: 1\nb: 2\na: 3\n", "r.yaml:3: a: this key is given twice"),
        ("", "r.yaml: the file is empty"),
        ("# nothing\n", "r.yaml: the file is empty"),
        ("a: *nobody\n", "r.yaml:1: malformed YAML: found undefined alias 'nobody'"),
        ("a: 1\n---\nb: 2\n", "r.yaml:2: malformed YAML: but found another document"),
        (
            "a: !!python/name:os.system x\n",
            "r.yaml:1: a: tag tag:yaml.org,2002:python/name:os.system is not allowed",
        ),
        (
            "a: !!python/object/apply:os.system [ls]\n",
            "r.yaml:1: a: tag tag:yaml.org,2002:python/object/apply",
        ),
        ("a: !secret x\n", "r.yaml:1: a: tag !secret is not allowed"),
        ("a: !!binary aGk=\n", "r.yaml:1: a: tag tag:yaml.org,2002:binary is not allowed"),
        ("? [1, 2]\n: x\n", "r.yaml:1: a key must be a word"),
        ("a: &a [*a]\n", "the file is too large, or an alias refers to itself"),
        ("a: &a\n  <<: *a\n", "the file is too large, or an alias refers to itself"),
        ("a: {<<: 5}\n", "r.yaml:1: a: '<<' takes a mapping"),
        ("a: 1e999\n", "r.yaml:1: a: too large a number: 1e999"),
        (f"a: {'9' * 5000}\n", "r.yaml:1: a: too large a number: 99999"),
        ("a: \x00\n", "malformed YAML: unacceptable character"),
        ("[" * 5000, "malformed YAML: nested too deeply"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(text, told):
    said = problem(text)
    assert told in said


def test_anchors_and_merge_keys():
    got = read(
        """
common: &common {lr: 1, epochs: 2}
other: &other {lr: 5, note: x}
a: {lr: 7, <<: *common}
b: {<<: [*other, *common]}
c: *common
"""
    )
    assert got["a"] == {"lr": 7, "epochs": 2}
    assert got["b"] == {"lr": 5, "note": "x", "epochs": 2}
    assert got["c"] == {"lr": 1, "epochs": 2}


def test_merged_keys_keep_the_line_of_what_wins():
    text = "common: &c\n  lr: 1\na:\n  lr: 7\n  <<: *c\nb:\n  <<: *c\n"
    tree = read_tree(text, "r.yaml", Path("/"))
    assert tree.place(("a", "lr")).line == 4
    assert tree.place(("b", "lr")).line == 2


def test_alias_bombs_are_refused_quickly():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    assert "too large" in problem("\n".join(lines))
    merges = ["a0: &a0 {}"]
    merges += [f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}" for n in range(1, 30)]
    assert "too large" in problem("\n".join(merges))


def test_merging_lays_maps_together_replaces_lists_and_deletes_by_null():
    below = Tree({"a": {"x": 1, "y": [1, 2], "z": {"k": 1}}, "b": 1})
    above = Tree({"a": {"x": None, "y": [3], "z": {"l": 2}, "w": {"n": None, "m": 1}}})
    assert merge(below, above).value == {"a": {"y": [3], "z": {"k": 1, "l": 2}, "w": {"m": 1}}, "b": 1}


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**12), 10**12)
    | st.floats(-1e12, 1e12)
    | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(st.text(min_size=1, max_size=6), plain, min_size=1, max_size=4))
def test_what_pyyaml_writes_quoted_is_read_back(value):
    text = yaml.safe_dump(value, default_style='"', allow_unicode=False)
    # Every scalar is quoted or tagged, so the YAML version does not matter.
    assert read(text) == value


@given(st.text(max_size=60))
def test_any_text_is_read_or_told_in_one_line(text):
    told = ""
    try:
        read_tree(text, "r.yaml", Path("/"))
    except RecipeError as error:
        told = str(error) or "\n"
    assert "\n" not in told


def test_words_for_places_and_near_names():
    assert dotted(("stages", "sft", "data", 0)) == "stages.sft.data[0]"
    assert did_you_mean("tranlated", ["sft", "translated"]) == " (did you mean 'translated'?)"
    assert did_you_mean("zzz", ["sft", "dpo"]) == " (there are: sft, dpo)"
    assert did_you_mean("zzz", [f"stage{n}" for n in range(50)]) == ""
    assert did_you_mean("sft", ["sft"]) == ""
