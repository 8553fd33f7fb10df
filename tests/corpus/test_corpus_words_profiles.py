"""Profiles that need words: datatrove's own filters say what is kept, given the same words."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spaced_texts import INDONESIAN, KOREAN
from watari.corpus.rules.apply import apply, measure
from watari.corpus.rules.metrics import holds
from watari.corpus.rules.profile import Profile, load_profile
from watari.corpus.rules.words import segment
from watari.corpus.rules.words_affixes import split
from watari.corpus.table import WORKING
from watari.kernels.texts import Texts

PROFILES = ("en-gopher", "ja-fineweb2", "ko-fineweb2", "id-fineweb2")
ENGLISH = (
    "The lamp stood by the window, and the old man read to the children with great care.",
    "In the morning they have to walk along the river that leads to the mill and the market.",
    "Nobody knew to whom the boat belonged, but it had been there since the end of the war.",
    "A stranger came with a basket of apples and sold them to everyone in the square.",
    "It would be a mistake to think that winter had already gone from these hills.",
)
JAPANESE = (
    "朝になると、村の人々は川のそばに集まって、野菜や魚を並べる市が開かれる。",
    "祖母はいつも同じ場所に座り、通りかかる子供たちに昔の話を聞かせてくれた。",
    "雨の日には客が少なく、静かな通りに水の音だけが響いていたものである。",
    "私はその話を書き留めておこうと思い、古い帳面を机の上に広げた。",
    "橋ができてからは、隣の町まで半時間もかからずに行けるようになった。",
)


def table(texts: Sequence[str]) -> pa.Table:
    columns = {field.name: pa.nulls(len(texts), field.type) for field in WORKING}
    columns["key"] = pa.array([f"{row:08}" for row in range(len(texts))], pa.string())
    columns["text"] = pa.array(texts, pa.large_string())
    return pa.table(columns, schema=WORKING)


def reasons(texts: Sequence[str], profile: Profile) -> list[str | None]:
    return list(apply(table(texts), profile).column("reason").to_pylist())


@lru_cache(50_000)
def _spaced(text: str) -> tuple[str, ...]:
    words = []
    for string in text.split():
        place = 0
        for length in split(string, "en"):
            words.append(string[place : place + length])
            place += length
    return tuple(words)


@lru_cache(1)
def _sudachi() -> Any:
    from sudachipy import Dictionary, SplitMode

    return Dictionary(dict="core").create(mode=SplitMode.A)


@lru_cache(50_000)
def _japanese(text: str) -> tuple[str, ...]:
    surfaces = (word.surface().strip() for word in _sudachi().tokenize(text))
    return tuple(surface for surface in surfaces if surface)


@pytest.fixture
def filters(monkeypatch: pytest.MonkeyPatch) -> Callable[[Profile], Callable[[str], bool]]:
    """Datatrove's filters with a profile's limits, and plain code of these tests that finds the words for them."""
    from datatrove.data import Document
    from datatrove.pipeline.filters import (
        FineWebQualityFilter,
        GopherQualityFilter,
        GopherRepetitionFilter,
        fineweb_quality_filter,
        gopher_quality_filter,
        gopher_repetition_filter,
    )

    def words(text: str, language: str) -> list[str]:
        return list((_japanese if language == "ja" else _spaced)(text))

    for module in (fineweb_quality_filter, gopher_quality_filter, gopher_repetition_filter):
        monkeypatch.setattr(module, "split_into_words", words)

    def made(profile: Profile) -> Callable[[str], bool]:
        rules = {rule.name: rule for rule in profile.rules}

        def limit(name: str, side: str = "max") -> Any:
            return getattr(rules[name], side) if name in rules else 0

        tops = tuple((rule.n, rule.max) for rule in profile.rules if rule.metric == "top_ngram")
        again = tuple((rule.n, rule.max) for rule in profile.rules if rule.metric == "duplicate_ngrams")
        asked: list[Any] = [
            GopherRepetitionFilter(
                dup_line_frac=limit("duplicate lines"),
                dup_para_frac=limit("duplicate paragraphs"),
                dup_line_char_frac=limit("duplicate line characters") if profile.language == "en" else 0,
                dup_para_char_frac=limit("duplicate paragraph characters"),
                top_n_grams=tops,  # type: ignore[arg-type]
                dup_n_grams=again,  # type: ignore[arg-type]
                language=profile.language,
            ),
            GopherQualityFilter(
                min_doc_words=limit("words", "min"),
                max_doc_words=limit("words"),
                min_avg_word_length=limit("word length", "min"),
                max_avg_word_length=limit("word length"),
                max_non_alpha_words_ratio=limit("letters", "min"),
                stop_words=list(rules["stop words"].words),
                language=profile.language,
            ),
        ]
        if "line feeds" in rules:
            asked.append(
                FineWebQualityFilter(
                    line_punct_thr=limit("punctuated lines", "min"),
                    short_line_thr=999,
                    char_duplicates_ratio=limit("duplicate line characters"),
                    new_line_ratio=limit("line feeds"),
                    language=profile.language,
                )
            )

        def kept(text: str) -> bool:
            return all(one.filter(Document(text=text, id="")) is True for one in asked)

        return kept

    return made


def test_the_limits_are_datatroves():
    """What the filters are made with where a profile says nothing else."""
    import inspect

    from datatrove.pipeline.filters import GopherQualityFilter, GopherRepetitionFilter
    from datatrove.pipeline.filters.gopher_quality_filter import STOP_WORDS
    from datatrove.utils.text import PUNCTUATION_SET, TERMINAL_PUNCTUATION

    profile = load_profile("en-gopher")
    rules = {rule.name: rule for rule in profile.rules}
    quality = {
        name: value.default for name, value in inspect.signature(GopherQualityFilter).parameters.items()
    }
    again = {
        name: value.default for name, value in inspect.signature(GopherRepetitionFilter).parameters.items()
    }
    assert (rules["words"].min, rules["words"].max) == (quality["min_doc_words"], quality["max_doc_words"])
    assert rules["word length"].min == quality["min_avg_word_length"]
    assert rules["word length"].max == quality["max_avg_word_length"]
    assert rules["hash signs"].max == rules["ellipses"].max == quality["max_symbol_word_ratio"]
    assert rules["bullet lines"].max == quality["max_bullet_lines_ratio"]
    assert rules["ellipsis lines"].max == quality["max_ellipsis_lines_ratio"]
    assert rules["letters"].min == quality["max_non_alpha_words_ratio"]
    assert rules["stop words"].min == quality["min_stop_words"]
    assert list(rules["stop words"].words) == STOP_WORDS
    assert rules["duplicate lines"].max == again["dup_line_frac"]
    assert rules["duplicate paragraphs"].max == again["dup_para_frac"]
    assert rules["duplicate line characters"].max == again["dup_line_char_frac"]
    assert rules["duplicate paragraph characters"].max == again["dup_para_char_frac"]
    for metric, name in (("top_ngram", "top_n_grams"), ("duplicate_ngrams", "dup_n_grams")):
        assert tuple((rule.n, rule.max) for rule in profile.rules if rule.metric == metric) == again[name]
    for code in PROFILES:
        profile = load_profile(code)
        for name, characters in (("terminal", TERMINAL_PUNCTUATION), ("symbols", PUNCTUATION_SET)):
            points = {point for first, last in profile.ranges(name) for point in range(first, last + 1)}
            assert points == set(map(ord, characters)), (code, name)


@pytest.mark.parametrize("name", PROFILES)
def test_every_rule_says_what_it_is_for(name: str):
    profile = load_profile(name)
    assert profile.source
    assert profile.description
    assert all(len(rule.about) > 30 for rule in profile.rules)


def made_texts(seed: int, count: int, sentences: Sequence[str], blank: str) -> Iterator[str]:
    """Texts that are near the limits of all rules: prose, repeated, listed, cut off, full of marks or numbers."""
    rng = random.Random(seed)
    marks = ["#", "…", "...", "•", "-", "12", "3.5", "!", "(", "漢", "x", "a" * 14, "wordwordword"]
    for _ in range(count):
        lines: list[str] = []
        for _ in range(rng.choice([1, 3, 8, 20])):
            words = blank.join(rng.sample(sentences, rng.choice([1, 1, 2, 3]))).split(blank or None)
            if rng.random() < 0.4:
                rng.shuffle(words)
            words = words[: rng.choice([3, 8, 40])]
            for _ in range(rng.choice([0, 0, 1, 6])):
                words.insert(rng.randrange(len(words) + 1), rng.choice(marks))
            if rng.random() < 0.2:
                words = words[: rng.randint(1, 6)] * rng.randint(2, 6)
            line = blank.join(words)
            if rng.random() < 0.3:
                line = rng.choice(["- ", "• ", "  -", "\u3000"]) + line
            if rng.random() < 0.3:
                line += rng.choice(["...", "…", " … ", "\r", "。", "?"])
            lines.append(line)
            if rng.random() < 0.25:
                lines.append(rng.choice(lines))
        if rng.random() < 0.2:
            lines = [rng.choice(["- ", "• "]) + line for line in lines]
        if rng.random() < 0.15:
            lines = [line + rng.choice(["...", "…"]) for line in lines]
        yield rng.choice(["\n", "\n", "\n\n", "\n\n\n", "\u2028"]).join(lines)


@pytest.mark.parametrize(
    ("name", "sentences", "blank"),
    [
        ("en-gopher", ENGLISH, " "),
        ("ja-fineweb2", JAPANESE, ""),
        ("ko-fineweb2", KOREAN, " "),
        ("id-fineweb2", INDONESIAN, " "),
    ],
)
def test_made_texts_are_kept_where_datatroves_filters_keep_them(
    name: str, sentences: tuple[str, ...], blank: str, filters: Callable[[Profile], Callable[[str], bool]]
):
    profile = load_profile(name)
    texts = ["", " ", "\n\n", *made_texts(7, 300, sentences, blank)]
    if name in ("ko-fineweb2", "id-fineweb2"):
        # Their strings are split without English contractions; the filters are given the same words.
        words = segment(Texts.of(texts), profile.language)
        for row, text in enumerate(texts):
            assert words.of(row) == list(_spaced(text)), text
    found = reasons(texts, profile)
    kept = filters(profile)
    texts_wrong = [
        (text, reason)
        for text, reason in zip(texts, found, strict=True)
        if bool(text) and kept(text) != (reason is None)
    ]
    assert texts_wrong == []
    assert found[0] is not None, "an empty text has nothing to measure"
    assert 5 < found.count(None) < 250


def made_words(rng: random.Random, count: int) -> list[str]:
    """Different words of four to eight letters, none of which is a stop word."""
    words: dict[str, None] = {}
    while len(words) < count:
        size = rng.choice([2, 2, 3, 4])
        words["".join(rng.choice("bcdfgklmnprstvz") + rng.choice("aeiou") for _ in range(size))] = None
    return list(words)


def deciding() -> Iterator[str]:
    """Texts that break one rule of en-gopher, or stay, or break several: repeated parts in growing shares."""
    rng = random.Random(11)
    pool = made_words(rng, 3_000)

    def words(count: int) -> list[str]:
        return ["the", "of", *rng.sample(pool, count)]

    for size in range(1, 14):
        for length in (40, 120):
            for share in np.linspace(0.02, 0.6, 20):
                # An n-gram of `size` words again and again, among words that come once.
                gram = " ".join(rng.sample(pool, size))
                text = words(length)
                times = min(max(2, int(share * len(" ".join(text)) / len(gram))), length)
                for place in sorted(rng.sample(range(length), times), reverse=True):
                    text.insert(place, gram)
                yield " ".join(text)
    for size in range(5, 12):
        # Several n-grams, each twice, never in the same company.
        grams = [" ".join(rng.sample(pool, size)) for _ in range(10)] * 2
        yield " ".join(["the of", *(f"{gram} {' '.join(rng.sample(pool, size // 2))}" for gram in grams)])
    lines = [" ".join(words(8)) for _ in range(40)]
    for count in range(2, 30, 2):
        # Short lines again; short paragraphs again among longer ones.
        yield "\n".join([*lines, *["of"] * count])
        yield "\n\n".join(["\n".join(lines[:5]), *lines[5:10], "\n".join(lines[10:]), *["of"] * count])
        # Lines of three words, each twice, between others; paragraphs of two such lines.
        twice = [" ".join(rng.sample(pool, 3)) for _ in range(20)]
        between = [" ".join(words(count)) for _ in range(30)]
        yield "\n".join(rng.sample([*twice, *twice, *between], 70))
    for length in range(10, 60, 2):
        twice = ["\n".join(rng.sample(pool, 2)) for _ in range(20)]
        between = [
            "\n".join(" ".join(rng.sample(pool, 1 + length // 20)) for _ in range(3)) for _ in range(30)
        ]
        between = [part[: length + 10] for part in between]
        yield "\n\n".join(["the of", *rng.sample([*twice, *twice, *between], 70)])
    yield "\n".join(f"- {line}" for line in lines)
    yield "\n".join(f"{line}..." if number % 2 else line for number, line in enumerate(lines))
    text = words(300)
    yield " ".join(text[:40])
    yield " ".join([*text[:2], *(word[:2] + " " for word in rng.sample(pool, 300))])
    yield " ".join([*text[:2], *("".join(rng.sample(pool, 3)) for _ in range(100))])
    yield " ".join(f"#{word}" if number % 8 == 0 else word for number, word in enumerate(text))
    yield " ".join(f"{word}…" if number % 8 == 0 else word for number, word in enumerate(text))
    yield " ".join(f"{word} {number}1" if number % 3 else word for number, word in enumerate(text))
    yield " ".join(text[1:])


def test_each_rule_alone_decides(filters: Callable[[Profile], Callable[[str], bool]]):
    """Of generated texts, each rule is the only one broken by some; without the rule those texts stay."""
    profile = load_profile("en-gopher")
    texts = list(deciding())
    measured = measure(table(texts), profile)
    broken = np.stack([~holds(measured.column(rule.name).to_numpy(), rule) for rule in profile.rules])
    kept = filters(profile)
    for row, text in enumerate(texts):
        assert kept(text) == (not broken[:, row].any())
    alone = broken.sum(axis=0) == 1
    decided = {rule.name: int((broken[number] & alone).sum()) for number, rule in enumerate(profile.rules)}
    assert {name for name, count in decided.items() if not count} == set()
    found = reasons(texts, profile)
    for number, rule in enumerate(profile.rules):
        row = int(np.flatnonzero(broken[number] & alone)[0])
        assert found[row] == rule.name
        assert reasons([texts[row]], load_profile("en-gopher", {rule.name: None})) == [None]


def test_what_is_measured_by_hand():
    text = "The cat, the dog.\n\n- The cat…\n#1 !!\n"
    measured = measure(table([text]), load_profile("en-gopher")).to_pylist()[0]
    # The · cat · , · the · dog · . · - · The · cat · … · # · 1 · ! · !
    assert segment(Texts.of([text]), "en").counts.tolist() == [14]
    assert measured["words"] == 7
    assert measured["word length"] == 19 / 7
    assert measured["hash signs"] == measured["ellipses"] == 1 / 14
    assert measured["letters"] == 6 / 14
    assert measured["stop words"] == 1, "'The' is not 'the'"
    assert measured["bullet lines"] == measured["ellipsis lines"] == 1 / 4
    assert measured["top 2-gram"] == 2 * len("The cat") / len(text)
    assert measured["top 3-gram"] == len("The cat ,") / len(text)
    assert (
        measured["duplicate 5-grams"] == measured["duplicate lines"] == measured["duplicate paragraphs"] == 0
    )
    again = "of it\n\nof it\nof it\n\nof it"
    measured = measure(table([again]), load_profile("en-gopher")).to_pylist()[0]
    assert measured["duplicate lines"] == 3 / 4
    assert measured["duplicate line characters"] == 15 / len(again)
    assert measured["duplicate paragraphs"] == 1 / 3
    assert measured["duplicate paragraph characters"] == 5 / len(again)


def pages(folder: Path, name: str, language: str, limit: int, *, every: int = 1) -> list[str]:
    """Real texts: books cut into pages of 3,000 characters with Unix line ends, articles with a sentence a line."""
    found: list[str] = []
    with gzip.open(folder / name / "docs.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            if "text" in row:
                text = row["text"].replace("\r\n", "\n")
                found.extend(text[start : start + 3_000] for start in range(0, len(text), 3_000))
            else:
                found.append("\n".join(row[language]))
            if len(found) >= limit * every:
                break
    return found[: limit * every : every]


def disagreements(
    texts: list[str], profile: Profile, kept: Callable[[str], bool]
) -> tuple[list[str], list[str | None]]:
    found = reasons(texts, profile)
    wrong = [text for text, reason in zip(texts, found, strict=True) if kept(text) != (reason is None)]
    return wrong, found


def test_real_english_is_kept_where_datatroves_filters_keep_it(
    test_data: Path, filters: Callable[[Profile], Callable[[str], bool]]
):
    profile = load_profile("en-gopher")
    for name, limit in (("en-books", 200), ("kyoto-wiki", 60)):
        wrong, found = disagreements(pages(test_data, name, "en", limit, every=9), profile, filters(profile))
        assert wrong == []
        assert 0 < found.count(None) < len(found)


@pytest.mark.slow
def test_all_real_english_is_kept_where_datatroves_filters_keep_it(
    test_data: Path, filters: Callable[[Profile], Callable[[str], bool]]
):
    profile = load_profile("en-gopher")
    for name, least in (("en-books", 8_000), ("kyoto-wiki", 8_000)):
        texts = pages(test_data, name, "en", 10**9)
        assert len(texts) > least
        wrong, _ = disagreements(texts, profile, filters(profile))
        assert wrong == []


def test_real_japanese_is_kept_where_datatroves_filters_keep_it(
    test_data: Path, filters: Callable[[Profile], Callable[[str], bool]]
):
    profile = load_profile("ja-fineweb2")
    texts = pages(test_data, "kyoto-wiki", "ja", 100, every=30)
    texts += pages(test_data, "aozora", "ja", 10, every=40)
    wrong, found = disagreements(texts, profile, filters(profile))
    assert wrong == []
    assert 0 < found.count(None) < len(found)


def several(sentences: Sequence[str], count: int, blank: str = " ") -> list[str]:
    """Ordinary documents: three paragraphs of whole sentences in another order each time."""
    found = []
    for seed in range(count):
        order = random.Random(seed).sample(sentences, len(sentences))
        third = -(-len(order) // 3)
        found.append(
            "\n".join(blank.join(order[start : start + third]) for start in range(0, len(order), third))
        )
    return found


@pytest.mark.parametrize(
    ("name", "own", "others"),
    [
        ("ko-fineweb2", KOREAN, (ENGLISH * 2, JAPANESE * 2, INDONESIAN)),
        ("id-fineweb2", INDONESIAN, (ENGLISH * 2, JAPANESE * 2, KOREAN)),
        ("en-gopher", ENGLISH, (INDONESIAN, KOREAN, JAPANESE * 2)),
        ("ja-fineweb2", JAPANESE * 2, (ENGLISH * 2, KOREAN, INDONESIAN)),
    ],
)
def test_a_profile_keeps_its_language_and_drops_the_others(
    name: str, own: Sequence[str], others: Sequence[Sequence[str]]
):
    profile = load_profile(name)
    blank = "" if own[0] in JAPANESE else " "
    own = own if name not in ("en-gopher", "ja-fineweb2") else tuple(dict.fromkeys(own))
    assert reasons(several(own, 20, blank), profile) == [None] * 20
    for sentences in others:
        foreign = tuple(dict.fromkeys(sentences))
        assert None not in reasons(several(foreign, 20), profile)


def test_a_new_language_is_a_file(tmp_path: Path):
    path = tmp_path / "mine.yaml"
    path.write_text(
        "language: sw\n"
        "rules:\n"
        "  - {name: words, metric: words, min: 5}\n"
        "  - {name: stop words, metric: stop_words, words: [na, ya, wa, kwa], min: 2}\n"
        "  - {name: top 2-gram, metric: top_ngram, unit: word, n: 2, max: 0.4}\n",
        "utf-8",
    )
    texts = [
        "Watoto wa kijiji wanacheza kwa furaha na mbwa ya jirani.",
        "habari",
        "the children of the village play with a dog",
        "na ya " * 10,
    ]
    assert reasons(texts, load_profile(path)) == [None, "words", "stop words", "top 2-gram"]


ANY = st.text(st.characters(exclude_categories=("Cs",)), max_size=120)
NARROW = st.lists(
    st.sampled_from(
        ["the ", "of ", "a", "\n", "\n\n", "- ", "…", "...", "#", "12 ", "漢字", "。", "\u3000", "\r\n", "😀"]
    ),
    max_size=60,
).map("".join)


@pytest.mark.parametrize("name", PROFILES)
@given(column=st.lists(st.one_of(ANY, NARROW), max_size=6))
@settings(max_examples=25)
def test_any_text_is_measured_alike_with_and_without_numba(name: str, column: list[str]):
    profile = load_profile(name)
    found = []
    for engine in ("numba", "numpy"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("WATARI_KERNELS", engine)
            found.append((measure(table(column), profile), apply(table(column), profile)))
    for one, other in zip(*found, strict=True):
        for field in one.schema:
            left, right = one.column(field.name), other.column(field.name)
            if pa.types.is_floating(field.type):
                assert left.fill_null(-1).to_numpy().tobytes() == right.fill_null(-1).to_numpy().tobytes(), (
                    field
                )
            else:
                assert left.equals(right), field
    assert found[0][1].num_rows == len(column)
