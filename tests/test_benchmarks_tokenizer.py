"""`benchmarks/tokenizer.py`: that texts held back stay so, and that the other methods are what they are said to be."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watari.pretrained.sentencepiece import SpmModel, read_spm
from watari.tokenizer.opening import locate
from watari.tokenizer.script import script_of

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
TEXT = [
    "東京都は日本の首都である。\n東京都の人口は多い。",
    "京都府は日本の府である。\n京都府の人口は東京都の人口より少ない。",
    "日本の首都は東京都である。\n人口は多い。",
] * 4


@pytest.fixture(scope="module", autouse=True)
def path() -> Any:
    sys.path.insert(0, str(BENCHMARKS))
    yield
    sys.path.remove(str(BENCHMARKS))


def module(name: str) -> ModuleType:
    return importlib.import_module(name)


@pytest.fixture(scope="module")
def base() -> SpmModel:
    return read_spm(locate("mistral-v1"))


def sources(*texts: str, weight: int = 1) -> list[Any]:
    return [module("tokenizer_peers").Weighed("a", list(texts), weight)]


def test_a_line_that_shares_twenty_characters_is_dropped_and_counted() -> None:
    data = module("tokenizer_data")
    held = "春はあけぼの、やうやう白くなりゆく山ぎは、少し明かりて、"
    known = data.shingles([held])
    shared, nearly = f"前置き{held[4:24]}後書き", f"前置き{held[4:23]}後書き"
    source = data.without_shared("x", [f"{shared}\n{nearly}", shared, "短い"], known, 10**6)
    assert source.documents == [nearly, "短い"]
    assert source.dropped_lines == 2
    assert source.dropped_characters == 2 * len(shared)


@given(st.text("あいう", max_size=60), st.text("あいう", max_size=60))
def test_the_hashes_find_what_a_search_finds(one: str, two: str) -> None:
    data = module("tokenizer_data")
    windows = {two[at : at + data.SHINGLE] for at in range(len(two) - data.SHINGLE + 1)}
    expected = any(window in one for window in windows)
    kept = data.without_shared("x", [one], data.shingles([two]), 10**6)
    assert (kept.dropped_lines == 1) == expected


def test_documents_past_the_budget_are_left_out() -> None:
    data = module("tokenizer_data")
    nothing = np.zeros(0, dtype=np.uint64)
    source = data.without_shared("x", ["あああ", "い" * 100, "うう"], nothing, 16)
    assert source.documents == ["あああ", "うう"]
    assert source.size == 15


@pytest.mark.slow
def test_texts_held_back_are_not_learned_from(test_data: Path) -> None:
    data = module("tokenizer_data")
    corpus = data.read_corpus(test_data, budget=3_000_000, other=200_000)
    names = [source.name for source in corpus.learning]
    assert names == ["ku-wikipedia", "questions", "commonsense", "kyoto-wiki", "aozora"]
    assert sum(source.size for source in corpus.learning) <= 3_000_000
    known = data.shingles(text for texts in corpus.held.values() for text in texts)
    learned = data.shingles(text for source in corpus.learning for text in source.documents)
    assert len(known) > 10**6
    assert not np.isin(learned, known).any()
    assert len(corpus.held["JSQuAD"]) == 2303
    assert len(corpus.held["Kyoto articles"]) == 400
    assert len(corpus.held["Aozora works"]) == 50
    assert not any(script_of("ja").has_strict(text) for texts in corpus.other.values() for text in texts)


def test_regenerated_merges_are_every_split_in_the_order_of_the_vocabulary(base: SpmModel) -> None:
    shisa = module("tokenizer_peers.shisa")
    entries = shisa.learn(base, sources(*TEXT), 300)
    assert "東京都" in entries
    assert max(map(len, entries)) <= 8
    assert not set(entries) & set(base.ids())
    made = shisa.extend(base, entries)
    content = json.loads(made.tokenizer.to_str())["model"]
    vocabulary = content["vocab"]
    assert [vocabulary[entry] for entry in entries] == list(range(len(base), len(base) + len(entries)))
    whole = [left + right for left, right in content["merges"]]
    assert [vocabulary[entry] for entry in whole] == sorted(vocabulary[entry] for entry in whole)
    count = Counter(whole)["東京都"]
    assert count == sum(a in vocabulary and b in vocabulary for a, b in (("東", "京都"), ("東京", "都")))
    # Its known fault: line breaks become a piece, so that no text of two lines keeps its ids.
    assert "\n" in entries
    assert list(made.encode(["one\ntwo"])[0]) != base.processor().encode("one\ntwo")


def test_pieces_at_score_zero_come_before_everything(base: SpmModel) -> None:
    pieces = module("tokenizer_peers.pieces")
    made = pieces.score_zero(base, ["hq", "東京"])
    assert [piece.score for piece in made.model.pieces[-2:]] == [0.0, 0.0]
    assert len(base) + 1 in made.encode(["東京都"])[0]
    # The base reads "th" and "q"; the new piece comes before.
    assert base.processor().encode("thq", out_type=str) == ["▁th", "q"]
    assert made.encode(["thq"])[0][-1] == len(base)


def test_harmless_pieces_are_of_the_script_and_not_banned() -> None:
    pieces = module("tokenizer_peers.pieces")
    found = ["東京", "▁東", "abc", "、", "12", "東ab", "である"]
    assert pieces.harmless(found, script_of("ja"), frozenset({"である"})) == ["東京", "、", "東ab"]


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_sentencepiece_pieces_are_new_and_of_every_size(base: SpmModel, kind: str) -> None:
    pieces = module("tokenizer_peers.pieces")
    found = pieces.learn(base, sources(*TEXT), [10, 20], kind)
    known = base.ids()
    for size in ("10", "20"):
        assert 0 < len(found[size]) <= round(int(size) * pieces.SPARE)
        assert not set(found[size]) & set(known)
    weighed = pieces._lines(sources("一\t二\n三", weight=5))
    assert weighed == {"一 二": 5, "三": 5}


def test_plain_continued_bpe_takes_the_most_frequent_pair_of_base_tokens(base: SpmModel) -> None:
    plain = module("tokenizer_peers.plain")
    found = plain.learn(base, sources(*TEXT), 12)
    counts: Counter[str] = Counter()
    for text in TEXT:
        # Every character here is a token of the base; groups end at punctuation.
        for part in text.replace("。", "\n").split("\n"):
            counts.update(part[at : at + 2] for at in range(len(part) - 1))
    best = max(counts.values())
    assert counts[found[0]] == best
    assert "東京都" in found
    assert not any("。" in piece and len(piece) > 1 for piece in found)
    doubled = plain.learn(base, sources(*TEXT, weight=2), 12)
    assert doubled == found


def test_plain_continued_bpe_scores_tie_in_float32_as_they_do_upstream(base: SpmModel) -> None:
    plain = module("tokenizer_peers.plain")
    made = plain.extend(base, ["東京", "京都", "東京都"])
    assert len({piece.score for piece in made.model.pieces[-3:]}) == 1


def test_added_tokens_cut_the_text_before_the_model(base: SpmModel) -> None:
    added = module("tokenizer_peers.added")
    made = added.extend(base, ["東京都"], normalized=False)
    (ids,) = made.encode(["日本の東京都である"])
    assert len(base) in ids
    assert made.decode(ids) != "日本の東京都である"
    assert made.encode(["<s>"]) == [base.processor().encode("<s>")]


@pytest.mark.slow
def test_quick_prints_claims_of_every_part() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "WATARI_TEST_DATA"}
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / "run.py"), "--only", "tokenizer", "--quick"],
        capture_output=True,
        encoding="utf-8",
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    claims = [json.loads(line) for line in done.stdout.splitlines()]
    told = "\n".join(claim["claim"] for claim in claims)
    for part in ("over the base on", "against merges regenerated", "against Mistral v0.1", "building", "encoding", "disagree"):  # fmt: skip
        assert part in told
    differ = [claim for claim in claims if "differ in text" in claim["claim"] or "disagree" in claim["claim"]]
    assert len(differ) >= 3
    assert all(claim["ours"] == 0 for claim in differ)
