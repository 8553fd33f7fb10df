"""The rows: determinism, the split, balance, derivable answers, clean language, URLs."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

import watari.demo
from watari.demo import (
    LANGUAGES,
    RESOURCES,
    conversations,
    documents,
    parallel,
    preferences,
    questions,
    rows,
)
from watari.demo.facts import KINDS, SPLITS
from watari.demo.words import number_en

Row = dict[str, Any]
GROUPS = ("copy", "choose", "yesno", "count", "translate")
LATIN = re.compile(r"[A-Za-z]")
JAPANESE = re.compile(r"[\u3000-\u30ff\u3400-\u9fff\uff00-\uffef]")
URLS = (
    "demo://documents?language=en&count=20&split=train",
    "demo://documents?language=ja&count=20&split=test",
    "demo://parallel?count=20",
    "demo://conversations?language=en&count=40",
    "demo://conversations?language=ja&count=40",
    "demo://preferences?language=en&count=40",
    "demo://preferences?language=ja&count=40",
    "demo://questions?language=en&count=40",
    "demo://questions?language=ja&count=40&split=train",
    "demo://documents?language=ja&count=60&level=easy",
    "demo://parallel?count=60&level=easy",
    "demo://conversations?language=en&count=60&level=easy",
    "demo://preferences?language=ja&count=60&level=easy",
    "demo://questions?language=en&count=60&level=easy",
)
COLUMNS = {
    "documents": "id text source language license url date meta",
    "conversations": "id messages language source license parents meta",
    "preferences": "id prompt chosen rejected chosen_by rejected_by language source license parents meta",
    "questions": "id messages answers language group completion_prompt meta",
}


def meta(row: Row) -> Row:
    """The row's `meta`, read."""
    read: Row = json.loads(row["meta"])
    return read


def facts_of(made: Iterator[Row]) -> set[str]:
    """Every combination that the rows tell."""
    return {fact for row in made for fact in meta(row)["facts"]}


def fingerprint(seed: int) -> str:
    """A hash over rows of every kind."""
    made = [list(rows(url, seed)[1]) for url in URLS]
    return hashlib.sha256(json.dumps(made, ensure_ascii=False).encode()).hexdigest()


def test_same_seed_same_bytes_in_another_process() -> None:
    code = "from test_rows import fingerprint; print(fingerprint(7))"
    source = str(Path(watari.demo.__file__).parents[2])
    path = os.pathsep.join([source, str(Path(__file__).parent)])
    environment = os.environ | {"PYTHONPATH": path, "PYTHONHASHSEED": "12345"}
    other = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert other.stdout.strip() == fingerprint(7)
    assert fingerprint(8) != fingerprint(7)


@pytest.mark.parametrize("url", URLS)
def test_rows_have_their_columns_and_unique_ids(url: str) -> None:
    name, made = rows(url, 3)
    listed = list(made)
    assert name == RESOURCES[url.split("//")[1].split("?")[0]].rows
    assert len(listed) == int(re.findall(r"count=(\d+)", url)[0])
    assert len({row["id"] for row in listed}) == len(listed)
    for row in listed:
        assert list(row) == COLUMNS[name].split()
        meta(row)


def test_a_row_does_not_depend_on_how_many_follow() -> None:
    few = list(documents(seed=1, count=5, language="ja"))
    assert few == list(islice(documents(seed=1, count=50, language="ja"), 5))
    assert few[0]["id"] == "demo-doc-ja-train-000001"


def test_train_and_test_share_no_fact_whatever_the_seed() -> None:
    trained: set[str] = set()
    tested: set[str] = set()
    for language in LANGUAGES:
        trained |= facts_of(documents(seed=1, count=300, language=language))
        trained |= facts_of(conversations(seed=1, count=500, language=language))
        trained |= facts_of(preferences(seed=1, count=300, language=language))
        tested |= facts_of(documents(seed=2, count=200, language=language, split="test"))
        tested |= facts_of(questions(seed=3, count=500, language=language))
    trained |= facts_of(parallel(seed=1, count=200))
    assert len(trained) > 3000
    assert len(tested) > 1000
    assert not trained & tested


