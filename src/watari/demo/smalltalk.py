"""Greetings and the like, system messages, and single words with their translation."""

from __future__ import annotations

from typing import Final

from watari.demo.words import ANIMALS, COLOURS, CROWDS, DAYS, FOODS, JOBS, THINGS

SYSTEM: Final[dict[str, tuple[str, ...]]] = {
    "en": (
        "You are a kind assistant. Answer briefly.",
        "You are Watari, an assistant who answers questions politely.",
        "Read the story and answer the question.",
    ),
    "ja": (
        "あなたは親切なアシスタントです。短く答えてください。",
        "あなたは丁寧に答えるアシスタントの「渡り」です。",
        "話を読んで、質問に答えてください。",
    ),
}

SMALL_TALK: Final[dict[str, tuple[tuple[str, tuple[str, ...]], ...]]] = {
    "en": (
        ("Hello.", ("Hello! How can I help you?", "Hello! What shall we talk about?")),
        ("Hi!", ("Hi! How can I help you?",)),
        ("Good morning.", ("Good morning! How can I help you?",)),
        ("Good evening.", ("Good evening! How can I help you?",)),
        ("How are you?", ("I am fine, thank you.", "Very well, thank you.")),
        ("Thank you.", ("You are welcome.", "You are welcome! Ask me anything.")),
        ("That was a great help.", ("I am glad to hear that.",)),
        ("Who are you?", ("I am Watari, a small assistant.",)),
        ("What is your name?", ("My name is Watari.",)),
        ("What can you do?", ("I can read little stories and answer questions about them.",)),
        ("Can you speak Japanese?", ("Yes, I can speak a little Japanese.",)),
        ("Good night.", ("Good night! Sleep well.",)),
        ("Goodbye.", ("Goodbye! See you again.",)),
        ("I am sorry.", ("Please do not worry.",)),
    ),
    "ja": (
        (
            "こんにちは。",
            ("こんにちは。何かお手伝いしましょうか。", "こんにちは。今日は何を話しましょうか。"),
        ),
        ("はじめまして。", ("はじめまして。どうぞよろしくお願いします。",)),
        ("おはようございます。", ("おはようございます。何かお手伝いしましょうか。",)),
        ("こんばんは。", ("こんばんは。何かお手伝いしましょうか。",)),
        ("お元気ですか。", ("はい、元気です。ありがとうございます。", "おかげさまで元気です。")),
        ("ありがとうございます。", ("どういたしまして。", "どういたしまして。また何でも聞いてください。")),
        ("とても助かりました。", ("お役に立ててうれしいです。",)),
        ("あなたは誰ですか。", ("私は小さなアシスタントの渡りです。",)),
        ("お名前は何ですか。", ("渡りと申します。",)),
        ("何ができますか。", ("短い話を読んで、質問に答えることができます。",)),
        ("英語は話せますか。", ("はい、英語も少し話せます。",)),
        ("おやすみなさい。", ("おやすみなさい。ゆっくり休んでください。",)),
        ("さようなら。", ("さようなら。またお話ししましょう。",)),
        ("すみません。", ("いいえ、どうぞ気にしないでください。",)),
    ),
}


def _pairs() -> tuple[tuple[str, str], ...]:
    nouns = [(noun.en, noun.ja) for noun in (*THINGS, *FOODS, *ANIMALS, *CROWDS)]
    labels = [(label.en, label.ja) for label in JOBS]
    rest = [(colour.en, colour.noun) for colour in COLOURS] + [(day.word, day.ja) for day in DAYS]
    return tuple(nouns + labels + rest)


WORD_PAIRS: Final = _pairs()  # (English, Japanese)
