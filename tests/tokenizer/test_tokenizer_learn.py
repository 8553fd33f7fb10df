"""The learner against one that counts everything anew at every step, and against really encoding."""

from __future__ import annotations

import io
import itertools
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from small_japanese import japanese
from watari.errors import UserError
from watari.pretrained.sentencepiece import SPACE, parse_spm
from watari.tokenizer.bytes import ByteBpe
from watari.tokenizer.collect import collect
from watari.tokenizer.encoder import BpeTokenizer
from watari.tokenizer.learned import Learned
from watari.tokenizer.opening import open_base
from watari.tokenizer.policy import Policy
from watari.tokenizer.script import script_of
from watari.tokenizer.sequences import UNIT, Sequences
from watari.tokenizer.spm import SpmBpe
from watari.tokenizer.texts import Text
from watari.tokenizer.train import banned, learn

JAPANESE, RUSSIAN = Policy(script_of("ja")), Policy(script_of("ru"))
REAL = [text for _, text in japanese(60)]


@cache
def tiny() -> SpmBpe:
    """A base with some pieces of three and four characters of Japanese and Russian, and single ones it lacks."""
    import sentencepiece

    lines = ["あいう あい1いう 日本語を日本語で。", "мама мыла раму, мама", "12 ab the then あいうあ い"] * 30
    data = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_writer=data,
        vocab_size=326,
        model_type="bpe",
        byte_fallback=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    return SpmBpe("tiny", parse_spm(data.getvalue()))


def sources(*texts: Sequence[str]) -> list[Text]:
    """Return texts of sources 0, 1, …"""
    return [
        Text(f"{s}-{n}", text, source=str(s)) for s, part in enumerate(texts) for n, text in enumerate(part)
    ]


def run(
    texts: Sequence[Text],
    policy: Policy,
    count: int = 10**6,
    base: BpeTokenizer | None = None,
    **weights: float,
) -> Learned:
    base = base or tiny()
    found = collect(base, texts, policy, {name[1:]: weight for name, weight in weights.items()})
    return learn(found, policy, banned(base, policy), count)


@dataclass
class Slow:
    """The definition: at every step encode all sequences from scratch, count all pairs, take the best."""

    text: Sequences
    policy: Policy
    refused: set[str]
    untaken: set[str] = field(default_factory=set)
    ranks: dict[str, int] = field(default_factory=dict)

    def encode(self, row: Sequence[str]) -> list[str]:
        row = list(row)
        while True:
            spelled = [self.ranks.get(a + b, 10**9) for a, b in itertools.pairwise(row)]
            if not spelled or min(spelled) == 10**9:
                return row
            at = spelled.index(min(spelled))
            row[at : at + 2] = [row[at] + row[at + 1]]

    def learn(self, count: int) -> Learned:
        text = self.text
        ends = np.cumsum(text.lengths).tolist()
        rows = [
            [text.symbols[i] for i in text.ids[a:b].tolist()] for a, b in zip([0, *ends], ends, strict=False)
        ]
        costs = {text.symbols[i]: text.cost[i] for i in range(text.base, len(text.symbols))}
        weights = (text.counts @ np.array(text.weights)).tolist()
        self.untaken = set(costs)
        out, saved = [], []
        while len(out) < count:
            now = [self.encode(row) for row in rows]
            gains: Counter[tuple[str, str]] = Counter()
            times: Counter[tuple[str, str]] = Counter()
            where: dict[str, set[int]] = {}
            for place, (row, weight) in enumerate(zip(now, weights, strict=True)):
                for symbol in row:
                    if symbol in self.untaken:
                        times[symbol, ""] += weight
                        gains[symbol, ""] += weight * (costs[symbol] - 1)
                        where.setdefault(symbol, set()).add(place)
                counted = False
                for a, b in itertools.pairwise(row):
                    # Of three in a row only the first two are a pair.
                    counted = a == b and not counted
                    if a == b and not counted:
                        continue
                    where.setdefault(a + b, set()).add(place)
                    if not {a, b} & self.untaken and self.wanted(a + b):
                        times[a, b] += weight
                        gains[a, b] += weight
            frequent = self.policy.min_frequency * UNIT
            ordered = sorted(
                (-gain, pair[1] != "", "".join(pair))
                for pair, gain in gains.items()
                if times[pair] >= max(1, frequent) and "".join(pair) not in self.refused
            )
            best = next((item for item in ordered if self.welcome(item[2], where[item[2]])), None)
            if best is None:
                break
            _, is_pair, chosen = best
            before = self.size(now, weights, costs)
            if is_pair:
                self.ranks[chosen] = len(out)
            else:
                self.untaken.discard(chosen)
            out.append(chosen)
            saved.append(before - self.size([self.encode(row) for row in rows], weights, costs))
        return Learned(out, np.array(saved, dtype=np.int64))

    def wanted(self, text: str) -> bool:
        bits = self.policy.bits(text)
        return (
            self.policy.script.has_strict(text)
            and not self.policy.clashes(bits)
            and len(text.removeprefix(" ")) <= self.policy.max_length
        )

    def welcome(self, text: str, rows: set[int]) -> bool:
        if text in self.refused:
            return False
        found = self.text.counts[sorted(rows)].any(axis=0).sum()
        if self.policy.refuses(text) or found < self.policy.min_sources:
            self.refused.add(text)
            return False
        return True

    def size(self, rows: list[list[str]], weights: list[int], costs: dict[str, int]) -> int:
        return sum(
            weight * sum(costs[symbol] if symbol in self.untaken else 1 for symbol in row)
            for row, weight in zip(rows, weights, strict=True)
        )