def test_no_tested_sentence_stands_in_a_training_text() -> None:
    for language in LANGUAGES:
        texts = [row["text"] for row in documents(seed=1, count=400, language=language)]
        texts += [row["text"] for row in parallel(seed=1, count=200)]
        texts += [
            message["content"]
            for row in conversations(seed=1, count=600, language=language)
            for message in row["messages"]
        ]
        training = "\n".join(texts)
        stop = "." if language == "en" else "。"
        for row in questions(seed=5, count=300, language=language):
            if row["group"] == "translate":
                assert all(answer not in training for answer in row["answers"])
                continue
            story = row["messages"][0]["content"].split("\n")[0]
            sentences = [part.strip() + stop for part in story.split(stop) if part.strip()]
            # the first half of a gift (`Ken had five apples.`) is not a whole combination
            whole = [
                sentence
                for sentence in sentences
                if not re.search(r" had \w+ [\w ]+\.|持っていました。", sentence)
            ]
            assert all(
                sentence not in training
                for sentence in whole
                if "そのうち" not in sentence and " gave " not in sentence
            )


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("split", SPLITS)
def test_groups_and_yes_and_no_are_balanced(language: str, split: str) -> None:
    made = list(questions(seed=4, count=400, language=language, split=split))
    assert Counter(row["group"] for row in made) == dict.fromkeys(GROUPS, 80)
    answers = Counter(row["answers"][0] for row in made if row["group"] == "yesno")
    assert answers == ({"Yes.": 40, "No.": 40} if language == "en" else {"はい。": 40, "いいえ。": 40})
    for slot in {meta(row)["slot"] for row in made if row["group"] == "yesno"}:
        assert slot not in ("person", "count")


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_constant_answer_scores_little(language: str) -> None:
    made = list(questions(seed=6, count=2500, language=language))
    for group in ("copy", "choose", "count", "translate"):
        asked = [row for row in made if row["group"] == group]
        best = Counter(answer for row in asked for answer in row["answers"]).most_common(1)[0][1]
        assert best / len(asked) < 0.15, group


def core(answer: str, language: str) -> str:
    """The word of a short answer that must stand in the story."""
    if language == "ja":
        return re.sub(r"(です|でした)?。$", "", answer)
    return re.sub(r"^(Exactly|Some|An?|It is|They are|It was) ", "", answer.removesuffix(".")).lower()


@pytest.mark.parametrize("language", LANGUAGES)
def test_copied_answers_stand_in_the_story(language: str) -> None:
    seen = Counter[str]()
    for row in questions(seed=9, count=1500, language=language):
        if row["group"] not in ("copy", "choose"):
            continue
        story = row["messages"][0]["content"].split("\n")[0].lower()
        slot = meta(row)["slot"]
        seen[slot] += 1
        word = core(row["answers"][0], language)
        assert word in story, (word, story)
    assert len(seen) >= 12


NUMBERS = {number_en(number): number for number in range(13)}


def test_worked_out_answers_follow_from_the_story() -> None:
    seen = Counter[str]()
    for row in questions(seed=10, count=1000, language="en"):
        if row["group"] != "count":
            continue
        story, question = row["messages"][0]["content"].split("\n")
        slot, answer = meta(row)["slot"], core(row["answers"][0], "en")
        seen[slot] += 1
        if slot == "left":
            had, given = re.search(r"had (\w+) .*gave (\w+) ", story).groups()  # type: ignore[union-attr]
            assert NUMBERS[answer] == NUMBERS[had] - NUMBERS[given]
            continue
        owned = {person.lower(): NUMBERS[count] for person, count in re.findall(r"(\w+) has (\w+) ", story)}
        assert len(owned) == 2
        if slot == "together":
            assert NUMBERS[answer] == sum(owned.values())
        else:
            assert owned[answer] == (max if "more" in question else min)(owned.values())
    assert set(seen) == {"left", "more", "fewer", "together"}


def test_yes_and_no_follow_from_the_story() -> None:
    pools = [pool for kind in KINDS for pool in kind.pools.values()]
    words = {word.ja.removesuffix("の") for pool in pools for word in pool if not isinstance(word, int)}  # type: ignore[attr-defined]
    seen = Counter[str]()
    for row in questions(seed=11, count=1500, language="ja"):
        if row["group"] != "yesno":
            continue
        story, question = row["messages"][0]["content"].split("\n")
        asked = {word for word in words if word in question}
        held = any(all(word in sentence for word in asked) for sentence in story.split("。"))
        assert held == (row["answers"][0] == "はい。"), (story, question)
        seen[meta(row)["slot"]] += 1
    assert len(seen) >= 8


