"""The router on prompts that were written before its rules met them, on foreign sentences, and at its start.

First shot, before the rules were widened for it: list `first` 135 of 164 found and 9 of 167 wrongly; `second` 60 of 62 and
5 of 62; `third` 38 of 40 and 2 of 40.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from statistics import median

import pytest
import yaml

from watari.demo.dialogue import conversations
from watari.languages.routing import load_routing, worked_out
from watari.languages.routing.index import alternatives, kept_needs
from watari.languages.routing.needed import QUOTE, SCRIPT, keys_of, needed_pieces, needed_words
from watari.synth.routing import asking_part, route, route_text

FRESH = yaml.safe_load((Path(__file__).parent / "routing_fresh.yaml").read_text("utf-8"))


@pytest.mark.parametrize("name", ["first", "second", "third"])
def test_fresh_prompts_are_told_apart(name: str) -> None:
    native, other = FRESH["native"][name], FRESH["translated"][name]
    missed = [prompt for prompt in native if route_text(prompt).translate]
    wrong = [(prompt, route_text(prompt).matched) for prompt in other if not route_text(prompt).translate]
    assert len(missed) <= 0.02 * len(native), missed
    assert len(wrong) <= 0.03 * len(other), wrong


@pytest.mark.parametrize(
    "prompt",
    [
        "犬は庭にいます。\nWhat is this in English?",
        "犬は庭にいます。 Put this into English.",
        "Translate: 猫が好きです。",
        "How do you say 犬 in English?",
        "The dog is in the garden.\nWhat is this sentence in Japanese?",
        "What does 改善 mean?",
        "개가 정원에 있다. Translation?",
        "Собака в саду. What does this say?",
        "Please say in English:\n狗在花园里。",
        "Der Hund ist im Garten. Put that in English.",
        "¿Dónde está el perro? What is that in English?",
        "How would you read 東京?",
    ],
)
def test_a_sentence_of_another_language_and_what_is_asked_of_it(prompt: str) -> None:
    assert route_text(prompt).category == "translation-task"


@pytest.mark.parametrize(
    "prompt",
    [
        "Tell me about the city of Tokyo (東京).",
        "Let α and β be the roots of x² + x − 1 = 0. What is the mean of the roots?",
        "Who painted 神奈川沖浪裏?",
        "Do you have this book in English?",
        "Which foods should I try in Japan?",
        "Answer with a single letter A, B, C or D: What is the capital of France? A) Rome B) Paris",
        "How do I pronounce a verdict as a mock judge? I want to look calm when pronouncing sentence.",
        "Describe your week in one word or two.",
    ],
)
def test_what_only_holds_such_words_is_translated(prompt: str) -> None:
    assert route_text(prompt).translate, route_text(prompt)


@pytest.mark.parametrize("level", ["easy", "full"])
def test_demo_translations_and_words_are_kept_and_nothing_else(level: str) -> None:
    counts: Counter[tuple[str, bool]] = Counter()
    for row in conversations(seed=7, count=2000, language="en", level=level):
        counts[json.loads(row["meta"])["group"], route(row["messages"]).translate] += 1
    away = {group for (group, translated), _ in counts.items() if not translated}
    kept = {group for (group, translated), _ in counts.items() if translated}
    assert away <= {"translate", "word"}
    assert kept.isdisjoint({"translate", "word"})
    assert level == "easy" or (counts["translate", False] > 200 and counts["word", False] > 30)


def test_the_kept_index_is_that_of_the_rules() -> None:
    kept = kept_needs("en")
    assert kept is not None, "run: python -m watari.languages.routing"
    assert kept == worked_out("en")


def test_what_bars_part_at_the_top() -> None:
    assert alternatives(r"a(?:b|c)|[|(]d|e\|f") == ["a(?:b|c)", "[|(]d", r"e\|f"]
    assert alternatives(r"[\]|]a|b") == [r"[\]|]a", "b"]


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"[\u3041-\u30ff]{2,} \bmean", "ということ mean"),
        (r'say (?:"[a-z]+"|(?<![a-z0-9])\'[a-z]+\')', "say 'this'"),
        (r'(?:"[a-z]+"|(?<![a-z0-9])\'[a-z]+\') or', "('this' or"),
        (r"_{2,} ?\(", "___ ("),
        (r"\bhow (?:do|would) (?:you|i) (?:say|put)\b", "how would i put"),
        (r"\b(?:spell(?:ed)?|write) out (?:the )?(?:terms|rules)", "spelled out the rules"),
        (r"(?:ab|a)cd? e[xyz]*f", "acd exyf"),
    ],
)
def test_needed_pieces_stand_in_what_matches(pattern: str, text: str) -> None:
    assert re.search(pattern, text)
    assert all(any(piece in text for piece in group) for group in needed_pieces(pattern))
    keys = keys_of(text)
    assert all(not keys.isdisjoint(group) for group in needed_words(pattern)), needed_words(pattern)


def test_other_scripts_and_quotations_count_as_words() -> None:
    assert SCRIPT in keys_of("what is 犬?")
    assert SCRIPT not in keys_of("a café – 20 €")
    assert QUOTE in keys_of("say 'yes'")
    assert QUOTE not in keys_of("don't")


def test_no_pattern_and_no_innocent_phrase_that_would_match_is_left_out() -> None:
    routing = load_routing("en")
    innocent = [re.compile(pattern) for pattern in routing.innocent]
    prompts = [one for part in FRESH.values() for prompts in part.values() for one in prompts]
    for prompt in prompts[::3]:
        text = asking_part(prompt)
        candidates = set(routing.candidates(text))
        phrases = set(routing.innocent_index.candidates(text, keys_of(text)))
        for place, rule in enumerate(routing.rules):
            if place not in candidates:
                assert rule.pattern.search(text) is None, (prompt, rule.source)
        for place, pattern in enumerate(innocent):
            if place not in phrases:
                assert pattern.search(text) is None, (prompt, pattern.pattern)


def test_the_first_row_waits_for_few_patterns() -> None:
    script = (
        "import time, pydantic, yaml, watari.synth.routing as routing\n"
        "start = time.process_time()\n"
        "routing.route_text('What are some good ways to cook a chicken for dinner?')\n"
        "print(time.process_time() - start)\n"
        "rules = routing.load_routing('en').rules\n"
        "print(sum('pattern' in vars(rule) for rule in rules) / len(rules))\n"
    )
    spent, share = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    ).stdout.split()
    assert float(share) < 0.05
    # The bar is 60 ms on a quiet machine; every pattern at once takes some 300.
    assert float(spent) < 0.15


def test_a_document_takes_little() -> None:
    sentence = (
        "She walked along the river for an hour and thought of the house that her father had built there. "
    )
    document = sentence * 20 + "\nSummarize the text above in three points."
    assert route_text(document).translate
    spent = []
    for _ in range(30):
        start = time.process_time()
        for _ in range(20):
            route_text(document)
        spent.append((time.process_time() - start) / 20)
    # The bar is 100 µs on a quiet machine.
    assert median(spent) < 300e-6