def tokens(base: BpeTokenizer, texts: Sequence[Text], weights: dict[str, float]) -> int:
    encoded = base.encode([text.text for text in texts])
    return sum(
        len(ids) * round(weights.get(text.source, 1.0) * UNIT)
        for ids, text in zip(encoded, texts, strict=True)
    )


def documents(alphabet: str) -> st.SearchStrategy[list[list[str]]]:
    text = st.text(st.sampled_from(alphabet), max_size=24)
    return st.lists(st.lists(text, max_size=5), min_size=1, max_size=3)


POLICIES = st.builds(
    Policy,
    script=st.just(script_of("ja")),
    max_length=st.integers(2, 7),
    min_frequency=st.integers(0, 3),
    min_sources=st.integers(1, 2),
    digits=st.booleans(),
    cross_word=st.booleans(),
    mixed_scripts=st.booleans(),
    forbidden=st.sampled_from([(), ("いう",), ("^鬱", "う$"), ("鬱",)]),
)
WEIGHTS = st.dictionaries(st.just("0"), st.sampled_from([0.0, 0.3, 1.0, 2.5]), max_size=1)


@settings(max_examples=120)
@given(documents("あいう鬱𠮷本。、1 a…"), POLICIES, WEIGHTS)
def test_learns_what_counting_all_anew_learns(
    parts: list[list[str]], policy: Policy, weights: dict[str, float]
) -> None:
    texts = sources(*parts)
    weights = {name: weight for name, weight in weights.items() if any(text.source == name for text in texts)}
    found = collect(tiny(), texts, policy, weights)
    ban = banned(tiny(), policy)
    slow = Slow(found, policy, set(ban)).learn(40)
    fast = learn(found, policy, ban, 40)
    assert fast.pieces == slow.pieces
    assert fast.saved.tolist() == slow.saved.tolist()


@settings(max_examples=60)
@given(documents("えおか"), st.integers(1, 3))
def test_few_letters_and_long_pieces(parts: list[list[str]], frequency: int) -> None:
    """Rows of one letter, overlaps, texts with many splits: here a learner and an encoder would part."""
    policy = replace(JAPANESE, min_frequency=frequency)
    texts = sources(["".join(part) * 2 + "え" for part in parts])
    found = collect(tiny(), texts, policy)
    fast = learn(found, policy, frozenset(), 40)
    slow = Slow(found, policy, set()).learn(40)
    assert fast.pieces == slow.pieces
    assert fast.saved.tolist() == slow.saved.tolist()