def test_each_text_stays_in_its_language() -> None:
    for split in SPLITS:
        for row in documents(seed=12, count=150, language="ja", split=split):
            assert not LATIN.search(row["text"])
        for row in documents(seed=12, count=150, language="en", split=split):
            assert not JAPANESE.search(row["text"])
    for language, foreign in (("ja", LATIN), ("en", JAPANESE)):
        for row in conversations(seed=12, count=500, language=language):
            texts = [m["content"] for m in row["messages"] if m["role"] != "user"]
            if meta(row)["group"] not in ("translate", "word"):
                texts += [m["content"] for m in row["messages"]]
            assert not foreign.search("".join(texts))
        for row in questions(seed=12, count=200, language=language):
            if row["group"] != "translate":
                assert not foreign.search(row["messages"][0]["content"] + row["completion_prompt"])
            assert not foreign.search("".join(row["answers"]))
        for row in preferences(seed=12, count=200, language=language):
            assert not foreign.search(row["prompt"][0]["content"] + row["chosen"])
            assert bool(foreign.search(row["rejected"])) == (meta(row)["fault"] == "language")


def test_parallel_rows_hold_both_languages() -> None:
    for row in parallel(seed=13, count=100):
        assert LATIN.search(row["text"])
        assert JAPANESE.search(row["text"])
        assert meta(row)["parallel"] is True


def test_conversations_are_lively_and_well_formed() -> None:
    made = list(conversations(seed=14, count=1500, language="ja"))
    roles = Counter("".join(message["role"][0] for message in row["messages"]) for row in made)
    assert set(roles) <= {"ua", "uaua", "sua", "suaua"}
    assert roles["uaua"] > 150
    assert roles["sua"] > 80
    groups = Counter(meta(row)["group"] for row in made)
    assert set(groups) >= {*GROUPS, "tell", "word", "smalltalk"}
    assert all(message["content"].strip() for row in made for message in row["messages"])


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_first_accepted_answer_is_the_form_that_training_shows(language: str) -> None:
    talks = conversations(seed=15, count=800, language=language, split="test")
    known = {
        row["messages"][-2]["content"]: row["messages"][-1]["content"]
        for row in talks
        if meta(row)["group"] in GROUPS and len(row["messages"]) == 2
    }
    assert len(known) > 300
    ends = Counter(answer[-2:] for answer in known.values())
    for row in questions(seed=15, count=200, language=language):
        assert row["answers"][0][-2:] in ends or row["group"] == "translate"
        assert row["completion_prompt"].endswith("Answer:" if language == "en" else "答え：")
        assert len(set(row["answers"])) == len(row["answers"])


@pytest.mark.parametrize("language", LANGUAGES)
def test_rejected_answers_are_wrong_or_bad(language: str) -> None:
    faults = Counter[str]()
    for row in preferences(seed=16, count=600, language=language):
        faults[meta(row)["fault"]] += 1
        assert row["chosen"] != row["rejected"]
        assert row["prompt"][-1]["role"] == "user"
    assert set(faults) == {"wrong", "language", "impolite", "rambling"}
    assert faults["wrong"] > 200


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("http://documents?language=en", "scheme 'http' is not demo"),
        ("demo://papers?language=en", "'papers' is not one of documents, parallel"),
        ("demo://documents?language=fr", "language 'fr' is not one of en, ja"),
        ("demo://documents?count=5", "language '' is not one of en, ja"),
        ("demo://documents?language=en&split=dev", "split 'dev' is not one of train, test"),
        ("demo://documents?language=en&level=hard", "level 'hard' is not one of full, easy"),
        ("demo://documents?language=en&count=many", "count 'many' is not a whole number"),
        ("demo://documents?language=en&count=-3", "count '-3' is not a whole number"),
        ("demo://documents?language=en&count=", "count '' is not a whole number"),
        (
            "demo://documents?language=en&rows=5",
            "takes no parameter 'rows'; it takes language, count, split, level",
        ),
        ("demo://parallel?language=en", "takes no parameter 'language'"),
        ("demo://preferences?language=en&split=test", "takes no parameter 'split'"),
        ("demo://documents?language=en&language=ja", "'language' stands there twice"),
        ("demo://documents/train?language=en", "nothing may stand after 'documents'"),
    ],
)
def test_a_bad_url_is_refused_in_one_line(url: str, complaint: str) -> None:
    with pytest.raises(ValueError) as caught:
        rows(url, 0)
    assert complaint in str(caught.value)
    assert url in str(caught.value)
    assert "\n" not in str(caught.value)


def test_counts_take_suffixes_and_a_default() -> None:
    assert sum(1 for _ in rows("demo://preferences?language=en&count=2k", 0)[1]) == 2000
    assert sum(1 for _ in rows("demo://parallel", 0)[1]) == 1000


@pytest.mark.parametrize("make", [documents, conversations, questions, preferences])
def test_an_unknown_language_is_refused(make: Callable[..., Iterator[Row]]) -> None:
    with pytest.raises(ValueError, match="language 'de'"):
        next(make(seed=0, count=1, language="de"))
