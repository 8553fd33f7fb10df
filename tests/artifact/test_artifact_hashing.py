"""Canonical JSON, digests, draws, outside fingerprints, atomic files."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watari.artifact import atomic
from watari.artifact.draws import draw_uint64, draw_uniform, generator, shuffled
from watari.artifact.hashing import (
    canonical_json,
    hash_bytes,
    hash_file,
    hash_files,
    hash_json,
    hash_path,
    hash_text,
)
from watari.artifact.outside import fingerprint, is_hub_id, is_url, local_files, locate, packaged_file
from watari.errors import UserError

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@given(values)
def test_canonical_json_is_json_and_its_own_canonical_form(value):
    text = canonical_json(value)
    assert json.loads(text) == value
    assert canonical_json(json.loads(text)) == text


@given(st.dictionaries(st.text(), values, min_size=2, max_size=5), st.randoms())
def test_the_order_of_keys_does_not_count(value, random):
    items = list(value.items())
    random.shuffle(items)
    assert hash_json(dict(items)) == hash_json(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"a": [1, float("-inf")]}, (float("nan"),)])
def test_what_is_not_finite_has_no_canonical_form(value):
    with pytest.raises(ValueError, match="not a finite number"):
        canonical_json(value)


def test_types_are_kept_apart():
    assert len({hash_json(v) for v in (1, 1.0, "1", True, None, [1], {"1": 1})}) == 7
    assert canonical_json({"b": 1e-7, "a": "日本"}) == '{"a":"日本","b":1e-07}'


@given(st.lists(st.tuples(st.text(), st.text()), max_size=6), st.randoms())
def test_the_digest_of_files_does_not_depend_on_their_order(files, random):
    mixed = list(files)
    random.shuffle(mixed)
    assert hash_files(mixed) == hash_files(files)


@given(st.text(), st.text())
def test_file_names_and_hashes_do_not_run_into_each_other(a, b):
    if a and b:
        assert hash_files([(a + b, "x")]) != hash_files([(a, b + "x")])


def test_hashes_are_xxh128():
    # The value of the empty input, from the xxHash specification's test vectors (XXH3_128bits, seed 0).
    assert hash_bytes(b"") == "99aa06d3014798d86001c324468d497f"
    assert hash_text("\ud800") != hash_text("?")


def test_a_file_is_hashed_in_blocks(tmp_path):
    data = os.urandom((1 << 20) * 2 + 17)
    (tmp_path / "x").write_bytes(data)
    assert hash_file(tmp_path / "x") == hash_bytes(data)


def test_a_folder_is_its_files_and_their_names(tmp_path):
    (tmp_path / "a/sub").mkdir(parents=True)
    (tmp_path / "a/sub/x").write_text("1")
    before = hash_path(tmp_path / "a")
    (tmp_path / "a").rename(tmp_path / "b")
    assert hash_path(tmp_path / "b") == before
    (tmp_path / "b/sub/x").rename(tmp_path / "b/sub/y")
    assert hash_path(tmp_path / "b") != before


# Draws.


@given(st.lists(st.text(max_size=8), max_size=30), st.integers(0, 2**31), st.randoms())
def test_a_seeded_order_does_not_depend_on_the_order_given(ids, seed, random):
    order = shuffled(ids, seed, "s")
    assert sorted(order) == list(range(len(ids)))
    mixed = list(ids)
    random.shuffle(mixed)
    assert [mixed[i] for i in shuffled(mixed, seed, "s")] == [ids[i] for i in order]


@given(st.integers(0, 2**62), st.text(), st.text())
def test_draws_are_keyed_and_uniform_in_range(seed, stage, row):
    assert draw_uint64(seed, stage, row) == draw_uint64(seed, stage, row)
    assert 0.0 <= draw_uniform(seed, stage, row) < 1.0
    assert generator(seed, stage, row).integers(1 << 40) == generator(seed, stage, row).integers(1 << 40)


def test_draws_differ_by_seed_stage_and_row():
    assert len({draw_uint64(s, k, r) for s in range(3) for k in "abc" for r in "xyz"}) == 27
    # The parts are kept apart.
    assert draw_uint64(1, "a", "b") != draw_uint64(1, "ab", "")
    mean = sum(draw_uniform(0, "s", str(n)) for n in range(10_000)) / 10_000
    # Standard error 0.0029.
    assert abs(mean - 0.5) < 0.015


def test_draws_do_not_change_between_versions():
    """A changed draw changes every artifact: that is a new stage version, not an accident."""
    assert draw_uint64(0, "train.sft", "row-1") == 1140906964820110745
    assert shuffled(list("abcdef"), 7, "s") == [0, 3, 4, 5, 1, 2]


# Outside things.


def test_a_changed_file_has_another_fingerprint_and_a_moved_one_the_same(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text("1")
    before = fingerprint(str(path))
    (tmp_path / "sub").mkdir()
    moved = path.rename(tmp_path / "sub/other.jsonl")
    assert fingerprint(str(moved)) == before
    moved.write_text("2")
    assert fingerprint(str(moved)) != before


def test_a_suffix_counts_since_it_says_how_a_file_is_read(tmp_path):
    names = ("x.txt", "x.jsonl", "x.jsonl.gz", "x.txt.gz", "x")
    for name in names:
        (tmp_path / name).write_text("{}")
    assert len({fingerprint(str(tmp_path / name)) for name in names}) == len(names)


def test_folders_and_globs(tmp_path):
    for name in ("a/1.txt", "a/2.txt", "a/b/3.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    folder = fingerprint(str(tmp_path / "a"))
    glob = fingerprint(str(tmp_path / "a/*.txt"))
    deep = fingerprint(str(tmp_path / "a/**/*.txt"))
    assert len({folder, glob, deep}) == 3
    (tmp_path / "a/b/3.txt").write_text("changed")
    assert fingerprint(str(tmp_path / "a/*.txt")) == glob
    assert fingerprint(str(tmp_path / "a/**/*.txt")) != deep
    assert fingerprint(str(tmp_path / "a")) != folder
    (tmp_path / "a/4.txt").write_text("new")
    assert fingerprint(str(tmp_path / "a/*.txt")) != glob
    (tmp_path / "a/4.txt").unlink()
    (tmp_path / "a").rename(tmp_path / "moved")
    assert fingerprint(str(tmp_path / "moved/*.txt")) == glob
    assert local_files(str(tmp_path / "moved/*.txt")) == [
        str(tmp_path / "moved" / n) for n in ("1.txt", "2.txt")
    ]


def test_a_file_whose_name_looks_like_a_glob(tmp_path):
    (tmp_path / "a[1].txt").write_text("x")
    assert fingerprint(str(tmp_path / "a[1].txt"))


def test_what_is_not_there_is_told(tmp_path):
    with pytest.raises(UserError, match=r"gone: no such file or folder"):
        fingerprint(str(tmp_path / "gone"))
    with pytest.raises(UserError, match=r"\*\.gone: no such file"):
        fingerprint(str(tmp_path / "*.gone"))
    with pytest.raises(UserError, match=r"package://nothing: no such packaged file"):
        fingerprint("package://nothing")


def test_what_may_not_be_read_is_told(tmp_path, monkeypatch):
    (tmp_path / "x").write_text("1")

    def denied(path: Path) -> str:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("watari.artifact.outside.hash_path", denied)
    with pytest.raises(UserError, match=r"x: cannot be read: Permission denied"):
        fingerprint(str(tmp_path / "x"))


def test_the_demo_world_and_packaged_files():
    assert fingerprint("demo://documents") == fingerprint("demo://documents")
    assert fingerprint("demo://documents") != fingerprint("demo://documents?x=1")
    assert packaged_file("package://mistral-v1").is_file()
    assert fingerprint("package://mistral-v1") != fingerprint("package://mistral-v3")


def test_locations(tmp_path, monkeypatch):
    assert locate("data/x.jsonl", tmp_path) == str(tmp_path / "data/x.jsonl")
    assert locate("../x", tmp_path / "sub") == str(tmp_path / "x")
    assert locate("/abs/x", tmp_path) == "/abs/x"
    assert locate("hf://datasets/a/b", tmp_path) == "hf://datasets/a/b"
    for name in ("mistralai/Mistral-7B-v0.1", "Qwen/Qwen2.5-7B", "meta-llama/Llama-3.1-8B", "org/name"):
        assert locate(name, tmp_path) == name
    (tmp_path / "org/name").mkdir(parents=True)
    assert locate("org/name", tmp_path) == str(tmp_path / "org/name")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert locate("~/x", Path("/")) == str(tmp_path / "x")
    assert locate("~nobody-of-that-name/x", tmp_path) == str(tmp_path / "~nobody-of-that-name/x")
    # A link is not followed: the hub's cache links names to blobs without a suffix.
    (tmp_path / "blob").write_text("{}")
    (tmp_path / "data.jsonl").symlink_to("blob")
    assert locate("data.jsonl", tmp_path) == str(tmp_path / "data.jsonl")
    assert is_url("s3://x")
    assert not is_url("c:/x")
    assert is_hub_id("org/name-1.5")
    assert not is_hub_id("a/b/c")


# Files that appear whole.


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "deep/x.json"
    atomic.write_json(path, {"b": "日本", "a": 1})
    assert path.read_text("utf-8") == '{\n  "b": "日本",\n  "a": 1\n}\n'
    with pytest.raises(ValueError):
        atomic.write_json(path, float("nan"))

    def broken(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(OSError, match="No space"):
        atomic.write_text(path, "other")
    monkeypatch.undo()
    assert json.loads(path.read_text("utf-8")) == {"b": "日本", "a": 1}
    assert [p.name for p in path.parent.iterdir()] == ["x.json"]


def test_a_folder_is_published_under_its_name_at_once(tmp_path):
    (tmp_path / "partial/sub").mkdir(parents=True)
    (tmp_path / "partial/sub/x").write_text("1")
    atomic.publish_folder(tmp_path / "partial", tmp_path / "kind/key")
    assert (tmp_path / "kind/key/sub/x").read_text() == "1"
    assert not (tmp_path / "partial").exists()
    (tmp_path / "again").mkdir()
    with pytest.raises(OSError):
        atomic.publish_folder(tmp_path / "again", tmp_path / "kind/key")
    atomic.remove_tree(tmp_path / "kind")
    atomic.remove_tree(tmp_path / "kind")
