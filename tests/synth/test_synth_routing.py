"""The router, on own prompts and on the stored ones."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from watari.errors import UserError
from watari.languages.routing import load_routing, parse_routing
from watari.languages.routing.needed import keys_of, needed_words
from watari.synth.routing import asking_part, route, route_text

PROMPTS: dict[str, dict[str, list[str]]] = yaml.safe_load(
    (Path(__file__).parent / "routing_prompts.yaml").read_text("utf-8")
)
NATIVE = [prompt for prompts in PROMPTS["native"].values() for prompt in prompts]
TRANSLATED = [prompt for prompts in PROMPTS["translated"].values() for prompt in prompts]


def stored(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def test_own_prompts_about_english_are_kept_from_translation() -> None:
    missed = [prompt for prompt in NATIVE if route_text(prompt).translate]
    assert len(NATIVE) > 150
    assert len(missed) <= 0.05 * len(NATIVE), missed


def test_own_hard_negatives_are_translated() -> None:
    wrong = [(prompt, route_text(prompt)) for prompt in TRANSLATED if not route_text(prompt).translate]
    assert len(TRANSLATED) > 200
    assert len(wrong) <= 0.03 * len(TRANSLATED), wrong


def test_the_stored_prompts_are_told_apart(test_data: Path) -> None:
    rows = list(stored(test_data / "en-ja-pairs" / "en-only-tasks.jsonl.gz"))
    native = [row for row in rows if row["do_not_translate"]]
    other = [row for row in rows if not row["do_not_translate"]]
    recall = sum(not route_text(row["prompt_en"]).translate for row in native) / len(native)
    false = sum(not route_text(row["prompt_en"]).translate for row in other) / len(other)
    assert recall >= 0.9
    assert false <= 0.05


def test_nearly_every_real_conversation_is_translated(test_data: Path) -> None:
    rows = [
        row
        for row in stored(test_data / "en-ja-pairs" / "pairs-good.jsonl.gz")
        if row["source"] == "instruction_ja"
    ]
    away = [row["src"][0]["content"] for row in rows if not route(row["src"]).translate]
    assert len(rows) > 300
    assert len(away) <= 0.02 * len(rows), away


def test_a_verdict_names_category_reason_and_the_words_that_gave_it_away() -> None:
    routed = route_text("Please tell me: how many letters are in the word strawberry?")
    assert routed.category == "letter-count"
    assert routed.reason == "counts letters, syllables or words of an English text"
    assert "how many letters" in routed.matched
    assert route_text("How do I bake bread?") == route_text("")


def test_any_user_turn_and_the_system_prompt_count_and_the_assistant_does_not() -> None:
    chat = [
        {"role": "user", "content": "Hello!"},
        {"role": "assistant", "content": "What rhymes with orange? Nothing does."},
        {"role": "user", "content": "I see. How old is the moon?"},
    ]
    assert route(chat).translate
    assert not route([*chat, {"role": "user", "content": "And what rhymes with moon?"}]).translate
    system = {
        "role": "system",
        "content": "You are an English teacher. Correct the grammar of what the user writes.",
    }
    assert not route([system, *chat]).translate


def test_only_the_ends_of_a_long_message_ask_and_code_does_not() -> None:
    story = "She walked on along the river, and nothing happened. " * 60
    assert route_text(f"Summarize this.\n{story} What rhymes with orange? {story}").translate
    assert not route_text(f"Proofread this.\n{story}").translate
    assert not route_text(f"{story}\nHow many words are in the text above?").translate
    assert route_text(
        "What does this print?\n```\n# translate the following sentence into French\n```"
    ).translate


def test_curly_quotes_and_capitals_make_no_difference() -> None:
    for prompt in (
        "WHAT RHYMES WITH “ORANGE”?",
        "what rhymes with 'orange'?",
        "What  rhymes\u00a0with “orange”?",
    ):
        assert route_text(prompt).category == "rhyme"


def test_a_language_without_rules_is_translated() -> None:
    assert route([{"role": "user", "content": "What rhymes with orange?"}], "ko").translate
    with pytest.raises(UserError, match="no routing rules for texts in 'ko'"):
        load_routing("ko")


def test_the_index_leaves_no_pattern_untried_that_would_match(test_data: Path) -> None:
    rows = stored(test_data / "en-ja-pairs" / "pairs-good.jsonl.gz")
    documents = [row["src"][0]["content"] for row in rows][::12]
    routing = load_routing("en")
    tried = 0
    for prompt in [*NATIVE, *TRANSLATED, *documents]:
        text = asking_part(prompt)
        candidates = set(routing.candidates(text))
        tried += len(candidates)
        for place, rule in enumerate(routing.rules):
            if place not in candidates:
                assert rule.pattern.search(text) is None, (prompt, rule.pattern.pattern)
    assert tried < 0.15 * len(routing.rules) * (len(NATIVE) + len(TRANSLATED) + len(documents))


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"\bclues?\b|\bclue (?:one|two)\b", "clue one"),
        (r"\b(?:mis)?pronounc(?:e|ing)\b", "mispronouncing"),
        (r"(?:ab|a)cd[xyz]?", "the abcdefg"),
        (r"\b[a-z]+ing\b words?", "singing word"),
        (r"un(?:der|do)stand\w*", "misunderstanding"),
        (r"(?<!a )word\b", "my word"),
        (r"\b(?:one|two)[- ]letter\b", "two-letter"),
        (r"(?:foo|bar){2,3}", "foobar"),
        (r"^(?:please )?stop\b", "stop"),
        (r"caf[eé]s?", "two cafés"),
    ],
)
def test_needed_words_stand_in_what_matches(pattern: str, text: str) -> None:
    import re

    assert re.search(pattern, text)
    keys = keys_of(text)
    assert all(not keys.isdisjoint(group) for group in needed_words(pattern)), needed_words(pattern)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"rules": []}, "rules"),
        ({"rules": [{"category": "a b", "reason": "x", "patterns": ["x"]}]}, "rules.0.category"),
        ({"rules": [{"category": "a", "reason": "x", "patterns": ["("]}]}, "missing )"),
        ({"rules": [{"category": "a", "reason": "x", "patterns": ["<no>"]}]}, "no fragment <no>"),
        ({"rules": [{"category": "a", "reason": "x", "patterns": ["x"], "unless": ["y"]}]}, "no guard 'y'"),
    ],
)
def test_a_wrong_file_is_told(content: Any, said: str) -> None:
    with pytest.raises(UserError) as told:
        parse_routing("xx", content)
    assert "languages/routing/xx.yaml" in str(told.value)
    assert said in str(told.value)