@pytest.mark.parametrize("cross_word", [True, False])
@settings(max_examples=40)
@given(parts=documents("маыж ё,1 a"), length=st.integers(2, 6))
def test_language_with_blanks(cross_word: bool, parts: list[list[str]], length: int) -> None:
    policy = replace(RUSSIAN, cross_word=cross_word, max_length=length)
    texts = sources(*parts)
    found = collect(tiny(), texts, policy)
    ban = banned(tiny(), policy)
    learned = learn(found, policy, ban, 40)
    slow = Slow(found, policy, set(ban)).learn(40)
    assert learned.pieces == slow.pieces
    assert learned.saved.tolist() == slow.saved.tolist()
    assert all(cross_word or " " not in piece[1:] for piece in learned.pieces)
    check_saved(learned, texts, {})


def check_saved(learned: Learned, texts: list[Text], weights: dict[str, float]) -> None:
    before = tokens(tiny(), texts, weights)
    for count in {1, len(learned.pieces) // 2, len(learned.pieces)}:
        pieces = [piece.replace(" ", SPACE) for piece in learned.pieces[:count]]
        after = tokens(tiny().extended(pieces), texts, weights)
        assert before - after == learned.saved[:count].sum()


@settings(max_examples=60)
@given(documents("あいう鬱𠮷本。、1 a…"), POLICIES, WEIGHTS)
def test_saved_is_what_encoding_saves(
    parts: list[list[str]], policy: Policy, weights: dict[str, float]
) -> None:
    texts = sources(*parts)
    weights = {name: weight for name, weight in weights.items() if any(text.source == name for text in texts)}
    found = collect(tiny(), texts, policy, weights)
    check_saved(learn(found, policy, banned(tiny(), policy), 50), texts, weights)
    assert found.characters == [sum(len(text) for text in part) for part in parts if part]
    assert found.tokens == [tokens(tiny(), sources(part), {}) // UNIT for part in parts if part]


def test_saved_is_what_encoding_saves_on_a_real_base() -> None:
    base, texts = open_base("mistral-v1"), sources(REAL[:40], REAL[40:])
    weights = {"1": 2.0}
    found = collect(base, texts, replace(JAPANESE, digits=True), weights)
    learned = learn(found, replace(JAPANESE, digits=True), banned(base, JAPANESE), 400)
    assert len(learned.pieces) == 400
    for count in (7, 400):
        after = tokens(base.extended(learned.pieces[:count]), texts, weights)
        assert tokens(base, texts, weights) - after == learned.saved[:count].sum()


def test_a_shorter_run_is_the_beginning_of_a_longer_one(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = sources(REAL)
    longer = run(texts, JAPANESE)
    assert len(longer.pieces) > 500
    # The fewer pairs are looked at at once, the oftener the text is counted again.
    monkeypatch.setattr("watari.tokenizer.train._LOOKED_AT", 3)
    for count in (1, 60, 350):
        shorter = run(texts, JAPANESE, count)
        assert shorter.pieces == longer.pieces[:count]
        assert shorter.saved.tolist() == longer.saved[:count].tolist()
    assert run(texts, JAPANESE, len(longer.pieces)).pieces == longer.pieces


def test_stops_when_there_is_enough() -> None:
    asked: list[tuple[int, int]] = []

    def enough(count: int, saved: int) -> bool:
        asked.append((count, saved))
        return saved < 40 * UNIT

    texts = sources(REAL)
    found = collect(tiny(), texts, JAPANESE)
    told: list[int] = []
    some = learn(found, JAPANESE, banned(tiny(), JAPANESE), 10**6, told.append, enough=enough)
    every = run(texts, JAPANESE)
    assert some.pieces == every.pieces[: len(some.pieces)]
    assert 1 < len(some.pieces) < len(every.pieces)
    assert some.saved[-1] < 40 * UNIT <= some.saved[:-1].min()
    assert asked == list(enumerate(some.saved.tolist(), 1))
    assert told == [count for count, _ in asked]


def test_order_of_documents_does_not_matter() -> None:
    texts = sources(REAL[:30], REAL[30:])
    mixed = random.Random(1).sample(texts, len(texts))
    policy = replace(JAPANESE, min_sources=2)
    one, two = run(texts, policy, _0=2.0), run(mixed, policy, _0=2.0)
    assert one.pieces == two.pieces
    assert one.saved.tolist() == two.saved.tolist()


def test_weight_of_two_is_the_text_twice() -> None:
    weighted = run(sources(REAL[:30], REAL[30:]), JAPANESE, _1=2.0)
    doubled = run(sources(REAL[:30], REAL[30:] * 2), JAPANESE)
    assert weighted.pieces == doubled.pieces
    assert weighted.saved.tolist() == doubled.saved.tolist()
    assert weighted.pieces != run(sources(REAL[:30], REAL[30:]), JAPANESE).pieces
    assert (
        run(sources(REAL[:30], REAL[30:]), JAPANESE, _1=0.0).pieces
        == run(sources(REAL[:30]), JAPANESE).pieces
    )


def test_min_frequency_is_by_weight() -> None:
    texts = sources(["かきか", "さし。", "さし。"])
    assert set(run(texts, JAPANESE).pieces) == {"か", "さ", "し", "。", "さし", "さし。"} - set(
        tiny().pieces()
    )
    assert set(run(texts, replace(JAPANESE, min_frequency=3)).pieces) == set()
    assert "かき" in run(texts, replace(JAPANESE, min_frequency=3), _0=3.0).pieces


def test_junk_of_one_source_stays_out() -> None:
    junk = ["会員登録ページトップへ戻る"] * 50
    texts = sources([*REAL[:30], *junk], REAL[30:])
    free, bound = run(texts, JAPANESE), run(texts, replace(JAPANESE, min_sources=2))
    assert any("会員登録" in piece for piece in free.pieces)
    assert bound.pieces
    for piece in bound.pieces:
        assert any(piece in text for text in REAL[30:])
    assert run(sources(REAL), replace(JAPANESE, min_sources=2)).pieces == []


@pytest.mark.parametrize(
    ("options", "wanted", "unwanted"),
    [
        ({}, "年、月", "21年"),
        ({"digits": True}, "21年", None),
        ({"cross_word": False}, None, "年、月"),
        ({"mixed_scripts": False}, "まわる", "月まわる"),
        ({"forbidden": ("まわ",)}, "月ま", "まわ"),
        ({"max_length": 2}, "まわ", "まわる"),
    ],
)
def test_policy_says_what_a_piece_may_be(
    options: dict[str, object], wanted: str | None, unwanted: str | None
) -> None:
    texts = sources(["21年、月まわる"] * 9 + ["年、月"] * 4 + ["21年"] * 4 + ["まわる", "月ま"] * 4)
    pieces = run(texts, replace(JAPANESE, **options)).pieces
    assert pieces
    assert wanted is None or wanted in pieces
    assert unwanted is None or not any(unwanted in piece for piece in pieces)
    assert all(JAPANESE.script.has_strict(piece) for piece in pieces)


@pytest.mark.parametrize("name", ["tiny", "mistral-v1", "tekken"])
def test_no_new_piece_can_complete_a_base_token(name: str) -> None:
    base = tiny() if name == "tiny" else open_base(name)
    ban = banned(base, JAPANESE)
    known = {surface for surface in base.surfaces() if surface}
    several = 0
    for surface in known:
        text = surface.decode("utf-8", errors="ignore")
        if not JAPANESE.script.has_strict(text):
            continue
        several += len(text) > 1
        if text.encode("utf-8") == surface:
            assert text in ban
        for at in range(1, len(surface)):
            left, right = surface[:at], surface[at:]
            if left in known and right in known:
                continue
            # Two symbols can only meet if each is a base token or may be a new piece.
            possible = [half in known or may_be_new(half, ban) for half in (left, right)]
            assert not all(possible), (left, right)
    assert several >= 3
    assert not {"日本語学", "東京都民の"} & ban


def may_be_new(half: bytes, ban: frozenset[str]) -> bool:
    try:
        text = half.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return JAPANESE.script.has_strict(text) and text not in ban


def test_banned_character_takes_its_pairs_along() -> None:
    found = collect(tiny(), sources(["鬱本。鬱本鬱本"] * 3), JAPANESE)
    assert "鬱" in learn(found, JAPANESE, frozenset(), 99).pieces
    assert "鬱" not in "".join(learn(found, JAPANESE, frozenset({"鬱"}), 99).pieces)


def test_weights_must_make_sense() -> None:
    texts = sources(["あ"], ["い"])
    with pytest.raises(UserError, match=r"no text is from 'wiki' .sources of the text: 0, 1"):
        collect(tiny(), texts, JAPANESE, {"wiki": 1.0})
    with pytest.raises(UserError, match=r"-1\.0 for '1' is no weight"):
        collect(tiny(), texts, JAPANESE, {"1": -1.0})
    assert learn(collect(tiny(), [], JAPANESE), JAPANESE, frozenset(), 9).pieces == []
    assert collect(tiny(), texts, JAPANESE, {"1": 0.5}).weights == [UNIT, UNIT // 2]


@cache
def tekken() -> ByteBpe:
    base = open_base("tekken")
    assert isinstance(base, ByteBpe)
    return base


ODD = ["鬱々と竈を薔薇と𠮷野家で。", "竈の𠮷野家、鬱の薔薇を2001年に。", "𠮷𠮷竈竈鬱鬱 The 薔薇😀薔薇"] * 4


def test_byte_level_symbols_are_whole_characters() -> None:
    base, texts = tekken(), sources(REAL[:20] + ODD, REAL[20:])
    found = collect(base, texts, JAPANESE)
    assert found.characters == [sum(len(t.text) for t in texts if t.source == s) for s in "01"]
    assert found.tokens == [
        sum(map(len, base.encode([t.text for t in texts if t.source == s]))) for s in "01"
    ]
    added = found.symbols[found.base :]
    assert {"𠮷", "竈"} <= set(added)
    for symbol, cost in zip(added, found.cost[found.base :], strict=True):
        assert len(symbol) == 1
        assert len(base.spelled(base_form([symbol]))[0]) == cost > 1
    surfaces = base.surfaces()
    for index in set(found.ids.tolist()):
        assert found.usable[index]
        assert index >= found.base or surfaces[index] == found.symbols[index].encode("utf-8")
    assert found.counts.shape == (len(found.lengths), 2)
    assert found.ids.dtype == np.int32
    assert found.lengths.sum() == len(found.ids)


def base_form(texts: Sequence[str]) -> list[str]:
    from watari.pretrained.bytelevel import to_alphabet

    return [to_alphabet(text.encode("utf-8")) for text in texts]


def test_byte_level_learns_what_counting_all_anew_learns() -> None:
    texts = sources(ODD, REAL[:6])
    found = collect(tekken(), texts, JAPANESE, {"0": 1.5})
    ban = banned(tekken(), JAPANESE)
    fast, slow = learn(found, JAPANESE, ban, 60), Slow(found, JAPANESE, set(ban)).learn(60)
    assert fast.pieces == slow.pieces
    assert fast.saved.tolist() == slow.saved.tolist()


def test_byte_level_saved_is_what_encoding_saves() -> None:
    base, texts = tekken(), sources(REAL)
    found = collect(base, texts, JAPANESE)
    learned = learn(found, JAPANESE, banned(base, JAPANESE), 300)
    assert len(learned.pieces) == 300
    assert all(len(base.pretokens(piece)) == 1 for piece in learned.pieces)
    # A character of three tokens brings the part of it that leads there along, which joins in other characters too;
    # and two tokens that cut a character may spell a piece together. The learner counts neither.
    entries = base.with_intermediates(learned.pieces, JAPANESE)
    assert not entries.dropped
    for count in (10, 300):
        chosen = [
            piece for piece, origin in zip(entries.pieces, entries.origin, strict=True) if origin < count
        ]
        after = tokens(base.extended(chosen), texts, {})
        told = int(learned.saved[:count].sum())
        assert told <= tokens(base, texts, {}) - after <= told * 1.02
